"""What may be spent: set aside before each call, settled after it, and told to who asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import attrs
import pytest

import tertulia
from tertulia import (
    Billing,
    Budget,
    BudgetExceededError,
    BudgetWarned,
    Cost,
    FinishReason,
    Money,
    ProviderReply,
    StoreBusyError,
    Target,
    Text,
    Usage,
)
from tertulia.domain.budget import Account
from tertulia.services.budgets import Spending, describe_budget, get_budgets, make_account
from tertulia.services.core import Core
from tertulia.testing import ScriptedProvider, StandingClock

TRIP, CODE = UUID(int=1), UUID(int=2)
ONE, TWO = Target("one", "scripted-1"), Target("two", "scripted-1")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Observer:
    """Keeps what it is told of budgets."""

    TERTULIA_API = 1

    def __init__(self) -> None:
        self.told: list[tuple[UUID, float, str, str]] = []

    @tertulia.hookimpl
    def observe(self, notice: tertulia.Notice) -> None:
        if isinstance(notice, BudgetWarned):
            state = notice.state
            self.told.append((notice.conversation_id, notice.share, str(state.spent), str(state.reserved)))


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock(NOON)


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
async def core(one, two, observer: Observer, clock: StandingClock) -> AsyncIterator[Core]:
    """The parts of a client of two providers, with no budgets."""
    plugins = [one, two, observer]
    async with tertulia.open(store="memory:", providers={}, plugins=plugins, environ={}) as client:
        assert client._core is not None
        yield attrs.evolve(client._core, clock=clock)


@attrs.define
class Purse:
    """Calls of one send after another, as a sender makes them."""

    core: Core
    clock: StandingClock

    def with_budgets(self, *budgets: Budget) -> Purse:
        return Purse(
            attrs.evolve(self.core, config=attrs.evolve(self.core.config, budgets=budgets)), self.clock
        )

    def begin(self, conversation: UUID = TRIP, limit: str | None = None) -> Spending:
        return Spending(self.core, conversation, None if limit is None else Money.from_usd(limit))

    async def spend(
        self, usd: str | None, highest: str | None = "1", target: Target = ONE, conversation: UUID = TRIP
    ) -> list[str]:
        """One send of one call, and what was warned of."""
        spending, attempt = self.begin(conversation), self.clock.new_id()
        warnings = await spending.reserve(attempt, target, dollars(highest))
        cost = None if usd is None else Cost(Money.from_usd(usd))
        await spending.settle(attempt, cost, was_sent=True)
        return warnings

    async def read(self, conversation: UUID | None = None) -> list[tuple[str, str, str, str, str]]:
        return [
            (
                each.account.scope,
                each.account.period,
                str(each.spent),
                str(each.reserved),
                str(each.left),
            )
            for each in await get_budgets(self.core, conversation)
        ]


@pytest.fixture
def purse(core: Core, clock: StandingClock) -> Purse:
    return Purse(core, clock)


def dollars(usd: str | None) -> Money | None:
    return None if usd is None else Money.from_usd(usd)


async def test_without_budgets_nothing_is_minded(purse: Purse) -> None:
    """No estimate is needed, nothing is refused, and there is nothing to tell."""
    spending, attempt = purse.begin(), purse.clock.new_id()
    assert not spending.is_needed

    assert [] == await spending.reserve(attempt, ONE, None)
    await spending.renew(attempt, NOON)
    await spending.settle(attempt, None, was_sent=True)

    assert [] == await purse.read(TRIP)


async def test_a_budget_makes_estimates_needed(purse: Purse) -> None:
    """One of the client, or one of the send alone."""
    assert purse.with_budgets(Budget("5")).begin().is_needed
    assert purse.begin(limit="0.10").is_needed


async def test_a_hard_budget_refuses_what_might_exceed_it(purse: Purse) -> None:
    """The error says in dollars what is spent, of how much, what was needed, and what to do next."""
    budget = Budget("5", period="day")
    purse = purse.with_budgets(budget)
    await purse.spend("4.98")

    with pytest.raises(BudgetExceededError) as caught:
        await purse.spend("0.01", highest="0.0200000001")

    error = caught.value
    assert (
        "the budget of $5 a day does not allow the call to one/scripted-1, which may cost $0.0200000001: "
        "$4.98 of $5 are spent or set aside; what was said so far is stored, and the call was not made; "
        "set max_output_tokens so that less is set aside, wait for the next day, or raise the budget"
    ) == str(error)
    assert (budget, Decimal(5), Decimal("4.98"), Decimal("0.0200000001"), tertulia.ErrorKind.BUDGET) == (
        error.budget,
        error.limit.usd,
        error.spent.usd,
        error.needed.usd,
        error.kind,
    )
    assert not error.retryable
    assert [("owner", "2026-11-22", "$4.98", "$0", "$0.02")] == await purse.read()
    assert [] == await purse.spend("0.02", highest="0.02")


async def test_calls_under_way_count_with_all_they_may_cost(purse: Purse) -> None:
    """Two sends at once cannot both have what only one of them may cost."""
    purse = purse.with_budgets(Budget("1"))
    first, second = purse.begin(TRIP), purse.begin(CODE)
    attempt = purse.clock.new_id()
    await first.reserve(attempt, ONE, dollars("0.6"))

    with pytest.raises(BudgetExceededError, match=r"may cost \$0\.5: \$0\.6 of \$1 are spent or set aside"):
        await second.reserve(purse.clock.new_id(), TWO, dollars("0.5"))
    assert [("owner", "all", "$0", "$0.6", "$0.4")] == await purse.read()

    await first.settle(attempt, Cost(Money.from_usd("0.1")), was_sent=True)
    await second.reserve(purse.clock.new_id(), TWO, dollars("0.9"))
    assert [("owner", "all", "$0.1", "$0.9", "$0")] == await purse.read()


async def test_each_scope_counts_what_is_its_own(purse: Purse) -> None:
    """A provider's calls, a conversation's, and all of them, over a month, a day and for ever."""
    purse = purse.with_budgets(
        Budget("10", period="month"),
        Budget("4", scope="conversation"),
        Budget("3", scope="provider", period="day"),
        Budget("2", scope="provider", provider="two"),
    )
    await purse.spend("1", conversation=TRIP, target=ONE)
    await purse.spend("0.5", conversation=CODE, target=ONE)
    await purse.spend("0.25", conversation=TRIP, target=TWO)

    assert [
        ("owner", "2026-11", "$1.75", "$0", "$8.25"),
        (f"conversation/{TRIP}", "all", "$1.25", "$0", "$2.75"),
        ("provider/one", "2026-11-22", "$1.5", "$0", "$1.5"),
        ("provider/two", "2026-11-22", "$0.25", "$0", "$2.75"),
        ("provider/two", "all", "$0.25", "$0", "$1.75"),
    ] == await purse.read(TRIP)
    assert "conversation" not in str(await purse.read())


@pytest.mark.parametrize(
    ("budget", "named"),
    [
        (Budget("1"), "the budget of $1 does"),
        (Budget("1", period="month"), "the budget of $1 a month does"),
        (Budget("1", scope="conversation"), "the budget of $1 for this conversation does"),
        (Budget("1", scope="provider", period="day"), "the budget of $1 a day for provider 'one' does"),
        (Budget("1", scope="provider", provider="one"), "the budget of $1 for provider 'one' does"),
    ],
)
async def test_a_refusal_names_the_budget(purse: Purse, budget: Budget, named: str) -> None:
    """Of several, the one that has not so much left."""
    purse = purse.with_budgets(Budget("100", period="day"), Budget("0.5", is_hard=False), budget)

    with pytest.raises(BudgetExceededError) as caught:
        await purse.spend("1", highest="1.5")

    assert caught.value.message.startswith(named)
    assert budget == caught.value.budget


async def test_of_two_limits_of_one_account_the_lower_one_refuses(purse: Purse) -> None:
    """They are counted once, and both are told."""
    purse = purse.with_budgets(Budget("5"), Budget("3"))

    with pytest.raises(BudgetExceededError, match=r"^the budget of \$3 does not allow"):
        await purse.spend("1", highest="4")

    await purse.spend("2", highest="3")
    assert [("owner", "all", "$2", "$0", "$3"), ("owner", "all", "$2", "$0", "$1")] == await purse.read()


async def test_a_provider_that_a_budget_does_not_name_is_free_of_it(purse: Purse) -> None:
    """Its calls are neither counted nor refused."""
    purse = purse.with_budgets(Budget("1", scope="provider", provider="two"))

    assert [] == await purse.spend("7", highest=None, target=ONE)
    assert [("provider/two", "all", "$0", "$0", "$1")] == await purse.read()


async def test_a_price_that_nobody_knows_is_refused_by_a_hard_budget(purse: Purse) -> None:
    """What it may cost cannot be set aside: the error says what to set."""
    purse = purse.with_budgets(Budget("5", period="month"))
    await purse.spend("1.5")

    with pytest.raises(BudgetExceededError) as caught:
        await purse.spend("1", highest=None)

    error = caught.value
    assert (
        "the budget of $5 a month does not allow the call to one/scripted-1, of which nobody can say what it "
        "may cost at most: $1.5 of $5 are spent or set aside; what was said so far is stored, and the call "
        "was not made; set max_output_tokens, give the model a price, or price_factor = 0 where it costs "
        "nothing"
    ) == str(error)
    assert ("$1.5", None) == (str(error.spent), error.needed)


async def test_a_soft_budget_lets_pass_what_nobody_knows_the_price_of(purse: Purse) -> None:
    """With a sentence; what it did cost counts, when that is known."""
    purse = purse.with_budgets(Budget("5", is_hard=False))

    assert [
        "nobody can say what the call to one/scripted-1 may cost, so the budget of $5 may be exceeded"
    ] == await purse.spend("6", highest=None)
    await purse.spend(None, highest=None)
    assert [("owner", "all", "$6", "$0", "$0")] == await purse.read()


async def test_a_soft_budget_warns_and_lets_pass(purse: Purse, observer: Observer) -> None:
    """Who sends is told each time, and observers once in the period."""
    purse = purse.with_budgets(Budget("1", period="day", is_hard=False, warn_at=()))
    assert [] == await purse.spend("0.5", highest="1")

    sentences = [await purse.spend("0.2", highest="1") for _ in range(2)]
    assert [
        ["the budget of $1 a day may be exceeded: $1.5 are spent or set aside"],
        ["the budget of $1 a day may be exceeded: $1.7 are spent or set aside"],
    ] == sentences
    assert [(TRIP, 1.0, "$0.5", "$1")] == observer.told

    purse.clock.advance(86_400)
    await purse.spend("0.2", highest="1.1")
    assert 2 == len(observer.told)


async def test_what_may_be_exceeded_and_what_is_spent_are_told_apart(
    purse: Purse, observer: Observer
) -> None:
    """A soft budget that a call might exceed, and did not, is told of again when all of it is spent."""
    purse = purse.with_budgets(Budget("1", is_hard=False, warn_at=(1.0,)))

    await purse.spend("0.1", highest="2")
    await purse.spend("0.9", highest="0.9")

    assert [(TRIP, 1.0, "$0", "$2"), (TRIP, 1.0, "$1", "$0")] == observer.told


async def test_observers_are_told_once_of_each_share(purse: Purse, observer: Observer) -> None:
    """As soon as so much is spent, in each period; what is only set aside is not spent."""
    purse = purse.with_budgets(Budget("10", period="day", warn_at=(0.5, 0.8)))
    for usd in ("4.9", "0.1", "0.1"):
        await purse.spend(usd, highest="5")
    assert [(TRIP, 0.5, "$5", "$0")] == observer.told

    await purse.spend("4", highest="4", conversation=CODE)
    await purse.spend("0.1", highest="0.1")
    assert [(TRIP, 0.5, "$5", "$0"), (CODE, 0.8, "$9.1", "$0")] == observer.told

    purse.clock.advance(86_400)
    await purse.spend("8.5", highest="10")
    assert [(TRIP, 0.5, "$8.5", "$0"), (TRIP, 0.8, "$8.5", "$0")] == observer.told[2:]


async def test_budgets_of_one_account_warn_each_for_itself(purse: Purse, observer: Observer) -> None:
    """Eighty per cent of the one is not eighty per cent of the other."""
    purse = purse.with_budgets(Budget("10", warn_at=(0.8,)), Budget("5", is_hard=False, warn_at=(0.8,)))

    await purse.spend("4", highest="4")
    await purse.spend("4", highest="1")

    assert [(TRIP, 0.8, "$4", "$0"), (TRIP, 0.8, "$8", "$0")] == observer.told


async def test_a_send_has_a_budget_of_its_own(purse: Purse) -> None:
    """Over all its attempts; other sends know nothing of it."""
    spending = purse.begin(limit="0.02")
    first, second = purse.clock.new_id(), purse.clock.new_id()
    await spending.reserve(first, ONE, dollars("0.02"))
    await spending.settle(first, Cost(Money.from_usd("0.015")), was_sent=True)

    with pytest.raises(BudgetExceededError) as caught:
        await spending.reserve(second, TWO, dollars("0.006"))

    error = caught.value
    assert (
        "the budget of $0.02 for this send does not allow the call to two/scripted-1, which may cost $0.006: "
        "$0.015 of $0.02 are spent or set aside; what was said so far is stored, and the call was not made; "
        "allow more for this send, or ask for a shorter answer or a cheaper model"
    ) == str(error)
    assert (None, None, "$0.02") == (error.budget, error.account, str(error.limit))
    await spending.reserve(second, TWO, dollars("0.005"))
    await purse.begin(limit="0.02").reserve(purse.clock.new_id(), TWO, dollars("0.02"))


async def test_two_calls_of_a_send_at_once_share_its_budget(purse: Purse) -> None:
    """What is set aside for the one is not there for the other."""
    spending = purse.begin(limit="1")
    await spending.reserve(purse.clock.new_id(), ONE, dollars("0.6"))

    with pytest.raises(BudgetExceededError, match=r"\$0\.6 of \$1 are spent or set aside"):
        await spending.reserve(purse.clock.new_id(), TWO, dollars("0.5"))


async def test_a_send_counts_an_unknown_cost_as_the_highest(purse: Purse) -> None:
    """And what never left as nothing."""
    spending = purse.begin(limit="1")
    lost, sent = purse.clock.new_id(), purse.clock.new_id()
    await spending.reserve(lost, ONE, dollars("1"))
    await spending.settle(lost, None, was_sent=False)
    await spending.reserve(sent, ONE, dollars("0.7"))
    await spending.settle(sent, None, was_sent=True)

    with pytest.raises(BudgetExceededError, match=r"\$0\.7 of \$1 are spent"):
        await spending.reserve(purse.clock.new_id(), ONE, dollars("0.31"))
    with pytest.raises(BudgetExceededError, match=r"for this send does not allow .* nobody can say"):
        await spending.reserve(purse.clock.new_id(), ONE, None)


async def test_an_account_counts_an_unknown_cost_as_the_highest(purse: Purse) -> None:
    """And what never left as nothing, whatever is said of its cost."""
    purse = purse.with_budgets(Budget("5"))
    spending, attempt = purse.begin(), purse.clock.new_id()
    await spending.reserve(attempt, ONE, dollars("2"))
    await spending.settle(attempt, Cost(Money.from_usd("2")), was_sent=False)
    assert [("owner", "all", "$0", "$0", "$5")] == await purse.read()

    await purse.spend(None, highest="2")
    assert [("owner", "all", "$2", "$0", "$3")] == await purse.read()


async def test_an_attempt_is_settled_once(purse: Purse) -> None:
    """A second time, and one that was refused, change nothing."""
    purse = purse.with_budgets(Budget("1"))
    spending, attempt = purse.begin(), purse.clock.new_id()
    await spending.reserve(attempt, ONE, dollars("1"))
    for _ in range(2):
        await spending.settle(attempt, Cost(Money.from_usd("0.5")), was_sent=True)

    refused = purse.clock.new_id()
    with pytest.raises(BudgetExceededError):
        await spending.reserve(refused, ONE, dollars("1"))
    await spending.settle(refused, Cost(Money.from_usd("0.5")), was_sent=True)

    assert [("owner", "all", "$0.5", "$0", "$0.5")] == await purse.read()


async def test_what_is_set_aside_for_a_long_answer_is_kept(purse: Purse) -> None:
    """As long as its lease is renewed; after it, all of it is taken for spent."""
    purse = purse.with_budgets(Budget("5"))
    spending, attempt = purse.begin(), purse.clock.new_id()
    await spending.reserve(attempt, ONE, dollars("2"))
    purse.clock.advance(10)
    await spending.renew(attempt, purse.clock.now() + timedelta(seconds=15))
    purse.clock.advance(14)
    assert [("owner", "all", "$0", "$2", "$3")] == await purse.read()

    purse.clock.advance(1)
    assert [("owner", "all", "$2", "$0", "$3")] == await purse.read()
    await spending.settle(attempt, Cost(Money.from_usd("0.5")), was_sent=True)
    assert [("owner", "all", "$0.5", "$0", "$4.5")] == await purse.read()


async def test_what_was_set_aside_for_a_cancelled_call_is_given_back(purse: Purse) -> None:
    """Cancelled while the store is at it, the call was not made: nothing of it is left once it is settled."""
    purse = purse.with_budgets(Budget("5"))
    spending, attempt = purse.begin(), purse.clock.new_id()
    reserving = asyncio.ensure_future(spending.reserve(attempt, ONE, dollars("2")))
    await asyncio.sleep(0)
    reserving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reserving

    await spending.settle(attempt, None, was_sent=False)

    assert [("owner", "all", "$0", "$0", "$5")] == await purse.read()
    purse.clock.advance(15)
    assert [("owner", "all", "$0", "$0", "$5")] == await purse.read()


class Mute:
    """A store that does not know whether anybody was warned."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def claim_warning(self, *_: object) -> None:
        raise StoreBusyError("the database is locked by another process")


async def test_a_store_that_fails_while_warning_stops_nothing(
    purse: Purse, observer: Observer, caplog: pytest.LogCaptureFixture
) -> None:
    """The call is made and settled, its warning is there, and the log says that observers were not told."""
    purse = purse.with_budgets(Budget("1", is_hard=False))
    purse.core = attrs.evolve(purse.core, store=Mute(purse.core.store))

    with caplog.at_level(logging.WARNING, "tertulia"):
        assert 1 == len(await purse.spend("0.9", highest="2"))

    assert ["nobody was told how much of a budget is spent"] * 2 == [
        record.getMessage().partition(":")[0] for record in caplog.records
    ]
    assert ([], [("owner", "all", "$0.9", "$0", "$0.1")]) == (observer.told, await purse.read())


class Locked:
    """A store that settles no reservation, whatever else it does."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def settle_reservation(self, *_: object) -> None:
        raise StoreBusyError("the database is locked by another process")


async def test_a_store_that_fails_while_settling_harms_no_answer(
    purse: Purse, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; when the lease is over, what was set aside counts as spent."""
    purse = purse.with_budgets(Budget("5"))
    purse.core = attrs.evolve(purse.core, store=Locked(purse.core.store))

    with caplog.at_level(logging.WARNING, "tertulia"):
        await purse.spend("1", highest="2")

    assert 1 == len(caplog.records)
    assert "locked by another process" in caplog.text
    assert [("owner", "all", "$0", "$2", "$3")] == await purse.read()
    purse.clock.advance(15)
    assert [("owner", "all", "$2", "$0", "$3")] == await purse.read()


@pytest.mark.parametrize(
    ("zone", "now", "period", "label", "starts_at"),
    [
        ("UTC", NOON, "all", "all", None),
        ("UTC", NOON, "day", "2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("UTC", NOON, "month", "2026-11", datetime(2026, 11, 1, tzinfo=UTC)),
        ("Asia/Tokyo", NOON, "day", "2026-11-22 Asia/Tokyo", datetime(2026, 11, 21, 15, tzinfo=UTC)),
        (
            "Asia/Tokyo",
            datetime(2026, 11, 30, 15, tzinfo=UTC),
            "month",
            "2026-12 Asia/Tokyo",
            datetime(2026, 11, 30, 15, tzinfo=UTC),
        ),
        (  # a day of 25 hours
            "Europe/Madrid",
            datetime(2026, 10, 25, 22, 59, tzinfo=UTC),
            "day",
            "2026-10-25 Europe/Madrid",
            datetime(2026, 10, 24, 22, tzinfo=UTC),
        ),
        (  # a day without midnight
            "America/Santiago",
            datetime(2026, 9, 6, 12, tzinfo=UTC),
            "day",
            "2026-09-06 America/Santiago",
            datetime(2026, 9, 6, 4, tzinfo=UTC),
        ),
    ],
)
def test_days_and_months_begin_where_the_budget_says(
    zone: str, now: datetime, period: str, label: str, starts_at: datetime | None
) -> None:
    """In its time zone, also where clocks are changed."""
    account = make_account(Budget("1", period=period, time_zone=zone), now, "", "")

    assert ("owner", label, starts_at) == (account.scope, account.period, account.starts_at)


def test_a_budget_is_named_in_few_words() -> None:
    """As a sentence says it."""
    budget = Budget("0.10", scope="conversation", period="day")

    assert "the budget of $0.1 a day for this conversation" == describe_budget(
        budget, Account(f"conversation/{TRIP}", "2026-11-22")
    )


async def test_a_budget_begins_with_what_the_ledger_says(one: ScriptedProvider, database: str) -> None:
    """What was spent before there was a budget counts, in its period."""
    billing = Billing(reported=Money.from_usd("0.75"))
    one.replies(ProviderReply((Text("One."),), FinishReason.STOP, "stop", Usage(), billing=billing))
    async with tertulia.open(store=database, providers={}, plugins=[one], environ={}) as client:
        conversation = await client.start()
        await conversation.send("Hello")
        core = client._core
        assert core is not None
        budgets = (Budget("1"), Budget("1", period="month"), Budget("1", scope="conversation"))
        core = attrs.evolve(core, config=attrs.evolve(core.config, budgets=budgets))

        states = await get_budgets(core, conversation.id)

    assert ["$0.75"] * 3 == [str(each.spent) for each in states]
