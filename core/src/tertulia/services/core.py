"""What all services of one client share."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar, cast

import attrs

from tertulia.contracts.store import Store
from tertulia.domain.config import Config
from tertulia.errors import StoreError, TertuliaError
from tertulia.runtime.clock import Clock
from tertulia.runtime.fetching import Fetcher
from tertulia.runtime.plugins import Plugins
from tertulia.services.context.calibration import Calibration
from tertulia.services.routing.health import Health

LEASE = timedelta(seconds=15)
"""How long a process counts as alive without further news."""

RECENT = timedelta(minutes=5)
"""How far back it matters how a provider has been doing: a breaker is open no longer than that."""

T = TypeVar("T")

_log = logging.getLogger("tertulia")


@attrs.define(eq=False)
class SharedWork:
    """Work that is done once for all who wait for it."""

    task: asyncio.Task[Any]
    waiting: int = 0


# Compared by identity: there is one for each client.
@attrs.define(eq=False)
class Core:
    """
    The parts of an open client.

    Attributes:
        fetcher: Fetches the addresses of attachments; None where nobody allowed that.

        calibration: What was learned of how its providers count tokens.

        begun: What reads the answers that have begun. A stream that is lost with a cycle must not be lost
            together with it: Python would close it as well, and at the same time.

        streams: Answers somebody holds on to; they are closed with the client.

        health: How its providers are doing, and how much they may be asked.

        draw: A random number from 0 to 1.

        tasks: Work that goes on beside its callers; the client waits for it before it closes.

        shared: Work that several callers wait for, by what it is.
    """

    config: Config
    plugins: Plugins
    _store: Store
    clock: Clock
    health: Health
    fetcher: Fetcher | None = None
    draw: Callable[[], float] = random.random
    calibration: Calibration = attrs.field(factory=Calibration, repr=False)
    begun: set[AsyncGenerator[Any]] = attrs.field(factory=set[AsyncGenerator[Any]], repr=False)
    streams: weakref.WeakSet[Any] = attrs.field(factory=weakref.WeakSet[Any], repr=False)
    tasks: set[asyncio.Task[Any]] = attrs.field(factory=set[asyncio.Task[Any]], repr=False)
    shared: dict[object, SharedWork] = attrs.field(factory=dict[object, SharedWork], repr=False)
    _recalling: asyncio.Task[None] | None = attrs.field(default=None, init=False)
    _recalling_tokens: asyncio.Task[None] | None = attrs.field(default=None, init=False)
    _home: tuple[int, asyncio.AbstractEventLoop] = attrs.field(
        factory=lambda: (os.getpid(), asyncio.get_running_loop()), init=False, repr=False
    )

    @property
    def store(self) -> Store:
        """Where conversations are kept; nobody gets there from another loop or process."""
        self.check_home()
        return self._store

    def check_home(self) -> None:
        """
        Refuse to work elsewhere than where the client was opened: its connections have stayed there.

        Raises:
            TertuliaError: This is another process, or another event loop.
        """
        process, loop = self._home
        if process != os.getpid():
            raise TertuliaError(
                f"the client was opened by process {process}, and its connections have stayed there",
                next_step="open a client in this process",
            )
        if loop is not asyncio.get_running_loop():
            raise TertuliaError(
                "the client was opened on another event loop, and its connections belong to that",
                next_step="open a client on this loop, or use tertulia.sync, which any thread may call",
            )

    @property
    def is_stranded(self) -> bool:
        """Whether the loop it was opened on is closed, so that nothing of it goes on there."""
        return self._home[1].is_closed()

    @property
    def is_forked(self) -> bool:
        """Whether this is another process than the one that opened it."""
        return self._home[0] != os.getpid()

    async def close_store(self) -> None:
        """Close the store, also where the loop it was opened on is closed by now."""
        await self._store.aclose()

    @property
    def owner(self) -> str:
        """Whose conversations these are."""
        return self.config.owner

    async def recall_health(self) -> None:
        """
        Learn, once, from the ledger how providers have been doing lately.

        A new process then passes over whoever failed in the one before. Sends that begin at once wait for
        the same news.
        """
        if self._recalling is None:
            self._recalling = self.start(self._recall_health())
        if not self._recalling.done():
            await asyncio.shield(self._recalling)

    async def recall_calibration(self) -> None:
        """Learn, once, from the store how models were found to count tokens."""
        if self._recalling_tokens is None:
            self._recalling_tokens = self.start(self._recall_calibration())
        if not self._recalling_tokens.done():
            await asyncio.shield(self._recalling_tokens)

    async def _recall_calibration(self) -> None:
        try:
            self.calibration.recall(await self.store.get_calibrations(self.owner))
        except StoreError as error:
            _log.warning("how models count tokens is not known from before: %s", error)

    async def save_calibration(self) -> None:
        """Keep what was learned of how models count tokens; where it cannot be kept, it is learned again."""
        if changed := self.calibration.take_changed():
            try:
                await self._store.save_calibrations(self.owner, changed)
            except StoreError as error:
                _log.warning("how models count tokens could not be stored: %s", error)

    async def _recall_health(self) -> None:
        try:
            recent = await self.store.get_recent_attempts(self.owner, since=self.clock.now() - RECENT)
        except StoreError as error:
            _log.warning("how providers have been doing lately is not known: %s", error)
        else:
            self.health.replay(recent[::-1])

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work go on beside the caller; should it fail, that is logged."""
        self.start(work).add_done_callback(_log_failure)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let work go on even when its caller is cancelled; the caller awaits it, shielded."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def share(self, key: object, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do work once for all who want it at once; it is given up when nobody waits for it any more."""
        shared = self.shared.get(key)
        if shared is None:
            shared = self.shared[key] = SharedWork(self.start(work()))
        shared.waiting += 1
        try:
            return cast("T", await asyncio.shield(shared.task))
        finally:
            shared.waiting -= 1
            if self.shared.get(key) is shared and (shared.task.done() or not shared.waiting):
                del self.shared[key]
            if not shared.waiting and not shared.task.done():
                shared.task.cancel()

    async def see_through(self, work: Coroutine[Any, Any, T]) -> tuple[T, bool]:
        """
        Wait until work is done, whoever cancels the caller meanwhile.

        Returns:
            What the work returned, and whether the caller was cancelled, which it heeds when it can.
        """
        task, cancelled = self.start(work), False
        while True:
            try:
                return await asyncio.shield(task), cancelled
            except asyncio.CancelledError:
                if task.cancelled():
                    raise
                cancelled = True

    def close_later(self, events: AsyncGenerator[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Close a stream that its reader has dropped; elsewhere than on its loop, Python sees to that."""
        with suppress(RuntimeError):
            if asyncio.get_running_loop() is loop:
                self.spawn(_close(events))

    async def finish(self) -> None:
        """Wait for all work that was spawned, however it ends."""
        while self.tasks:
            await asyncio.gather(*self.tasks, return_exceptions=True)
            await asyncio.sleep(0)  # gather takes no turn for tasks that are done, from Python 3.12 on


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("work beside a send failed: %s: %s", type(error).__name__, error)


async def _close(events: AsyncGenerator[Any]) -> None:
    with suppress(RuntimeError):  # somebody else is closing it
        await events.aclose()
