"""A driver alone: one call, and one with a long history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from benchmarks import raw
from benchmarks.table import Goal, Row
from benchmarks.timing import compare
from tertulia import Message, ProviderConfig, ProviderReply, Request, Secret, Target
from tertulia_openai import OpenAIProvider

EARLIER = 1000
SENTENCE = "The tram climbs from the Baixa to the castle in about twelve minutes, number {}."


async def measure_call(url: str, rounds: int) -> list[Row]:
    """Client CPU of a call with one message."""
    spent = await _compare_calls(url, [("user", raw.QUESTION)], rounds=rounds * 2, times=50)
    return [Row("one call, driver, CPU", *spent, "µs", (Goal(1.3),))]


async def measure_history(url: str, rounds: int) -> list[Row]:
    """Client CPU of a call with 1,000 earlier messages."""
    spent = await _compare_calls(url, [*make_turns(EARLIER), ("user", raw.QUESTION)], rounds=rounds, times=10)
    return [Row("call with 1,000 earlier messages, driver, CPU", *spent, "µs", (Goal(0.5),))]


async def _compare_calls(url: str, turns: list[raw.Turn], *, rounds: int, times: int) -> tuple[float, float]:
    request = make_request(turns, stream=False)
    body = raw.render_body(turns)
    async with open_driver(f"{url}/whole") as driver, aiohttp.ClientSession() as session:
        spent = await compare(
            {"ours": lambda: ask(driver, request), "raw": lambda: raw.call(session, f"{url}/whole", body)},
            rounds=rounds,
            times=times,
        )
    return spent["ours"].cpu, spent["raw"].cpu


def make_driver(url: str) -> OpenAIProvider:
    """A driver of the Responses API, wherever it is."""
    key = Secret("sk-benchmark")
    return OpenAIProvider(
        ProviderConfig("openai", "openai", api_key=key, base_url=url, settings={"api": "responses"})
    )


@asynccontextmanager
async def open_driver(url: str) -> AsyncIterator[OpenAIProvider]:
    """A driver with connections of its own."""
    driver = make_driver(url)
    try:
        yield driver
    finally:
        await driver.aclose()


def make_turns(count: int) -> list[raw.Turn]:
    """An earlier conversation, user and assistant by turns."""
    return [(("user", "assistant")[number % 2], SENTENCE.format(number)) for number in range(count)]


def make_request(turns: list[raw.Turn], *, stream: bool) -> Request:
    """A request as the core makes it."""
    messages = tuple(Message.of(role, text) for role, text in turns)
    return Request(Target("openai", raw.MODEL), messages, stream=stream)


async def ask(driver: OpenAIProvider, request: Request) -> str:
    """Send a request and return the text of its answer."""
    async for delta in driver.send_message(request):
        if isinstance(delta, ProviderReply):
            return "".join(getattr(part, "text", "") for part in delta.parts)
    raise AssertionError("the driver ended without a reply")
