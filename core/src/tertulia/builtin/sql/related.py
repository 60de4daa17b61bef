"""
Messages that hold any of some words, the rarest first.

The index says which texts hold each word; what they weigh together decides which of them are read, with their
neighbours, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, cast
from uuid import UUID

from sqlalchemy import ClauseElement

from tertulia.builtin.sql import paths, related_postgres, related_sqlite
from tertulia.builtin.sql.blobs import find_blobs
from tertulia.builtin.sql.database import Database, Dialect, Row, Values
from tertulia.builtin.sql.leases import resolve
from tertulia.builtin.sql.marks import add_marks
from tertulia.builtin.sql.related_values import Best
from tertulia.builtin.sql.rows import parse_message
from tertulia.builtin.sql.tree import get_branch
from tertulia.domain.context import Related
from tertulia.domain.message import Message
from tertulia.domain.nearby import add_neighbours
from tertulia.domain.terms import find_terms


class _Index(Protocol):
    """What each database has of its own."""

    LOAD: ClauseElement
    LOAD_BLOBS: ClauseElement

    def render_scope(self, owner: str, conversation_id: UUID) -> Sequence[str]: ...
    def render_any(self, scope: Sequence[str], forms: Sequence[str]) -> str: ...
    def find_best(self, database: Database, path: Values, matches: Sequence[str], limit: int) -> Best: ...
    def split(self, database: Database, path: Values, places: Sequence[int]) -> list[Row]: ...


_INDEXES: Mapping[Dialect, _Index] = {
    Dialect.SQLITE: cast(_Index, related_sqlite),
    Dialect.POSTGRESQL: cast(_Index, related_postgres),
}


def find_related(
    database: Database,
    keys: Values,
    branch: str,
    words: Sequence[Sequence[str]],
    now: datetime,
    *,
    before_depth: int,
    limit: int,
) -> Related:
    """Messages of a branch before a depth that hold any of some words, and what stands beside them."""
    index, path = _INDEXES[database.dialect], paths.make_values(keys, branch, before_depth)
    scope = index.render_scope(keys["owner_id"], keys["conversation_id"])
    forms = [[form for form in each if _is_term(form)] for each in words]
    matches = [index.render_any(scope, each) for each in forms if each]
    found = index.find_best(database, path, matches, limit)
    if found.length <= 0:
        get_branch(database, keys, branch)
    counted = iter(found.counts)
    return Related(
        messages=tuple(_read(database, path, add_neighbours(found.places, found.length, limit), now)),
        counts=tuple(next(counted) if each else 0 for each in forms),
        message_count=found.total,
    )


def _is_term(form: str) -> bool:
    """Whether texts have it as a term; nothing else may stand in what the index is asked."""
    return form in find_terms(form)


def _read(database: Database, path: Values, places: Sequence[int], now: datetime) -> list[Message]:
    index = _INDEXES[database.dialect]
    messages: list[Message] = []
    for page in index.split(database, path, places) if places else ():
        rows = database.all(index.LOAD, page)
        rows.sort(key=lambda row: int(row["depth"]))
        resolve(database, path, rows, now)
        find = find_blobs(database, rows, index.LOAD_BLOBS, page)
        messages += add_marks(database, path, rows, [parse_message(row, find) for row in rows])
    return messages
