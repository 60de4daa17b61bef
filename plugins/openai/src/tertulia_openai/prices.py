"""
OpenAI's prices, as of 22 November 2026.

Limits and prices are from OpenAI's model and pricing pages. A price row has a date because prices change:
what an answer cost is computed from the row that was valid when it was asked for.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from tertulia import LongContext, Price, Rates

_READ_ON = date(2026, 11, 22)
_SOURCE = "OpenAI pricing page"
_LONG_PROMPT = 272_001  # more than 272,000 prompt tokens: a cliff, every token of the request is dearer


def _tiers(priority: str | None) -> dict[str, Decimal]:
    tiers = {"batch": Decimal("0.5"), "flex": Decimal("0.5")}
    return tiers if priority is None else {**tiers, "priority": Decimal(priority), "fast": Decimal(priority)}


def _price(
    model: str,
    rates: Rates,
    long_context: Rates | None = None,
    *,
    priority: str | None = None,
    valid_from: date | None = None,
    valid_until: date | None = None,
) -> Price:
    return Price(
        id=f"openai/{model}/{(valid_from or _READ_ON).isoformat()}",
        model=model,
        rates=rates,
        long_context=None if long_context is None else LongContext(_LONG_PROMPT, long_context),
        tiers=_tiers(priority),
        valid_from=valid_from,
        valid_until=valid_until,
        source=_SOURCE,
        read_on=_READ_ON,
    )


_rates = Rates.per_million
_SOL_CHEAPER = date(2026, 8, 21)

# input, output, cache read, cache write; None: no price is published, so tokens of that class cost "unknown".
PRICES: tuple[Price, ...] = (
    _price("gpt-6-astra", _rates("10", "50", "1", "12.5"), _rates("20", "75", "2", "25"), priority="2"),
    _price("gpt-6.1-sol", _rates("2", "10", "0.1", "2.5"), _rates("4", "15", "0.2", "5"), priority="2"),
    _price("gpt-6-sol", _rates("2", "10", "0.2", "2.5"), _rates("4", "15", "0.4", "5"), priority="2"),
    _price("gpt-6.1-terra", _rates("1", "5", "0.05", "1.25"), _rates("2", "7.5", "0.1", "2.5"), priority="2"),
    _price(
        "gpt-6-luna",
        _rates("0.1", "0.5", "0.01", "0.125"),
        _rates("0.2", "0.75", "0.02", "0.25"),
        priority="2",
    ),
    _price(
        "gpt-5.6-sol",
        _rates("5", "30", "0.5", "6.25"),
        _rates("10", "45", "1", "12.5"),
        priority="2",
        valid_until=_SOL_CHEAPER,
    ),
    _price(
        "gpt-5.6-sol",
        _rates("4", "20", "0.4", "5"),
        _rates("8", "30", "0.8", "10"),
        priority="2",
        valid_from=_SOL_CHEAPER,
    ),
    _price("gpt-5.6-terra", _rates("2", "12", "0.2", "2.5"), _rates("4", "18", "0.4", "5"), priority="2"),
    _price(
        "gpt-5.6-luna",
        _rates("0.2", "1.2", "0.02", "0.25"),
        _rates("0.4", "1.8", "0.04", "0.5"),
        priority="2",
    ),
    # Before 5.6 writing to the cache is free. The priority tier of 5.4 and 5.5 has no long-context row.
    _price("gpt-5.5", _rates("5", "30", "0.5", "0"), _rates("10", "45", "1", "0")),
    _price("gpt-5.5-pro", _rates("30", "180"), _rates("60", "270")),
    _price("gpt-5.4", _rates("2.5", "15", "0.25", "0"), _rates("5", "22.5", "0.5", "0")),
    _price("gpt-5.4-mini", _rates("0.75", "4.5", "0.075", "0"), priority="2"),
    _price("gpt-5.4-nano", _rates("0.2", "1.25", "0.02", "0"), priority="2"),
    _price("gpt-5.2", _rates("1.75", "14", "0.175", "0"), priority="2"),
    _price("gpt-5.1", _rates("1.25", "10", "0.125", "0"), priority="2"),
    _price("gpt-5", _rates("1.25", "10", "0.125", "0"), priority="2"),
    _price("gpt-5-mini", _rates("0.25", "2", "0.025", "0"), priority="1.8"),
    _price("gpt-4.1", _rates("2", "8", "0.5", "0"), priority="1.75"),
    _price("gpt-4o", _rates("2.5", "10", "1.25", "0"), priority="1.7"),
    _price("gpt-4o-mini", _rates("0.15", "0.6", "0.075", "0")),
    _price("o3", _rates("2", "8", "0.5", "0"), priority="1.75"),
)
