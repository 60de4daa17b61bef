"""A client that is used elsewhere than where it was opened: words, and never a hang."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from process_cases import SOON, begin, history, open_at, say

import tertulia
from providers.raw_server import Act, RawServer
from tertulia import MessageStatus, TertuliaError

NOWHERE = "http://127.0.0.1:9"
OTHER_LOOP = "the client was opened on another event loop"
OTHER_PROCESS = "the client was opened by process"
Use = Callable[[tertulia.Client, tertulia.Conversation], Awaitable[Any]]

USES: dict[str, Use] = {
    "list": lambda client, trip: client.list(),
    "start": lambda client, trip: client.start(provider="mine"),
    "ask": lambda client, trip: client.ask("Hello", provider="mine"),
    "send": lambda client, trip: trip.send("Hello"),
    "stream": lambda client, trip: trip.stream("Hello").read(),
    "history": lambda client, trip: trip.history(),
    "fork": lambda client, trip: trip.fork("idea"),
}


async def try_all(client: tertulia.Client, trip: tertulia.Conversation) -> list[str]:
    """Use a client in each way, and return what was said to it."""
    said: list[str] = []
    for use in USES.values():
        try:
            await asyncio.wait_for(use(client, trip), SOON)
            said.append("it worked")
        except TertuliaError as error:
            said.append(str(error))
        except TimeoutError:
            said.append("it hung")
    return said


async def test_another_threads_loop_is_refused(database):
    """While the client is open on one loop, whoever calls it on another is told so; nothing is sent."""
    async with RawServer(say("Hi.")) as server, open_at(server.url, database) as client:
        trip = await client.start(provider="mine")
        said = await asyncio.to_thread(asyncio.run, try_all(client, trip))
        asked = len(server.requests)
        reply = await trip.send("Hello")

        assert {True} == {OTHER_LOOP in each for each in said}, said
        assert (0, "Hi.", 2) == (asked, reply.text, len(await trip.history()))


async def test_a_stream_is_read_on_the_loop_where_it_was_begun(database):
    """Another thread that reads or closes it is told so, and the stream goes on as if nothing had been."""
    async with RawServer([*begin(), Act.HANG]) as server, open_at(server.url, database) as client:
        trip = await client.start(provider="mine")
        stream = trip.stream("Hello")
        await anext(stream)

        async def read() -> None:
            await asyncio.wait_for(anext(stream), SOON)

        for use in (read, stream.aclose):
            with pytest.raises(TertuliaError, match=OTHER_LOOP):
                await asyncio.to_thread(lambda use=use: asyncio.run(_call(use)))
        await stream.aclose()

        kept = [("Hello", MessageStatus.COMPLETE), ("Olá", MessageStatus.INTERRUPTED)]
        assert kept == await history(trip)


async def _call(use: Callable[[], Awaitable[None]]) -> None:
    await use()


def test_a_client_does_not_outlive_its_loop(database):
    """A second ``asyncio.run`` is told to open a client of its own; it can still close the old one."""
    client = open_at(NOWHERE, database)

    async def open_it() -> tertulia.Conversation:
        await client.__aenter__()
        return await client.start(provider="mine")

    trip = asyncio.run(open_it())
    said = asyncio.run(try_all(client, trip))
    asyncio.run(client.aclose())

    assert {True} == {OTHER_LOOP in each for each in said}, said


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("store", ["a file", "memory:"])
async def test_a_fork_is_told_that_the_client_stayed_behind(database, store):
    """In a forked process each call is refused at once, and closing is nothing; the parent goes on."""
    url = database if store == "a file" else store
    async with RawServer(say("Hi.")) as server, open_at(server.url, url) as client:
        trip = await client.start(provider="mine")
        await trip.send("Hello")
        said = await asyncio.to_thread(_fork_and_try, client, trip)
        reply = await trip.send("Hello")

    assert [OTHER_PROCESS in each for each in said] == [True] * len(USES), said
    assert ("Hi.", 2) == (reply.text, len(server.requests))


def _fork_and_try(client: tertulia.Client, trip: tertulia.Conversation) -> list[str]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        said = ["it failed"]
        try:
            said = asyncio.run(_try_and_close(client, trip))
        finally:
            os.write(writing, "\n".join(said).encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as lines:
        said = lines.read().splitlines()
    os.waitpid(child, 0)
    return said


async def _try_and_close(client: tertulia.Client, trip: tertulia.Conversation) -> list[str]:
    said = await try_all(client, trip)
    await asyncio.wait_for(client.aclose(), SOON)
    return said
