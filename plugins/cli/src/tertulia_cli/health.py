"""How providers have been doing: whether they are asked, how much, and how they failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tertulia
from tertulia_cli.loop import run
from tertulia_cli.opening import open_existing
from tertulia_cli.providers import read_limits
from tertulia_cli.terminal import align, note, output_width, write, write_json

HEAD = ("target", "state", "first words", "limits", "last failure")
UNKNOWN = "-"
FULL = 500


def show_health(*, store: str | None, as_json: bool) -> int:
    """Print how providers have been doing, by what the store holds; return the exit code."""
    found = run(_read_health(store))
    if as_json:
        write_json([render_health(health) for health in found])
    elif found:
        write("\n".join(tabulate_health(found)))
    else:
        note('no provider is installed; try "pip install tertulia-openai"')
    return 0


async def _read_health(store: str | None) -> Sequence[tertulia.ProviderHealth]:
    async with open_existing(store) as client:
        return await read_health(client)


async def read_health(client: tertulia.Client) -> list[tertulia.ProviderHealth]:
    """How every configured provider has been doing, in their order, also those that nobody asked."""
    found = {health.provider: health for health in await client.health()}
    limits = read_limits()
    names = dict.fromkeys((*client.providers, *found))
    return [
        found.get(name) or tertulia.ProviderHealth(name, limits.get(name) or tertulia.Limits())
        for name in names
    ]


def tabulate_health(found: Iterable[tertulia.ProviderHealth]) -> list[str]:
    """A line for each target that was asked, and for each provider of which none was."""
    rows = [row for health in found for row in _rows(health)]
    return align([HEAD, *rows], width=output_width())


def describe_health(health: tertulia.ProviderHealth) -> str:
    """
    The same of one provider, in one line.

    Example:
        >>> describe_health(tertulia.ProviderHealth("xai", tertulia.Limits(concurrent=8)))
        'was not asked lately; 8 at once'
    """
    targets = "; ".join(map(_describe_target, health.targets)) or "was not asked lately"
    return "; ".join(filter(None, (targets, *_describe_load(health))))


def render_health(health: tertulia.ProviderHealth) -> dict[str, Any]:
    """A provider's health for JSON."""
    limits = health.limits
    return {
        "provider": health.provider,
        "limits": {
            "concurrent": limits.concurrent,
            "requests_per_minute": limits.requests_per_minute,
            "tokens_per_minute": limits.tokens_per_minute,
            "max_wait": limits.max_wait,
        },
        "in_flight": health.in_flight,
        "queued": health.queued,
        "retry_tokens": health.retry_tokens,
        "targets": [_render_target(target) for target in health.targets],
    }


def _render_target(health: tertulia.TargetHealth) -> dict[str, Any]:
    at, reopens_in, latency = health.last_failed_at, health.reopens_in, health.latency_seconds
    return {
        "model": health.target.model,
        "state": health.state,
        "failures": health.failures,
        "reopens_in": None if reopens_in is None else round(reopens_in, 3),
        "latency_seconds": None if latency is None else round(latency, 3),
        "last_kind": health.last_kind,
        "last_error": health.last_error,
        "last_failed_at": None if at is None else at.isoformat(),
    }


def _rows(health: tertulia.ProviderHealth) -> Iterator[tuple[str, ...]]:
    load = ", ".join(_describe_load(health)) or "none"
    for target in health.targets:
        latency = UNKNOWN if target.latency_seconds is None else f"{target.latency_seconds:.2f} s"
        failure = _describe_failure(target, with_words=True) or "none"
        yield str(target.target), _describe_state(target), latency, load, failure
    if not health.targets:
        yield health.provider, "not asked lately", UNKNOWN, load, "none"


def _describe_target(health: tertulia.TargetHealth) -> str:
    latency = health.latency_seconds
    said = (
        f"{health.target.model} {_describe_state(health)}",
        "" if latency is None else f"first words after {latency:.2f} s",
        _describe_failure(health, with_words=False),
    )
    return ", ".join(filter(None, said))


def _describe_state(health: tertulia.TargetHealth) -> str:
    failures = f" after {health.failures} failure{'s' if health.failures > 1 else ''}"
    match health.state:
        case tertulia.BreakerState.CLOSED:
            return f"asked{failures}" if health.failures else "asked"
        case tertulia.BreakerState.HALF_OPEN:
            return "on trial"
        case tertulia.BreakerState.OPEN:
            again = "" if health.reopens_in is None else f" for {health.reopens_in:.0f} s"
            return f"passed over{again}{failures if health.failures else ''}"


def _describe_failure(health: tertulia.TargetHealth, *, with_words: bool) -> str:
    if health.last_kind is None:
        return ""
    when = "" if health.last_failed_at is None else f"{health.last_failed_at.astimezone():%Y-%m-%d %H:%M} "
    words = f": {health.last_error}" if with_words and health.last_error else ""
    return f"{'' if with_words else 'failed '}{when}({health.last_kind.replace('_', ' ')}){words}"


def _describe_load(health: tertulia.ProviderHealth) -> Iterator[str]:
    limits = health.limits
    if limits.concurrent is not None:
        yield f"{limits.concurrent:,} at once"
    if limits.requests_per_minute is not None:
        yield f"{limits.requests_per_minute:,} calls a minute"
    if limits.tokens_per_minute is not None:
        yield f"{limits.tokens_per_minute:,} tokens a minute"
    if health.in_flight:
        yield f"{health.in_flight:,} under way"
    if health.queued:
        yield f"{health.queued:,} waiting"
    if health.retry_tokens < FULL:
        yield f"{health.retry_tokens} of {FULL} for retries"
