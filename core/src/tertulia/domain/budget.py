"""What may be spent, and how much of it is."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs

from tertulia.domain.usage import Money
from tertulia.domain.words import check_word, read_word
from tertulia.errors import ConfigurationError

MOST_PICO = 2**63 - 1
"""What a database can keep: nine million dollars."""


class BudgetScope(StrEnum):
    """Whose costs a budget adds up: the ``owner``'s, each ``conversation``'s, or each ``provider``'s."""

    OWNER = "owner"
    CONVERSATION = "conversation"
    PROVIDER = "provider"


class BudgetPeriod(StrEnum):
    """Over which time a budget adds up: each ``day``, each ``month``, or all of it."""

    DAY = "day"
    MONTH = "month"
    ALL = "all"


def _to_money(value: Any) -> Any:
    if isinstance(value, Money | bool):
        return value
    try:
        return Money.from_usd(value)
    except (TypeError, ValueError):
        return value  # refused below, where there is a whole value to show


def _to_scope(value: Any) -> Any:
    return read_word(BudgetScope, value)


def _to_period(value: Any) -> Any:
    return read_word(BudgetPeriod, value)


def _to_shares(value: Any) -> Any:
    try:
        return tuple(sorted(value))
    except TypeError:
        return value


@attrs.frozen
class Budget:
    """
    A limit of what may be spent.

    Before each call its highest cost, by the prices and the longest answer, is set aside; what the call did
    cost takes its place afterwards. So the limit holds, however many calls are under way, in all processes
    that share the store.

    Attributes:
        limit: In US dollars, also as a text or a number.

        scope: Whose costs.

        period: Over which time.

        provider: With the scope ``provider``, only this one; None for each by itself.

        time_zone: Where days and months begin, an IANA name.

        warn_at: The shares of the limit at which observers are told, once in each period.

        is_hard: Whether a call that might exceed it is refused; else observers are told, and it is made.

    Raises:
        ConfigurationError: A value cannot be used.
    """

    limit: Money = attrs.field(converter=_to_money)
    scope: BudgetScope = attrs.field(default=BudgetScope.OWNER, converter=_to_scope)
    period: BudgetPeriod = attrs.field(default=BudgetPeriod.ALL, converter=_to_period)
    provider: str | None = None
    time_zone: str = "UTC"
    warn_at: tuple[float, ...] = attrs.field(default=(0.8, 1.0), converter=_to_shares)
    is_hard: bool = True

    def __attrs_post_init__(self) -> None:
        check_word("a budget's scope", BudgetScope, self.scope)
        check_word("a budget's period", BudgetPeriod, self.period)
        problem = self._find_problem()
        if problem is not None:
            what, value, next_step = problem
            raise ConfigurationError(what, value=value, next_step=next_step)

    def _find_problem(self) -> tuple[str, object, str | None] | None:
        """What cannot be, with the value and what to write instead; None where all can."""
        limit = cast("object", self.limit)
        if not isinstance(limit, Money):
            what = f"a budget's limit is a number of dollars, and not {limit!r}"
            return what, limit, 'write it as a text: "5.00"'
        if not 0 < limit.pico <= MOST_PICO:
            return "a budget's limit is more than 0, and at most nine million dollars", limit, None
        if not isinstance(cast("object", self.provider), str | None):
            return f"a budget's provider is a name, and not {self.provider!r}", self.provider, None
        if self.provider is not None and self.scope is not BudgetScope.PROVIDER:
            what = f"a budget of the scope {self.scope.value!r} names no provider"
            return what, self.provider, "write scope = 'provider', or leave the provider out"
        if not isinstance(cast("object", self.is_hard), bool):
            return f"is_hard is True or False, and not {self.is_hard!r}", self.is_hard, None
        if not _are_shares(self.warn_at):
            return "warn_at is a list of shares from 0 to 1", self.warn_at, None
        if not _is_zone(self.time_zone):
            return f"there is no time zone {self.time_zone!r}", self.time_zone, None
        return None


def _are_shares(shares: object) -> bool:
    return isinstance(shares, tuple) and all(map(_is_share, shares))  # pyright: ignore[reportUnknownArgumentType]


def _is_share(share: object) -> bool:
    return isinstance(share, int | float) and not isinstance(share, bool) and 0 < share <= 1


def _is_zone(name: object) -> bool:
    try:
        ZoneInfo(cast("str", name))
    except (TypeError, ValueError, OSError, KeyError):
        return False
    return True


@attrs.frozen
class Account:
    """
    What a budget is counted by: a scope within a period.

    Attributes:
        scope: ``owner``, ``conversation/ID`` or ``provider/NAME``.

        period: ``2026-11-22``, ``2026-11``, or ``all``; a day or month that is not UTC's names its time zone,
            as in ``2026-11-22 Europe/Madrid``.

        starts_at: When the period begins, in UTC; None for all time.
    """

    scope: str
    period: str
    starts_at: datetime | None = attrs.field(default=None, eq=False)


@attrs.frozen
class AccountState:
    """
    What an account holds.

    Attributes:
        spent: What calls did cost; where that is not known, what was set aside for them.

        reserved: What is set aside for calls under way.
    """

    account: Account
    spent: Money
    reserved: Money


@attrs.frozen
class BudgetState:
    """
    How much of a budget is spent, now.

    Attributes:
        budget: The budget.

        account: What it is counted by; a budget for each provider or conversation has an account for each.

        spent: What calls did cost; where that is not known, what was set aside for them.

        reserved: What is set aside for calls under way.
    """

    budget: Budget
    account: Account
    spent: Money
    reserved: Money

    @property
    def left(self) -> Money:
        """What may still be spent; never less than nothing."""
        return Money(max(0, self.budget.limit.pico - self.spent.pico - self.reserved.pico))


@attrs.frozen
class Reservation:
    """
    What is set aside for one call.

    Attributes:
        id: The attempt's.

        amount: The most it can cost.

        accounts: What it is counted by; each may be None for an account that refuses nothing, else its limit.

        expires_at: From when on the process that made it counts as dead, in UTC; what it has set aside is
            taken for spent then.
    """

    id: UUID
    amount: Money
    accounts: tuple[tuple[Account, Money | None], ...]
    expires_at: datetime
