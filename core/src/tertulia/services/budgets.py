"""What may be spent: set aside before each call, settled after it, and told to who asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time
from fractions import Fraction
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs

from tertulia.domain.budget import (
    Account,
    AccountState,
    Budget,
    BudgetPeriod,
    BudgetScope,
    BudgetState,
    Reservation,
)
from tertulia.domain.exchange import Target
from tertulia.domain.notice import BudgetWarned
from tertulia.domain.usage import Cost, Money
from tertulia.errors import BudgetExceededError, TertuliaError
from tertulia.services.core import LEASE, Core

_log = logging.getLogger("tertulia")

_NO_PRICE = "set max_output_tokens, give the model a price, or price_factor = 0 where it costs nothing"


class Spending:
    """
    The money of one send: all its steps and attempts.

    Args:
        limit: What this send alone may cost; None for no limit of its own.
    """

    def __init__(self, core: Core, conversation_id: UUID, limit: Money | None = None) -> None:
        self._core = core
        self._conversation_id = conversation_id
        self._limit = limit
        self._spent = Money(0)
        self._reserved: dict[UUID, Money] = {}
        self._counted: dict[UUID, dict[Account, list[Budget]]] = {}
        self._setting_aside: dict[UUID, asyncio.Task[Sequence[AccountState]]] = {}

    @property
    def is_needed(self) -> bool:
        """Whether there is any budget to mind."""
        return self._limit is not None or bool(self._core.config.budgets)

    async def reserve(self, attempt_id: UUID, target: Target, highest: Money | None) -> list[str]:
        """
        Set aside what a call can cost at most.

        Args:
            highest: That; None when nobody knows.

        Returns:
            Which soft budgets it might exceed, as sentences.

        Raises:
            BudgetExceededError: A budget does not allow the call.
        """
        now = self._core.clock.now()
        budgets = self._find_budgets(target, now)
        self._refuse_beyond_limit(target, highest)
        if highest is None:
            await self._refuse_unknown(budgets, target, now)
        states = await self._set_aside(attempt_id, budgets, target, highest or Money(0), now)
        return [
            await self._warn_of_soft(budget, state, target, highest)
            for state in states
            for budget in budgets[state.account]
            if not budget.is_hard and (highest is None or _held(state) > budget.limit)
        ]

    async def settle(self, attempt_id: UUID, cost: Cost | None, *, was_sent: bool) -> None:
        """
        Put what a call did cost in the place of what was set aside; a store that fails is logged.

        Args:
            cost: None when that is not known: then all that was set aside counts.
            was_sent: Whether anything reached the provider; else it did cost nothing.
        """
        if (reserved := self._reserved.pop(attempt_id, None)) is None:
            return
        spent = (None if cost is None else cost.money) if was_sent else Money(0)
        self._spent += reserved if spent is None else spent
        if budgets := self._counted.pop(attempt_id):
            await self._finish_setting_aside(attempt_id)
            try:
                await self._settle_accounts(attempt_id, spent, budgets)
            except TertuliaError as error:
                # What was set aside counts as spent once its lease is over, so no budget is exceeded.
                _log.warning("the cost of attempt %s was not put on its budgets: %s", attempt_id, error)

    async def renew(self, attempt_id: UUID, expires_at: datetime) -> None:
        """Keep what is set aside for a call that is still under way."""
        if self._counted.get(attempt_id):
            await self._core.store.renew_reservation(self._core.owner, attempt_id, expires_at)

    def _find_budgets(self, target: Target, now: datetime) -> dict[Account, list[Budget]]:
        """The budgets a call is counted by, by their accounts."""
        found: dict[Account, list[Budget]] = {}
        for budget in self._core.config.budgets:
            if budget.provider in (None, target.provider):
                account = make_account(budget, now, str(self._conversation_id), target.provider)
                found.setdefault(account, []).append(budget)
        return found

    def _refuse_beyond_limit(self, target: Target, highest: Money | None) -> None:
        """The budget of this send is nobody else's, so no store needs to know of it."""
        if self._limit is None:
            return
        held = sum(self._reserved.values(), self._spent)
        if highest is None or held + highest > self._limit:
            raise _Bound(self._limit, held).explain(target, highest)

    async def _refuse_unknown(
        self, budgets: dict[Account, list[Budget]], target: Target, now: datetime
    ) -> None:
        for account, budget in _flatten(budgets):
            if budget.is_hard:
                (state,) = await self._core.store.get_accounts(self._core.owner, [account], now)
                raise _Bound(budget.limit, _held(state), budget, account).explain(target, None)

    async def _set_aside(
        self,
        attempt_id: UUID,
        budgets: dict[Account, list[Budget]],
        target: Target,
        amount: Money,
        now: datetime,
    ) -> Sequence[AccountState]:
        # Known from now on: what is set aside is settled also when the caller is cancelled meanwhile.
        self._reserved[attempt_id], self._counted[attempt_id] = amount, budgets
        if not budgets:
            return ()
        limits = tuple((account, _find_limit(counted)) for account, counted in budgets.items())
        reservation = Reservation(attempt_id, amount, limits, now + LEASE)
        setting_aside = self._core.start(self._reserve(reservation, now))
        self._setting_aside[attempt_id] = setting_aside
        try:
            return await asyncio.shield(setting_aside)
        except BudgetExceededError as error:
            del self._reserved[attempt_id], self._counted[attempt_id], self._setting_aside[attempt_id]
            raise _find_bound(error, budgets).explain(target, amount) from error

    async def _reserve(self, reservation: Reservation, now: datetime) -> Sequence[AccountState]:
        return await self._core.store.reserve(self._core.owner, reservation, now)

    async def _finish_setting_aside(self, attempt_id: UUID) -> None:
        if (task := self._setting_aside.pop(attempt_id, None)) is not None:
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # whoever waited for it has it, or was cancelled

    async def _warn_of_soft(
        self, budget: Budget, state: AccountState, target: Target, highest: Money | None
    ) -> str:
        name, held = describe_budget(budget, state.account), _held(state)
        if highest is None:
            return f"nobody can say what the call to {target} may cost, so {name} may be exceeded"
        # More than all of it: spending all of it is another level, of which observers are told when it is so.
        await self._tell(budget, state, 1.0, Money(budget.limit.pico + 1))
        return f"{name} may be exceeded: {held} are spent or set aside"

    async def _settle_accounts(
        self, attempt_id: UUID, spent: Money | None, budgets: dict[Account, list[Budget]]
    ) -> None:
        core = self._core
        for state in await core.store.settle_reservation(core.owner, attempt_id, spent, core.clock.now()):
            for budget in budgets.get(state.account, ()):
                for share in budget.warn_at:
                    level = Money(round(Fraction(str(share)) * budget.limit.pico))
                    if state.spent >= level:
                        await self._tell(budget, state, share, level)

    async def _tell(self, budget: Budget, state: AccountState, share: float, level: Money) -> None:
        """Tell observers, unless somebody has told them before in this period."""
        try:
            is_first = await self._core.store.claim_warning(self._core.owner, state.account, level)
        except TertuliaError as error:
            _log.warning("nobody was told how much of a budget is spent: %s", error)
            return
        if is_first:
            now = BudgetState(budget, state.account, state.spent, state.reserved)
            self._core.plugins.observe(BudgetWarned(self._conversation_id, now, share))


async def get_budgets(core: Core, conversation_id: UUID | None = None) -> list[BudgetState]:
    """
    Say how much of each budget is spent.

    Args:
        conversation_id: Whose budget to tell as well, where each conversation has one; None for nobody's.
    """
    now = core.clock.now()
    counted = [
        (budget, make_account(budget, now, *names))
        for budget in core.config.budgets
        for names in _find_names(core, budget, conversation_id)
    ]
    if not counted:
        return []
    states = await core.store.get_accounts(core.owner, [account for _, account in counted], now)
    return [
        BudgetState(budget, account, state.spent, state.reserved)
        for (budget, account), state in zip(counted, states, strict=True)
    ]


def make_account(budget: Budget, now: datetime, conversation_id: str, provider: str) -> Account:
    """What a call at a moment is counted by, for a budget."""
    match budget.scope:
        case BudgetScope.CONVERSATION:
            scope = f"conversation/{conversation_id}"
        case BudgetScope.PROVIDER:
            scope = f"provider/{provider}"
        case BudgetScope.OWNER:
            scope = "owner"
    if budget.period is BudgetPeriod.ALL:
        return Account(scope, "all")
    zone = ZoneInfo(budget.time_zone)
    day = now.astimezone(zone).date()
    day, period = (
        (day, f"{day}") if budget.period is BudgetPeriod.DAY else (day.replace(day=1), f"{day:%Y-%m}")
    )
    # Days of other places begin at other times, so they are other accounts.
    suffix = "" if budget.time_zone == "UTC" else f" {budget.time_zone}"
    return Account(scope, period + suffix, datetime.combine(day, time.min, zone).astimezone(UTC))


def describe_budget(budget: Budget, account: Account) -> str:
    """A budget as a sentence names it."""
    times = {BudgetPeriod.DAY: " a day", BudgetPeriod.MONTH: " a month", BudgetPeriod.ALL: ""}
    kind, _, name = account.scope.partition("/")
    whose = {"owner": "", "conversation": " for this conversation", "provider": f" for provider {name!r}"}
    return f"the budget of {budget.limit}{times[budget.period]}{whose[kind]}"


def _find_names(core: Core, budget: Budget, conversation_id: UUID | None) -> Iterator[tuple[str, str]]:
    """The conversations and providers whose accounts a budget has now."""
    match budget.scope:
        case BudgetScope.OWNER:
            yield "", ""
        case BudgetScope.CONVERSATION:
            if conversation_id is not None:
                yield str(conversation_id), ""
        case BudgetScope.PROVIDER:
            known = dict.fromkeys((*core.config.providers, *core.plugins.providers))
            for name in [budget.provider] if budget.provider else known:
                yield "", name


def _find_limit(budgets: Sequence[Budget]) -> Money | None:
    """What an account may hold by its hard budgets; None where it has none."""
    return min((budget.limit for budget in budgets if budget.is_hard), default=None)


def _flatten(budgets: dict[Account, list[Budget]]) -> Iterator[tuple[Account, Budget]]:
    return ((account, budget) for account, counted in budgets.items() for budget in counted)


def _held(state: AccountState) -> Money:
    return state.spent + state.reserved


def _find_bound(error: BudgetExceededError, budgets: dict[Account, list[Budget]]) -> _Bound:
    """Find the budget of which a store spoke."""
    budget = next(
        budget
        for account, budget in _flatten(budgets)
        if (account, budget.limit, budget.is_hard) == (error.account, error.limit, True)
    )
    return _Bound(budget.limit, error.spent, budget, error.account)


@attrs.frozen
class _Bound:
    """
    A budget that a call does not fit.

    Attributes:
        spent: What is spent, and set aside for calls under way.

        budget: With its account; None for the budget of one send.
    """

    limit: Money
    spent: Money
    budget: Budget | None = None
    account: Account | None = None

    def explain(self, target: Target, needed: Money | None) -> BudgetExceededError:
        """Say that a call is not made, and why."""
        cost = "of which nobody can say what it may cost at most"
        if needed is not None:
            cost = f"which may cost {needed}"
        return BudgetExceededError(
            f"{self._describe()} does not allow the call to {target}, {cost}: "
            f"{self.spent} of {self.limit} are spent or set aside",
            budget=self.budget,
            limit=self.limit,
            spent=self.spent,
            needed=needed,
            account=self.account,
            kept="what was said so far is stored, and the call was not made",
            next_step=_NO_PRICE if needed is None else self._find_next_step(),
        )

    def _describe(self) -> str:
        if self.budget is None or self.account is None:
            return f"the budget of {self.limit} for this send"
        return describe_budget(self.budget, self.account)

    def _find_next_step(self) -> str:
        if self.budget is None:
            return "allow more for this send, or ask for a shorter answer or a cheaper model"
        waits = {
            BudgetPeriod.DAY: "wait for the next day, ",
            BudgetPeriod.MONTH: "wait for the next month, ",
        }
        return (
            f"set max_output_tokens so that less is set aside, {waits.get(self.budget.period, '')}"
            "or raise the budget"
        )
