"""Threads with database connections of their own, which do one job after another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias

import attrs
from sqlalchemy import Connection

from tertulia.builtin.sql.database import SQLiteDatabase
from tertulia.builtin.sql.engine import Job, T
from tertulia.builtin.sql.sqlite import driver_connection
from tertulia.errors import StoreError


@attrs.frozen(eq=False)
class Outcome:
    """What a job returned; with an error, what it raised."""

    result: Any = None
    error: BaseException | None = None


Perform: TypeAlias = Callable[[SQLiteDatabase, Sequence[Job[Any]]], Iterator[Sequence[Outcome]]]
"""Does jobs in order, and yields their outcomes as soon as they count, at least one at a time."""


_Result: TypeAlias = tuple[asyncio.Future[Any], Outcome]


@attrs.frozen(eq=False)
class _Entry:
    """A job, or None to have the connection opened, and who waits for it."""

    job: Job[Any] | None
    future: asyncio.Future[Any]


@attrs.frozen(eq=False)
class _End:
    """The end of a thread, and who waits for it."""

    future: asyncio.Future[Any]


class Lane:
    """
    Does jobs in the order they come, each thread with a connection of its own.

    A job that was accepted is done even when the task that waits for it is cancelled: what is to be
    written is written.

    Args:
        name: The threads' name.
        connect: Opens a connection, in its thread, before the first job.
        perform: Does the jobs a thread has taken.
        threads: At most so many; each is started when the others are busy.
        group: At most so many jobs are taken at once.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        perform: Perform,
        *,
        threads: int = 1,
        group: int = 1,
    ) -> None:
        self._name = name
        self._connect = connect
        self._perform = perform
        self._most_threads = threads
        self._group = group
        self._entries: SimpleQueue[_Entry | _End] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._unfinished = 0
        self._closed = False

    async def open(self) -> None:
        """Open a connection now; raises what connecting raises."""
        await self._submit(None)

    async def run(self, job: Job[T]) -> T:
        """
        Have a job done and return what it returns, or raise what it raises.

        Raises:
            StoreError: The lane is closed.
        """
        result: T = await self._submit(job)
        return result

    async def aclose(self) -> None:
        """Finish every accepted job, then end the threads."""
        self._closed = True
        threads, self._threads = self._threads, []
        ends = [_End(asyncio.get_running_loop().create_future()) for _ in threads]
        for end in ends:
            self._entries.put(end)
        for end in ends:
            # No executor waits for the threads: they all refuse work once the interpreter is exiting.
            await end.future
        for thread in threads:
            thread.join()

    def _submit(self, job: Job[Any] | None) -> asyncio.Future[Any]:
        if self._closed:
            raise StoreError("the store is closed", next_step="open the client again")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._unfinished += 1
            if len(self._threads) < min(self._unfinished, self._most_threads):
                thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._threads.append(thread)
                thread.start()
        self._entries.put(_Entry(job, future))
        return future

    def _work(self) -> None:
        connection: Connection | None = None
        while not isinstance(entries := self._take(1 if connection is None else self._group), _End):
            try:
                connection = connection or self._connect()
            except BaseException as error:  # noqa: BLE001  # it is raised again where the job was asked for
                self._deliver(entries, [Outcome(error=error)])
            else:
                self._do(SQLiteDatabase(driver_connection(connection)), entries)
            del entries  # nothing of a finished job is held while waiting
        try:
            if connection is not None:
                connection.close()
        finally:
            _tell([(entries.future, Outcome())])

    def _take(self, most: int) -> list[_Entry] | _End:
        """Wait for a job and take what else is there, or learn that the thread is to end."""
        first = self._entries.get()
        if isinstance(first, _End):
            return first
        entries = [first]
        with suppress(Empty):
            while len(entries) < most:
                entry = self._entries.get_nowait()
                if isinstance(entry, _End):
                    self._entries.put(entry)  # when what was accepted before is done
                    break
                entries.append(entry)
        return entries

    def _do(self, database: SQLiteDatabase, entries: list[_Entry]) -> None:
        for entry in entries:
            if entry.job is None:
                self._deliver([entry], [Outcome()])
        entries = [entry for entry in entries if entry.job is not None]
        for outcomes in self._perform(database, [entry.job for entry in entries if entry.job is not None]):
            done, entries = entries[: len(outcomes)], entries[len(outcomes) :]
            self._deliver(done, outcomes)

    def _deliver(self, entries: Sequence[_Entry], outcomes: Sequence[Outcome]) -> None:
        with self._lock:
            self._unfinished -= len(entries)
        _tell([(entry.future, outcome) for entry, outcome in zip(entries, outcomes, strict=True)])


def _tell(results: Sequence[_Result]) -> None:
    """Settle futures, all of a loop at once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Result]] = {}
    for future, outcome in results:
        by_loop.setdefault(future.get_loop(), []).append((future, outcome))
    for loop, its_results in by_loop.items():
        with suppress(RuntimeError):  # the loop that asked has been closed; the job is done all the same
            loop.call_soon_threadsafe(_settle, its_results)


def _settle(results: Sequence[_Result]) -> None:
    for future, outcome in results:
        if future.cancelled():
            continue
        if outcome.error is None:
            future.set_result(outcome.result)
        else:
            future.set_exception(outcome.error)
