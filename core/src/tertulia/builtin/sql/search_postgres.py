"""The index of words in PostgreSQL: a column of lexemes, made by us, under a GIN index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    String,
    Uuid,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY, TSVECTOR, insert

from tertulia.builtin.sql import schema
from tertulia.builtin.sql.binding import Selection, bind, is_, number, of
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.search_schema import MOST_READ, entry
from tertulia.builtin.sql.search_scope import render_scope
from tertulia.domain.terms import LONGEST_WORD, find_terms

MOST_BYTES = 900_000
"""Of the different words of a text, so many bytes are indexed: PostgreSQL keeps no more than a megabyte."""

ENOUGH = 500
"""So many hits are ranked, or as many as are wanted."""

FIRST_LOOK, LONGEST_LOOK = 5000, 30_000
"""
So many of the newest texts are looked at, one by one, before the index of words is asked.

The index names every text that holds a word: the rarer it is, the sooner that is done. Of a frequent word
the newest texts hold enough, and how far one must look for it shows when one looks at the first of them.
"""

_ENTRY = entry.c
_MESSAGE, _CONVERSATION = schema.message.c, schema.conversation.c


def _match(words: ColumnElement[Any]) -> ColumnElement[bool]:
    query = cast(bindparam("b_match", type_=String()), TSQUERY)
    return words.op("@@", is_comparison=True)(query)


_MATCH = _match(_ENTRY.words)
_OWN_CONVERSATION = (_CONVERSATION.owner_id == _ENTRY.owner_id) & (_CONVERSATION.id == _ENTRY.conversation_id)
_OWN_MESSAGE = (
    (_MESSAGE.owner_id == _ENTRY.owner_id)
    & (_MESSAGE.conversation_id == _ENTRY.conversation_id)
    & (_MESSAGE.id == _ENTRY.message_id)
)
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
# What is limited to one row is looked for by its key: else a planner that takes the tables for small ones
# looks through all conversations of an owner, or all messages of a conversation, again for each hit.
_ONE = literal_column("1", Integer)
_HIT = ("conversation_id", "id", "message_id", "created_at")
_IN_TIME = (_ENTRY.created_at >= bind(_ENTRY.created_at, "since")) & (
    _ENTRY.created_at < bind(_ENTRY.created_at, "until")
)


def _rank(hits: FromClause, *found: ColumnElement[bool]) -> Selection:
    """The newest hits with the beginnings of their texts, which are read once the others are left out."""
    conversation = (
        select(_CONVERSATION.title)
        .where(
            is_(_CONVERSATION.owner_id),
            _CONVERSATION.id == hits.c.conversation_id,
            (_CONVERSATION.state == "active") | (_CONVERSATION.state == "archived"),
        )
        .limit(_ONE)
        .lateral("conversation")
    )
    newest = (
        select(*(hits.c[name] for name in _HIT), conversation.c.title)
        .join_from(hits, conversation, true())
        .where(*found)
        .order_by(hits.c.created_at.desc(), hits.c.id.desc())
        .limit(number("limit"))
        .subquery("newest")
    )
    message = (
        select(_MESSAGE.text)
        .where(
            is_(_MESSAGE.owner_id),
            _MESSAGE.conversation_id == newest.c.conversation_id,
            _MESSAGE.id == newest.c.message_id,
        )
        .limit(_ONE)
        .lateral("message")
    )
    text = func.coalesce(message.c.text, newest.c.title)
    return (
        select(
            newest.c.conversation_id,
            newest.c.id,
            func.substr(text, _ONE, MOST_READ).label("text"),
        )
        .outerjoin_from(newest, message, true())
        .order_by(newest.c.created_at.desc(), newest.c.id.desc())
    )


def _walk(*columns: ColumnElement[Any]) -> Selection:
    """The newest texts of an owner, along their index."""
    return (
        select(*columns)
        .where(is_(_ENTRY.owner_id), _IN_TIME)
        .order_by(_ENTRY.created_at.desc(), _ENTRY.id.desc())
    )


def _find_newest() -> Selection:
    looked = _walk(*(_ENTRY[name] for name in _HIT), _ENTRY.words).limit(number("looked")).subquery("looked")
    return _rank(looked, _match(looked.c.words))


def _find_indexed() -> Selection:
    # What the index of words finds is found first, whatever the planner thinks it is. An owner that it took
    # for a key of another index would have it read that one, too, and all that is the owner's in it.
    is_owner = func.coalesce(_ENTRY.owner_id, "") == bind(_ENTRY.owner_id)
    hits = select(*(_ENTRY[name] for name in _HIT)).where(_MATCH, is_owner, _IN_TIME)
    return _rank(hits.cte("hit").prefix_with("MATERIALIZED"))


# A planner that does not know the tables yet would rather read and sort all of them than follow an index.
# It is told so for this transaction only.
FOLLOW_INDEXES = select(
    *(
        func.set_config(literal_column(f"'{name}'"), literal_column("'off'"), true()).label(name)
        for name in ("enable_sort", "jit")
    )
)
FIND_NEWEST = _find_newest()
FIND_OLDER = _walk(_ENTRY.created_at).offset(number("looked")).limit(_ONE)
FIND_INDEXED_HITS = _find_indexed()
_WANTED = (
    func.unnest(bindparam("b_conversation_ids", type_=ARRAY(Uuid())), bindparam("b_ids", type_=ARRAY(Uuid())))
    .table_valued("conversation_id", "id")
    .render_derived("wanted")
)
_SOUGHT = (
    select(
        _ENTRY.conversation_id,
        _ENTRY.id,
        _ENTRY.message_id,
        _ENTRY.created_at,
        _CONVERSATION.title,
        _MESSAGE.role,
        _MESSAGE.depth,
        _TEXT.label("text"),
    )
    .select_from(_FOUND)
    .where(
        is_(_ENTRY.owner_id),
        _ENTRY.conversation_id == _WANTED.c.conversation_id,
        _ENTRY.id == _WANTED.c.id,
    )
    .limit(_ONE)
    .lateral("sought")
)
GET_HITS: Select[Any] = select(_SOUGHT).select_from(_WANTED.join(_SOUGHT, true()))
MATCHING: Select[Any] = select(_ENTRY.conversation_id).where(_MATCH, is_(_ENTRY.owner_id))


def render_match(terms: Iterable[str], prefixes: Iterable[str] = ()) -> str:
    """Terms that are all to be there, and beginnings of terms, in the language of PostgreSQL."""
    return " & ".join((*(f"'{term}'" for term in terms), *(f"'{prefix}':*" for prefix in prefixes)))


def find_candidates(database: Database, values: Values) -> list[Row]:
    """The newest hits of a match, with the beginnings of their texts."""
    values = {**values, "limit": min(values["limit"], max(ENOUGH, values["wanted"]))}
    if values["conversation_id"] is None:
        rows = _look(database, values)
        if rows is not None:
            return rows
    return database.all(FIND_INDEXED_HITS, values)


def _look(database: Database, values: Values) -> list[Row] | None:
    """The same, by the newest texts alone; None where they do not hold enough, and there are older ones."""
    database.all(FOLLOW_INDEXES, {})
    looked = FIRST_LOOK
    while looked <= LONGEST_LOOK:
        rows = database.all(FIND_NEWEST, {**values, "looked": looked})
        if len(rows) == values["limit"] or database.first(FIND_OLDER, {**values, "looked": looked}) is None:
            return rows
        looked = 2 * looked * values["limit"] // max(len(rows), 1)
    return None


def get_hits(database: Database, owner: str, candidates: Sequence[Row]) -> list[Row | None]:
    """What there is to say of each of some candidates."""
    if not candidates:
        return []
    wanted = {
        "conversation_ids": [row["conversation_id"] for row in candidates],
        "ids": [row["id"] for row in candidates],
    }
    rows = database.all(GET_HITS, {"owner_id": owner, **wanted})
    found = {(row["conversation_id"], row["id"]): row for row in rows}
    return [found.get((row["conversation_id"], row["id"])) for row in candidates]


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
