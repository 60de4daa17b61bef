"""``tertulia conversations stats``: how much was said, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

import tertulia
from tertulia_cli.answers import render_cost
from tertulia_cli.finding import find_conversation
from tertulia_cli.loop import run
from tertulia_cli.moments import read_moment, read_zone
from tertulia_cli.opening import open_existing
from tertulia_cli.terminal import align, one_line, output_width, write, write_json

FIGURES = ("attempts", "answered", "success", "tokens", "cost", "p50", "p90")


@attrs.frozen
class Bounds:
    """A period, read."""

    since: datetime | None
    until: datetime | None
    time_zone: str


@attrs.frozen
class Period:
    """A period as it is typed; None for no bound, and for the time zone of this machine."""

    since: str | None = None
    until: str | None = None
    time_zone: str | None = None

    def read(self) -> Bounds:
        """Read it; click.UsageError where that cannot be done."""
        zone = read_zone(self.time_zone)
        since = read_moment("--since", self.since, zone)
        return Bounds(since, read_moment("--until", self.until, zone), zone.key)


def show_statistics(conversation: str | None, period: Period, *, store: str | None, as_json: bool) -> int:
    """Print what is counted; return the exit code."""
    counted = run(_count(conversation, period.read(), store))
    if as_json:
        write_json(_render(counted))
    else:
        write("\n".join(_lines(counted)))
    return 0


def render_usage(usage: tertulia.Usage) -> dict[str, int | None]:
    """Tokens for JSON, by class."""
    return attrs.asdict(usage)


async def _count(conversation: str | None, bounds: Bounds, store: str | None) -> tertulia.Statistics:
    async with open_existing(store) as client:
        return await client.statistics(
            None if conversation is None else await find_conversation(client, conversation),
            since=bounds.since,
            until=bounds.until,
            time_zone=bounds.time_zone,
        )


def _lines(counted: tertulia.Statistics) -> Iterator[str]:
    yield from align(list(_describe(counted)), width=output_width())
    for name, activities in (
        ("provider", counted.by_provider),
        ("model", counted.by_model),
        ("day", counted.by_day),
    ):
        if activities:
            yield ""
            rows = [(one_line(str(key)), *_figures(activity)) for key, activity in activities.items()]
            yield from align([(name, *FIGURES), *rows], width=output_width())


def _describe(counted: tertulia.Statistics) -> Iterator[tuple[str, str]]:
    activity = counted.activity
    said = ", ".join(f"{count:,} {role}" for role, count in counted.messages.items())
    yield "conversations", f"{counted.conversations:,}"
    yield "messages", f"{counted.message_count:,}{f' ({said})' if said else ''}"
    yield "questions", f"{counted.questions:,}, {_share(counted.fallback_rate)} passed on to another provider"
    yield "attempts", f"{activity.attempts:,}, {_share(activity.success_rate)} answered"
    ended = (
        ("failed", activity.failed),
        ("interrupted", activity.interrupted),
        ("cancelled", activity.cancelled),
    )
    yield "of them", ", ".join(f"{count:,} {name}" for name, count in ended)
    yield "tokens", _describe_usage(activity.usage)
    yield "cost", str(activity.cost)
    yield "answer after", _describe_percentiles(activity.latency)
    yield "first word after", _describe_percentiles(activity.first_content)


def _describe_usage(usage: tertulia.Usage) -> str:
    names = {
        "input": usage.input_tokens,
        "from cache": usage.cache_read_tokens,
        "to cache": usage.cache_write_tokens,
        "output": usage.output_tokens,
        "reasoning": usage.reasoning_tokens,
    }
    return ", ".join(f"{count or 0:,} {name}" for name, count in names.items())


def _describe_percentiles(percentiles: tertulia.Percentiles) -> str:
    if not percentiles.count:
        return "unknown"
    values = (("p50", percentiles.p50), ("p90", percentiles.p90), ("p99", percentiles.p99))
    return ", ".join(f"{_seconds(value)} ({name})" for name, value in values)


def _figures(activity: tertulia.Activity) -> Sequence[str]:
    return (
        f"{activity.attempts:,}",
        f"{activity.succeeded:,}",
        _share(activity.success_rate),
        f"{activity.usage.total_tokens or 0:,}",
        str(activity.cost),
        _seconds(activity.latency.p50),
        _seconds(activity.latency.p90),
    )


def _share(rate: float | None) -> str:
    return "none" if rate is None else f"{rate:.1%}"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def _render(counted: tertulia.Statistics) -> dict[str, Any]:
    return {
        "conversations": counted.conversations,
        "messages": {str(role): count for role, count in counted.messages.items()},
        "questions": counted.questions,
        "fallbacks": counted.fallbacks,
        "fallback_rate": counted.fallback_rate,
        **_render_activity(counted.activity),
        "by_provider": _render_all(counted.by_provider),
        "by_model": _render_all(counted.by_model),
        "by_day": _render_all(counted.by_day),
    }


def _render_all(activities: Mapping[Any, tertulia.Activity]) -> dict[str, Any]:
    return {str(key): _render_activity(activity) for key, activity in activities.items()}


def _render_activity(activity: tertulia.Activity) -> dict[str, Any]:
    return {
        "attempts": activity.attempts,
        "succeeded": activity.succeeded,
        "failed": activity.failed,
        "interrupted": activity.interrupted,
        "cancelled": activity.cancelled,
        "success_rate": activity.success_rate,
        "usage": render_usage(activity.usage),
        "cost": render_cost(activity.cost),
        "unknown_costs": activity.cost.unknown_count,
        "latency_seconds": attrs.asdict(activity.latency),
        "first_content_seconds": attrs.asdict(activity.first_content),
    }
