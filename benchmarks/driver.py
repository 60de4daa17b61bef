"""A driver alone, on every surface: one call, one with a long history, and what each delta takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import aiohttp

from benchmarks import raw
from benchmarks.surfaces import SURFACES, Surface, call, make_request, read_stream
from benchmarks.table import Goal, Row
from benchmarks.timing import compare
from tertulia import HTTPProvider, Message, ProviderReply, Request, TextDelta

EARLIER = 1000
DELTAS = 1000
SENTENCE = "The tram climbs from the Baixa to the castle in about twelve minutes, number {}."


async def measure_call(url: str, rounds: int) -> list[Row]:
    """Client CPU of a call with one message."""
    return [
        Row(
            f"one call, {surface.name}, driver, CPU",
            *await _compare_calls(url, surface, [], rounds=rounds, times=50),
            "µs",
            (Goal(1.3),),
        )
        for surface in SURFACES
    ]


async def measure_history(url: str, rounds: int) -> list[Row]:
    """Client CPU of a call with 1,000 earlier messages, of which the call before had sent all but one."""
    return [
        Row(
            f"call with 1,000 earlier messages, {surface.name}, driver, CPU",
            *await _compare_calls(url, surface, make_turns(EARLIER), rounds=rounds, times=10),
            "µs",
            (Goal(0.5),),
        )
        for surface in SURFACES
    ]


async def measure_bursts(url: str, rounds: int) -> list[Row]:
    """CPU of a delta of a burst: a stream of 1,000 less a stream of 1, which takes the call itself out."""
    return [
        Row(
            f"per delta, burst, {surface.name}, driver, CPU",
            *await _compare_deltas(url, surface, rounds),
            "µs",
            (Goal(0.6),),
        )
        for surface in SURFACES
    ]


async def _compare_calls(
    url: str, surface: Surface, turns: list[raw.Turn], *, rounds: int, times: int
) -> tuple[float, float]:
    first, earlier = add_question(make_request([], stream=False)), make_request(turns, stream=False)
    body = surface.form.render_body([*turns, ("user", raw.QUESTION)])
    address = surface.find_url(url, "whole", stream=False)
    async with surface.open_driver(url, "whole") as driver, aiohttp.ClientSession() as session:
        spent = await compare(
            {
                "ours": lambda: ask(driver, add_question(earlier) if turns else first),
                "raw": lambda: call(session, surface, address, body),
            },
            rounds=rounds,
            times=times,
        )
    return spent["ours"].cpu, spent["raw"].cpu


async def _compare_deltas(url: str, surface: Surface, rounds: int) -> tuple[float, float]:
    request = make_request([("user", raw.QUESTION)], stream=True)
    body = surface.form.render_body([("user", raw.QUESTION)])
    works: dict[str, Callable[[], Awaitable[None]]] = {}
    async with (
        aiohttp.ClientSession() as session,
        surface.open_driver(url, "burst-1") as short,
        surface.open_driver(url, f"burst-{DELTAS}") as long,
    ):
        for deltas, driver in ((1, short), (DELTAS, long)):
            address = surface.find_url(url, f"burst-{deltas}", stream=True)
            works[f"ours {deltas}"] = partial(_expect, deltas, partial(count_deltas, driver, request))
            works[f"raw {deltas}"] = partial(
                _expect, deltas, partial(read_stream, session, surface, address, body)
            )
        spent = await compare(works, rounds=rounds, times=1)
    ours, plain = (
        (spent[f"{name} {DELTAS}"].cpu - spent[f"{name} 1"].cpu) / (DELTAS - 1) for name in ("ours", "raw")
    )
    return ours, plain


async def _expect(deltas: int, read: Callable[[], Awaitable[int]]) -> None:
    found = await read()
    assert found == deltas, f"{found} deltas came of {deltas}"


@asynccontextmanager
async def open_driver(url: str, scenario: str) -> AsyncIterator[HTTPProvider]:
    """A driver of the Responses API, for one of the peer's scenarios."""
    async with SURFACES[0].open_driver(url, scenario) as driver:
        yield driver


def make_turns(count: int) -> list[raw.Turn]:
    """An earlier conversation, user and assistant by turns."""
    return [(("user", "assistant")[number % 2], SENTENCE.format(number)) for number in range(count)]


def add_question(request: Request) -> Request:
    """A request with a new question behind what was said before."""
    messages = (*request.messages, Message.of("user", raw.QUESTION))
    return Request(request.target, messages, stream=request.stream)


async def ask(driver: HTTPProvider, request: Request) -> str:
    """Send a request and return the text of its answer."""
    # To the end, as the core does: a generator that is left behind is closed by a task of its own.
    replies = [delta async for delta in driver.send_message(request) if isinstance(delta, ProviderReply)]
    return replies[-1].text


async def count_deltas(driver: HTTPProvider, request: Request) -> int:
    """Send a request and return how many pieces of text its answer had."""
    return sum([1 async for delta in driver.send_message(request) if isinstance(delta, TextDelta)])
