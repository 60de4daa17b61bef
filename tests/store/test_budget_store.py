"""Accounts of a SQL store: many processes, sums that no column holds, and what is looked up."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia import Account, BudgetExceededError, Money, Store
from tertulia.builtin.sql import budgets, ledger
from tertulia.builtin.sql.database import LARGEST, _prepare
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.budget import AccountState, Reservation
from tertulia.testing import MemoryStore, StandingClock
from tertulia.testing.contracts.budgets import DAY, EVER, Purse
from tertulia.testing.contracts.talk import OWNER, Talk
from torture import TORTURED

SPENDER = str(Path(__file__).with_name("spender.py"))


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of either database."""
    if request.param == "postgres":
        found: str = request.getfixturevalue("postgres")
        return found
    return f"sqlite:///{tmp_path / 'conversations.db'}"


@pytest.fixture
async def store(url: str, clock: StandingClock) -> AsyncIterator[SQLStore]:
    store = SQLStore(url, clock)
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
def purse(store: SQLStore, clock: StandingClock) -> Purse:
    return Purse(store, clock)


async def test_processes_at_once_never_exceed_a_limit_nor_miss_what_fits(url: str, store: SQLStore) -> None:
    """They set aside three dollars for each dollar they spend, and stop where three are not left."""
    processes, calls = (8, 100) if TORTURED else (3, 20)
    limit = processes * calls // 2
    runs = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *("-W", "error", SPENDER, url, str(calls), str(limit)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for _ in range(processes)
    ]
    outputs = await asyncio.gather(*(run.communicate() for run in runs))

    assert [b""] * processes == [errors for _, errors in outputs]
    answers = [json.loads(output) for output, _ in outputs]
    made = sum(each for each, _ in answers)
    assert [0] * processes == [wrong for _, wrong in answers]
    # Whoever was refused met at most three dollars of each of the others.
    assert limit - 3 * processes < made <= limit - 2
    accounts = [Account("owner", "all"), Account("provider/one", "all")]
    assert [AccountState(each, Money.from_usd(made), Money(0)) for each in accounts] == list(
        await store.get_accounts("ann", accounts, datetime.now(UTC))
    )


async def test_stores_at_once_open_an_account_once(url: str, clock: StandingClock, store: SQLStore) -> None:
    """Two that find it new count the ledger once, and lose neither call."""
    talk = await Talk.begin(store, clock)
    await talk.answer(await talk.ask("Hello"))  # for a cent
    others = [SQLStore(url, clock) for _ in range(4)]
    for other in others:
        await other.open()
    calls = [Reservation(clock.new_id(), Money(7), ((DAY, None),), clock.now()) for _ in others]

    await asyncio.gather(
        *(
            other.reserve(OWNER, call, clock.now() - timedelta(1))
            for other, call in zip(others, calls, strict=True)
        )
    )

    (state,) = await store.get_accounts(OWNER, [DAY], clock.now() - timedelta(1))
    assert (10**10, 28) == (state.spent.pico, state.reserved.pico)
    for other in others:
        await other.aclose()


async def test_a_sum_that_no_column_holds_stays_at_the_most_one_does(purse: Purse) -> None:
    """Nine million dollars are enough to refuse whatever comes, and no number becomes another."""
    for _ in range(2):
        await purse.settle(await purse.reserve(LARGEST, (DAY, None)), LARGEST)

    assert (LARGEST, 0) == await purse.read()
    with pytest.raises(BudgetExceededError):
        await purse.reserve(1, (DAY, LARGEST))
    assert [False] == [await purse.store.claim_warning(OWNER, DAY, Money(LARGEST * 2)) for _ in range(2)][1:]


async def test_a_dead_call_is_taken_for_spent_once(purse: Purse) -> None:
    """However often and by whomever the account is used afterwards, in each of its accounts."""
    await purse.reserve(60, (DAY, 100), (EVER, None))
    purse.clock.advance(20)
    for _ in range(3):
        await purse.settle(await purse.reserve(1, (DAY, 100)), 1)

    assert [(63, 0), (60, 0)] == [await purse.read(DAY), await purse.read(EVER)]
    await purse.reserve(1, (EVER, 61))
    assert (60, 1) == await purse.read(EVER)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 60), st.integers(1, 7)),
        st.tuples(st.just("settle"), st.none() | st.integers(0, 90), st.integers(0, 9)),
        st.tuples(st.just("renew"), st.just(0), st.integers(0, 9)),
        st.tuples(st.just("wait"), st.integers(1, 20), st.just(0)),
    ),
    max_size=25,
)
ACCOUNTS = ((DAY, 100), (EVER, None), (Account("provider/two", "2026-11"), 150))


@given(STEPS)
@settings(max_examples=500 if TORTURED else 25, deadline=None)
def test_whatever_happens_the_accounts_are_those_of_the_dictionaries(
    steps: list[tuple[str, Any, int]],
) -> None:
    """Calls that end, live on, die and come back, in one account or several: both stores say the same."""
    told = [
        asyncio.run(play(make, steps)) for make in (MemoryStore, lambda clock: SQLStore("memory:", clock))
    ]

    assert told[0] == told[1]


async def play(make: Callable[[StandingClock], Store], steps: list[tuple[str, Any, int]]) -> list[object]:
    """Take steps, and tell what came of each and what the accounts hold after it."""
    clock, told = StandingClock(), list[object]()
    store = make(clock)
    await store.open()
    purse, calls = Purse(store, clock), list[UUID]()
    for kind, value, number in steps:
        call = calls[number % len(calls)] if calls else clock.new_id()
        if kind == "reserve":
            chosen = [each for place, each in enumerate(ACCOUNTS) if number >> place & 1]
            try:
                calls.append(await purse.reserve(value, *chosen))
            except BudgetExceededError as error:
                told.append((str(error), error.account))
        elif kind == "settle":
            states = await purse.settle(call, value)
            told.append(sorted((each.account.scope, each.spent, each.reserved) for each in states))
        elif kind == "renew":
            await store.renew_reservation(OWNER, call, clock.now() + timedelta(seconds=15))
        else:
            clock.advance(value)
        told.append([await purse.read(account) for account, _ in ACCOUNTS])
    await store.aclose()
    return told


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
async def test_what_each_call_asks_is_found_by_an_index(store: SQLStore) -> None:
    """The account by its key, the dead by when they were to be renewed, and attempts by when they began."""
    plans = {
        budgets._GET_ACCOUNT: ["budget_account", "budget_reservation_expiry"],
        budgets._FIND_RESERVATION: ["budget_reservation"],
        budgets._FIND_COST: ["attempt_started"],
        ledger._FIND_RECENT: ["attempt_started"],
    }
    for statement, names in plans.items():
        prepared = _prepare(statement)
        steps = await store._engine.read(
            lambda database, prepared=prepared: [
                row[3]
                for row in database.connection.execute(
                    f"EXPLAIN QUERY PLAN {prepared.sql}", [None] * len(prepared.names)
                )
            ]
        )
        assert [] == [step for step in steps if step.startswith("SCAN")]
        for name in names:
            assert any(name in step for step in steps)
