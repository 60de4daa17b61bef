"""The driver: connections to PostgreSQL, and a pool of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import import_module
from typing import Any, Protocol

_ASYNCPG: Any = import_module("asyncpg")  # it has no types
import_module("greenlet")  # SQLAlchemy needs it, and would say so only later


_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
_MOST_PREPARED = 500

DRIVER_ERRORS: tuple[type[Exception], ...] = (
    _ASYNCPG.PostgresError,
    _ASYNCPG.InterfaceError,
    _ASYNCPG.InternalClientError,
)
"""What asyncpg raises."""

FAILURES: tuple[type[Exception], ...] = (*DRIVER_ERRORS, OSError)
"""The same, and what it lets through; a TimeoutError is an OSError."""

DriverDataError: type[Exception] = _ASYNCPG.DataError
"""What it raises of a value that it cannot send."""


class _Statement(Protocol):
    """What we use of asyncpg's prepared statements."""

    async def fetch(self, *values: object) -> Sequence[Sequence[Any]]: ...
    async def executemany(self, rows: Sequence[Sequence[object]]) -> None: ...
    def get_statusmsg(self) -> str: ...


class _Connection(Protocol):
    """What we use of asyncpg's connections."""

    async def prepare(self, query: str, *, name: str) -> _Statement: ...
    async def execute(self, query: str) -> str: ...
    async def fetchval(self, query: str) -> object: ...
    def get_server_pid(self) -> int: ...
    async def close(self) -> None: ...
    def terminate(self) -> None: ...
    def is_closed(self) -> bool: ...
    def is_in_transaction(self) -> bool: ...


class Link:
    """
    A connection.

    Where a pooler stands before the server, its statements have no name there, so that it does not matter
    which of the pooler's sessions runs them: asyncpg remembers what they look like, and sends their words
    anew every time, in the same message as the parameters.

    Args:
        connection: The driver's.
        is_pooled: Whether the server may be another one in each transaction.
    """

    def __init__(self, connection: _Connection, *, is_pooled: bool) -> None:
        self._connection = connection
        self._is_pooled = is_pooled
        self._statements: dict[str, _Statement] = {}
        self._prepared = 0

    @property
    def is_usable(self) -> bool:
        """Whether another job may have it: it is open, and no transaction is."""
        return not self._connection.is_closed() and not self._connection.is_in_transaction()

    @property
    def is_lost(self) -> bool:
        """Whether the server, or the way to it, is gone."""
        return self._connection.is_closed()

    async def run(self, sql: str, values: Sequence[object]) -> tuple[Sequence[Sequence[Any]], int]:
        """Run a statement, and return its rows and how many it changed."""
        with self._watching():
            statement = await self._find(sql)
            rows = await statement.fetch(*values)
            return rows, _read_count(statement.get_statusmsg())

    async def run_many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement with each row of values, all or none."""
        with self._watching():
            await (await self._find(sql)).executemany(rows)

    async def command(self, words: str) -> None:
        """Run commands that take no values and return nothing, in one message."""
        with self._watching():
            await self._connection.execute(words)

    @contextmanager
    def _watching(self) -> Generator[None]:
        """Hang up where the driver is confused, or knows the tables as they were."""
        try:
            yield
        except (_ASYNCPG.InternalClientError, _ASYNCPG.InvalidCachedStatementError):
            self.drop()
            raise

    async def aclose(self) -> None:
        """Say goodbye, or hang up where nobody answers."""
        with suppress(*FAILURES):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._connection.close()

    @property
    def driver_connection(self) -> object:
        """What the driver calls a connection."""
        return self._connection

    def drop(self) -> None:
        """Hang up."""
        self._connection.terminate()

    async def _find(self, sql: str) -> _Statement:
        if (statement := self._statements.get(sql)) is None:
            if len(self._statements) >= _MOST_PREPARED:
                self._statements.clear()
            self._prepared += 1
            name = "" if self._is_pooled else f"tertulia_{self._prepared}"
            statement = self._statements[sql] = await self._connection.prepare(sql, name=name)
        return statement


async def connect(dsn: str) -> Link:
    """
    Open a connection.

    A pooler gives it a number of its own; the server itself gives that of the process it talks to.
    """
    connection: _Connection = await _ASYNCPG.connect(dsn, statement_cache_size=0, timeout=_CONNECT_SECONDS)
    number = await connection.fetchval("SELECT pg_backend_pid()")
    return Link(connection, is_pooled=number != connection.get_server_pid())


class NotBegunError(Exception):
    """The connection was of no use any more: nothing was done."""


@asynccontextmanager
async def transaction(link: Link, begin: str) -> AsyncGenerator[None]:
    """
    Do something in a transaction, which is rolled back when it fails.

    Raises:
        NotBegunError: None could be begun, or the connection was lost before its end.
        UnknownOutcomeError: It was lost at the very end.
    """
    try:
        await link.command(begin)
    except FAILURES as error:
        link.drop()
        raise NotBegunError from error
    try:
        yield
    except BaseException as error:
        await _roll_back(link)
        if isinstance(error, FAILURES) and link.is_lost:
            raise NotBegunError from error  # without a COMMIT nothing of it is kept
        raise
    try:
        await link.command("COMMIT")
    except FAILURES as error:
        if link.is_lost:
            raise UnknownOutcomeError from error
        raise


async def _roll_back(link: Link) -> None:
    with suppress(*FAILURES):  # what went wrong before is what counts
        await link.command("ROLLBACK")


class UnknownOutcomeError(Exception):
    """The connection was lost while a transaction was committed."""


class Pool:
    """
    So many connections at most, opened when they are needed; who comes first is served first.

    Args:
        connect: Opens one.
        size: How many there are at most.
    """

    def __init__(self, connect: Callable[[], Awaitable[Link]], size: int) -> None:
        self._connect = connect
        self._places = asyncio.Semaphore(size)
        self._idle: list[Link] = []

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[Link]:
        """A connection that nobody else uses meanwhile."""
        async with self._places:
            link = self._find_idle() or await self._connect()
            try:
                yield link
            finally:
                if link.is_usable:
                    self._idle.append(link)
                else:
                    link.drop()

    async def aclose(self) -> None:
        """Close what nobody uses."""
        while self._idle:
            await self._idle.pop().aclose()

    def _find_idle(self) -> Link | None:
        while self._idle:
            link = self._idle.pop()
            if link.is_usable:
                return link
        return None


def _read_count(status: str) -> int:
    """How many rows a command says it changed, as in ``UPDATE 1``."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdecimal() else 0
