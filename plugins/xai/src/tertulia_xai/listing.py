"""What xAI's two lists say of its models: one has prices, the other windows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal

import attrs

from tertulia import Capability, LongContext, ModelInfo, Price, Rates
from tertulia.wire import Json, read_count, read_list, read_text, read_texts
from tertulia_xai.prices import FEES, REGIONS

PLACES = 4
"""The model list counts in ten-thousandths of a dollar per million tokens."""

_LAST_SECOND = 253_402_300_799  # of the year 9999


def parse_windows(body: object) -> dict[str, int]:
    """Read ``/models``: the tokens of each model that says how many it takes."""
    return {
        identifier: window
        for item in read_list(body, "data")
        if (identifier := read_text(item, "id")) and (window := read_count(item, "context_length"))
    }


def merge_listed(info: ModelInfo, item: Json, windows: Mapping[str, int]) -> ModelInfo:
    """
    Add what an entry of ``/language-models`` says of a model to what was known of it.

    Args:
        info: What is bundled; windows and capabilities of a model that is new to us are unknown.
        item: The entry.
        windows: As :func:`parse_windows` returns them; they go before bundled ones.
    """
    return attrs.evolve(
        info,
        aliases=tuple(read_texts(item, "aliases")),
        price=parse_price(item, info.id),
        created=_parse_time(read_count(item, "created")),
        context_window=windows.get(info.id, info.context_window),
        capabilities=_see(info.capabilities, read_texts(item, "input_modalities")),
        gone_at=None,
    )


def _see(known: Iterable[Capability] | None, modalities: list[str]) -> frozenset[Capability] | None:
    """Whether it takes images, as the list says; of a model that is new to us that alone says too little."""
    if known is None:
        return None
    if not modalities:
        return frozenset(known)
    sight = {Capability.VISION}
    return frozenset(known) | sight if "image" in modalities else frozenset(known) - sight


def _parse_time(seconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds and seconds <= _LAST_SECOND else None


def parse_price(item: Json, model: str) -> Price | None:
    """
    Read what a model costs from its entry in the list; None when the entry has no prices.

    The integers are cents per 100 million tokens: 12500 is $1.25 per million. The list names neither the
    factor of a region nor the fees of tools, so those are the bundled ones.
    """
    rates = _parse_rates(item, "")
    threshold = read_count(item, "long_context_threshold")
    beyond = None if threshold is None else _parse_rates(item, "_long_context")
    if rates is None:
        return None
    return Price(
        id=f"xai/{model}/listed",
        model=model,
        rates=rates,
        long_context=None if threshold is None or beyond is None else LongContext(threshold, beyond),
        source="xAI /v1/language-models",
        regions=REGIONS,
        fees=FEES,
    )


def _parse_rates(item: Json, suffix: str) -> Rates | None:
    names = ("prompt_text_token_price", "completion_text_token_price", "cached_prompt_text_token_price")
    prompt, completion, cached = (read_count(item, name + suffix) for name in names)
    if prompt is None or completion is None:
        return None
    return Rates(
        _dollars(prompt),
        _dollars(completion),
        None if cached is None else _dollars(cached),
    )


def _dollars(listed: int) -> Decimal:
    """Shift the point, exactly: dividing would round to the caller's own precision."""
    return Decimal((0, tuple(map(int, str(listed))), -PLACES))
