"""Messages and the parts they are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias
from uuid import UUID

import attrs

from tertulia.domain.media import Audio, Document, Image, OpaqueState, Video
from tertulia.domain.media_type import is_text_type
from tertulia.domain.usage import Cost, Usage

MOST_SEARCHED = 100_000
"""Bytes of a document that it is found by: the first so many."""


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class MessageStatus(StrEnum):
    """
    What became of a message.

    ``pending``: a user message whose answer is under way. ``complete``: whole. ``interrupted``: an
    answer that broke off; its text is what was shown. ``failed``: a user message that no provider
    answered; it stays in the history and is not sent again on its own.
    """

    PENDING = "pending"
    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


class FinishReason(StrEnum):
    """
    Why an answer ended, in one vocabulary for all providers.

    ``pause``: the provider wants another request to go on. ``unknown``: it ended well, with a reason
    that is new to us; the raw value is kept beside it.
    """

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"
    CANCELLED = "cancelled"
    ERROR = "error"
    UNKNOWN = "unknown"


@attrs.frozen
class Text:
    """Words."""

    text: str
    opaque: OpaqueState | None = None


@attrs.frozen
class Reasoning:
    """What a model thought before it spoke: a summary or the text, possibly empty beside opaque state."""

    text: str = ""
    opaque: OpaqueState | None = None


@attrs.frozen
class ToolCall:
    """
    A model's request to call a function.

    Attributes:
        id: The call's name in this conversation.

        name: The function's name.

        arguments: The arguments by name; None when what the model wrote is not a JSON object.

        raw_arguments: What the model wrote, when it is not a JSON object.
    """

    id: str
    name: str
    arguments: Mapping[str, Any] | None = None
    raw_arguments: str | None = None
    opaque: OpaqueState | None = None

    def result(self, output: str, *, is_error: bool = False) -> ToolResult:
        """Say what the call returned, or why it failed."""
        return ToolResult(self.id, self.name, output, is_error)


@attrs.frozen
class ToolResult:
    """
    What a called function returned.

    Attributes:
        call_id: The ``id`` of the call it answers.

        name: The function's name.

        output: The result as text.

        is_error: Whether the call failed and ``output`` says how.
    """

    call_id: str
    name: str
    output: str
    is_error: bool = False
    opaque: OpaqueState | None = None


@attrs.frozen
class Refusal:
    """Words in which the model declines to answer."""

    text: str
    opaque: OpaqueState | None = None


@attrs.frozen
class Foreign:
    """
    A part of an answer that has no neutral form; kept whole for the provider that wrote it.

    Attributes:
        kind: What the provider calls it, for example ``web_search_call``.
    """

    kind: str
    opaque: OpaqueState | None = None


Part: TypeAlias = (
    Text | Image | Document | Audio | Video | Reasoning | ToolCall | ToolResult | Refusal | Foreign
)
"""Anything a message can hold."""


def join_text(parts: Iterable[Part]) -> str:
    """Join the words of all text and refusal parts."""
    return "".join(part.text for part in parts if isinstance(part, Text | Refusal))


def join_searchable(parts: Iterable[Part]) -> str:
    """Join what parts can be found by: words, results of tools and documents of text, a line each."""
    found: list[str] = []
    words = ""
    for part in parts:
        match part:
            case Text() | Refusal():
                words += part.text
            case ToolResult():
                found.append(part.output)
            case Document() if part.data is not None and is_text_type(part.media_type or ""):
                found.append(part.data[:MOST_SEARCHED].decode(errors="replace"))
            case _:
                pass
    return "\n".join((words, *found)) if words or not found else "\n".join(found)


@attrs.frozen
class Mark:
    """
    What people say of a message; unlike the message it can be changed.

    Attributes:
        pinned: Whether every request is to hold it, whatever else is left out.

        hidden: Whether no request is to hold it; it stays in the history.

        importance: From 0 to 1, for strategies that choose by it; None for unsaid.

        expires_at: From when on no request is to hold it, in UTC; None for never.
    """

    pinned: bool = False
    hidden: bool = False
    importance: float | None = None
    expires_at: datetime | None = None


NO_MARK = Mark()
"""Nothing was said."""


@attrs.frozen
class Message:
    """
    One turn of a conversation.

    A message that is not stored yet has neither id nor depth. Usage, cost, finish reason and latency
    are those of an assistant message; None elsewhere, and None where the provider did not say.

    Attributes:
        role: Who speaks.

        parts: What is said, in order.

        id: A UUIDv7; None before it is stored.

        parent_id: The message this one follows; None for the first.

        depth: Its place counted from the root of the conversation, the first being 0.

        status: Whether it is whole.

        provider: The configured name of the provider that answered; None for other roles.

        model: The model that was asked.

        resolved_model: The model that answered, as the provider names it.

        finish_reason: Why the answer ended.

        raw_finish_reason: The same in the provider's own word.

        usage: Tokens of the answer.

        cost: What the answer cost; None when unknown.

        latency_seconds: From the first byte sent to the end of the answer.

        created_at: When it was stored, in UTC. Order is by depth, never by time.

        mark: What people say of it.

        client_id: The name that whoever sent it gave it, so that it is not sent twice; None without one.

        tokens: Estimated once, when it was stored, by weights that are no provider's own; None before.
    """

    role: Role
    parts: tuple[Part, ...]
    id: UUID | None = None
    parent_id: UUID | None = None
    depth: int | None = None
    status: MessageStatus = MessageStatus.COMPLETE
    provider: str | None = None
    model: str | None = None
    resolved_model: str | None = None
    finish_reason: FinishReason | None = None
    raw_finish_reason: str | None = None
    usage: Usage | None = None
    cost: Cost | None = None
    latency_seconds: float | None = None
    created_at: datetime | None = None
    mark: Mark = NO_MARK
    client_id: str | None = None
    tokens: int | None = None

    @property
    def text(self) -> str:
        """The words of the message, a refusal's included, joined."""
        return join_text(self.parts)

    @property
    def searchable_text(self) -> str:
        """What it is found by: its words, what tools returned, and the documents in it that are text."""
        return join_searchable(self.parts)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The calls in it, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))

    @classmethod
    def of(cls, role: Role | str, text: str) -> Message:
        """
        Make a message of one text.

        Example:
            >>> Message.of("user", "Good morning").text
            'Good morning'
        """
        return cls(Role(role), (Text(text),))
