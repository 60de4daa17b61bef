"""
xAI's prices, as of 22 November 2026.

The service reports what each call cost, and that is the cost of record; these rows are for models it
has not answered yet, and to compare with. Sources: xAI's model list and pricing page.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from tertulia import LongContext, Price, Rates
from tertulia_xai.models import REDIRECTED

_READ_ON = date(2026, 11, 22)
_LONG_PROMPT = 200_000  # from 200,000 prompt tokens on, every token of the request costs twice as much
REGIONS: dict[str, Decimal] = dict.fromkeys(("us-east-1", "us-west-1"), Decimal("1.1"))
FEES: dict[str, Decimal] = {
    **dict.fromkeys(("web_search", "x_search", "code_execution"), Decimal(5)),
    "attachment_search": Decimal(10),
    "collections_search": Decimal("2.5"),
}


def _price(model: str, rates: Rates, long_context: Rates, batch: str | None) -> Price:
    return Price(
        id=f"xai/{model}/{_READ_ON.isoformat()}",
        model=model,
        rates=rates,
        long_context=LongContext(_LONG_PROMPT, long_context),
        tiers={} if batch is None else {"batch": Decimal(batch)},
        source="xAI /v1/language-models",
        read_on=_READ_ON,
        regions=REGIONS,
        fees=FEES,
    )


def _prices(
    models: tuple[str, ...], rates: Rates, long_context: Rates, *, batch: str | None = None
) -> tuple[Price, ...]:
    return tuple(_price(model, rates, long_context, batch) for model in models)


_rates = Rates.per_million

# input, output, cache read; there is no class of cache writes at xAI. No factor of its priority tier is
# published, and none for batches of some models.
PRICES: tuple[Price, ...] = (
    *_prices(("grok-4.7",), _rates("2", "6", "0.5"), _rates("4", "12", "1"), batch="0.8"),
    *_prices(("grok-4.6", "grok-latest"), _rates("2", "6", "0.5"), _rates("4", "12", "1")),
    *_prices(("grok-4.5", "grok-build-latest"), _rates("2", "6", "0.3"), _rates("4", "12", "0.6")),
    *_prices(
        ("grok-4.3", "grok-4.20-reasoning", "grok-4.20-non-reasoning", "grok-4.20-multi-agent", *REDIRECTED),
        _rates("1.25", "2.5", "0.2"),
        _rates("2.5", "5", "0.4"),
        batch="0.8",
    ),
    *_prices(("grok-build-0.1", "grok-code-fast-1"), _rates("1", "2", "0.2"), _rates("2", "4", "0.4")),
)
