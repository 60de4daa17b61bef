"""A thread with a database connection of its own, which does one job after another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from sqlalchemy import Connection

from tertulia.errors import StoreError

T = TypeVar("T")
Job = Callable[[Connection], T]


class Lane:
    """
    Runs jobs on one connection, in the order they come.

    A job that was accepted is carried out even when the task that waits for it is cancelled: what is to
    be written is written.

    Args:
        name: The thread's name.
        connect: Opens the connection, in the thread, before the first job.
    """

    def __init__(self, name: str, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._jobs: SimpleQueue[tuple[Job[Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._started = False
        self._closed = False

    async def run(self, job: Job[T]) -> T:
        """
        Have a job done and return what it returns, or raise what it raises.

        Raises:
            StoreError: The lane is closed.
        """
        if self._closed:
            raise StoreError("the store is closed", next_step="open the client again")
        if not self._started:
            self._started = True
            self._thread.start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put((job, future))
        return await future

    async def aclose(self) -> None:
        """Finish every accepted job, then end the thread."""
        self._closed = True
        if self._started:
            self._started = False
            self._jobs.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _work(self) -> None:
        connection: Connection | None = None
        while (entry := self._jobs.get()) is not None:
            job, future = entry
            try:
                connection = connection or self._connect()
                result, error = job(connection), None
            except BaseException as raised:  # noqa: BLE001  # it is raised again where the job was asked for
                result, error = None, raised
            _deliver(future, result, error)
            del entry, job, future, result, error  # nothing of a finished job is held while waiting
        if connection is not None:
            connection.close()


def _deliver(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    def settle() -> None:
        if future.cancelled():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    with suppress(RuntimeError):  # the loop that asked has been closed; the job is done all the same
        future.get_loop().call_soon_threadsafe(settle)
