"""Many sends at once to a provider that may be asked by a few at a time, and to one without a limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp

from benchmarks import raw
from benchmarks.clients import open_client, start_conversations
from benchmarks.driver import ask, open_driver
from benchmarks.peer import LATENCY_SECONDS
from benchmarks.surfaces import make_request
from benchmarks.table import Goal, Row
from benchmarks.timing import compare
from tertulia import Reply, Timeouts

CALLS = 1000
CONCURRENT = 8
PATIENCE = Timeouts(connect=2, first_content=2, idle=2, total=2)
"""Less than what most of them wait for their place: that is no part of it."""
_BODY = raw.render_body([("user", raw.QUESTION)])


async def measure_limits(url: str, _rounds: int) -> list[Row]:
    """How many are under way at once, in which order they end, and how many time out."""
    limits = {"concurrent": CONCURRENT}
    async with open_client(url, ["slow"], limits=limits) as client, aiohttp.ClientSession() as session:
        conversations = await start_conversations(client, "slow", CALLS)
        await _read_most(session, url)
        began = time.perf_counter()
        ended: list[int] = []

        async def send(number: int) -> Reply:
            reply = await conversations[number].send(raw.QUESTION, timeouts=PATIENCE)
            ended.append(number)
            return reply

        replies = await asyncio.gather(*map(send, range(CALLS)), return_exceptions=True)
        seconds = time.perf_counter() - began
        most = await _read_most(session, url)
    failed = [reply for reply in replies if isinstance(reply, BaseException)]
    queued = [reply.queued_seconds for reply in replies if isinstance(reply, Reply)]
    strayed = max((abs(place - number) for place, number in enumerate(ended)), default=0)
    name = f"{CALLS} sends, {CONCURRENT} at a time"
    return [
        Row(f"{name}, most under way", most, CONCURRENT, "", (Goal(1),)),
        Row(f"{name}, failed", len(failed), None, "", (Goal(0, "ours"),)),
        Row(f"{name}, furthest from their order", strayed, None, "places", (Goal(CALLS / 10, "ours"),)),
        Row(f"{name}, longest in the queue", max(queued, default=0), None, "s"),
        Row(
            f"{name} (raw: the service's own time), wall",
            seconds,
            CALLS * LATENCY_SECONDS / CONCURRENT,
            "s",
            (Goal(1.2),),
        ),
    ]


async def measure_unlimited(url: str, rounds: int) -> list[Row]:
    """CPU of each of 1,000 calls at once, where nothing limits them."""
    request = make_request([("user", raw.QUESTION)], stream=False)
    connector = aiohttp.TCPConnector(limit=0)
    async with open_driver(url, "whole") as driver, aiohttp.ClientSession(connector=connector) as session:
        spent = await compare(
            {
                "ours": lambda: _at_once(lambda: ask(driver, request)),
                "raw": lambda: _at_once(lambda: raw.call(session, f"{url}/whole", _BODY)),
            },
            rounds=rounds,
            times=1,
        )
    ours, plain = spent["ours"].cpu / CALLS, spent["raw"].cpu / CALLS
    return [Row(f"{CALLS} at once without a limit, driver, CPU of each", ours, plain, "µs", (Goal(2.5),))]


async def _at_once(call: Callable[[], Awaitable[object]]) -> None:
    await asyncio.gather(*(call() for _ in range(CALLS)))


async def _read_most(session: aiohttp.ClientSession, url: str) -> int:
    async with session.post(f"{url}/most/", data=b"{}") as response:
        return int(await response.read())
