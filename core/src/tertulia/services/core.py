"""What all services of one client share."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import attrs

from tertulia.contracts.store import Store
from tertulia.domain.config import Config
from tertulia.runtime.clock import Clock
from tertulia.runtime.fetching import Fetcher
from tertulia.runtime.plugins import Plugins
from tertulia.services.context.calibration import Calibration

T = TypeVar("T")

_log = logging.getLogger("tertulia")


# Compared by identity: there is one for each client.
@attrs.define(eq=False)
class Core:
    """
    The parts of an open client.

    Attributes:
        fetcher: Fetches the addresses of attachments; None where nobody allowed that.

        calibration: What was learned of how its providers count tokens.

        streams: Answers somebody holds on to; they are closed with the client.

        tasks: Work that goes on beside its callers; the client waits for it before it closes.
    """

    config: Config
    plugins: Plugins
    store: Store
    clock: Clock
    fetcher: Fetcher | None = None
    calibration: Calibration = attrs.field(factory=Calibration, repr=False)
    streams: weakref.WeakSet[Any] = attrs.field(factory=weakref.WeakSet[Any], repr=False)
    tasks: set[asyncio.Task[Any]] = attrs.field(factory=set[asyncio.Task[Any]], repr=False)

    @property
    def owner(self) -> str:
        """Whose conversations these are."""
        return self.config.owner

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work go on beside the caller; should it fail, that is logged."""
        self.start(work).add_done_callback(_log_failure)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let work go on even when its caller is cancelled; the caller awaits it, shielded."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

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


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning("work beside a send failed: %s: %s", type(error).__name__, error)


async def _close(events: AsyncGenerator[Any]) -> None:
    await events.aclose()
