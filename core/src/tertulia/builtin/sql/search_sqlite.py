"""The index of words in SQLite: FTS5, beside a table that says what its rows are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
)

from tertulia.builtin.sql import schema
from tertulia.builtin.sql.binding import bind, is_, number, of
from tertulia.builtin.sql.database import LARGEST, Database, Row, Values
from tertulia.builtin.sql.search_schema import MOST_READ, numbered_entry, words
from tertulia.builtin.sql.search_scope import TITLE, render_scope, render_wanted
from tertulia.domain.terms import render_terms

_ENTRY, _WORDS = numbered_entry.c, words.c
_MESSAGE, _CONVERSATION = schema.message.c, schema.conversation.c


def matches() -> ColumnElement[bool]:
    """Whether a row of the index is what is looked for."""
    return _WORDS.search_words.op("MATCH", is_comparison=True)(bindparam("b_match", type_=String()))


_MATCH = matches()
_IS_ENTRY = _ENTRY.number == _WORDS.rowid
_OWN_CONVERSATION = (_CONVERSATION.owner_id == _ENTRY.owner_id) & (_CONVERSATION.id == _ENTRY.conversation_id)
OWN_MESSAGE = (
    (_MESSAGE.owner_id == _ENTRY.owner_id)
    & (_MESSAGE.conversation_id == _ENTRY.conversation_id)
    & (_MESSAGE.id == _ENTRY.message_id)
)
# A planner that knew what this is would look through all conversations in a state, again for each hit.
_STATE = func.coalesce(_CONVERSATION.state, "")
_TEXT = func.coalesce(_MESSAGE.text, _CONVERSATION.title)
_FOUND = (
    words.join(numbered_entry, _IS_ENTRY)
    .join(schema.conversation, _OWN_CONVERSATION)
    .outerjoin(schema.message, OWN_MESSAGE)
)

GET_LAST_NUMBER = select(func.coalesce(func.max(_ENTRY.number), 0).label("number"))
ADD_ENTRY = insert(numbered_entry).values({column.name: bind(column) for column in numbered_entry.c})
ADD_WORDS = insert(words).values(rowid=bind(_WORDS.rowid, "number"), words=bind(_WORDS.words))
REMOVE_ENTRY = delete(numbered_entry).where(is_(_ENTRY.owner_id), is_(_ENTRY.number))
# With the very words it was added with: the index does not know them.
REMOVE_WORDS = insert(words).values(
    search_words=literal_column("'delete'"),
    rowid=bind(_WORDS.rowid, "number"),
    words=bind(_WORDS.words),
)
REMOVE_ALL_WORDS = insert(words).values(search_words=literal_column("'delete-all'"))
REMOVE_ALL_ENTRIES = delete(numbered_entry)

FIND_ENTRIES = (
    select(_ENTRY.number, _ENTRY.message_id, _MESSAGE.role, _TEXT.label("text"))
    .select_from(_FOUND)
    .where(_MATCH, of(numbered_entry))
    .order_by(_WORDS.rowid)
    .limit(number("limit"))
)
FIND_CANDIDATES = (
    select(_ENTRY.number, func.substr(_TEXT, literal_column("1", Integer), MOST_READ).label("text"))
    .select_from(_FOUND)
    .where(
        _MATCH,
        is_(_ENTRY.owner_id),
        (_STATE == "active") | (_STATE == "archived"),
        _ENTRY.created_at >= bind(_ENTRY.created_at, "since"),
        _ENTRY.created_at < bind(_ENTRY.created_at, "until"),
    )
    .order_by(_WORDS.rowid.desc())
    .limit(number("limit"))
)
GET_HIT = (
    select(
        _ENTRY.conversation_id,
        _ENTRY.message_id,
        _ENTRY.created_at,
        _CONVERSATION.title,
        _MESSAGE.role,
        _MESSAGE.depth,
        _TEXT.label("text"),
    )
    .select_from(
        numbered_entry.join(schema.conversation, _OWN_CONVERSATION).outerjoin(schema.message, OWN_MESSAGE)
    )
    .where(is_(_ENTRY.owner_id), is_(_ENTRY.number))
)
MATCHING: Select[Any] = (
    select(_ENTRY.conversation_id)
    .select_from(words.join(numbered_entry, _IS_ENTRY))
    .where(_MATCH, is_(_ENTRY.owner_id))
)


def render_match(terms: Iterable[str], prefixes: Iterable[str] = ()) -> str:
    """Terms that are all to be there, and beginnings of terms, in the language of FTS5."""
    return " AND ".join((*(f'"{term}"' for term in terms), *(f'"{prefix}"*' for prefix in prefixes)))


def _render_words(keys: Values, role: str, text: str) -> str:
    scope = render_scope(keys["owner_id"], keys["conversation_id"], role)
    return f"{' '.join(scope)} {render_terms(text)}"


def find_candidates(database: Database, values: Values) -> list[Row]:
    """The newest hits of a match, with the beginnings of their texts."""
    return database.all(FIND_CANDIDATES, values)


def get_hits(database: Database, owner: str, candidates: Sequence[Row]) -> list[Row | None]:
    """What there is to say of each of some candidates."""
    return [database.first(GET_HIT, {"owner_id": owner, **candidate}) for candidate in candidates]


def add(database: Database, texts: Sequence[Row]) -> None:
    """Add texts, each with whose it is, its ``role`` and its ``text``."""
    last = database.first(GET_LAST_NUMBER, {})
    assert last is not None  # noqa: S101  # it is a maximum
    rows = [
        {**row, "number": place, "words": _render_words(row, row["role"], row["text"])}
        for row, place in zip(texts, count(last["number"] + 1), strict=False)
    ]
    for statement in (ADD_ENTRY, ADD_WORDS):
        if len(rows) == 1:
            database.run(statement, rows[0])
        else:
            database.run_many(statement, rows)


def forget(database: Database, keys: Values, *, limit: int, only_title: bool = False) -> int:
    """Take texts of a conversation out, which are still as they were added, and say how many."""
    scope = render_wanted(keys["owner_id"], keys["conversation_id"], TITLE if only_title else None)
    found = database.all(FIND_ENTRIES, {**keys, "match": render_match(scope), "limit": limit})
    for entry in found:
        role = TITLE if entry["message_id"] is None else entry["role"]
        values = {**keys, **entry}
        if entry["text"] is not None:
            database.run(REMOVE_WORDS, {**values, "words": _render_words(keys, role, entry["text"])})
        database.run(REMOVE_ENTRY, values)
    return len(found)


def clear(database: Database) -> None:
    """Take everything out."""
    database.run(REMOVE_ALL_WORDS, {})
    database.run(REMOVE_ALL_ENTRIES, {})


def find_indexed(database: Database, keys: Values) -> list[Row]:
    """What of a conversation is in the index."""
    scope = render_wanted(keys["owner_id"], keys["conversation_id"])
    return database.all(FIND_ENTRIES, {**keys, "match": render_match(scope), "limit": LARGEST})
