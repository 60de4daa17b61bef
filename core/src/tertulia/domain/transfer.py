"""Conversations on their way from one store to another."""

from __future__ import annotations

from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt, Branch, ConversationRecord
from tertulia.domain.message import Message


@attrs.frozen
class ConversationTree:
    """
    A conversation with all that belongs to it.

    Attributes:
        record: Its counters are counted again where it is stored. Its branch is the active one.

        branches: In the order they were made, each with its head; their segments and costs mean nothing
            outside the store.

        messages: Of all branches, parents before their children.

        attempts: In the order they were started.
    """

    record: ConversationRecord
    branches: tuple[Branch, ...]
    messages: tuple[Message, ...]
    attempts: tuple[Attempt, ...] = ()


@attrs.frozen
class ImportProblem:
    """
    What could not be imported.

    Attributes:
        place: Where it is: ``line 12``, ``conversation 3``.

        reason: What is wrong with it.

        conversation_id: What it belongs to; None where that cannot be told.
    """

    place: str
    reason: str
    conversation_id: UUID | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@attrs.frozen
class ImportReport:
    """
    What came of an import.

    Attributes:
        imported: The conversations that are stored now.

        skipped: Those that were there already, and were left as they are.

        problems: What could not be imported, in order.

        message_count: How many messages were imported.
    """

    imported: tuple[UUID, ...] = ()
    skipped: tuple[UUID, ...] = ()
    problems: tuple[ImportProblem, ...] = ()
    message_count: int = 0
