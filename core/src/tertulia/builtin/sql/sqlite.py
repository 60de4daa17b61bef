"""SQLite: how connections are made, and how what is written and read goes through them."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from sqlalchemy import ClauseElement, Connection, CursorResult, Engine, Executable, create_engine, event
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as SQLiteDialect
from sqlalchemy.pool import NullPool

from tertulia.builtin.sql.address import Address
from tertulia.builtin.sql.errors import opening, reading, writing
from tertulia.builtin.sql.revisions import find_revision, migrate
from tertulia.builtin.sql.schema import microseconds_since_1970
from tertulia.errors import StoreError

T = TypeVar("T")

_LARGEST = 2**63 - 1


def make_engine(address: Address, *, writes: bool) -> Engine:
    """
    Make an engine whose connections are ready for use.

    Args:
        writes: Make the file where there is none, and take the write lock when a transaction begins;
            else a connection that refuses to write.
    """
    may_write = writes and not address.read_only

    def connect() -> sqlite3.Connection:
        if may_write:
            _make_folder(address)
        connection = sqlite3.connect(
            _locate(address, creates=may_write),
            uri=True,
            timeout=address.busy_seconds,
            isolation_level=None,  # we say BEGIN ourselves
            check_same_thread=False,
        )
        try:
            _set_up(connection, address, writes=writes)
        except BaseException:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", _begin_immediate if may_write else _begin)
    return engine


def _make_folder(address: Address) -> None:
    if address.path is None:
        return
    folder = address.path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder {folder} cannot be made: {error.strerror}",
            location=str(address),
            next_step="name another file, for example with TERTULIA_STORE=sqlite:///PATH",
        ) from error


def _locate(address: Address, *, creates: bool) -> str:
    """Where the database is, in SQLite's own notation."""
    if address.path is None:
        return "file::memory:"
    if address.path.is_dir():
        raise StoreError(
            f"{address} is a folder, and a database is a file",
            location=str(address),
            next_step=f"name a file in it, such as {address.path / 'conversations.db'}",
        )
    settings = {"mode": "ro" if address.read_only else "rwc" if creates else "rw"}
    if address.read_only and _is_sealed(address.path):
        settings["immutable"] = "1"
    return f"{address.path.as_uri()}?{urlencode(settings)}"


def _is_sealed(path: Path) -> bool:
    """
    Whether a file has no write-ahead log beside it, and none can be made there.

    Only if it is told that nobody writes does SQLite read such a database at all:
    https://sqlite.org/wal.html#read_only_databases.
    """
    file = path.resolve()  # the log stands beside the file, not beside a link to it
    return not os.access(file.parent, os.W_OK) and not file.with_name(f"{file.name}-wal").exists()


def _set_up(connection: sqlite3.Connection, address: Address, *, writes: bool) -> None:
    if writes:
        find_revision(connection, address)  # another program's file is refused before it is changed
        if not address.read_only:
            _use_write_ahead_log(connection, address)
            connection.execute("PRAGMA synchronous=FULL")
    else:
        connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA foreign_keys=ON")


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
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


def prepare(address: Address) -> Callable[[Connection], None]:
    """Make the first job of the lane that writes: bring the tables to this version, in one transaction."""

    def perform(connection: Connection) -> None:
        with opening(address), connection.begin():
            migrate(connection, _database(connection), address)

    return perform


def write(address: Address, job: Callable[[sqlite3.Connection], T]) -> Callable[[Connection], T]:
    """
    Make a job for a lane that writes in one transaction: committed when it returns, else rolled back.

    The write lock is taken when the transaction begins, so that it never has to be taken in its middle,
    where waiting would be in vain.
    """

    def perform(connection: Connection) -> T:
        database = _database(connection)
        with writing(address):
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
    """
    Make a job for a lane that reads in one transaction, so that all it reads is of one moment.

    The job makes values of the rows as well: one that is no value is the database's fault.
    """

    def perform(connection: Connection) -> T:
        with reading(address), connection.begin():
            return job(connection)

    return perform


def execute(
    database: sqlite3.Connection, statement: ClauseElement, values: Mapping[str, Any]
) -> sqlite3.Cursor:
    """
    Run a prepared statement of SQLAlchemy on SQLite's own connection, for a job that writes.

    Compiled once, a statement runs five times as fast this way: what a write waits for is the disk.
    """
    sql, constants = _compile(statement)
    return database.execute(sql, {**constants, **{name: _plain(value) for name, value in values.items()}})


def query(connection: Connection, statement: Executable, values: Mapping[str, Any]) -> CursorResult[Any]:
    """Run a prepared statement for a job that reads: SQLAlchemy makes ids and moments of the columns."""
    return connection.execute(statement, {name: _storable(value) for name, value in values.items()})


@cache
def _compile(statement: ClauseElement) -> tuple[str, dict[str, Any]]:
    """The SQL of a statement and the values that are written into it."""
    compiled = statement.compile(dialect=_DIALECT)
    parameters: Mapping[str, Any] = compiled.params or {}
    return str(compiled), {name: value for name, value in parameters.items() if value is not None}


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return value.bytes
    return microseconds_since_1970(value) if isinstance(value, datetime) else _storable(value)


def _storable(value: object) -> object:
    """
    Make any value one that SQLite can hold: UTF-8 has no lone surrogates, so they become question marks.

    Raises:
        StoreError: It is a number that 64 bits do not hold.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise StoreError(f"a number of {value.bit_length()} bits is more than a database can hold")
    return value


_DIALECT = SQLiteDialect(paramstyle="named")


def _database(connection: Connection) -> sqlite3.Connection:
    database = connection.connection.driver_connection
    assert isinstance(database, sqlite3.Connection)  # noqa: S101  # made by make_engine
    return database
