"""SQLite: how connections are made, how the tables come to be, and what its errors mean."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import attrs
from sqlalchemy import ClauseElement, Connection, Engine, create_engine, event, exc, text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as SQLiteDialect
from sqlalchemy.pool import NullPool

from tertulia.builtin.sql.schema import REVISION, VERSION_TABLE, microseconds_since_1970
from tertulia.errors import (
    ConfigurationError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreReadOnlyError,
    StoreVersionError,
)

T = TypeVar("T")

BUSY_SECONDS = 5.0
_PREFIX = "sqlite:///"


@attrs.frozen
class Address:
    """
    Where a SQLite database is.

    Attributes:
        path: The file; None for a database in memory, which ends with the store.

        read_only: Whether it is opened with ``mode=ro``.

        busy_seconds: How long to wait for another process's write lock.
    """

    path: Path | None
    read_only: bool = False
    busy_seconds: float = BUSY_SECONDS

    @classmethod
    def parse(cls, url: str) -> Address:
        """
        Read ``memory:`` or ``sqlite:///PATH``, the latter with ``?mode=ro`` and ``busy_timeout=SECONDS``.

        Raises:
            ConfigurationError: It is neither.
        """
        if url in ("memory:", "sqlite://", "sqlite:///:memory:"):
            return cls(None)
        if not url.startswith(_PREFIX):
            raise ConfigurationError(
                f"{url!r} is no store's URL", value=url, next_step="write sqlite:///PATH or memory:"
            )
        place, _, query = url.removeprefix(_PREFIX).partition("?")
        settings = dict(parse_qsl(query))
        unknown = sorted(set(settings) - {"mode", "busy_timeout"})
        if unknown:
            raise ConfigurationError(
                f"store URL: there is no setting {unknown[0]!r}",
                value=unknown[0],
                next_step="use mode or busy_timeout",
            )
        return cls(
            Path(place).expanduser().absolute(),
            read_only=settings.get("mode") == "ro",
            busy_seconds=_read_seconds(settings.get("busy_timeout", str(BUSY_SECONDS))),
        )

    def __str__(self) -> str:
        return "memory:" if self.path is None else str(self.path)

    @property
    def sqlite_uri(self) -> str:
        """The same in SQLite's own notation."""
        if self.path is None:
            return "file::memory:"
        mode = "ro" if self.read_only else "rwc"
        return f"{self.path.as_uri()}?{urlencode({'mode': mode})}"


def _read_seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError("store URL: busy_timeout must be a number of seconds", value=text) from None


def make_engine(address: Address, *, writes: bool) -> Engine:
    """
    Make an engine whose connections are ready for use.

    Args:
        writes: Take the write lock when a transaction begins; else a connection that refuses to write.
    """

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            address.sqlite_uri,
            uri=True,
            timeout=address.busy_seconds,
            isolation_level=None,  # we say BEGIN ourselves
            check_same_thread=False,
        )
        if writes and not address.read_only:
            _use_write_ahead_log(connection, address)
            connection.execute("PRAGMA synchronous=FULL")
        elif not writes:
            connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin_immediate if writes and not address.read_only else _begin)
    return engine


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _use_write_ahead_log(connection: sqlite3.Connection, address: Address) -> None:
    """Switch once per file; SQLite's busy handler is not asked for this lock, so we wait ourselves."""
    if address.path is None or connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    end = time.monotonic() + address.busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def prepare(connection: Connection, address: Address) -> None:
    """
    Bring the tables to this version, inside the transaction that is open.

    The version is compared first, and Alembic imported only when it differs. Two first runs at once are
    one after the other: the second finds the work done.

    Raises:
        StoreVersionError: The database is newer, or its version is not known.
        StoreReadOnlyError: It would have to be changed, and cannot be.
    """
    found = read_revision(connection)
    if found == REVISION:
        return
    if found is not None and found > REVISION:
        raise StoreVersionError(
            f"the database {address} has version {found}, and this tertulia knows up to {REVISION}",
            location=str(address),
            kept="nothing was changed",
            next_step="upgrade tertulia, or open another database",
        )
    if address.read_only:
        raise StoreReadOnlyError(
            f"the database {address} is opened read-only and would have to be brought to version {REVISION}",
            location=str(address),
            next_step="open it once without mode=ro",
        )
    _migrate(connection)


def read_revision(connection: Connection) -> str | None:
    """Return the revision a database is at; None when it has no tables of ours."""
    known = connection.execute(
        text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name"), {"name": VERSION_TABLE}
    ).first()
    row = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).first() if known else None  # noqa: S608
    return None if row is None else str(row[0])


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "tertulia.builtin.sql:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


_MEANINGS: tuple[tuple[str, type[StoreError], str, str], ...] = (
    (
        "locked",
        StoreBusyError,
        "is locked by another process",
        "try again, or find the process that holds it",
    ),
    (
        "readonly",
        StoreReadOnlyError,
        "cannot be written",
        "check the file's permissions, or open another database",
    ),
    (
        "not a database",
        StoreCorruptError,
        "is not a SQLite database",
        "name another file; this one was left untouched",
    ),
    ("malformed", StoreCorruptError, "is damaged", 'save what can be read with "sqlite3 FILE .recover"'),
    ("unable to open", StoreError, "cannot be opened", "check that its folder exists and can be written"),
    ("disk is full", StoreError, "cannot grow: the disk is full", "make room and send again"),
    ("disk I/O error", StoreError, "cannot be read or written: the disk fails or is full", "check the disk"),
)


@contextmanager
def translated_errors(address: Address) -> Generator[None]:
    """Raise the database's errors as ours, naming the file and what to do."""
    try:
        yield
    except (exc.DBAPIError, sqlite3.Error) as error:
        raise _translate(error, address) from error


def _translate(error: exc.DBAPIError | sqlite3.Error, address: Address) -> StoreError:
    words = str(error.orig if isinstance(error, exc.DBAPIError) else error)
    for sign, kind, what, next_step in _MEANINGS:
        if sign in words:
            return kind(f"the database {address} {what}", location=str(address), next_step=next_step)
    return StoreError(f"the database {address} failed: {words}", location=str(address))


def write(address: Address, job: Callable[[sqlite3.Connection], T]) -> Callable[[Connection], T]:
    """
    Make a job for a lane that writes in one transaction: committed when it returns, else rolled back.

    The write lock is taken when the transaction begins, so that it never has to be taken in its middle,
    where waiting would be in vain.
    """

    def perform(connection: Connection) -> T:
        database = _database(connection)
        with translated_errors(address):
            database.execute("BEGIN IMMEDIATE")
            try:
                result = job(database)
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
        return result

    return perform


def read(address: Address, job: Callable[[Connection], T]) -> Callable[[Connection], T]:
    """Make a job for a lane that reads in one transaction, so that all it reads is of one moment."""

    def perform(connection: Connection) -> T:
        with translated_errors(address), connection.begin():
            return job(connection)

    return perform


def execute(
    database: sqlite3.Connection, statement: ClauseElement, values: Mapping[str, Any]
) -> sqlite3.Cursor:
    """
    Run a prepared statement of SQLAlchemy on SQLite's own connection.

    Compiled once, a statement runs five times as fast this way: what a write waits for is the disk.
    """
    sql, constants = _compile(statement)
    return database.execute(sql, {**constants, **{name: _plain(value) for name, value in values.items()}})


@cache
def _compile(statement: ClauseElement) -> tuple[str, dict[str, Any]]:
    """The SQL of a statement and the values that are written into it."""
    compiled = statement.compile(dialect=_DIALECT)
    parameters: Mapping[str, Any] = compiled.params or {}
    return str(compiled), {name: value for name, value in parameters.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return value.bytes
    return microseconds_since_1970(value) if isinstance(value, datetime) else value


_DIALECT = SQLiteDialect(paramstyle="named")


def _database(connection: Connection) -> sqlite3.Connection:
    database = connection.connection.driver_connection
    assert isinstance(database, sqlite3.Connection)  # noqa: S101  # made by make_engine
    return database
