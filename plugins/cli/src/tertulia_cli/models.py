"""``tertulia models list`` and ``show``: what is known, without asking anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

import tertulia
from tertulia_cli.loop import run
from tertulia_cli.terminal import align, note, output_width, write, write_json

HEAD = ("model", "window", "answer", "in / out", "note", "can")
EVERYBODY_CAN = frozenset({"sampling", "streaming", "system"})
"""What tells no model from another in a table."""


def list_models(*, provider: str | None, with_gone: bool, store: str | None, as_json: bool) -> int:
    """Print the models; return the exit code."""
    known = run(_list(provider, store))
    shown = [info for info in known if with_gone or info.gone_at is None]
    if as_json:
        write_json([render_model(info) for info in shown])
    elif shown:
        write("\n".join(align([HEAD, *map(_row, shown)], width=output_width())))
    else:
        note('no model is known yet; "tertulia models sync" asks for them')
    return 0


def show_model(name: str, *, store: str | None, as_json: bool) -> int:
    """Print one model; return the exit code."""
    info = run(_get(name, store))
    if as_json:
        write_json(render_model(info))
    else:
        write("\n".join(align(list(_describe(info)), width=output_width())))
    return 0


def render_model(info: tertulia.ModelInfo) -> dict[str, Any]:
    """A model for JSON; what is not known is null."""
    capabilities, efforts = info.capabilities, info.reasoning_efforts
    return {
        "provider": info.provider,
        "id": info.id,
        "display_name": info.display_name,
        "context_window": info.context_window,
        "max_input_tokens": info.max_input_tokens,
        "max_output_tokens": info.max_output_tokens,
        "capabilities": None if capabilities is None else sorted(capabilities),
        "reasoning_efforts": None if efforts is None else list(efforts),
        "refused_options": sorted(info.refused_options),
        "aliases": list(info.aliases),
        "price": None if info.price is None else _render_price(info.price),
        "created": _iso(info.created),
        "shutdown_on": _iso(info.shutdown_on),
        "successor": info.successor,
        "gone_at": _iso(info.gone_at),
    }


def _render_price(price: tertulia.Price) -> dict[str, Any]:
    cliff = price.long_context
    return {
        "row": price.id,
        "usd_per_million_tokens": _render_rates(price.rates),
        "long_context": None
        if cliff is None
        else {"from_tokens": cliff.from_tokens, "usd_per_million_tokens": _render_rates(cliff.rates)},
        "tiers": _render_amounts(price.tiers),
        "regions": _render_amounts(price.regions),
        "usd_per_thousand_calls": _render_amounts(price.fees),
        "valid_from": _iso(price.valid_from),
        "valid_until": _iso(price.valid_until),
        "source": price.source,
        "read_on": _iso(price.read_on),
    }


def _render_amounts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {name: f"{amount:f}" for name, amount in amounts.items()}


def _render_rates(rates: tertulia.Rates) -> dict[str, str]:
    return {name: f"{rate:f}" for name, rate in _rates(rates)}


def _rates(rates: tertulia.Rates) -> Iterator[tuple[str, Decimal]]:
    """The classes of tokens that have a rate."""
    for field in attrs.fields(tertulia.Rates):
        if (rate := getattr(rates, field.name)) is not None:
            yield field.name, rate


def _iso(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat()


async def _list(provider: str | None, store: str | None) -> Sequence[tertulia.ModelInfo]:
    async with tertulia.open(store=store) as client:
        return await client.models(provider)


async def _get(name: str, store: str | None) -> tertulia.ModelInfo:
    async with tertulia.open(store=store) as client:
        return await client.model(name)


def _row(info: tertulia.ModelInfo) -> tuple[str, ...]:
    return (
        f"{info.provider}/{info.id}",
        _count(info.context_window),
        _count(info.max_output_tokens),
        "" if info.price is None else _both(info.price.rates),
        _state(info),
        _abilities(info, without=EVERYBODY_CAN),
    )


def _describe(info: tertulia.ModelInfo) -> Iterator[tuple[str, str]]:
    """What is known, a line each; the first is the name."""
    efforts = None if info.reasoning_efforts is None else ", ".join(info.reasoning_efforts) or "none"
    facts = {
        "model": f"{info.provider}/{info.id}",
        "name": info.display_name,
        "note": _state(info),
        "successor": info.successor,
        "context window": _tokens(info.context_window),
        "longest prompt": _tokens(info.max_input_tokens),
        "longest answer": _tokens(info.max_output_tokens),
        "can": _abilities(info),
        "reasoning efforts": efforts,
        "refuses": ", ".join(sorted(info.refused_options)),
        "aliases": ", ".join(info.aliases),
        "published": None if info.created is None else f"{info.created:%Y-%m-%d}",
    }
    yield from ((name, fact) for name, fact in facts.items() if fact)
    if info.price is None:
        yield "price", "unknown"
    else:
        yield from _describe_price(info.price)


def _describe_price(price: tertulia.Price) -> Iterator[tuple[str, str]]:
    yield "price", f"{_words(price.rates)}, in US dollars per million tokens"
    if price.long_context is not None:
        yield f"from {price.long_context.from_tokens:,} on", _words(price.long_context.rates) or "unknown"
    for name, amounts in (("tiers", price.tiers), ("regions", price.regions)):
        if amounts:
            yield name, ", ".join(f"{key} * {_plain(factor)}" for key, factor in amounts.items())
    if price.fees:
        fees = ", ".join(f"{name.replace('_', ' ')} {_plain(fee)}" for name, fee in price.fees.items())
        yield "fees", f"{fees}, in US dollars per 1,000 calls"
    since = "" if price.valid_from is None else f" since {price.valid_from}"
    until = "" if price.valid_until is None else f" until {price.valid_until}"
    yield "price row", f"{price.id}{since}{until}"
    read = "" if price.read_on is None else f", read on {price.read_on}"
    yield "source", f"{price.source or 'unknown'}{read}"


def _words(rates: tertulia.Rates) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_plain(rate)}" for name, rate in _rates(rates))


def _both(rates: tertulia.Rates) -> str:
    return " / ".join("?" if rate is None else f"${_plain(rate)}" for rate in (rates.input, rates.output))


def _plain(rate: Decimal) -> str:
    """Without zeros at the end, and never in powers of ten."""
    text = f"{rate:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _abilities(info: tertulia.ModelInfo, *, without: frozenset[str] = frozenset()) -> str:
    words = (word for word in sorted(info.capabilities or ()) if word not in without)
    return ", ".join(word.replace("_", " ") for word in words)


def _state(info: tertulia.ModelInfo) -> str:
    if info.gone_at is not None:
        return f"gone since {info.gone_at:%Y-%m-%d}"
    return "" if info.shutdown_on is None else f"until {info.shutdown_on}"


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _tokens(number: int | None) -> str | None:
    return None if number is None else f"{number:,} tokens"
