"""Services on loopback and the processes that talk to them, for tests of what may happen to a process."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tertulia
from providers.driver_cases import DRIVERS, Driver
from providers.raw_server import STREAM_END, STREAM_HEAD, Act, Ping, RawServer, Step, chunk, render_events
from tertulia import AttemptOutcome, Limits, MessageStatus

OPENAI = DRIVERS["openai"]
NO_LIMITS = Limits()
SOON = 5.0
"""Seconds that anything may take on a machine that is busy."""

WORD = "Lisbon lies on seven hills. "
TESTS = Path(__file__).parents[2]


def open_at(
    url: str, store: str, driver: Driver = OPENAI, *, limits: Limits = NO_LIMITS, **settings: Any
) -> tertulia.Client:
    """A client of one service, which is named ``mine``."""
    provider = driver.make(url, limits=limits)
    return tertulia.open(store=store, providers={}, plugins=[provider], environ={}, **settings)


def begin(driver: Driver = OPENAI, events: int = 2) -> list[Step]:
    """The first events of an answer, the last of which says ``Olá``."""
    return [STREAM_HEAD, *(chunk(render_events([event])) for event in driver.events[:events])]


def go_on(driver: Driver = OPENAI, events: int = 2) -> list[Step]:
    """The events after those, and the end."""
    return [*(chunk(render_events([event])) for event in driver.events[events:]), STREAM_END]


def hang(driver: Driver = OPENAI) -> list[Step]:
    """An answer that stops after its first word."""
    return [*begin(driver), Act.HANG]


async def until(is_so: Callable[[], bool]) -> None:
    """Let the loop turn until something is so that no event tells of."""
    async with asyncio.timeout(6 * SOON):
        while not is_so():  # noqa: ASYNC110  # it is so in another thread, or in the middle of a server
            await asyncio.sleep(0)


async def outcomes(conversation: tertulia.Conversation) -> list[AttemptOutcome]:
    """What became of each attempt."""
    return [attempt.outcome for attempt in await conversation.attempts()]


async def history(conversation: tertulia.Conversation) -> list[tuple[str, MessageStatus]]:
    """The words of each message, and what became of it."""
    return [(message.text, message.status) for message in await conversation.history()]


def say(*pieces: str) -> list[Step]:
    """A whole answer of the OpenAI dialect in these pieces."""
    created, delta, _, completed = OPENAI.events
    content = [{"type": "output_text", "text": "".join(pieces)}]
    whole = {**completed["response"], "output": [{"type": "message", "content": content}]}
    deltas = [{**delta, "delta": piece} for piece in pieces]
    events = [created, *deltas, {**completed, "response": whole}]
    return [STREAM_HEAD, *(chunk(render_events([event])) for event in events), STREAM_END]


def drip(every_seconds: float) -> list[Step]:
    """An answer that says a word again and again and never ends."""
    created, delta, *_ = OPENAI.events
    word = chunk(render_events([{**delta, "delta": WORD}]))
    return [STREAM_HEAD, chunk(render_events([created])), Ping(word, every_seconds)]


class ServerInThread(RawServer):
    """Goes on when the loop of the test does not."""

    def __init__(self, *scripts: Iterable[Step]) -> None:
        super().__init__(*scripts)
        self.loop = asyncio.new_event_loop()

    def let(self, event: asyncio.Event) -> None:
        """Set an event that a script waits for."""
        self.loop.call_soon_threadsafe(event.set)


@contextmanager
def served(*scripts: Iterable[Step]) -> Iterator[ServerInThread]:
    """A server in a thread of its own."""
    server = ServerInThread(*scripts)
    loop = server.loop
    thread = threading.Thread(target=loop.run_forever, name="server", daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(SOON)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result(SOON)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SOON)
        loop.close()


async def run_program(program: str, *arguments: object) -> asyncio.subprocess.Process:
    """Start one of the programs beside the tests; it is told what to do by its arguments."""
    words = [str(word) for word in arguments]
    path = {"PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        str(Path(__file__).with_name(program)),
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **path},
    )
