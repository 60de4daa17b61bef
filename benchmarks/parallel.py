"""
200 calls at once to a server that takes 50 ms.

Each contender has a process of its own, whose peak memory is then its own too:
``python -m benchmarks.parallel CONTENDER URL CALLS ROUNDS`` prints calls per second and MB.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.peer import ROOT
from benchmarks.table import Goal, Row

CALLS = 200
SCENARIO = "slow"
Call = Callable[[int], Awaitable[object]]
"""Makes one call; it is told which of those at once it is."""


async def measure_parallel(url: str, rounds: int) -> list[Row]:
    """Calls per second and peak memory."""
    driver, driver_memory = await asyncio.to_thread(_run, "driver", url, rounds)
    plain, plain_memory = await asyncio.to_thread(_run, "raw", url, rounds)
    durable, durable_memory = await asyncio.to_thread(_run, "conversation", url, rounds)
    fast, small = (Goal(0.95, at_least=True),), (Goal(60, "ours"),)
    return [
        Row("200 parallel, driver", driver, plain, "calls/s", fast),
        Row("200 parallel, durable sends", durable, plain, "calls/s"),
        Row("200 parallel, driver, peak memory", driver_memory, plain_memory, "MB", small),
        Row("200 parallel, durable sends, peak memory", durable_memory, plain_memory, "MB", small),
    ]


def _run(contender: str, url: str, rounds: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "benchmarks.parallel", contender, url, str(CALLS), str(rounds)]
    words = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    return float(words[0]), float(words[1])


async def _measure_raw(url: str, calls: int, rounds: int) -> float:
    import aiohttp

    from benchmarks import raw

    body = raw.render_body([("user", raw.QUESTION)])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        return await _calls_per_second(lambda _: raw.call(session, f"{url}/{SCENARIO}", body), calls, rounds)


async def _measure_driver(url: str, calls: int, rounds: int) -> float:
    from benchmarks import raw
    from benchmarks.driver import ask, open_driver
    from benchmarks.surfaces import make_request

    request = make_request([("user", raw.QUESTION)], stream=False)
    async with open_driver(url, SCENARIO) as driver:
        return await _calls_per_second(lambda _: ask(driver, request), calls, rounds)


async def _measure_conversation(url: str, calls: int, rounds: int) -> float:
    from benchmarks import raw
    from benchmarks.clients import open_client, start_conversations

    async with open_client(url, [SCENARIO]) as client:
        conversations = await start_conversations(client, SCENARIO, calls)
        return await _calls_per_second(lambda number: conversations[number].send(raw.QUESTION), calls, rounds)


async def _calls_per_second(call: Call, calls: int, rounds: int) -> float:
    await _time_all(call, calls)  # opens the connections
    return calls / statistics.median([await _time_all(call, calls) for _ in range(rounds)])


async def _time_all(call: Call, calls: int) -> float:
    began = time.perf_counter()
    await asyncio.gather(*map(call, range(calls)))
    return time.perf_counter() - began


def _peak_megabytes() -> float:
    # Not getrusage: what it says of a process begins with the peak of the one that started it.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    _contenders = {"raw": _measure_raw, "driver": _measure_driver, "conversation": _measure_conversation}
    _contender, _url, _calls, _rounds = sys.argv[1:]
    _speed = asyncio.run(_contenders[_contender](_url, int(_calls), int(_rounds)))
    print(_speed, _peak_megabytes())
