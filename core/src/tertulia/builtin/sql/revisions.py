"""How the tables come to be, and which databases are left alone."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from sqlalchemy import Connection
from sqlalchemy.schema import CreateIndex, CreateTable

from tertulia.builtin.sql.address import Address
from tertulia.builtin.sql.schema import REVISION, VERSION_TABLE, metadata, version
from tertulia.builtin.sql.search_schema import create_search
from tertulia.errors import StoreError, StoreReadOnlyError, StoreVersionError

if TYPE_CHECKING:
    from alembic.config import Config


def find_revision(database: sqlite3.Connection, address: Address) -> str | None:
    """
    Return the revision a database is at; None when it is empty. Nothing is changed.

    Raises:
        StoreVersionError: No revision of ours has that name: the database is newer, or meddled with.
        StoreError: The tables in it are another program's.
    """
    tables = _find_tables(database)
    found = _read_version(database) if VERSION_TABLE in tables else None
    check_revision(tables - {VERSION_TABLE}, found, address)
    return found


def check_revision(others: set[str], found: str | None, address: object) -> None:
    """
    Refuse a database that is newer, meddled with, or another program's, as :func:`find_revision` says.

    Args:
        others: Its tables but that of the version.
        found: The revision it is at.
        address: Of the database, for people.
    """
    if found is None:
        _refuse_others(others, address)
    elif found != REVISION and found not in _known_revisions():
        raise StoreVersionError(
            f"the database {address} has version {found}, and this tertulia knows up to {REVISION}",
            location=str(address),
            kept="nothing was changed",
            next_step="upgrade tertulia, or open another database",
        )


def migrate(connection: Connection, database: sqlite3.Connection, address: Address) -> None:
    """
    Bring the tables to this version, inside the transaction that is open.

    An empty database gets the tables as they are now; Alembic is imported only for one of an older version.
    Two first runs at once are one after the other: the second finds the work done.

    Args:
        connection: As Alembic wants it.
        database: The same, as SQLite has it.

    Raises:
        StoreReadOnlyError: It would have to be changed, and cannot be.
        StoreError: As of :func:`find_revision`.
    """
    revision = find_revision(database, address)
    if revision == REVISION:
        return
    if address.read_only:
        raise refuse_read_only(address)
    if revision is None and VERSION_TABLE not in _find_tables(database):
        _create(connection)
    else:
        upgrade(connection)


def refuse_read_only(address: object) -> StoreReadOnlyError:
    """Say that a database would have to be changed to be read."""
    return StoreReadOnlyError(
        f"the database {address} is opened read-only and would have to be brought to version {REVISION}",
        location=str(address),
        next_step="open it once without mode=ro",
    )


def _create(connection: Connection) -> None:
    """Make all tables at once: a tenth of the time that the revisions take, one after the other."""
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table))
        # In an order of their own, for of two that seem as good SQLite takes the one that was made first.
        for index in sorted(table.indexes, key=lambda index: str(index.name), reverse=True):
            connection.execute(CreateIndex(index))
    create_search(connection)
    version.create(connection, checkfirst=False)
    connection.execute(version.insert().values(version_num=REVISION))


def upgrade(connection: Connection) -> None:
    """Have Alembic bring the tables to this version, inside the transaction that is open."""
    from alembic import command

    config = _make_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _find_tables(database: sqlite3.Connection) -> set[str]:
    """Tables and views, without SQLite's own."""
    rows = database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
    return {name for (name,) in rows if not name.startswith("sqlite_")}


def _read_version(database: sqlite3.Connection) -> str | None:
    row = database.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608  # a constant
    return None if row is None else str(row[0])


def _refuse_others(tables: set[str], address: object) -> None:
    if tables:
        raise StoreError(
            f"the database {address} holds other tables, such as {min(tables)!r}",
            location=str(address),
            kept="nothing was changed",
            next_step="name another file",
        )


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory.from_config(_make_config()).walk_revisions()}


def _make_config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "tertulia.builtin.sql:migrations")
    config.set_main_option("path_separator", "os")
    return config
