"""How much a model gets to see, and what was chosen for it."""

from __future__ import annotations

from uuid import UUID

import attrs

from tertulia.domain.message import Message


@attrs.frozen
class Window:
    """
    How much a request may hold.

    Attributes:
        max_tokens: Tokens for everything that is sent; None when there is no known limit.

        max_messages: Recent messages at most, the system's not counted; None for no limit.

        reserved_tokens: Of the model's window, what is left free for the answer.
    """

    max_tokens: int | None = None
    max_messages: int | None = None
    reserved_tokens: int = 0


@attrs.frozen
class Dropped:
    """
    Messages that were left out of one request for one reason.

    Attributes:
        message_ids: Which, oldest first.

        tokens: Their estimated tokens together.

        reason: Why, in words.
    """

    message_ids: tuple[UUID | None, ...]
    tokens: int
    reason: str


@attrs.frozen
class ContextReport:
    """
    What was sent and what was left out.

    Attributes:
        kept_count: Messages sent.

        tokens: Their estimated tokens.

        budget: The tokens there were; None for no limit.

        dropped: What was left out of this request only; it stays in the history.
    """

    kept_count: int
    tokens: int
    budget: int | None = None
    dropped: tuple[Dropped, ...] = ()


@attrs.frozen
class Context:
    """What one request holds, oldest first, and the report about it."""

    messages: tuple[Message, ...]
    report: ContextReport
