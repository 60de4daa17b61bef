"""Both APIs behind one face, so that what a test tells is told of either."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import pytest

import tertulia
import tertulia.sync
from tertulia.testing import ScriptedProvider

TWINS = {
    tertulia.sync.Client: tertulia.Client,
    tertulia.sync.Conversation: tertulia.Conversation,
    tertulia.sync.ReplyStream: tertulia.ReplyStream,
    tertulia.sync.ComparisonStream: tertulia.ComparisonStream,
}


class Awaitable:
    """
    A blocking object with the face of its twin: what is awaited there is done in a thread here.

    Args:
        blocking: The object.
        thread: Where it is called, so that the test's own loop stays free.
    """

    def __init__(self, blocking: Any, thread: ThreadPoolExecutor) -> None:
        self._blocking = blocking
        self._thread = thread
        self._twin = TWINS[type(blocking)]

    def __getattr__(self, name: str) -> Any:
        name = {"aclose": "close"}.get(name, name)
        value = getattr(self._blocking, name)
        if not inspect.ismethod(value):
            return value
        twin = getattr(self._twin, {"close": "aclose"}.get(name, name))
        if not inspect.iscoroutinefunction(twin):
            return lambda *arguments, **named: self._face(value(*arguments, **named))
        return lambda *arguments, **named: self._do(value, *arguments, **named)

    async def _do(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        loop = asyncio.get_running_loop()
        return self._face(await loop.run_in_executor(self._thread, lambda: call(*arguments, **named)))

    def _face(self, value: Any) -> Any:
        return Awaitable(value, self._thread) if type(value) in TWINS else value

    async def __aenter__(self) -> Self:
        await self._do(self._blocking.__enter__)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._do(self._blocking.__exit__, *error)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tertulia.Event:
        event = await self._do(next, self._blocking, None)
        if event is None:
            raise StopAsyncIteration
        return event

    def __await__(self) -> Generator[Any, None, tertulia.Reply]:
        return self._do(self._blocking.read).__await__()


@pytest.fixture
def one() -> ScriptedProvider:
    return ScriptedProvider("one")


@pytest.fixture
def two() -> ScriptedProvider:
    return ScriptedProvider("two")


@pytest.fixture(params=["asyncio", "blocking"])
def open_client(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """``tertulia.open`` and ``tertulia.sync.open``, one after the other, for tests that await."""
    if request.param == "asyncio":
        yield tertulia.open
        return
    with ThreadPoolExecutor(1) as thread:
        yield lambda **settings: Awaitable(tertulia.sync.open(**settings), thread)


@pytest.fixture
async def client(open_client, simulator, database: str) -> AsyncIterator[Any]:
    """A client of the three simulated services, of either API, with a database of its own."""
    async with open_client(store=database, providers=simulator.providers(), environ={}) as client:
        yield client
