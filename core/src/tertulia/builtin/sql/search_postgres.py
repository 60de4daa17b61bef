"""The index of words in PostgreSQL: a column of lexemes, made by us, under a GIN index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR, insert

from tertulia.builtin.sql import schema
from tertulia.builtin.sql.binding import bind, is_, number, of
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.search_schema import MOST_READ, entry
from tertulia.builtin.sql.search_scope import render_scope
from tertulia.domain.terms import LONGEST_WORD, find_terms

MOST_BYTES = 900_000
"""Of the different words of a text, so many bytes are indexed: PostgreSQL keeps no more than a megabyte."""

_ENTRY = entry.c
_MESSAGE, _CONVERSATION = schema.message.c, schema.conversation.c

_MATCH: ColumnElement[bool] = _ENTRY.words.op("@@", is_comparison=True)(
    cast(bindparam("b_match", type_=String()), TSQUERY)
)
_OWN_CONVERSATION = (_CONVERSATION.owner_id == _ENTRY.owner_id) & (_CONVERSATION.id == _ENTRY.conversation_id)
_OWN_MESSAGE = (
    (_MESSAGE.owner_id == _ENTRY.owner_id)
    & (_MESSAGE.conversation_id == _ENTRY.conversation_id)
    & (_MESSAGE.id == _ENTRY.message_id)
)
_STATE = _CONVERSATION.state
_TEXT = func.coalesce(_MESSAGE.text, _CONVERSATION.title)
_FOUND = entry.join(schema.conversation, _OWN_CONVERSATION).outerjoin(schema.message, _OWN_MESSAGE)
_KEPT = {column.name: bind(column) for column in entry.c if column.name != "words"}
_LEXEMES = cast(bindparam("b_words", type_=String()), TSVECTOR)

ADD_ENTRY = (
    insert(entry)
    .values(**_KEPT, words=_LEXEMES)
    .on_conflict_do_update(
        index_elements=[_ENTRY.owner_id, _ENTRY.conversation_id, _ENTRY.id], set_={"words": _LEXEMES}
    )
)
REMOVE_TITLE = delete(entry).where(of(entry), _ENTRY.id == _ENTRY.conversation_id)
FIND_SOME = select(_ENTRY.id).where(of(entry)).order_by(_ENTRY.id).limit(number("limit"))
REMOVE_SOME = delete(entry).where(of(entry), _ENTRY.id <= bind(_ENTRY.id, "last_id"))
REMOVE_ALL = delete(entry)
FIND_INDEXED = select(_ENTRY.message_id).where(of(entry))
# What the index finds is found first, whatever the planner thinks it is; then the newest of it, and only then
# their texts: else it would read those of all hits before it leaves most out.
_HITS = (
    select(_ENTRY.conversation_id, _ENTRY.id, _ENTRY.message_id, _ENTRY.created_at)
    .where(
        _MATCH,
        is_(_ENTRY.owner_id),
        _ENTRY.created_at >= bind(_ENTRY.created_at, "since"),
        _ENTRY.created_at < bind(_ENTRY.created_at, "until"),
    )
    .cte("hit")
    .prefix_with("MATERIALIZED")
)
_NEWEST = (
    select(_HITS, _CONVERSATION.title)
    .join_from(_HITS, schema.conversation, _CONVERSATION.id == _HITS.c.conversation_id)
    .where(is_(_CONVERSATION.owner_id), (_STATE == "active") | (_STATE == "archived"))
    .order_by(_HITS.c.created_at.desc(), _HITS.c.id.desc())
    .limit(number("limit"))
    .subquery("newest")
)
FIND_CANDIDATES = (
    select(
        _NEWEST.c.conversation_id,
        _NEWEST.c.id,
        func.substr(
            func.coalesce(_MESSAGE.text, _NEWEST.c.title), literal_column("1", Integer), MOST_READ
        ).label("text"),
    )
    .outerjoin_from(
        _NEWEST,
        schema.message,
        is_(_MESSAGE.owner_id)
        & (_MESSAGE.conversation_id == _NEWEST.c.conversation_id)
        & (_MESSAGE.id == _NEWEST.c.message_id),
    )
    .order_by(_NEWEST.c.created_at.desc(), _NEWEST.c.id.desc())
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
    .select_from(_FOUND)
    .where(of(entry), is_(_ENTRY.id))
)
MATCHING: Select[Any] = select(_ENTRY.conversation_id).where(_MATCH, is_(_ENTRY.owner_id))


def render_match(terms: Iterable[str], prefixes: Iterable[str] = ()) -> str:
    """Terms that are all to be there, and beginnings of terms, in the language of PostgreSQL."""
    return " & ".join((*(f"'{term}'" for term in terms), *(f"'{prefix}':*" for prefix in prefixes)))


def add(database: Database, texts: Sequence[Row]) -> None:
    """Add texts, each with whose it is, its ``role`` and its ``text``."""
    rows = render(texts)
    if len(rows) == 1:
        database.run(ADD_ENTRY, rows[0])
    else:
        database.run_many(ADD_ENTRY, rows)


def render(texts: Iterable[Row]) -> list[Row]:
    """The rows of texts."""
    return [
        {**row, "id": row["message_id"] or row["conversation_id"], "words": _render(row)} for row in texts
    ]


def _render(row: Row) -> str:
    scope = render_scope(row["owner_id"], row["conversation_id"], row["role"])
    return " ".join(f"'{term}'" for term in _cut([*scope, *find_terms(row["text"])]))


def _cut(terms: Iterable[str]) -> Iterator[str]:
    """The first of the different terms, as many and as much of each as PostgreSQL takes."""
    left = MOST_BYTES
    for term in dict.fromkeys(term[:LONGEST_WORD] for term in terms):
        left -= len(term.encode())
        if left < 0:
            break
        yield term


def forget(database: Database, keys: Values, *, limit: int, only_title: bool = False) -> int:
    """Take texts of a conversation out, and say how many."""
    if only_title:
        return database.run(REMOVE_TITLE, keys)
    found = database.all(FIND_SOME, {**keys, "limit": limit})
    if found:
        database.run(REMOVE_SOME, {**keys, "last_id": found[-1]["id"]})
    return len(found)


def clear(database: Database) -> None:
    """Take everything out."""
    database.run(REMOVE_ALL, {})


def find_indexed(database: Database, keys: Values) -> list[Row]:
    """What of a conversation is in the index."""
    return database.all(FIND_INDEXED, keys)
