"""
Reading the log of ``llm``: a SQLite database of what was asked and answered.

Newer versions keep threads of messages, each known by a hash over itself and what it follows; what older ones
wrote is in other tables, a row for each answer, and still there. Tables read in version 0.36.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import closing
from pathlib import Path

from tertulia.domain.transfer import ConversationTree, ImportProblem
from tertulia.errors import TransferError
from tertulia.services.transfer.fields import FormatError
from tertulia.services.transfer.files import Found, Reader, examine
from tertulia.services.transfer.llm_responses import (
    MORE_TABLES,
    RESPONSE_TABLES,
    find_conversations,
    parse_conversation,
)
from tertulia.services.transfer.llm_threads import THREAD_TABLES, find_threads, parse_thread

_LONGEST_VALUE = 64 * 2**20
_READ = THREAD_TABLES | RESPONSE_TABLES | MORE_TABLES
"""All that is read are to be tables: a view of that name could compute for ever."""


def read_llm(path: Path, owner: str) -> Reader:
    """
    Read the conversations of a database; nothing in it is changed.

    Raises:
        TransferError: It is no such log.
    """
    try:
        with closing(_connect(path)) as database:
            size, tables = path.stat().st_size, _find(database, "table")
            if _find(database, "view") & _READ or not (tables >= THREAD_TABLES or tables >= RESPONSE_TABLES):
                raise _explain(path, "has not the tables of a log of llm")
            items = list(_find_all(database, tables))
            for done, (place, identifier, parse) in enumerate(items, 1):
                yield Found(_parse(database, identifier, owner, place, parse), size * done // len(items))
    except sqlite3.Error as error:
        raise _explain(path, f"cannot be read: {error}") from error


_Parse = Callable[[sqlite3.Connection, str, str], ConversationTree]


def _find_all(database: sqlite3.Connection, tables: AbstractSet[str]) -> Iterator[tuple[str, str, _Parse]]:
    """What is to be read, and how; a conversation that was gone on with is whole in a thread of its id."""
    threads: set[str] = set()
    if tables >= THREAD_TABLES:
        for identifier in find_threads(database):
            threads.add(identifier)
            yield f"thread {identifier}", identifier, parse_thread
    if tables >= RESPONSE_TABLES:
        for identifier in find_conversations(database):
            if identifier not in threads:
                yield f"conversation {identifier}", identifier, parse_conversation


def _parse(
    database: sqlite3.Connection, identifier: str, owner: str, place: str, parse: _Parse
) -> ConversationTree | ImportProblem:
    try:
        return examine(parse(database, identifier, owner), place)
    except FormatError as error:
        return ImportProblem(place, str(error))


def _connect(path: Path) -> sqlite3.Connection:
    """Only to read, and what a database may have in it to surprise its readers is not obeyed."""
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
    database.row_factory = sqlite3.Row
    database.text_factory = _decode
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _find(database: sqlite3.Connection, kind: str) -> AbstractSet[str]:
    return {row["name"] for row in database.execute("SELECT name FROM sqlite_master WHERE type = ?", (kind,))}


def _explain(path: Path, what: str) -> TransferError:
    return TransferError(
        f"{path} {what}",
        location=str(path),
        kept="what was imported before is stored",
        next_step="name the logs.db of llm; `llm logs path` says where it is",
    )
