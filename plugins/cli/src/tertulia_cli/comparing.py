"""``tertulia models compare``: what the same question would cost, asked elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tertulia
from tertulia_cli.loop import run
from tertulia_cli.terminal import align, note, output_width, write, write_json

HEAD = ("model", "prompt", "answer", "at least", "at most")


def compare_prices(
    text: str, *, targets: Sequence[str], max_output_tokens: int | None, store: str | None, as_json: bool
) -> int:
    """Print what it would cost where, the cheapest first; return the exit code."""
    estimates = run(_compare(text, targets or None, max_output_tokens, store))
    if as_json:
        write_json([_render(each) for each in estimates])
    elif estimates:
        write("\n".join(align([HEAD, *map(_row, estimates)], width=output_width())))
        note("all of it is estimated, and nothing was sent")
    else:
        note('no price is known; "tertulia models sync" asks the providers')
    return 0


async def _compare(
    text: str, targets: Sequence[str] | None, max_output_tokens: int | None, store: str | None
) -> Sequence[tertulia.CostEstimate]:
    options = tertulia.Options(max_output_tokens=max_output_tokens)
    async with tertulia.open(store=store) as client:
        return await client.compare_prices(text, targets, options=options)


def _row(estimate: tertulia.CostEstimate) -> tuple[str, ...]:
    answer = estimate.output_tokens
    return (
        str(estimate.target),
        f"{estimate.input_tokens:,}",
        "?" if answer is None else f"{answer:,}",
        _show(estimate.low),
        _show(estimate.high),
    )


def _show(cost: tertulia.Cost | None) -> str:
    return "unknown" if cost is None else str(cost)


def _render(estimate: tertulia.CostEstimate) -> dict[str, Any]:
    return {
        "provider": estimate.target.provider,
        "model": estimate.target.model,
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "low_usd": _usd(estimate.low),
        "high_usd": _usd(estimate.high),
        "estimated": True,
    }


def _usd(cost: tertulia.Cost | None) -> str | None:
    """As text, so that no reader makes a float of it."""
    return None if cost is None else f"{cost.usd:f}"
