"""Costs and statistics in SQL: equal to a recount of any ledger, and taken from the index."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia.builtin.sql.costs import _make_statement
from tertulia.builtin.sql.database import Dialect, _prepare
from tertulia.builtin.sql.ledger import _make_edge
from tertulia.builtin.sql.statistics import _select_cells, _select_followers
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.conversation import Attempt, AttemptOutcome, AttemptPurpose
from tertulia.domain.statistics import CostGroup, Percentiles
from tertulia.domain.usage import Cost, CostTotal, Money, Usage
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, make_record

FIRST = datetime(2026, 10, 24, 20, tzinfo=UTC)
ZONES = ("UTC", "Europe/Madrid", "America/St_Johns", "Australia/Lord_Howe")
MONTH = (datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))

moments = st.integers(0, 60 * 30).map(lambda minutes: FIRST + timedelta(minutes=minutes))
tokens = st.none() | st.integers(0, 10**6)
attempts = st.builds(
    Attempt,
    id=st.just(UUID(int=0)),
    message_id=st.integers(0, 3).map(lambda number: UUID(int=number)),
    number=st.just(1),
    provider=st.sampled_from(["openai", "gemini"]),
    model=st.sampled_from(["sol", "flash"]),
    started_at=moments,
    outcome=st.sampled_from([each for each in AttemptOutcome if each is not AttemptOutcome.PENDING]),
    latency_seconds=st.none() | st.integers(0, 9),
    first_content_seconds=st.none() | st.integers(0, 9),
    usage=st.builds(Usage, tokens, tokens, tokens, tokens, tokens),
    cost=st.none() | st.integers(0, 2**62).map(lambda pico: Cost(Money(pico))),
    purpose=st.sampled_from([*[AttemptPurpose.ANSWER] * 3, AttemptPurpose.TITLE]),
)


def number(ledger: list[tuple[int, Attempt]]) -> list[tuple[int, Attempt]]:
    """Give attempts the ids and numbers they have in a store."""
    asked: dict[tuple[int, UUID], int] = {}
    numbered: list[tuple[int, Attempt]] = []
    for place, (conversation, attempt) in enumerate(ledger, 1):
        key = (conversation, attempt.message_id)
        asked[key] = asked.get(key, 0) + (attempt.purpose is AttemptPurpose.ANSWER)
        numbered.append((conversation, attrs.evolve(attempt, id=UUID(int=place), number=asked[key] or 1)))
    return numbered


async def analyse(ledger, by, zone, since, until):
    """Put a ledger into two conversations, and add it up."""
    clock = StandingClock()
    store = SQLStore("memory:", clock)
    await store.open()
    records = [make_record(clock) for _ in range(2)]
    for record in records:
        await store.add_conversation(record)
    for conversation, attempt in ledger:
        await store.record_attempt(OWNER, records[conversation].id, MAIN, attempt)
    bounds = {"since": since, "until": until, "time_zone": zone}
    found = await store.get_costs(OWNER, by, **bounds), await store.get_statistics(OWNER, **bounds)
    await store.aclose()
    return [record.id for record in records], *found


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 1), attempts), max_size=12).map(number),
    st.lists(
        st.sampled_from([each for each in CostGroup if each is not CostGroup.TAG]), unique=True, min_size=1
    ),
    st.sampled_from(ZONES),
    st.none() | moments,
    st.none() | moments,
)
def test_any_ledger_is_added_up_as_by_hand(ledger, by, zone, since, until):
    """For any attempts, groups, zone and period: rows equal a recount and add up; so do the statistics."""
    ids, costs, statistics = asyncio.run(analyse(ledger, by, zone, since, until))
    within = [
        (ids[conversation], attempt)
        for conversation, attempt in ledger
        if (since is None or since <= attempt.started_at) and (until is None or attempt.started_at < until)
    ]

    def key(entry: tuple[UUID, Attempt]) -> tuple[object, ...]:
        conversation, attempt = entry
        names = {
            "provider": attempt.provider,
            "model": f"{attempt.provider}/{attempt.model}",
            "conversation": conversation,
            "branch": MAIN,
            "day": attempt.started_at.astimezone(ZoneInfo(zone)).date(),
            "owner": OWNER,
        }
        return tuple(names[group] for group in by)

    groups = [(name, [each for _, each in group]) for name, group in groupby(sorted(within, key=key), key)]
    assert [(name, *total(group)) for name, group in groups] == [
        (row.key, row.attempts, row.usage, row.cost) for row in costs.rows
    ]
    assert total([each for _, each in within]) == (
        costs.total.attempts,
        costs.total.usage,
        costs.total.cost,
    )
    answers = [entry for entry in within if entry[1].purpose is AttemptPurpose.ANSWER]
    answered = [each for _, each in answers if each.outcome is AttemptOutcome.SUCCEEDED]
    activity = statistics.activity
    assert (costs.total.usage, costs.total.cost) == (activity.usage, activity.cost)
    assert len({(conversation, each.message_id) for conversation, each in answers}) == statistics.questions
    assert count_fallbacks(ledger, ids, {each.id for _, each in answers}) == statistics.fallbacks
    assert percentiles(each.latency_seconds for each in answered) == activity.latency
    assert percentiles(each.first_content_seconds for each in answered) == activity.first_content
    assert (len(answers), len(answered)) == (activity.attempts, activity.succeeded)
    for part in (statistics.by_provider, statistics.by_model, statistics.by_day):
        assert activity.attempts == sum(each.attempts for each in part.values())
        assert activity.cost == sum((each.cost for each in part.values()), CostTotal())


def total(ledger):
    usage = Usage(0, 0, 0, 0, 0)
    for attempt in ledger:
        usage += Usage(*(count or 0 for count in attrs.astuple(attempt.usage)))
    return len(ledger), usage, CostTotal.of(attempt.cost for attempt in ledger)


def percentiles(seconds):
    return Percentiles.of(sorted(each for each in seconds if each is not None))


def count_fallbacks(ledger, ids, counted):
    """Questions with a counted attempt whose predecessor, counted or not, failed somewhere else."""
    previous: dict[tuple[int, UUID], Attempt] = {}
    passed_on = set()
    for conversation, attempt in ledger:
        if attempt.purpose is AttemptPurpose.TITLE:
            continue
        question = (conversation, attempt.message_id)
        before = previous.get(question)
        if (
            before is not None
            and attempt.id in counted
            and before.outcome in (AttemptOutcome.FAILED, AttemptOutcome.INTERRUPTED)
            and (before.provider, before.model) != (attempt.provider, attempt.model)
        ):
            passed_on.add(question)
        previous[question] = attempt
    return len(passed_on)


async def test_a_conversation_that_is_being_purged_counts_no_more(database, meddle):
    """Purging takes its time; from its first moment on nothing of the conversation is counted."""
    clock = StandingClock()
    store = SQLStore(database, clock)
    await store.open()
    record = make_record(clock)
    await store.add_conversation(record)
    await store.record_attempt(OWNER, record.id, MAIN, make_attempt())
    assert (1, 1) == await count(store)

    meddle("UPDATE conversation SET state = 'purged'")
    assert (0, 0) == await count(store)
    await store.aclose()


async def test_tokens_that_no_answer_has_are_in_no_sum(database):
    """What a provider counted wrongly is left out of the sums, as it is of the conversation's own."""
    clock = StandingClock()
    store = SQLStore(database, clock)
    await store.open()
    record = make_record(clock)
    await store.add_conversation(record)
    nonsense = attrs.evolve(make_attempt(), usage=Usage(10**13, 1, 0, 10**12, 2))
    await store.record_attempt(OWNER, record.id, MAIN, nonsense)
    costs, statistics = await store.get_costs(OWNER), await store.get_statistics(OWNER)
    stored = await store.get_conversation(OWNER, record.id)
    await store.aclose()

    assert Usage(0, 1, 0, 10**12, 2) == stored.usage == costs.total.usage == statistics.activity.usage


async def test_a_moment_that_makes_no_sense_costs_no_centuries(database):
    """At either end of time, in whatever time zone: the ledger is counted by its days, and soon."""
    clock = StandingClock()
    store = SQLStore(database, clock)
    await store.open()
    record = make_record(clock)
    await store.add_conversation(record)
    first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    between = (datetime(1850, 7, 1, 12, tzinfo=UTC), datetime(2026, 7, 1, 22, tzinfo=UTC))
    for number, moment in enumerate((first, *between, last)):
        odd = attrs.evolve(make_attempt(), id=UUID(int=number), started_at=moment)
        await store.record_attempt(OWNER, record.id, MAIN, odd)
    days = {
        zone: [row.key for row in (await store.get_costs(OWNER, [CostGroup.DAY], time_zone=zone)).rows]
        for zone in ("UTC", "Europe/Madrid", "America/New_York")
    }
    statistics = await store.get_statistics(OWNER, time_zone="Pacific/Kiritimati")
    await store.aclose()

    utc = [(date.min,), (date(1850, 7, 1),), (date(2026, 7, 1),), (date.max,)]
    madrid = [*utc[:2], (date(2026, 7, 2),), utc[3]]
    assert {"UTC": utc, "Europe/Madrid": madrid, "America/New_York": utc} == days
    assert 4 == statistics.activity.attempts


async def test_many_small_costs_are_exact(database):
    """Ten thousand tenths of a micro-dollar are a tenth of a cent, where floats would not be."""
    clock = StandingClock()
    store = SQLStore(database, clock)
    await store.open()
    record = make_record(clock)
    await store.add_conversation(record)
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection, connection:
        fields = "owner_id, conversation_id, id, sequence, message_id, number, provider, model, started_at"
        connection.executemany(
            f"INSERT INTO attempt ({fields}, outcome, cost_pico, latency_us)"  # noqa: S608  # our own words
            " VALUES (?, ?, ?, ?, ?, 1, 'openai', 'sol', ?, 'succeeded', 100000, ?)",
            [
                (OWNER, record.id.bytes, *[UUID(int=n).bytes, n, UUID(int=n).bytes], n * 10**9, n * 1000)
                for n in range(1, 10_001)
            ],
        )
    costs = await store.get_costs(OWNER, [CostGroup.DAY])
    statistics = await store.get_statistics(OWNER)
    await store.aclose()

    assert "$0.001" == str(costs.total.cost) == str(sum((row.cost for row in costs.rows), CostTotal()))
    assert (116, date(1970, 1, 1)) == (len(costs.rows), costs.rows[0].key[0])
    assert Percentiles(10_000, 5.0, 9.0, 9.9) == statistics.activity.latency
    assert 10_000 == statistics.questions


@pytest.mark.parametrize(
    "statement",
    [
        _make_statement((CostGroup.PROVIDER, CostGroup.DAY), ("owner_id", "since", "until"), 2),
        _select_cells(("owner_id", "since", "until"), 1, Dialect.SQLITE),
        _select_followers(("owner_id", "since", "until")),
        _make_edge(("owner_id", "since", "until"), newest=True),
    ],
)
async def test_a_period_is_read_from_the_index(database, statement):
    """However many attempts there are, only those of the period are looked at."""
    store = SQLStore(database, StandingClock())
    await store.open()
    await store.aclose()
    prepared = _prepare(statement)
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {prepared.sql}", [None] * len(prepared.names))
        steps = [step for *_, step in plan]

    assert steps[0].startswith("SEARCH attempt USING")
    assert "attempt_started (owner_id=? AND started_at>? AND started_at<?)" in steps[0]
    assert [] == [step for step in steps if step.startswith("SCAN")]


def make_attempt() -> Attempt:
    return Attempt(
        id=UUID(int=1),
        message_id=UUID(int=2),
        number=1,
        provider="openai",
        model="sol",
        started_at=MONTH[0],
        outcome=AttemptOutcome.SUCCEEDED,
    )


async def count(store: SQLStore) -> tuple[int, int]:
    """How many attempts the costs and the statistics know of."""
    costs, statistics = await store.get_costs(OWNER), await store.get_statistics(OWNER)
    return costs.total.attempts, statistics.activity.attempts
