"""What a store promises about budgets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import attrs
import pytest

from tertulia.contracts.store import Store
from tertulia.domain.budget import Account, AccountState, Reservation
from tertulia.domain.conversation import AttemptOutcome
from tertulia.domain.usage import Cost, Money
from tertulia.errors import BudgetExceededError
from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.calls import at, fill
from tertulia.testing.contracts.talk import OWNER, STRANGER, Talk

LEASE = timedelta(seconds=15)
DAY = Account("owner", "2026-11-22", datetime(2026, 11, 22, tzinfo=UTC))
EVER = Account("provider/openai", "all")


@attrs.frozen(eq=False)
class Purse:
    """Accounts of :data:`OWNER`, as a contract test drives them."""

    store: Store
    clock: StandingClock

    async def reserve(
        self, pico: int, *accounts: tuple[Account, int | None], call: UUID | None = None
    ) -> UUID:
        """Set something aside for a call, and return its id."""
        identifier = self.clock.new_id() if call is None else call
        limits = tuple(
            (account, None if limit is None else Money(limit)) for account, limit in accounts or ((DAY, 100),)
        )
        reservation = Reservation(identifier, Money(pico), limits, self.clock.now() + LEASE)
        await self.store.reserve(OWNER, reservation, self.clock.now())
        return identifier

    async def settle(self, call: UUID, pico: int | None) -> Sequence[AccountState]:
        """Say what a call did cost."""
        spent = None if pico is None else Money(pico)
        return await self.store.settle_reservation(OWNER, call, spent, self.clock.now())

    async def read(self, account: Account = DAY, owner: str = OWNER) -> tuple[int, int]:
        """What is spent, and what is set aside."""
        (state,) = await self.store.get_accounts(owner, [account], self.clock.now())
        assert state.account == account
        return state.spent.pico, state.reserved.pico


@pytest.mark.asyncio
class BudgetContract:
    """What a store promises about budgets."""

    @pytest.fixture
    def purse(self, store: Store, clock: StandingClock) -> Purse:
        """The accounts of the store."""
        return Purse(store, clock)

    async def test_what_a_call_cost_takes_the_place_of_what_was_set_aside(self, purse: Purse) -> None:
        """Until it has ended, all it may cost is reserved; then only its cost is spent."""
        assert (0, 0) == await purse.read()
        call = await purse.reserve(60)
        assert (0, 60) == await purse.read()

        states = await purse.settle(call, 25)

        assert [AccountState(DAY, Money(25), Money(0))] == list(states)
        assert (25, 0) == await purse.read()

    async def test_reserving_returns_the_accounts_in_the_order_given(
        self, store: Store, clock: StandingClock
    ) -> None:
        """Each with what is set aside in it now."""
        accounts = ((EVER, None), (DAY, Money(100)))
        call = Reservation(clock.new_id(), Money(7), accounts, clock.now() + LEASE)

        states = await store.reserve(OWNER, call, clock.now())

        assert [AccountState(EVER, Money(0), Money(7)), AccountState(DAY, Money(0), Money(7))] == list(states)

    async def test_a_call_that_fits_to_the_last_pico_dollar_is_let_through(self, purse: Purse) -> None:
        """What may be spent may be spent wholly, and not one more."""
        await purse.settle(await purse.reserve(60), 60)
        await purse.reserve(40)

        with pytest.raises(BudgetExceededError) as caught:
            await purse.reserve(1)

        error = caught.value
        assert (DAY, Money(100), Money(100), Money(1), None) == (
            error.account,
            error.limit,
            error.spent,
            error.needed,
            error.budget,
        )
        assert (60, 40) == await purse.read()

    async def test_a_refused_call_sets_nothing_aside_anywhere(self, purse: Purse) -> None:
        """Of several accounts one says no, and the others stay what they were."""
        await purse.reserve(30, (EVER, 30))

        with pytest.raises(BudgetExceededError) as caught:
            await purse.reserve(1, (DAY, 100), (EVER, 30))

        assert EVER == caught.value.account
        assert [(0, 0), (0, 30)] == [await purse.read(DAY), await purse.read(EVER)]

    async def test_an_account_without_a_limit_refuses_nothing(self, purse: Purse) -> None:
        """It counts, and that is all."""
        await purse.reserve(10**15, (EVER, None))
        call = await purse.reserve(10**15, (EVER, None))
        await purse.settle(call, 3)

        assert (3, 10**15) == await purse.read(EVER)

    async def test_an_unknown_cost_counts_as_all_that_was_set_aside(self, purse: Purse) -> None:
        """Nothing unknown is taken for free."""
        await purse.settle(await purse.reserve(60), None)

        assert (60, 0) == await purse.read()

    async def test_a_call_may_cost_more_than_was_set_aside(self, purse: Purse) -> None:
        """What it did cost counts, beyond the limit too."""
        await purse.settle(await purse.reserve(90), 130)

        assert (130, 0) == await purse.read()
        with pytest.raises(BudgetExceededError, match=r"^\$0\.00000000013 of \$0\.0000000001 are spent"):
            await purse.reserve(0)

    async def test_a_call_is_settled_once(self, purse: Purse) -> None:
        """Who comes second changes nothing, and is told of no account."""
        call = await purse.reserve(60)
        await purse.settle(call, 25)

        assert [] == list(await purse.settle(call, 60))
        assert [] == list(await purse.settle(purse.clock.new_id(), 60))
        assert (25, 0) == await purse.read()

    async def test_what_a_dead_process_set_aside_is_spent_once_its_time_is_over(self, purse: Purse) -> None:
        """Its call may have been made, and nobody will tell: from then on it counts wholly."""
        await purse.reserve(60)
        purse.clock.advance(14)
        assert (0, 60) == await purse.read()

        purse.clock.advance(1)

        assert (60, 0) == await purse.read()
        await purse.reserve(40)
        assert (60, 40) == await purse.read()

    async def test_a_process_that_says_it_lives_keeps_what_it_set_aside(
        self, store: Store, purse: Purse
    ) -> None:
        """Renewed in time, it is reserved still."""
        call = await purse.reserve(60)
        purse.clock.advance(10)
        await store.renew_reservation(OWNER, call, purse.clock.now() + LEASE)
        await store.renew_reservation(OWNER, purse.clock.new_id(), purse.clock.now() + LEASE)
        purse.clock.advance(10)

        assert (0, 60) == await purse.read()

    async def test_who_was_thought_dead_sets_the_account_right(self, purse: Purse) -> None:
        """It settles late: its cost takes the place of what was taken for spent."""
        call = await purse.reserve(60)
        purse.clock.advance(20)
        await purse.settle(await purse.reserve(10), 5)
        assert (65, 0) == await purse.read()

        await purse.settle(call, 20)

        assert (25, 0) == await purse.read()

    async def test_a_call_that_ended_before_its_process_died_counts_what_it_cost(
        self, store: Store, purse: Purse
    ) -> None:
        """The ledger knows it: the attempt was settled, and only the account was not."""
        talk = await Talk.begin(store, purse.clock)
        attempt = await talk.ask("Hello")
        await purse.reserve(10**12, (DAY, 2 * 10**12), call=attempt.id)
        await talk.answer(attempt)  # for a cent
        purse.clock.advance(20)

        assert (10**10, 0) == await purse.read()
        await purse.reserve(1, (DAY, 2 * 10**12))
        assert (10**10, 1) == await purse.read()

    async def test_a_new_account_begins_with_what_the_ledger_says(
        self, store: Store, clock: StandingClock
    ) -> None:
        """The known costs of its scope and period: 10,030 in all, of which 890 on the Monday."""
        ids, purse = await fill(store, clock), Purse(store, clock)
        monday = at(26, 0)
        accounts = {
            Account("owner", "all"): 10_030,
            Account("owner", "2026-10-26", monday): 890,
            Account("provider/gemini", "all"): 8_390,
            Account("provider/gemini", "2026-10", at(1, 0)): 8_390,
            Account("provider/nobody", "all"): 0,
            Account(f"conversation/{ids['code']}", "all"): 1_490,
            Account(f"conversation/{ids['code']}", "2026-10-26", monday): 890,
        }

        assert {account: (spent, 0) for account, spent in accounts.items()} == {
            account: await purse.read(account) for account in accounts
        }
        call = await purse.reserve(1, *((account, None) for account in accounts))
        assert {account: (spent, 1) for account, spent in accounts.items()} == {
            account: await purse.read(account) for account in accounts
        }
        assert len(accounts) == len(await purse.settle(call, 5))
        assert (895, 0) == await purse.read(Account("owner", "2026-10-26", monday))

    async def test_an_account_that_is_there_is_not_counted_again(self, store: Store, purse: Purse) -> None:
        """What the ledger gets afterwards is what was reserved and settled: it counts once."""
        talk = await Talk.begin(store, purse.clock)
        attempt = await talk.ask("Hello")
        await purse.reserve(10**11, (DAY, 10**12), call=attempt.id)
        await talk.answer(attempt)

        await purse.settle(attempt.id, 10**10)

        assert (10**10, 0) == await purse.read()

    async def test_purging_a_conversation_gives_nothing_back(self, store: Store, purse: Purse) -> None:
        """What was spent is spent, whatever becomes of what it was spent for."""
        talk = await Talk.begin(store, purse.clock)
        attempt = await talk.ask("Hello")
        mine = Account(f"conversation/{talk.id}", "all")
        await purse.reserve(10**11, (DAY, None), (mine, None), call=attempt.id)
        await talk.answer(attempt)
        await purse.settle(attempt.id, 10**10)

        await store.remove_conversation(OWNER, talk.id, purse.clock.now())
        await store.purge_conversation(OWNER, talk.id)

        assert [(10**10, 0)] * 2 == [await purse.read(), await purse.read(mine)]

    async def test_another_owner_has_other_accounts(self, store: Store, purse: Purse) -> None:
        """Of the same scope and period, and with a call of the same id."""
        call = await purse.reserve(60)

        assert (0, 0) == await purse.read(owner=STRANGER)
        await store.renew_reservation(STRANGER, call, purse.clock.now() + timedelta(days=1))
        assert [] == list(await store.settle_reservation(STRANGER, call, Money(1), purse.clock.now()))
        assert (0, 60) == await purse.read()
        purse.clock.advance(15)
        assert (60, 0) == await purse.read()

    async def test_periods_of_a_scope_are_apart(self, purse: Purse) -> None:
        """Tomorrow begins with nothing."""
        tomorrow = Account("owner", "2026-11-23", datetime(2026, 11, 23, tzinfo=UTC))
        await purse.reserve(60, (DAY, 100))

        assert (0, 0) == await purse.read(tomorrow)

    async def test_nobody_is_warned_twice_of_one_level(self, store: Store) -> None:
        """Of each account, each level and each owner, once."""
        claims = [
            await store.claim_warning(owner, account, Money(level))
            for owner, account, level in (
                (OWNER, DAY, 80),
                (OWNER, DAY, 80),
                (OWNER, DAY, 100),
                (OWNER, EVER, 80),
                (STRANGER, DAY, 80),
                (OWNER, EVER, 80),
            )
        ]

        assert [True, False, True, True, True, False] == claims

    async def test_calls_at_once_never_exceed_a_limit_nor_miss_what_fits(self, purse: Purse) -> None:
        """Forty calls of 10 want what is there for 25 of them: exactly those are let through."""

        async def call() -> bool:
            try:
                reserved = await purse.reserve(10, (DAY, 250), (EVER, None))
            except BudgetExceededError:
                return False
            await purse.settle(reserved, 10)
            return True

        answers = await asyncio.gather(*(call() for _ in range(40)))

        assert 25 == sum(answers)
        assert [(250, 0)] * 2 == [await purse.read(), await purse.read(EVER)]

    async def test_a_cost_in_the_ledger_that_is_not_known_begins_an_account_with_nothing(
        self, store: Store, purse: Purse
    ) -> None:
        """Nobody can say what it was, and it was before there was a budget."""
        talk = await Talk.begin(store, purse.clock)
        attempt = await talk.ask("Hello")
        await talk.answer(attempt, cost=None)
        again = await talk.ask("And now?")
        await store.record_attempt(
            OWNER,
            talk.id,
            "main",
            attrs.evolve(
                talk.make_attempt(again.message_id), outcome=AttemptOutcome.SUCCEEDED, cost=Cost(Money(7))
            ),
        )

        assert (7, 0) == await purse.read()
