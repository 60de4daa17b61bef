"""Conversations as they are stored, and what is derived from them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import attrs

from tertulia.domain.context import NO_CONTEXT_OPTIONS, ContextOptions
from tertulia.domain.usage import Cost, CostTotal, Usage
from tertulia.errors import ErrorKind


@attrs.frozen
class Branch:
    """
    A named head in a conversation's tree.

    Attributes:
        head_id: The newest message on it; None while it is empty.

        head_depth: That message's depth; -1 while it is empty.

        version: Grows by one with every append: the ground of compare-and-swap.

        provider: Who answers on it.

        model: The model that answers on it.

        forked_from: The branch it was forked from; None for the first one.

        fork_depth: The depth of the newest message it shares with that branch, -1 when it shares none;
            None for the first one.

        created_at: In UTC; None for a branch that is not stored yet.

        cost: Of the answers on the path from the root to its head, what it shares with other branches
            included; the cost of attempts that were not answered is in none.
    """

    name: str
    provider: str
    model: str
    segment: UUID
    head_id: UUID | None = None
    head_depth: int = -1
    version: int = 0
    forked_from: str | None = None
    fork_depth: int | None = None
    created_at: datetime | None = None
    cost: CostTotal = CostTotal()


class ConversationState(StrEnum):
    """
    Where a conversation is kept.

    ``active``: among the others. ``archived``: out of the way; it can be read and gone on with. ``deleted``:
    found only by who asks for deleted ones, until it is restored or purged.
    """

    ACTIVE = "active"
    ARCHIVED = "archived"
    DELETED = "deleted"


@attrs.frozen
class ConversationRecord:
    """
    A conversation without its messages.

    Attributes:
        id: A UUIDv7.

        title: At most 200 characters; None when untitled.

        branch: The active branch.

        message_count: Messages on all branches, system messages included.

        cost: Of all attempts.

        created_at: In UTC.

        updated_at: In UTC; the usual order of lists is by it.

        state: Where it is kept.

        tags: In alphabetical order.

        metadata: Whatever JSON its users keep with it.

        usage: The tokens of all attempts, as far as they are known.

        deleted_at: In UTC; None unless it is deleted.

        purge_after: From when on a deleted one may be purged, in UTC; None for never by itself.

        context: How its contexts are chosen.
    """

    id: UUID
    owner: str
    title: str | None
    branch: Branch
    message_count: int
    cost: CostTotal
    created_at: datetime
    updated_at: datetime
    state: ConversationState = ConversationState.ACTIVE
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = MappingProxyType({})
    usage: Usage = Usage(0, 0, 0, 0, 0)
    deleted_at: datetime | None = None
    purge_after: datetime | None = None
    context: ContextOptions = NO_CONTEXT_OPTIONS


class AttemptPurpose(StrEnum):
    """What a provider was asked for: an ``answer``, or a ``title`` or a ``summary`` of the conversation."""

    ANSWER = "answer"
    TITLE = "title"
    SUMMARY = "summary"


class AttemptOutcome(StrEnum):
    """What became of one call to one provider."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"


@attrs.frozen
class Attempt:
    """
    One call to one provider: the ledger of costs has one row for each.

    Attributes:
        id: A UUIDv7.

        message_id: The user message it answers.

        number: Its place among the attempts for that message, from 1.

        provider: Who was asked.

        model: For which model.

        started_at: In UTC.

        lease_until: Until when it counts as under way without further news; None once settled.

        outcome: What became of it.

        error_kind: Why it failed; None unless it did.

        error_message: The same in words, without secrets.

        latency_seconds: None while pending.

        usage: Tokens; unknown ones are None.

        cost: None when unknown.

        request_id: The provider's name for the call; None when it gave none.

        raw_usage: The provider's own usage object, as JSON text; None when there was none.

        branch: The branch it was made on, under the name it has now; None before it is stored, and where
            that branch was removed.

        purpose: What was asked for.

        queued_seconds: How long it waited for its place under the limits of this client; None where it did
            not, and nowhere part of its latency.

        is_fallback: Whether it was made because another target, which came first, had failed or was passed
            over.
    """

    id: UUID
    message_id: UUID
    number: int
    provider: str
    model: str
    started_at: datetime
    lease_until: datetime | None = None
    outcome: AttemptOutcome = AttemptOutcome.PENDING
    error_kind: ErrorKind | None = None
    error_message: str | None = None
    latency_seconds: float | None = None
    first_content_seconds: float | None = None
    usage: Usage = Usage()
    cost: Cost | None = None
    request_id: str | None = None
    raw_usage: str | None = None
    branch: str | None = None
    purpose: AttemptPurpose = AttemptPurpose.ANSWER
    queued_seconds: float | None = None
    is_fallback: bool = False


class SessionReason(StrEnum):
    """
    Why a provider came to speak.

    ``initial``: the conversation began with it. ``manual``: somebody chose it, for good or for one
    comparison. ``fallback``: the one before failed. ``return``: after a fallback, the conversation's own
    provider again.
    """

    INITIAL = "initial"
    MANUAL = "manual"
    FALLBACK = "fallback"
    RETURN = "return"


@attrs.frozen
class ProviderSession:
    """
    A run of attempts on one provider and model. Sessions tile the conversation's time.

    Attributes:
        started_at: Of its first attempt.

        ended_at: Of the next session's first attempt; None for the last session.

        reason: Why it began.

        attempt_count: Calls made.

        answer_count: Calls that answered.

        message_count: What was first asked in it, and the answers that came of it, whole or broken off.

        usage: Tokens of all its attempts that reported any.

        cost: Of all its attempts.
    """

    provider: str
    model: str
    started_at: datetime
    ended_at: datetime | None
    reason: SessionReason
    attempt_count: int
    answer_count: int
    message_count: int
    usage: Usage
    cost: CostTotal

    @property
    def succeeded(self) -> bool:
        """Whether every call of it was answered."""
        return self.answer_count == self.attempt_count


@attrs.frozen
class CostReport:
    """
    What a conversation cost. The parts add up to the total.

    Attributes:
        total: Of all attempts, failed ones included.

        by_provider: The same by configured provider name, in order of first use.

        by_model: The same by ``provider/model``.
    """

    total: CostTotal
    by_provider: dict[str, CostTotal]
    by_model: dict[str, CostTotal]

    def __str__(self) -> str:
        return str(self.total)
