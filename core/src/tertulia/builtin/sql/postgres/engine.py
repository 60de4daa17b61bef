"""A PostgreSQL database: each job is a transaction, on a connection of a pool."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from types import CodeType
from typing import Any, cast
from uuid import UUID
from weakref import WeakValueDictionary

from sqlalchemy.util import greenlet_spawn

from tertulia.builtin.sql import statements
from tertulia.builtin.sql.appends import Append
from tertulia.builtin.sql.database import Values
from tertulia.builtin.sql.engine import Engine, Job, T
from tertulia.builtin.sql.errors import cause_of
from tertulia.builtin.sql.postgres.address import PostgresAddress
from tertulia.builtin.sql.postgres.appending import Left, append_each, append_once
from tertulia.builtin.sql.postgres.batches import Batches
from tertulia.builtin.sql.postgres.connections import (
    FAILURES,
    Link,
    NotBegunError,
    Pool,
    connect,
    transaction,
)
from tertulia.builtin.sql.postgres.database import OneMoreError, PostgresDatabase
from tertulia.builtin.sql.postgres.errors import (
    explain_opening,
    explain_reading,
    explain_writing,
    get_state,
    may_try_again,
)
from tertulia.builtin.sql.postgres.revisions import migrate
from tertulia.domain.message import Message
from tertulia.errors import StoreError

MOST_TRIES = 8
"""How often a transaction is begun that collides with others, or finds its connection lost."""

_SHORTEST_WAIT, _LONGEST_WAIT = 0.001, 0.02


class PostgresEngine(Engine):
    """
    Jobs run beside each other, each on a connection of its own.

    A job is a plain function. It runs in a greenlet, which stands aside while the server works. Whoever
    writes a conversation holds its row until the transaction ends, so that of those who read it and then
    change it one comes after the other, in whatever process they are.

    Args:
        url: ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``.
    """

    def __init__(self, url: str) -> None:
        self._address = PostgresAddress.parse(url)
        self._pool = Pool(self._connect, self._address.pool_size)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._batches = Batches(self._append_each)
        self._turns: WeakValueDictionary[tuple[str, UUID], asyncio.Lock] = WeakValueDictionary()
        self._several: set[CodeType | None] = {None}
        self._begin = "BEGIN READ ONLY" if self._address.read_only else "BEGIN"
        # No longer than the transaction: nothing is left behind in a session that another may get.
        self._begin += f"; SET LOCAL lock_timeout = {max(1, round(self._address.busy_seconds * 1000))}"

    @property
    def location(self) -> str:
        """The address without credentials."""
        return str(self._address)

    async def open(self) -> None:
        """Connect, creating or migrating the tables where needed."""
        self._loop = asyncio.get_running_loop()
        self._pool = Pool(self._connect, self._address.pool_size)
        try:
            await self._run(self._prepare())
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Finish what was accepted and close every connection."""
        if self._loop is None:
            return
        self._check_loop()
        self._loop = None
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._pool.aclose()

    async def read(self, job: Job[T]) -> T:
        """Read what is of one moment: in one statement, or else in a transaction that sees nothing newer."""
        return await self._run(self._read(job))

    async def write(self, job: Job[T], keys: Values | None = None) -> T:
        """Write in a transaction that holds the conversation, if it is about one."""
        return await self._run(self._write(job, keys))

    async def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it in a task of ours: it goes on when whoever waits for it does not."""
        try:
            self._check_loop()
        except BaseException:
            work.close()
            raise
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # nobody may be waiting for it any more

    def _check_loop(self) -> None:
        if self._loop is None:
            raise StoreError("the store is closed", next_step="open the client again")
        if self._loop is not asyncio.get_running_loop():
            raise StoreError(
                f"the database {self.location} was opened in another event loop",
                location=self.location,
                next_step="open a client in each event loop",
            )

    async def _connect(self) -> Link:
        try:
            return await connect(self._address.dsn)
        except Exception as error:  # noqa: BLE001  # explained and raised
            raise explain_opening(error, self._address) from cause_of(error)

    async def _prepare(self) -> None:
        try:
            await self._try(partial(migrate, address=self._address))
        except Exception as error:  # noqa: BLE001  # explained and raised
            raise explain_opening(error, self._address) from cause_of(error)

    async def _read(self, job: Job[T]) -> T:
        try:
            return await self._try(partial(self._read_once, job))
        except Exception as error:  # noqa: BLE001  # explained and raised
            raise explain_reading(error, self._address) from cause_of(error)

    async def _read_once(self, job: Job[T], link: Link) -> T:
        """
        Read in one statement; a job that asks for a second one begins again, in a transaction.

        The next time the same job is asked for, it has its transaction at once, until it does without.
        """
        code = getattr(job, "__code__", None)
        if code not in self._several:
            try:
                return await greenlet_spawn(job, PostgresDatabase(link, statements=1))
            except OneMoreError:
                self._several.add(code)
            except FAILURES as error:
                if link.is_lost:
                    raise NotBegunError from error  # to read it again does no harm
                raise
        database = PostgresDatabase(link)
        async with transaction(link, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
            result = await greenlet_spawn(job, database)
        if database.statements == 1:
            self._several.discard(code)
        return result

    async def _write(self, job: Job[T], keys: Values | None) -> T:
        try:
            async with self._find_turn(keys):
                append: Any = job
                if isinstance(append, Append) and not self._address.read_only:
                    return cast(T, await self._append(append))
                return await self._try(partial(self._write_once, job, keys))
        except Exception as error:  # noqa: BLE001  # explained and raised
            raise explain_writing(error, self._address) from cause_of(error)

    async def _append(self, append: Append) -> Message:
        """Append in one statement, with whatever else waits; where that does not do, in a transaction."""
        placed = await self._batches.add(append)
        if isinstance(placed, Message):
            return placed
        job = append if placed is Left.OUT else partial(append_once, append=append)
        return await self._try(partial(self._write_once, job, append.keys))

    async def _append_each(self, appends: Sequence[Append]) -> Sequence[Message | Left]:
        """Whatever goes wrong with all of them goes wrong again with the one whose fault it is."""
        try:
            async with self._pool.take() as link:
                return await append_each(link, appends)
        except StoreError:  # there is no connection
            return [Left.OUT for _ in appends]
        except FAILURES as error:
            # What the server itself refused is not written: only of what it did not answer nobody knows.
            left = Left.OUT if get_state(error) else Left.UNKNOWN
            return [left for _ in appends]

    def _find_turn(self, keys: Values | None) -> AbstractAsyncContextManager[None]:
        """
        In one process the jobs of a conversation are done in the order they come.

        So they wait here for one another, and not each with a connection in its hand.
        """
        if keys is None:
            return nullcontext()
        name = (keys["owner_id"], keys["conversation_id"])
        return self._turns.setdefault(name, asyncio.Lock())

    async def _write_once(self, job: Job[T], keys: Values | None, link: Link) -> T:
        def work(database: PostgresDatabase) -> T:
            if keys is not None:
                database.all(statements.LOCK_CONVERSATION, keys)
            return job(database)

        async with transaction(link, self._begin):
            return await greenlet_spawn(work, PostgresDatabase(link))

    async def _try(self, work: Callable[[Link], Awaitable[T]]) -> T:
        """Do it, and once more where it collided with what somebody else does, or met a dead connection."""
        for number in range(1, MOST_TRIES + 1):
            try:
                async with self._pool.take() as link:
                    return await work(link)
            except Exception as error:
                if number == MOST_TRIES or not may_try_again(error):
                    raise
            await asyncio.sleep(random.uniform(_SHORTEST_WAIT, _LONGEST_WAIT * number))  # noqa: S311  # no secret
        raise AssertionError  # pragma: no cover  # the last try returns or raises
