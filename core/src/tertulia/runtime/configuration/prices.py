"""What a user says that models cost: read from tables of a file, or given as values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, cast

import attrs

from tertulia.domain.price import LongContext, Price, Rates
from tertulia.runtime.configuration.tables import Given, refuse, suggest

_MOST = Decimal(10**9)
_LONGEST = 150  # the id of a row is stored with every cost
_FINEST = -30  # decimal places: beyond it exact arithmetic takes for ever
_RATES = tuple(field.name for field in attrs.fields(Rates))
_LONG_CONTEXT = frozenset({"from_tokens", "tiers", *_RATES})
_FACTORS = ("tiers", "regions", "fees")
_DAYS = ("valid_from", "valid_until")
_KEYS = frozenset({"model", "long_context", "source", *_RATES, *_FACTORS, *_DAYS})
_AN_AMOUNT = 'write it as a text, such as "0.5", or as a whole number'


def read_amount(given: Given) -> Decimal:
    """
    Read dollars, or a factor, of at least 0.

    Raises:
        ConfigurationError: It is a float, which is not the number that was written, or no such amount.
    """
    value: object = given.value
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise refuse(given, "must be an exact amount", value=value, next_step=_AN_AMOUNT)
    try:
        amount = Decimal(value)
    except InvalidOperation:
        raise refuse(given, "is no number", value=value, next_step=_AN_AMOUNT) from None
    if (
        not amount.is_finite()
        or not 0 <= amount <= _MOST
        or cast("int", amount.as_tuple().exponent) < _FINEST
    ):
        raise refuse(given, "must be an amount from 0 to a thousand million", value=value)
    return amount


def read_prices(given: Given) -> tuple[Price, ...]:
    """
    Read price rows; the model of each is ``provider/model``, and its id begins with ``user/``.

    A row without an end holds until the next one of the same model begins.

    Raises:
        ConfigurationError: A row cannot be used, or two hold on the same day; the error says which.
    """
    listed: object = given.value
    if not isinstance(listed, Sequence) or isinstance(listed, str | bytes):
        raise refuse(given, "must be a list of tables", next_step="write [[prices]] before each of them")
    rows = list(enumerate(cast("Sequence[object]", listed)))
    return _close([(_row(given, index), _read_price(_row(given, index, row))) for index, row in rows])


def _row(given: Given, index: int, value: object = None) -> Given:
    return attrs.evolve(given, key=f"{given.key}[{index}]", value=value)


def _below(given: Given, key: str, value: object) -> Given:
    return attrs.evolve(given, key=f"{given.key}.{key}", value=value)


def _read_price(given: Given) -> Price:
    if isinstance(given.value, Price):
        return _adopt(given, given.value)
    table = _read_table(given, _KEYS)
    model = _read_model(given, table.get("model"))
    days = {name: _read_day(_below(given, name, table.get(name))) for name in _DAYS}
    tiers, regions, fees = (_read_factors(_below(given, name, table.get(name))) for name in _FACTORS)
    begins, ends = days["valid_from"], days["valid_until"]
    if begins is not None and ends is not None and ends <= begins:
        raise refuse(_below(given, "valid_until", ends), "must be after valid_from", value=ends)
    source = table.get("source", given.origin)
    if not isinstance(source, str):
        raise refuse(_below(given, "source", source), "must be a text")
    return Price(
        id=f"user/{model}/{days['valid_from'] or 'always'}",
        model=model,
        rates=_read_rates(given, table),
        long_context=_read_long_context(given, table.get("long_context")),
        tiers=tiers,
        valid_from=days["valid_from"],
        valid_until=days["valid_until"],
        source=source,
        regions=regions,
        fees=fees,
    )


def _adopt(given: Given, price: Price) -> Price:
    """Take a row that was made in Python, after checking what no type checker sees."""
    _read_model(given, price.model)
    beyond = price.long_context
    for rates in (price.rates,) if beyond is None else (price.rates, beyond.rates):
        _read_rates(given, attrs.asdict(rates))
    tables = {name: getattr(price, name) for name in _FACTORS}
    for name, table in {**tables, "long_context.tiers": beyond and beyond.tiers}.items():
        _read_factors(_below(given, name, table))
    return attrs.evolve(price, id=f"user/{price.id.removeprefix('user/')}"[:_LONGEST])


def _read_table(given: Given, keys: Iterable[str]) -> Mapping[str, Any]:
    value: object = given.value
    if not isinstance(value, Mapping):
        raise refuse(given, "must be a table", next_step=f"its keys are: {', '.join(sorted(keys))}")
    table = cast("Mapping[str, Any]", value)
    for key, value in table.items():
        if key not in keys:
            raise refuse(
                _below(given, str(key), value), "is no setting", value=key, next_step=suggest(str(key), keys)
            )
    return table


def _read_model(given: Given, model: object) -> str:
    name, _, rest = model.partition("/") if isinstance(model, str) else ("", "", "")
    if not name.strip() or not rest.strip() or len(name) + len(rest) > _LONGEST:
        raise refuse(
            _below(given, "model", model),
            "must name a provider and its model",
            value=model,
            next_step='write it as "provider/model", with the provider as it is configured',
        )
    return cast("str", model)


def _read_rates(given: Given, table: Mapping[str, Any]) -> Rates:
    rates = {
        name: None if table.get(name) is None else read_amount(_below(given, name, table[name]))
        for name in _RATES
    }
    for name in ("input", "output"):
        if rates[name] is None:
            raise refuse(
                _below(given, name, None), "is missing", next_step="say what a million tokens cost in dollars"
            )
    return Rates(**rates)


def _read_long_context(given: Given, value: object) -> LongContext | None:
    if value is None:
        return None
    given = _below(given, "long_context", value)
    table = _read_table(given, _LONG_CONTEXT)
    tokens = table.get("from_tokens")
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
        raise refuse(_below(given, "from_tokens", tokens), "must be a whole number of at least 1")
    tiers = table.get("tiers")
    factors = None if tiers is None else _read_factors(_below(given, "tiers", tiers))
    return LongContext(tokens, _read_rates(given, table), factors)


def _read_factors(given: Given) -> Mapping[str, Decimal]:
    if given.value is None:
        return {}
    value: object = given.value
    if not isinstance(value, Mapping):
        raise refuse(given, "must be a table of amounts by name")
    table = cast("Mapping[str, object]", value)
    return {name: read_amount(_below(given, name, value)) for name, value in table.items()}


def _read_day(given: Given) -> date | None:
    day: object = given.value
    if day is None or type(day) is date:  # a datetime is a date, too
        return day
    raise refuse(given, "must be a day", value=day, next_step="write it as 2026-11-01, unquoted")


def _close(rows: Sequence[tuple[Given, Price]]) -> tuple[Price, ...]:
    """End each row where the next of its model begins; two that hold on one day are a mistake."""
    by_model: dict[str, list[tuple[Given, Price]]] = {}
    for given, price in rows:
        by_model.setdefault(price.model, []).append((given, price))
    return tuple(price for same in by_model.values() for price in _end_each(same))


def _end_each(rows: list[tuple[Given, Price]]) -> Iterable[Price]:
    rows = sorted(rows, key=lambda row: _first_day(row[1]))
    for (_, price), (following, after) in pairwise(rows):
        start, until = _first_day(after), price.valid_until
        if start == _first_day(price) or (until is not None and until > start):
            raise refuse(
                following,
                f"overlaps another price of {price.model}",
                value=price.model,
                next_step="let each period end where the next one begins",
            )
        yield price if until is not None else attrs.evolve(price, valid_until=start)
    yield rows[-1][1]


def _first_day(price: Price) -> date:
    return price.valid_from or date.min
