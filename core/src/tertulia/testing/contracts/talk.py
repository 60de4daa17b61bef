"""A conversation in a store, as a contract test drives it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Literal
from uuid import UUID

import attrs

from tertulia.contracts.store import Checkpoint, Settlement, Store
from tertulia.domain.conversation import Attempt, AttemptOutcome, Branch, ConversationRecord
from tertulia.domain.message import FinishReason, Message, MessageStatus, Part, Role
from tertulia.domain.tokens import TokenWeights
from tertulia.domain.usage import Cost, CostTotal, Money, Usage
from tertulia.runtime.clock import Clock
from tertulia.runtime.counting.tokens import count_messages
from tertulia.testing.clock import StandingClock

OWNER = "ann"
STRANGER = "bob"
MAIN = "main"
LEASE_SECONDS = 15
CENT = Cost(Money.from_usd(Decimal("0.01")), price_row="row")


@attrs.frozen(eq=False)
class Talk:
    """
    A conversation of :data:`OWNER`.

    Attributes:
        id: The conversation's.
    """

    store: Store
    clock: Clock
    id: UUID

    @classmethod
    async def begin(
        cls, store: Store, clock: StandingClock, title: str | None = None, messages: tuple[Message, ...] = ()
    ) -> Talk:
        """Store a new conversation, a moment after the one before."""
        clock.advance(0.001)
        record = make_record(clock, title, messages)
        await store.add_conversation(record, messages)
        return cls(store, clock, record.id)

    async def record(self) -> ConversationRecord:
        """What the store says of it."""
        return await self.store.get_conversation(OWNER, self.id)

    async def append(
        self,
        text: str,
        branch: str = MAIN,
        *,
        role: Role = Role.USER,
        expected_head: UUID | Literal["any"] | None = "any",
    ) -> Message:
        """Add a message that nobody is to answer."""
        message = self.make_message(text, role)
        return await self.store.add_message(OWNER, self.id, branch, message, expected_head=expected_head)

    async def ask(self, text: str, branch: str = MAIN) -> Attempt:
        """Add a message and the attempt that will answer it."""
        message = attrs.evolve(self.make_message(text), status=MessageStatus.PENDING)
        attempt = self.make_attempt(message.id, branch)
        await self.store.add_user_message(OWNER, self.id, branch, message, attempt)
        return attempt

    async def ask_again(self, message_id: UUID | None, branch: str = MAIN) -> Attempt:
        """Add another attempt for a stored message."""
        return await self.store.add_attempt(OWNER, self.id, branch, self.make_attempt(message_id, branch))

    async def show(
        self, attempt: Attempt, answer_id: UUID, *pieces: str, branch: str = MAIN, first: int = 0
    ) -> None:
        """Write down pieces of an answer, numbered from ``first``."""
        for number, text in enumerate(pieces, first):
            await self.think(attempt, answer_id, text, branch=branch, number=number)

    async def think(
        self,
        attempt: Attempt,
        answer_id: UUID,
        text: str,
        *,
        thoughts: str = "",
        branch: str = MAIN,
        number: int = 0,
    ) -> None:
        """Write down one piece, with what was thought of it."""
        piece = Checkpoint(
            attempt_id=attempt.id,
            message_id=attempt.message_id,
            answer_id=answer_id,
            number=number,
            text=text,
            thoughts=thoughts,
            provider=attempt.provider,
            model=attempt.model,
            created_at=self.clock.now(),
        )
        await self.store.add_checkpoint(OWNER, self.id, branch, piece)

    async def answer(
        self,
        attempt: Attempt,
        *parts: Part,
        branch: str = MAIN,
        cost: Cost | None = CENT,
        shown_as: UUID | None = None,
    ) -> Message | None:
        """
        Settle an attempt with a whole answer.

        Args:
            shown_as: The id under which pieces of it were written down.
        """
        settlement = self.settle(attempt, *parts, cost=cost)
        if shown_as is not None:
            assert settlement.answer is not None
            answer = attrs.evolve(settlement.answer, id=shown_as)
            settlement = attrs.evolve(settlement, answer=answer, checkpointed=True)
        return await self.store.settle(OWNER, self.id, branch, settlement)

    async def fail(self, attempt: Attempt, branch: str = MAIN) -> None:
        """Settle an attempt that nobody answered, for nothing."""
        ended = end(attempt, AttemptOutcome.FAILED)
        await self.store.settle(OWNER, self.id, branch, Settlement(ended, MessageStatus.FAILED))

    def settle(self, attempt: Attempt, *parts: Part, cost: Cost | None = CENT) -> Settlement:
        """What a whole answer is settled with."""
        ended = attrs.evolve(
            end(attempt, AttemptOutcome.SUCCEEDED),
            latency_seconds=1.5,
            usage=Usage(10, 0, 0, 5, None),
            cost=cost,
            raw_usage='{"total":15}',
        )
        answer = Message(
            Role.ASSISTANT,
            parts,
            id=self.clock.new_id(),
            provider=attempt.provider,
            model=attempt.model,
            resolved_model="snapshot",
            finish_reason=FinishReason.STOP,
            raw_finish_reason="completed",
            usage=ended.usage,
            cost=cost,
            latency_seconds=1.5,
            created_at=self.clock.now(),
        )
        return Settlement(ended, MessageStatus.COMPLETE, answer)

    async def fork(
        self, name: str, *, source: str = MAIN, at: UUID | Literal["head", "root"] | None = "head"
    ) -> Branch:
        """Add a branch."""
        assert at is not None
        return await self.store.add_branch(
            OWNER, self.id, name, source=source, at=at, created_at=self.clock.now()
        )

    async def history(self, branch: str = MAIN) -> list[Message]:
        """Every message of a branch."""
        return await self.store.get_messages(OWNER, self.id, branch)

    async def texts(
        self, branch: str = MAIN, *, limit: int | None = None, before_depth: int | None = None
    ) -> list[str]:
        """What was said on a branch."""
        messages = await self.store.get_messages(
            OWNER, self.id, branch, limit=limit, before_depth=before_depth
        )
        return [message.text for message in messages]

    async def statuses(self, branch: str = MAIN) -> list[tuple[str, str]]:
        """What was said on a branch, and what became of it."""
        return [(message.text, message.status.value) for message in await self.history(branch)]

    async def attempts(self) -> list[Attempt]:
        """The ledger."""
        return await self.store.get_attempts(OWNER, self.id)

    async def branch(self, name: str = MAIN) -> Branch:
        """One branch."""
        return await self.store.get_branch(OWNER, self.id, name)

    async def branch_names(self) -> list[str]:
        """Every branch."""
        return [branch.name for branch in await self.store.find_branches(OWNER, self.id)]

    def make_message(self, text: str, role: Role = Role.USER) -> Message:
        """A message that is not stored yet."""
        return attrs.evolve(Message.of(role, text), id=self.clock.new_id(), created_at=self.clock.now())

    def make_attempt(self, message_id: UUID | None, branch: str = MAIN) -> Attempt:
        """An attempt with a lease of 15 seconds."""
        assert message_id is not None
        return Attempt(
            id=self.clock.new_id(),
            message_id=message_id,
            number=1,
            provider="openai",
            model="gpt-6.1-sol",
            started_at=self.clock.now(),
            lease_until=self.clock.now() + timedelta(seconds=LEASE_SECONDS),
            branch=branch,
        )


def make_record(
    clock: Clock, title: str | None = None, messages: tuple[Message, ...] = ()
) -> ConversationRecord:
    """A conversation that is not stored yet."""
    branch = Branch(
        MAIN,
        "openai",
        "gpt-6.1-sol",
        segment=clock.new_id(),
        head_id=messages[-1].id if messages else None,
        head_depth=len(messages) - 1,
        created_at=clock.now(),
    )
    return ConversationRecord(
        id=clock.new_id(),
        owner=OWNER,
        title=title,
        branch=branch,
        message_count=len(messages),
        cost=CostTotal(),
        created_at=clock.now(),
        updated_at=clock.now(),
    )


def counted(message: Message) -> Message:
    """A message as it is stored, with its tokens."""
    return attrs.evolve(message, tokens=count_messages((message,), TokenWeights()))


def end(attempt: Attempt, outcome: AttemptOutcome) -> Attempt:
    """An attempt that ended, and cost nothing."""
    return attrs.evolve(attempt, outcome=outcome, lease_until=None, cost=Cost(Money(0)))
