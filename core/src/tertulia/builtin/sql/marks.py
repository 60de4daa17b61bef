"""What people say of messages, which is kept beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Column, delete, insert, select

from tertulia.builtin.sql import schema, statements
from tertulia.builtin.sql.binding import bind, is_, number, of
from tertulia.builtin.sql.branches import explain_no_message
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.tree import refuse_deleted
from tertulia.domain.library import MarkChange
from tertulia.domain.message import NO_MARK, Mark, Message

MOST_AT_ONCE = 200
"""Marks of a conversation that are read whichever messages are asked for."""

_MARK = schema.message_mark.c
_FIELDS = tuple(field.name for field in attrs.fields(Mark))
MARK_COLUMNS: list[Column[Any]] = [_MARK[name] for name in _FIELDS]
_COLUMNS: list[Column[Any]] = [_MARK.message_id, *MARK_COLUMNS]

GET_MARKS = select(*_COLUMNS).where(of(schema.message_mark)).limit(number("limit"))
GET_MARKS_BETWEEN = GET_MARKS.where(
    _MARK.message_id >= bind(_MARK.message_id, "first_id"),
    _MARK.message_id <= bind(_MARK.message_id, "last_id"),
)
GET_MARK = GET_MARKS.where(is_(_MARK.message_id))
ADD_MARK = insert(schema.message_mark).values({column.name: bind(column) for column in _MARK})
REMOVE_MARK = delete(schema.message_mark).where(of(schema.message_mark), is_(_MARK.message_id))


def update_mark(database: Database, keys: Values, message_id: UUID, change: MarkChange) -> Mark:
    """Change what is said of a message; a message nothing is said of has no row."""
    refuse_deleted(database, keys)
    values = {**keys, "message_id": message_id}
    if database.first(statements.GET_PLACE, values) is None:
        raise explain_no_message(keys["conversation_id"], message_id)
    row = database.first(GET_MARK, {**values, "limit": 1})
    changes = {name: value for name in _FIELDS if (value := getattr(change, name)) != "keep"}
    mark = attrs.evolve(NO_MARK if row is None else parse_mark(row), **changes)
    database.run(REMOVE_MARK, values)
    if mark != NO_MARK:
        database.run(ADD_MARK, {**values, **{name: getattr(mark, name) for name in _FIELDS}})
    return mark


def add_marks(
    database: Database, keys: Values, read: Sequence[Row], messages: Sequence[Message]
) -> list[Message]:
    """
    The messages with what is said of them.

    Args:
        read: Their rows, which say whether anything is said of any in the conversation.
    """
    if not read or not read[0]["is_marked"]:
        return list(messages)
    rows = database.all(GET_MARKS, {**keys, "limit": MOST_AT_ONCE})
    if len(rows) == MOST_AT_ONCE:
        ids = sorted(message.id for message in messages if message.id is not None)
        bounds = {"first_id": ids[0], "last_id": ids[-1], "limit": _EVERY}
        rows = database.all(GET_MARKS_BETWEEN, {**keys, **bounds})
    marks = {row["message_id"]: row for row in rows}
    return [
        attrs.evolve(message, mark=parse_mark(marks[message.id])) if message.id in marks else message
        for message in messages
    ]


_EVERY = 2**31


def parse_mark(row: Row) -> Mark:
    """What a row says of its message, also one that holds nothing of it."""
    return Mark(bool(row["pinned"]), bool(row["hidden"]), row["importance"], row["expires_at"])
