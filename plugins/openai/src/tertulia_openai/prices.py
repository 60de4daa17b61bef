"""
OpenAI's prices, as of 22 November 2026.

They are from OpenAI's pricing page. A price row has a date because prices change: what an answer cost is
computed from the row that was valid when it was asked for.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from tertulia import LongContext, Price, Rates

_READ_ON = date(2026, 11, 22)
_SOURCE = "OpenAI pricing page"
_LONG_PROMPT = 272_001  # more than 272,000 prompt tokens: a cliff, every token of the request is dearer
_HALF = Decimal("0.5")
_PLAIN_TIERS = {"batch": _HALF, "flex": _HALF}
_REGIONS = ("us", "eu", "au", "in", "jp")
_FEES = {"web_search": Decimal(10), "file_search": Decimal("2.5")}
_ULTRAFAST = Decimal(6)  # no page of OpenAI's gives it: it is what other price tables agree on


def _tiers(priority: str | None, *, is_new: bool) -> dict[str, Decimal]:
    if priority is None:
        return _PLAIN_TIERS
    tiers = {**_PLAIN_TIERS, "priority": Decimal(priority), "fast": Decimal(priority)}
    return {**tiers, "ultrafast": _ULTRAFAST} if is_new else tiers


def _price(
    model: str,
    rates: Rates,
    long_context: Rates | None = None,
    *,
    priority: str | None = None,
    uplift: str = "1",
    is_new: bool = False,
    valid_from: date | None = None,
    valid_until: date | None = None,
) -> Price:
    """``uplift`` is the factor where data stays in a region; new models write to the cache for two terms."""
    tiers = _tiers(priority, is_new=is_new)
    # The priority tier of 5.4 and 5.5 ends at the cliff.
    cliff_tiers = None if is_new else _PLAIN_TIERS
    return Price(
        id=f"openai/{model}/{(valid_from or _READ_ON).isoformat()}",
        model=model,
        rates=rates,
        long_context=None if long_context is None else LongContext(_LONG_PROMPT, long_context, cliff_tiers),
        tiers=tiers,
        valid_from=valid_from,
        valid_until=valid_until,
        source=_SOURCE,
        read_on=_READ_ON,
        regions=dict.fromkeys(_REGIONS, Decimal(uplift)),
        fees=_FEES,
    )


def _new(  # from gpt-5.6 on
    model: str,
    rates: tuple[str, str, str, str],
    long_context: tuple[str, str, str, str],
    *,
    valid_from: date | None = None,
    valid_until: date | None = None,
) -> Price:
    return _price(
        model,
        _rates(*rates, cache_write_12h=_twice(rates[0])),
        _rates(*long_context, cache_write_12h=_twice(long_context[0])),
        priority="2",
        uplift="1.1",
        is_new=True,
        valid_from=valid_from,
        valid_until=valid_until,
    )


def _twice(rate: str) -> str:
    return str(2 * Decimal(rate))


_rates = Rates.per_million
_SOL_CHEAPER = date(2026, 8, 21)

# input, output, cache read, cache write for 30 minutes; for 12 hours it is twice the input. None: no price is
# published, so tokens of that class cost "unknown". Before 5.6 writing to the cache is free. Models since 5.4
# (5 March 2026) cost a tenth more where data stays in a region.
PRICES: tuple[Price, ...] = (
    _new("gpt-6-astra", ("10", "50", "1", "12.5"), ("20", "75", "2", "25")),
    _new("gpt-6.1-sol", ("2", "10", "0.1", "2.5"), ("4", "15", "0.2", "5")),
    _new("gpt-6-sol", ("2", "10", "0.2", "2.5"), ("4", "15", "0.4", "5")),
    _new("gpt-6.1-terra", ("1", "5", "0.05", "1.25"), ("2", "7.5", "0.1", "2.5")),
    _new("gpt-6-luna", ("0.1", "0.5", "0.01", "0.125"), ("0.2", "0.75", "0.02", "0.25")),
    _new("gpt-5.6-sol", ("5", "30", "0.5", "6.25"), ("10", "45", "1", "12.5"), valid_until=_SOL_CHEAPER),
    _new("gpt-5.6-sol", ("4", "20", "0.4", "5"), ("8", "30", "0.8", "10"), valid_from=_SOL_CHEAPER),
    _new("gpt-5.6-terra", ("2", "12", "0.2", "2.5"), ("4", "18", "0.4", "5")),
    _new("gpt-5.6-luna", ("0.2", "1.2", "0.02", "0.25"), ("0.4", "1.8", "0.04", "0.5")),
    _price(
        "gpt-5.5",
        _rates("5", "30", "0.5", "0"),
        _rates("10", "45", "1", "0"),
        priority="2.5",
        uplift="1.1",
    ),
    _price("gpt-5.5-pro", _rates("30", "180"), _rates("60", "270"), uplift="1.1"),
    _price(
        "gpt-5.4",
        _rates("2.5", "15", "0.25", "0"),
        _rates("5", "22.5", "0.5", "0"),
        priority="2",
        uplift="1.1",
    ),
    _price("gpt-5.4-mini", _rates("0.75", "4.5", "0.075", "0"), priority="2", uplift="1.1"),
    _price("gpt-5.4-nano", _rates("0.2", "1.25", "0.02", "0"), priority="2", uplift="1.1"),
    _price("gpt-5.2", _rates("1.75", "14", "0.175", "0"), priority="2"),
    _price("gpt-5.1", _rates("1.25", "10", "0.125", "0"), priority="2"),
    _price("gpt-5", _rates("1.25", "10", "0.125", "0"), priority="2"),
    _price("gpt-5-mini", _rates("0.25", "2", "0.025", "0"), priority="1.8"),
    _price("gpt-4.1", _rates("2", "8", "0.5", "0"), priority="1.75"),
    _price("gpt-4o", _rates("2.5", "10", "1.25", "0"), priority="1.7"),
    _price("gpt-4o-mini", _rates("0.15", "0.6", "0.075", "0")),
    _price("o3", _rates("2", "8", "0.5", "0"), priority="1.75"),
)
