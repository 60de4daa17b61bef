"""What each delta of a stream takes, in a driver alone and in a whole conversation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial

import aiohttp

from benchmarks import raw
from benchmarks.clients import open_client
from benchmarks.driver import count_deltas, open_driver
from benchmarks.surfaces import make_request
from benchmarks.table import Goal, Row
from benchmarks.timing import compare
from tertulia import Client, HTTPProvider, TextDelta

DELTAS, MANY_DELTAS = 1000, 100_000
Reader = Callable[[str], Awaitable[int]]
"""Reads the stream of one of the peer's scenarios and returns how many deltas it had."""


async def measure_streams(url: str, rounds: int) -> list[Row]:
    """
    CPU microseconds per delta: a stream of 1,000 less a stream of 1, which takes the call itself out.

    Only the event loop's thread is counted: the store's threads do nothing while deltas come, and what they
    do before and after varies by more than all deltas take.
    """
    scenarios = [f"{pace}-{deltas}" for pace in ("burst", "paced") for deltas in (1, DELTAS)]
    async with (
        aiohttp.ClientSession() as session,
        open_client(url, scenarios) as client,
        AsyncExitStack() as stack,
    ):
        drivers = {
            name: await stack.enter_async_context(open_driver(url, name))
            for name in (*scenarios, f"burst-{MANY_DELTAS}")
        }
        readers = {
            "driver": lambda scenario: count_deltas(drivers[scenario], _REQUEST),
            "conversation": lambda scenario: _read_conversation(client, scenario),
            "raw": lambda scenario: raw.read_stream(session, f"{url}/{scenario}", _BODY),
        }
        burst = await _compare_per_delta(readers, "burst", rounds)
        paced = await _compare_per_delta(readers, "paced", max(1, rounds // 2))
        growth = await _measure_growth(drivers[f"burst-{MANY_DELTAS}"], burst["driver"])
    return [*_rows("burst", burst, Goal(0.6)), *_rows("paced", paced, Goal(1.3)), growth]


# A hundred times the deltas: what is not linear misses this by far, and a long run cannot dodge disturbances.
_LINEAR = Goal(2)
_TURNS: list[raw.Turn] = [("user", raw.QUESTION)]
_BODY = raw.render_body(_TURNS)
_REQUEST = make_request(_TURNS, stream=True)


async def _compare_per_delta(readers: Mapping[str, Reader], pace: str, rounds: int) -> dict[str, float]:
    works = {
        f"{name} {deltas}": partial(_read_all, reader, f"{pace}-{deltas}", deltas)
        for name, reader in readers.items()
        for deltas in (1, DELTAS)
    }
    spent = await compare(works, rounds=rounds, times=1)
    return {
        name: (spent[f"{name} {DELTAS}"].loop - spent[f"{name} 1"].loop) / (DELTAS - 1) for name in readers
    }


async def _measure_growth(driver: HTTPProvider, usual: float) -> Row:
    spent = await compare({"many": lambda: count_deltas(driver, _REQUEST)}, rounds=3, times=1)
    per_delta = spent["many"].loop / MANY_DELTAS
    return Row("per delta of 100,000 (raw: of 1,000), driver, CPU", per_delta, usual, "µs", (_LINEAR,))


async def _read_all(reader: Reader, scenario: str, deltas: int) -> None:
    found = await reader(scenario)
    assert found == deltas, f"{found} deltas came of {deltas}"


async def _read_conversation(client: Client, provider: str) -> int:
    conversation = await client.start(provider=provider, model=raw.MODEL)
    async with conversation.stream(raw.QUESTION) as stream:
        return sum([1 async for event in stream if isinstance(event, TextDelta)])


def _rows(pace: str, spent: Mapping[str, float], goal: Goal) -> list[Row]:
    return [
        Row(f"per delta, {pace}, {name}, CPU", spent[name], spent["raw"], "µs", (goal,))
        for name in ("driver", "conversation")
    ]
