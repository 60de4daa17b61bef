"""
What is kept of one conversation.

Only what cannot be derived is kept: the tree of messages, the heads of branches, the ledger of attempts.
Histories, counters and costs are derived whenever somebody asks, so none of them can be wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

import attrs

from tertulia.contracts.store import Checkpoint
from tertulia.domain.context import Summary
from tertulia.domain.conversation import (
    Attempt,
    AttemptOutcome,
    Branch,
    ConversationRecord,
    ConversationState,
)
from tertulia.domain.message import Message, MessageStatus, Part, Reasoning, Role, Text
from tertulia.domain.tokens import TokenWeights
from tertulia.domain.usage import CostTotal, Usage
from tertulia.errors import ErrorKind
from tertulia.runtime.counting.tokens import count_messages
from tertulia.testing.memory.refusals import explain_no_branch, explain_no_message

ENDED = "the process that made it ended"
"""What is said of an attempt whose lease has run out."""

MOST_TOKENS = 10**12
"""More than any call has, of any class."""


@attrs.define(eq=False)
class Kept:
    """
    One conversation. Its values are frozen: to change one is to put another in its place.

    Attributes:
        record: As it was begun, with its title, state, tags and metadata of today. Its branch and its
            counters are derived, by :meth:`read_record`; a cost it was begun with counts as well.

        active: The name of the active branch.

        branches: By name, in the order they were made; of their places only the heads are kept.

        messages: By id, in the order they were stored. An answer that is still coming has no parts yet.

        attempts: By id, in the order they were started.

        pieces: By the id of an answer that is not settled, what was written down of it.

        summaries: By kind and the last message that they cover.

        state_before: Where a deleted one goes when it is restored.
    """

    record: ConversationRecord
    active: str
    branches: dict[str, Branch] = attrs.field(factory=dict[str, Branch])
    messages: dict[UUID, Message] = attrs.field(factory=dict[UUID, Message])
    attempts: dict[UUID, Attempt] = attrs.field(factory=dict[UUID, Attempt])
    pieces: dict[UUID, list[Checkpoint]] = attrs.field(factory=dict[UUID, list[Checkpoint]])
    summaries: dict[tuple[str, UUID], Summary] = attrs.field(factory=dict[tuple[str, UUID], Summary])
    state_before: ConversationState = ConversationState.ACTIVE

    @property
    def is_deleted(self) -> bool:
        """Whether it is found only by who asks for deleted ones."""
        return self.record.state is ConversationState.DELETED

    def touch(self, at: datetime | None) -> None:
        """Say that it was used."""
        if at is not None:
            self.record = attrs.evolve(self.record, updated_at=at)

    def get_branch(self, name: str) -> Branch:
        """A branch as it is kept."""
        if name not in self.branches:
            raise explain_no_branch(self.record.id, name)
        return self.branches[name]

    def get_message(self, message_id: UUID) -> Message:
        """A message as it is kept."""
        if message_id not in self.messages:
            raise explain_no_message(self.record.id, message_id)
        return self.messages[message_id]

    def find_sent(self, client_id: str) -> Message | None:
        """The message that was sent with a client_id, as it is kept."""
        return next((each for each in self.messages.values() if each.client_id == client_id), None)

    def climb(self, head_id: UUID | None) -> Iterator[Message]:
        """The messages from a head up to the root."""
        while head_id is not None:
            message = self.messages[head_id]
            yield message
            head_id = message.parent_id

    def read_record(self) -> ConversationRecord:
        """The conversation as it is now."""
        ended = self.find_ended()
        return attrs.evolve(
            self.record,
            branch=self.read_branch(self.active),
            message_count=len(self.messages),
            cost=self.record.cost + CostTotal.of(each.cost for each in ended),
            usage=add_usages([self.record.usage, *(each.usage for each in ended)]),
        )

    def read_branch(self, name: str) -> Branch:
        """A branch with what its path costs, and how much of it is shared with the one it was forked from."""
        branch = self.get_branch(name)
        origin = self.branches.get(branch.forked_from or "")
        answers = (each for each in self.climb(branch.head_id) if each.provider is not None)
        return attrs.evolve(
            branch,
            head_depth=self.measure(branch.head_id),
            fork_depth=None if origin is None else self.find_shared_depth(branch.head_id, origin.head_id),
            cost=CostTotal.of(answer.cost for answer in answers),
        )

    def measure(self, head_id: UUID | None) -> int:
        """How deep a message stands; -1 for before the first."""
        return sum(1 for _ in self.climb(head_id)) - 1

    def find_shared_depth(self, head_id: UUID | None, other_id: UUID | None) -> int:
        """The depth of the newest message that is on both paths; -1 where none is."""
        others = {each.id for each in self.climb(other_id)}
        return sum(1 for each in self.climb(head_id) if each.id in others) - 1

    def read_message(self, message: Message, now: datetime) -> Message:
        """A message with what became of it, and of its answer as far as that came."""
        if message.status is not MessageStatus.PENDING:
            return message
        if is_partial(message):
            alive = self.is_asked(message.parent_id, now)
            status = MessageStatus.PENDING if alive else MessageStatus.INTERRUPTED
            return count(attrs.evolve(message, status=status, parts=self.join_pieces(message), tokens=None))
        if self.is_asked(message.id, now):
            return message
        is_answered = any(True for _ in self.find_partials(message.id))
        return attrs.evolve(message, status=MessageStatus.COMPLETE if is_answered else MessageStatus.FAILED)

    def read_attempt(self, attempt: Attempt, now: datetime) -> Attempt:
        """An attempt; one whose lease has run out was interrupted by the death of its process."""
        if attempt.outcome is not AttemptOutcome.PENDING or _runs(attempt, now):
            return attempt
        return attrs.evolve(
            attempt,
            outcome=AttemptOutcome.INTERRUPTED,
            error_kind=ErrorKind.INTERRUPTED,
            error_message=ENDED,
        )

    def is_asked(self, message_id: UUID | None, now: datetime, branch: str | None = None) -> bool:
        """Whether an answer to a message is under way, on a branch or on any."""
        running = (each for each in self.find_pending(message_id) if _runs(each, now))
        return any(branch in (None, each.branch) for each in running)

    def find_ended(self) -> list[Attempt]:
        """The attempts that somebody has settled."""
        return [each for each in self.attempts.values() if each.outcome is not AttemptOutcome.PENDING]

    def find_pending(self, message_id: UUID | None) -> list[Attempt]:
        """The attempts for a message that nobody has settled."""
        return [
            each
            for each in self.attempts.values()
            if each.message_id == message_id and each.outcome is AttemptOutcome.PENDING
        ]

    def find_partials(self, message_id: UUID | None) -> Iterator[Message]:
        """The answers to a message that nobody has settled."""
        return (each for each in self.find_children(message_id) if is_partial(each))

    def find_children(self, message_id: UUID | None) -> list[Message]:
        """What follows a message, on all branches."""
        return [each for each in self.messages.values() if each.parent_id == message_id]

    def join_pieces(self, answer: Message) -> tuple[Part, ...]:
        """The thoughts and the words of an answer, as far as it came."""
        assert answer.id is not None
        pieces = self.pieces.get(answer.id, [])
        thoughts, text = "".join(each.thoughts for each in pieces), "".join(each.text for each in pieces)
        parts: tuple[Part, ...] = (Reasoning(thoughts),) if thoughts else ()
        return (*parts, Text(text)) if text else parts


def count(message: Message) -> Message:
    """The message with its tokens, unless somebody counted them."""
    if message.tokens is not None:
        return message
    return attrs.evolve(message, tokens=count_messages((message,), TokenWeights()))


def is_partial(message: Message) -> bool:
    """Whether a message is an answer that is not settled."""
    return message.role is Role.ASSISTANT and message.status is MessageStatus.PENDING


def add_usages(usages: Iterable[Usage]) -> Usage:
    """Add tokens, class by class, as far as they are known; what no call has is nonsense, and not counted."""
    rows = [attrs.astuple(usage) for usage in usages]
    classes = range(len(attrs.fields(Usage)))
    return Usage(
        *(sum(row[each] for row in rows if row[each] and row[each] <= MOST_TOKENS) for each in classes)
    )


def _runs(attempt: Attempt, now: datetime) -> bool:
    return attempt.lease_until is not None and attempt.lease_until > now
