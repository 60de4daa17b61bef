"""
Gemini's prices, as of 22 November 2026. Source: Google's model and pricing pages.

Two price changes that are announced are in the table with their dates.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from tertulia import LongContext, Price, Rates

_READ_ON = date(2026, 11, 22)
_LONG_PROMPT = 200_001  # more than 200,000 prompt tokens
_SOURCE = "Gemini API pricing page"

_TIERS = {"batch": Decimal("0.5"), "flex": Decimal("0.5"), "priority": Decimal("1.8")}

# Gemini 3 charges each query of a search, 2.5 each prompt that was answered with one; of 4 neither is known.
_FEES = {
    "gemini-3": {"google_search": Decimal(14), "grounded_prompt": Decimal(0)},
    "gemini-2": {"google_search": Decimal(0), "grounded_prompt": Decimal(35)},
}


def _price(
    model: str,
    rates: Rates,
    long_context: Rates | None = None,
    *,
    valid_from: date | None = None,
    valid_until: date | None = None,
) -> Price:
    return Price(
        id=f"gemini/{model}/{(valid_from or _READ_ON).isoformat()}",
        model=model,
        rates=rates,
        long_context=None if long_context is None else LongContext(_LONG_PROMPT, long_context),
        tiers=_TIERS,
        valid_from=valid_from,
        valid_until=valid_until,
        source=_SOURCE if rates.audio_cache_read is None else f"{_SOURCE}; cached sound: genai-prices 0.2.3",
        read_on=_READ_ON,
        fees=_FEES.get(model[: len("gemini-N")], {}),
    )


def _changing(model: str, day: date, before: Rates, after: Rates) -> tuple[Price, Price]:
    return _price(model, before, valid_until=day), _price(model, after, valid_from=day)


def _hearing(*rates: str, audio: str, cached: str) -> Rates:
    return Rates.per_million(*rates, audio_input=audio, audio_cache_read=cached)


_rates = Rates.per_million

# input, output, cache read; there is no class of cache writes at Google, and its caches cost by the hour
# besides, which no answer tells.
PRICES: tuple[Price, ...] = (
    *_changing("gemini-4-argon", date(2026, 12, 1), _rates("2", "10", "0.1"), _rates("4", "20", "0.2")),
    *(
        price
        for model in ("gemini-3.8-flash", "gemini-3.7-flash", "gemini-3.6-flash")
        for price in _changing(
            model, date(2027, 1, 1), _rates("0.75", "3.75", "0.075"), _rates("1.5", "7.5", "0.15")
        )
    ),
    _price("gemini-3.5-flash", _rates("1.5", "9", "0.15")),
    _price("gemini-3.5-flash-lite", _rates("0.3", "2.5", "0.03")),
    _price("gemini-3.1-pro-preview", _rates("2", "12", "0.2"), _rates("4", "18", "0.4")),
    _price("gemini-3.1-flash-lite", _hearing("0.25", "1.5", "0.025", audio="0.5", cached="0.05")),
    _price("gemini-3-flash-preview", _hearing("0.5", "3", "0.05", audio="1", cached="0.1")),
    _price("gemini-2.5-pro", _rates("1.25", "10", "0.125"), _rates("2.5", "15", "0.25")),
    _price("gemini-2.5-flash", _hearing("0.3", "2.5", "0.03", audio="1", cached="0.1")),
    _price("gemini-2.5-flash-lite", _hearing("0.1", "0.4", "0.01", audio="0.3", cached="0.03")),
)
