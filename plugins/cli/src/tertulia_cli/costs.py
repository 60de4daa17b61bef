"""``tertulia costs``: what was spent, as a table and as bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import attrs
import click

import tertulia
from tertulia_cli.answers import render_cost
from tertulia_cli.chart import Bar, Ink, draw_chart
from tertulia_cli.finding import find_conversation
from tertulia_cli.loop import run
from tertulia_cli.opening import open_existing
from tertulia_cli.statistics import Bounds, Period, render_usage
from tertulia_cli.terminal import align, note, one_line, output_width, shorten, write, write_json

MOST_BARS = 40
NAME_LENGTH = 40
UNITS = ("%Y-%m-%d", "%G-W%V", "%Y-%m", "%Y")
"""Days, weeks, months, years: the first that makes few enough bars."""
PIPED_WIDTH = 80
NOTHING = "none"


@attrs.frozen
class Wanted:
    """What to add up by, and which attempts."""

    by: tuple[str, ...]
    provider: str | None = None
    model: str | None = None
    conversation: str | None = None
    tag: str | None = None


def show_costs(wanted: Wanted, period: Period, *, store: str | None, as_json: bool) -> int:
    """Print what was spent; return the exit code."""
    analysis = run(_analyse(wanted, period.read(), store))
    if as_json:
        write_json(_render(analysis))
    elif analysis.total.attempts:
        write("\n".join(align(list(_rows(analysis)), width=output_width())))
        bars = list(_bars(analysis))
        if lines := draw_chart(bars, width=output_width() or PIPED_WIDTH, ink=Ink.for_output()):
            click.echo("\n" + "\n".join(lines))
    else:
        note("nothing was spent")
    return 0


async def _analyse(wanted: Wanted, bounds: Bounds, store: str | None) -> tertulia.CostAnalysis:
    async with open_existing(store) as client:
        conversation = wanted.conversation
        return await client.costs(
            *wanted.by,
            since=bounds.since,
            until=bounds.until,
            time_zone=bounds.time_zone,
            provider=wanted.provider,
            model=wanted.model,
            conversation=None if conversation is None else await find_conversation(client, conversation),
            tag=wanted.tag,
            all_owners=tertulia.CostGroup.OWNER in wanted.by,
        )


def _rows(analysis: tertulia.CostAnalysis) -> Iterator[tuple[str, ...]]:
    """A head, a line for each group, and the total."""
    yield (*analysis.by, "attempts", "tokens in", "tokens out", "cost")
    for row in analysis.rows:
        yield (*(_name(key) for key in row.key), *_figures(row))
    yield ("total", *[""] * (len(analysis.by) - 1), *_figures(analysis.total))


def _figures(row: tertulia.CostRow) -> tuple[str, ...]:
    usage = row.usage
    produced = (usage.output_tokens or 0) + (usage.reasoning_tokens or 0)
    return f"{row.attempts:,}", f"{usage.prompt_tokens or 0:,}", f"{produced:,}", str(row.cost)


def _name(key: object) -> str:
    return NOTHING if key is None else one_line(str(key))


def _bars(analysis: tertulia.CostAnalysis) -> Iterator[Bar]:
    """A bar for each day, or for as many as it takes; nothing where it is not by day."""
    if tertulia.CostGroup.DAY not in analysis.by:
        return
    place = analysis.by.index(tertulia.CostGroup.DAY)
    series = next((at for at in range(len(analysis.by)) if at != place), None)
    days: dict[date, list[tuple[str, tertulia.CostTotal]]] = {}
    for row in analysis.rows:
        day = row.key[place]
        if isinstance(day, date):
            name = "" if series is None else shorten(_name(row.key[series]), NAME_LENGTH)
            days.setdefault(day, []).append((name, row.cost))
    for label, costs in gather_days(days).items():
        amounts: dict[str, int] = {}
        for name, cost in costs:
            amounts[name] = amounts.get(name, 0) + cost.money.pico
        yield Bar(label, amounts, str(sum((cost for _, cost in costs), tertulia.CostTotal())))


def gather_days(
    days: Mapping[date, Sequence[tuple[str, tertulia.CostTotal]]],
) -> dict[str, list[tuple[str, tertulia.CostTotal]]]:
    """What was spent by day, week, month or year, those without anything included."""
    span = [min(days) + timedelta(days=n) for n in range((max(days) - min(days)).days + 1)] if days else []
    unit = next((unit for unit in UNITS if len({f"{day:{unit}}" for day in span}) <= MOST_BARS), UNITS[-1])
    gathered: dict[str, list[tuple[str, tertulia.CostTotal]]] = {}
    for day in span:
        gathered.setdefault(f"{day:{unit}}", []).extend(days.get(day, ()))
    return gathered


def _render(analysis: tertulia.CostAnalysis) -> dict[str, Any]:
    return {
        "by": list(analysis.by),
        "since": None if analysis.since is None else analysis.since.isoformat(),
        "until": None if analysis.until is None else analysis.until.isoformat(),
        "time_zone": analysis.time_zone,
        "rows": [
            {
                **{
                    group: None if key is None else str(key)
                    for group, key in zip(analysis.by, row.key, strict=True)
                },
                **_render_figures(row),
            }
            for row in analysis.rows
        ],
        "total": _render_figures(analysis.total),
    }


def _render_figures(row: tertulia.CostRow) -> dict[str, Any]:
    return {
        "attempts": row.attempts,
        **render_usage(row.usage),
        "cost": render_cost(row.cost),
        "unknown_costs": row.cost.unknown_count,
    }
