"""What it takes to find out who answers a hook."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

from benchmarks.table import Row
from tertulia import Billing, Cost, Delta, ModelInfo, Money, Provider, ProviderConfig, Request, Target, Usage
from tertulia.domain.message import Message
from tertulia.runtime.clock import SystemClock
from tertulia.runtime.plugins import Plugins
from tertulia.services.defaults import Defaults

CALLS = 500


class Silence:
    """An iterator of nothing."""

    def __aiter__(self) -> Silence:
        return self

    async def __anext__(self) -> Delta:
        raise StopAsyncIteration


class Immediate(Provider):
    """Answers without doing anything, so that only the way to it is measured."""

    DEFAULT_MODEL = "none"
    _silence = Silence()
    _cost = Cost(Money(1))

    def send_message(self, request: Request) -> AsyncIterator[Delta]:
        """Answer with nothing."""
        return self._silence

    async def list_models(self) -> Sequence[ModelInfo]:
        """There are none."""
        return ()

    def calculate_cost(self, model: str, usage: Usage, billing: Billing, at: datetime) -> Cost:
        """Always the same."""
        return self._cost


async def measure_hooks(_url: str, rounds: int) -> list[Row]:
    """Microseconds of one call through the plugin system, against the method itself."""
    return [row for count in (3, 50) for row in _measure_among(count, rounds)]


def _measure_among(count: int, rounds: int) -> list[Row]:
    plugins = _make_plugins(count)
    provider, target = plugins.get_provider("p1"), Target("p1", "none")
    request = Request(target, (Message.of("user", "Hello"),))
    usage, billing, now = Usage(1, 0, 0, 1, 0), Billing(), datetime.now(UTC)
    asked = (
        lambda: plugins.send_message(request),
        lambda: provider.send_message(request),
    )
    priced = (
        lambda: plugins.calculate_cost(target, "none", usage, billing, now),
        lambda: provider.calculate_cost("none", usage, billing, now),
    )
    return [
        Row(f"hook send_message, {count} providers", *_compare(*asked, rounds), "µs"),
        Row(f"hook calculate_cost, {count} providers", *_compare(*priced, rounds), "µs"),
    ]


def _make_plugins(count: int) -> Plugins:
    plugins = Plugins(Defaults(SystemClock()), make_provider=_refuse)
    for number in range(count):
        plugins.register(Immediate(ProviderConfig(f"p{number}", "immediate")))
    return plugins


def _refuse(name: str) -> Provider:
    raise LookupError(name)


def _compare(ours: Callable[[], object], direct: Callable[[], object], rounds: int) -> tuple[float, float]:
    turns = [(_microseconds(ours), _microseconds(direct)) for _ in range(rounds)]
    return min(turn[0] for turn in turns), min(turn[1] for turn in turns)


def _microseconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - began) / CALLS * 1e6
