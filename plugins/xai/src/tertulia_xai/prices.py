"""
xAI's prices, as of 22 November 2026.

The service reports what each call cost, and that is the cost of record; these rows are for models it
has not answered yet, and to compare with. Sources: xAI's model list and pricing page.
"""

from __future__ import annotations

from datetime import date

from tertulia import LongContext, Price, Rates
from tertulia_xai.models import REDIRECTED

_READ_ON = date(2026, 11, 22)
_LONG_PROMPT = 200_000  # from 200,000 prompt tokens on, every token of the request costs twice as much


def _price(model: str, rates: Rates, long_context: Rates) -> Price:
    return Price(
        id=f"xai/{model}/{_READ_ON.isoformat()}",
        model=model,
        rates=rates,
        long_context=LongContext(_LONG_PROMPT, long_context),
        source="xAI /v1/language-models",
        read_on=_READ_ON,
    )


def _prices(models: tuple[str, ...], rates: Rates, long_context: Rates) -> tuple[Price, ...]:
    return tuple(_price(model, rates, long_context) for model in models)


_rates = Rates.per_million

# input, output, cache read, cache write (there is no such class at xAI)
PRICES: tuple[Price, ...] = (
    *_prices(("grok-4.7", "grok-4.6", "grok-latest"), _rates("2", "6", "0.5"), _rates("4", "12", "1")),
    *_prices(("grok-4.5", "grok-build-latest"), _rates("2", "6", "0.3"), _rates("4", "12", "0.6")),
    *_prices(
        ("grok-4.3", "grok-4.20-reasoning", "grok-4.20-non-reasoning", *REDIRECTED),
        _rates("1.25", "2.5", "0.2"),
        _rates("2.5", "5", "0.4"),
    ),
    *_prices(("grok-build-0.1", "grok-code-fast-1"), _rates("1", "2", "0.2"), _rates("2", "4", "0.4")),
)
