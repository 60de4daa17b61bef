"""
xAI's models and prices, as of 22 November 2026.

The service reports what each call cost, and that is the cost of record; these rows are for models it
has not answered yet, and to compare with. Sources: xAI's model list and pricing page.
"""

from __future__ import annotations

from datetime import date

from tertulia import Capability, LongContext, ModelInfo, Price, Rates

DEFAULT_MODEL = "grok-4.7"

_READ_ON = date(2026, 11, 22)
_LONG_PROMPT = 200_000  # from 200,000 prompt tokens on, every token of the request costs twice as much
_CAN = frozenset(
    {
        Capability.STREAMING,
        Capability.SYSTEM,
        Capability.TOOLS,
        Capability.STRUCTURED_OUTPUT,
        Capability.VISION,
        Capability.SAMPLING,
    }
)
_REASONS = _CAN | {Capability.REASONING}
_REDIRECTED = (
    "grok-3",
    "grok-4-0709",
    "grok-4-fast-reasoning",
    "grok-4-fast-non-reasoning",
    "grok-4-1-fast-reasoning",
    "grok-4-1-fast-non-reasoning",
)
"""Retired on 15 May 2026: they are answered, and billed, as grok-4.3."""


def _model(name: str, window: int, capabilities: frozenset[Capability], *aliases: str) -> ModelInfo:
    return ModelInfo("xai", name, context_window=window, capabilities=capabilities, aliases=aliases)


MODELS: tuple[ModelInfo, ...] = (
    _model("grok-4.7", 500_000, _REASONS),
    _model("grok-4.6", 500_000, _REASONS, "grok-latest"),
    _model("grok-4.5", 500_000, _REASONS, "grok-build-latest"),
    _model("grok-4.3", 1_000_000, _REASONS, *_REDIRECTED),
    _model("grok-4.20-reasoning", 1_000_000, _REASONS),
    _model("grok-4.20-non-reasoning", 1_000_000, _CAN),
    _model("grok-build-0.1", 256_000, _REASONS, "grok-code-fast-1"),
)


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
        ("grok-4.3", "grok-4.20-reasoning", "grok-4.20-non-reasoning", *_REDIRECTED),
        _rates("1.25", "2.5", "0.2"),
        _rates("2.5", "5", "0.4"),
    ),
    *_prices(("grok-build-0.1", "grok-code-fast-1"), _rates("1", "2", "0.2"), _rates("2", "4", "0.4")),
)
