"""What a database says of itself, and of its file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select

from tertulia.builtin.sql.database import Database, SQLiteDatabase
from tertulia.builtin.sql.findings import MOST_OF_A_KIND, Findings, is_fault_of_a_row

_RECOVER = 'save what can be read with "sqlite3 FILE .recover", or restore a copy'
_REINDEX = 'make the index anew with "sqlite3 FILE REINDEX"'
_REMOVE = "restore a copy of the database, or purge the conversation"
_VERSION = select(func.version().label("version"))
_SIZE = select(func.pg_database_size(func.current_database()).label("size"))


def name_engine(database: Database) -> str:
    """What keeps the store, with its version."""
    if isinstance(database, SQLiteDatabase):
        return f"SQLite {sqlite3.sqlite_version}"
    row = database.first(_VERSION, {})
    return "PostgreSQL" if row is None else " ".join(row["version"].split()[:2])


def measure(database: Database) -> int | None:
    """The bytes on disk, what is not yet moved into the file included; None for a database in memory."""
    if isinstance(database, SQLiteDatabase):
        path = _find_file(database.connection)
        return None if path is None else sum(map(_get_size, (path, path.with_name(f"{path.name}-wal"))))
    row = database.first(_SIZE, {})
    return None if row is None else int(row["size"])


def examine_file(database: Database, found: Findings) -> None:
    """Have SQLite examine every page, index and reference of its file; a server looks after its own."""
    if not isinstance(database, SQLiteDatabase):
        return
    try:
        for (words,) in database.connection.execute(f"PRAGMA integrity_check({MOST_OF_A_KIND})"):
            if words != "ok":
                repair = _REINDEX if " index " in words else _RECOVER
                found.add("damaged", f"the database is damaged: {words}", repair)
    except sqlite3.DatabaseError as error:
        if not is_fault_of_a_row(error):
            raise
        found.add("damaged", f"the database is damaged: {error}", _RECOVER)


def examine_references(database: Database, owner: str | None, found: Findings) -> None:
    """Look for rows that belong to something that is not there, as PostgreSQL does not let there be."""
    if not isinstance(database, SQLiteDatabase):
        return
    with found.reading("what belongs together"):
        for table, parent, whose, conversation_id in _find_strays(database.connection):
            if owner in (None, whose):
                stray = Findings(whose, conversation_id)
                stray.add("references", f"a row of {table} belongs to no {parent}", _REMOVE)
                found.problems += stray.problems


def _find_strays(connection: sqlite3.Connection) -> Iterator[tuple[str, str, str | None, UUID | None]]:
    """Rows with a broken reference: their table, what they belong to, their owner, their conversation."""
    with_conversation: dict[str, bool] = {}
    for table, number, parent, _ in connection.execute("PRAGMA foreign_key_check").fetchmany(1000):
        if table not in with_conversation:
            names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
            with_conversation[table] = "conversation_id" in names
        column = "conversation_id" if with_conversation[table] else "NULL"
        query = f"SELECT owner_id, {column} FROM {table} WHERE rowid = ?"  # noqa: S608  # names of ours
        for whose, key in connection.execute(query, (number,)):
            with suppress(ValueError, TypeError):
                yield table, parent, whose, None if key is None else UUID(bytes=key)


def _find_file(connection: sqlite3.Connection) -> Path | None:
    names = [file for _, name, file in connection.execute("PRAGMA database_list") if name == "main"]
    return Path(names[0]) if names and names[0] else None


def _get_size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
