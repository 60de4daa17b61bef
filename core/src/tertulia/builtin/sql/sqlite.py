"""SQLite: how connections are made, and how one of several processes comes to write."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool

from tertulia.builtin.sql.address import Address
from tertulia.builtin.sql.revisions import find_revision
from tertulia.errors import StoreError

_SHORTEST_WAIT, _LONGEST_WAIT = 0.0005, 0.01


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

    def begin_transaction(connection: Connection) -> None:
        begin(driver_connection(connection), address, writes=writes)

    event.listen(engine, "begin", begin_transaction)
    return engine


def driver_connection(connection: Connection) -> sqlite3.Connection:
    """SQLite's own connection below one of SQLAlchemy's."""
    database = connection.connection.driver_connection
    assert isinstance(database, sqlite3.Connection)  # noqa: S101  # made by make_engine
    return database


def begin(database: sqlite3.Connection, address: Address, *, writes: bool) -> None:
    """
    Begin a transaction, with the write lock where it is going to write.

    So the lock never has to be taken in the middle of it, where waiting would be in vain.
    """
    if not writes or address.read_only:
        database.execute("BEGIN")
    else:
        _wait_for(lambda: database.execute("BEGIN IMMEDIATE"), address.busy_seconds)


def _wait_for(attempt: Callable[[], object], seconds: float) -> None:
    """
    Try until nobody else holds the lock.

    SQLite's own waiting is not asked for every lock, and where it is, all who wait do so in the same
    growing steps of up to 100 ms: waits of random length let everybody have a turn soon.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            attempt()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(random.uniform(_SHORTEST_WAIT, _LONGEST_WAIT))  # noqa: S311  # no secret
        else:
            return


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
            connection.execute("PRAGMA busy_timeout=0")  # from now on begin() waits
    else:
        connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA foreign_keys=ON")


def _use_write_ahead_log(connection: sqlite3.Connection, address: Address) -> None:
    """Switch once per file."""
    if address.path is None or connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    _wait_for(lambda: connection.execute("PRAGMA journal_mode=WAL"), address.busy_seconds)
