"""A ledger of twelve attempts in three days, whose sums can be worked out by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from uuid import UUID

import attrs

from tertulia.contracts.store import Store
from tertulia.domain.conversation import Attempt, AttemptOutcome, AttemptPurpose
from tertulia.domain.message import Role
from tertulia.domain.statistics import CostGroup, CostKey, CostRow
from tertulia.domain.usage import Cost, CostTotal, Money, Usage
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk, make_record

NOTHING = Usage()
SATURDAY, SUNDAY, MONDAY = (date(2026, 10, day) for day in (24, 25, 26))
"""On the Sunday, clocks in Madrid go back from UTC+2 to UTC+1 at 01:00 UTC."""


@attrs.frozen
class Call:
    """An attempt of the ledger of this suite, and what it is to be counted under."""

    conversation: str
    branch: str | None
    question: str
    number: int
    target: str
    started_at: datetime
    outcome: str
    usage: Usage = NOTHING
    pico: int | None = None
    seconds: float | None = None
    first_content: float | None = None
    purpose: AttemptPurpose = AttemptPurpose.ANSWER

    def make(self, clock: StandingClock, message_id: UUID) -> Attempt:
        """The attempt."""
        provider, model = self.target.split("/")
        return Attempt(
            id=clock.new_id(),
            message_id=message_id,
            number=self.number,
            provider=provider,
            model=model,
            started_at=self.started_at,
            outcome=AttemptOutcome(self.outcome),
            latency_seconds=self.seconds,
            first_content_seconds=self.first_content,
            usage=self.usage,
            cost=None if self.pico is None else Cost(Money(self.pico)),
            purpose=self.purpose,
        )


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of October 2026, in UTC."""
    return datetime(2026, 10, day, hour, minute, tzinfo=UTC)


def used(
    input_tokens: int, output_tokens: int, cache_read_tokens: int = 0, reasoning_tokens: int = 0
) -> Usage:
    """A usage in which everything is known."""
    return Usage(input_tokens, cache_read_tokens, 0, output_tokens, reasoning_tokens)


SOL, FLASH, PRO = "openai/sol", "gemini/flash", "gemini/pro"
CALLS = (
    Call("trip", MAIN, "q1", 1, SOL, at(24, 10), "succeeded", used(100, 10), 1000, 1, 0.1),
    Call("trip", MAIN, "q2", 1, SOL, at(24, 22, 30), "failed", NOTHING, 0, 3),
    Call("trip", MAIN, "q2", 2, FLASH, at(24, 22, 31), "succeeded", used(200, 20, 50, 5), 500, 2, 0.2),
    Call("trip", "other", "q3", 1, FLASH, at(25, 9), "interrupted", Usage(10), None, 9),
    Call("trip", "other", "q3", 2, PRO, at(25, 9, 1), "succeeded", used(300, 30, 0, 10), 7000, 4),
    Call(
        "trip",
        MAIN,
        "q1",
        1,
        SOL,
        at(25, 9, 5),
        "succeeded",
        used(20, 3),
        40,
        0.5,
        0.4,
        purpose=AttemptPurpose.TITLE,
    ),
    Call("code", MAIN, "q4", 1, SOL, at(25, 12), "cancelled", Usage(50), None, 1),
    Call("code", MAIN, "q4", 2, SOL, at(25, 12, 1), "succeeded", used(60, 6), 600, 5, 0.5),
    Call("code", MAIN, "q5", 1, SOL, at(25, 23, 30), "failed", NOTHING, 0, 1),
    Call("code", MAIN, "q5", 2, SOL, at(25, 23, 40), "succeeded", Usage(70, 0, 0, 7), None, 6),
    Call("code", MAIN, "q6", 1, FLASH, at(26, 8), "succeeded", used(80, 8), 800, 7, 0.7),
    Call("code", None, "q7", 1, FLASH, at(26, 9), "succeeded", used(90, 9), 90, 8),
)
TAGS = {"trip": ("travel", "work"), "code": ()}


async def fill(store: Store, clock: StandingClock) -> dict[str, UUID]:
    """
    Put the ledger of this suite into a store, beside an answer that is still coming.

    Returns:
        The ids of the conversations by their names.
    """
    talks: dict[str, Talk] = {}
    for name, tags in TAGS.items():
        record = attrs.evolve(make_record(clock, name), tags=tags)
        clock.advance(0.001)
        await store.add_conversation(record)
        talks[name] = Talk(store, clock, record.id)
        for branch in {call.branch or "aside": None for call in CALLS if call.conversation == name}:
            if branch != MAIN:
                await talks[name].fork(branch)
    asked: dict[str, UUID] = {}
    for call in CALLS:
        talk, branch = talks[call.conversation], call.branch or "aside"
        if call.question not in asked:
            said = attrs.evolve(talk.make_message(call.question), created_at=call.started_at)
            stored = await store.add_message(OWNER, talk.id, branch, said)
            assert stored.id is not None
            asked[call.question] = stored.id
        await store.record_attempt(OWNER, talk.id, branch, call.make(clock, asked[call.question]))
    await store.remove_branch(OWNER, talks["code"].id, "aside", clock.now())
    coming = await Talk.begin(store, clock)
    await coming.append("Hi", role=Role.ASSISTANT)
    await coming.ask("Hello")
    return {name: talk.id for name, talk in talks.items()}


async def count_questions(
    store: Store,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    conversation_id: UUID | None = None,
) -> tuple[int, int]:
    """How many questions there are, and how many of them were passed on."""
    statistics = await store.get_statistics(OWNER, since=since, until=until, conversation_id=conversation_id)
    return statistics.questions, statistics.fallbacks


def numbers(row: CostRow) -> tuple[int, int, int]:
    """How many attempts, what they cost, and of how many that is not known."""
    return row.attempts, row.cost.money.pico, row.cost.unknown_count


def recount(calls: Iterable[Call], by: Sequence[CostGroup], ids: dict[str, UUID]) -> tuple[CostRow, ...]:
    """The rows that a ledger in UTC is to have."""
    rows: dict[tuple[CostKey, ...], CostRow] = {}
    for call in calls:
        for tag in TAGS[call.conversation] or (None,):
            names: dict[CostGroup, CostKey] = {
                CostGroup.PROVIDER: call.target.split("/")[0],
                CostGroup.MODEL: call.target,
                CostGroup.CONVERSATION: ids[call.conversation],
                CostGroup.BRANCH: call.branch,
                CostGroup.TAG: tag,
                CostGroup.DAY: call.started_at.date(),
                CostGroup.OWNER: OWNER,
            }
            key = tuple(names[group] for group in by)
            if CostGroup.TAG not in by and tag == "work":
                continue  # counted under the first one
            before = rows.get(key, CostRow(key, 0, used(0, 0), CostTotal()))
            known = Usage(*(count or 0 for count in attrs.astuple(call.usage)))
            cost = CostTotal(Money(call.pico or 0), int(call.pico is None))
            rows[key] = CostRow(key, before.attempts + 1, before.usage + known, before.cost + cost)
    return tuple(sorted(rows.values(), key=lambda row: [(each is None, str(each)) for each in row.key]))
