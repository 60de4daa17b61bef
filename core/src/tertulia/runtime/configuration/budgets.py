"""What a user says may be spent: read from tables of a file, or given as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import attrs

from tertulia.domain.budget import Budget, BudgetPeriod, BudgetScope
from tertulia.domain.usage import Money
from tertulia.errors import ConfigurationError
from tertulia.runtime.configuration.prices import read_amount
from tertulia.runtime.configuration.tables import Given, locate, refuse, suggest
from tertulia.runtime.configuration.values import is_number, read_text, read_word, read_yes_or_no


def read_budgets(given: Given) -> tuple[Budget, ...]:
    """
    Read what may be spent.

    Raises:
        ConfigurationError: A budget cannot be used; the error says which, and why.
    """
    listed: object = given.value
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes):
        raise refuse(given, "must be a list of tables", next_step="write [[budgets]] before each of them")
    return tuple(
        _read_budget(attrs.evolve(given, key=f"{given.key}[{index}]", value=value))
        for index, value in enumerate(cast("Sequence[object]", listed))
    )


def show_budgets(budgets: Sequence[Budget]) -> tuple[str, ...]:
    """
    Write what may be spent as texts.

    Example:
        >>> show_budgets([Budget("5.00", period="day"), Budget(1, scope="conversation", is_hard=False)])
        ('$5 for owner, day', '$1 for conversation, all, only warns')
    """
    return tuple(map(_show_budget, budgets))


def _show_budget(budget: Budget) -> str:
    whose = budget.scope.value if budget.provider is None else f"{budget.scope.value} {budget.provider}"
    return f"{budget.limit} for {whose}, {budget.period.value}{'' if budget.is_hard else ', only warns'}"


def _read_budget(given: Given) -> Budget:
    listed: object = given.value
    if isinstance(listed, Budget):
        return listed
    if not isinstance(listed, Mapping):
        raise refuse(given, "must be a table", next_step=f"its keys are: {', '.join(sorted(_READERS))}")
    values = {
        key: _read_entry(attrs.evolve(given, key=f"{given.key}.{key}", value=value), key)
        for key, value in cast("Mapping[object, object]", listed).items()
    }
    if "limit" not in values:
        raise refuse(given, "has no limit", next_step='write how many dollars: limit = "5.00"')
    try:
        return Budget(**cast("dict[str, Any]", values))
    except ConfigurationError as error:
        error.message = f"{locate(given.origin)}{given.key}: {error.message}"
        raise


def _read_entry(given: Given, key: object) -> Any:
    read = _READERS.get(key) if isinstance(key, str) else None
    if read is None:
        raise refuse(given, "is no setting", value=key, next_step=suggest(str(key), _READERS))
    return read(given)


def _read_limit(given: Given) -> Money:
    if isinstance(given.value, Money):
        return given.value
    return Money.from_usd(read_amount(given))


def _read_shares(given: Given) -> tuple[float, ...]:
    shares: object = given.value
    if not isinstance(shares, Sequence) or not all(map(is_number, cast("Sequence[object]", shares))):
        raise refuse(given, "must be a list of shares from 0 to 1")
    return tuple(cast("Sequence[float]", shares))


_READERS: Mapping[str, Callable[[Given], Any]] = {
    "limit": _read_limit,
    "scope": partial(read_word, tuple(BudgetScope)),
    "period": partial(read_word, tuple(BudgetPeriod)),
    "provider": read_text,
    "time_zone": read_text,
    "warn_at": _read_shares,
    "is_hard": read_yes_or_no,
}
