"""
Tokens of messages that an earlier version stored, and what they are found by.

Page by page, so that a large database needs no more memory than a small one.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from sqlalchemy import or_, select, update

from tertulia.builtin.sql import recount, schema, search
from tertulia.builtin.sql.binding import Selection, bind, is_, number, of
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.recount import PAGE
from tertulia.builtin.sql.rows import count_tokens, render_words
from tertulia.builtin.sql.tree import make_keys
from tertulia.builtin.sql.verify import PURGED, find_conversations
from tertulia.domain.message import Message, Part, Role, Text
from tertulia.runtime.serialization import decode_parts, has_kept_bytes

_BEFORE_ALL = UUID(int=0)
_MESSAGE, _BLOB, _HELD = schema.message.c, schema.blob.c, schema.message_blob.c


def fill_all(database: Database) -> None:
    """Count every message there is, and let all of it be found that is to be."""
    place: Row = {}
    while rows := find_conversations(database, None, place):
        for place in rows:
            if place["state"] != PURGED:
                _fill(database, make_keys(place["owner_id"], place["id"]))


def _fill(database: Database, keys: Values) -> None:
    is_findable = _count(database, keys)
    recount.rebuild_paths(database, keys)
    if not is_findable:
        while search.forget(database, keys):  # which needs the words as they were
            pass
        _retell(database, keys)
        search.reindex(database, keys)


def _count(database: Database, keys: Values) -> bool:
    """Count a conversation's messages, and say whether they are found by what they are to be found by."""
    is_findable = True
    for page in _find_pages(database, keys):
        rows: list[Row] = []
        for row in page:
            parts = _read_parts(database, keys, row)
            tokens = count_tokens(Message(Role.USER, parts))
            rows.append({**keys, "message_id": row["id"], "tokens": tokens})
            is_findable = is_findable and (row["parts"] is None or render_words(parts) == row["text"])
        database.run_many(_SET_TOKENS, rows)
    return is_findable


def _retell(database: Database, keys: Values) -> None:
    for page in _find_pages(database, keys):
        told = [row for row in page if row["parts"] is not None]
        database.run_many(
            _SET_TEXT,
            [
                {**keys, "message_id": row["id"], "text": render_words(_read_parts(database, keys, row))}
                for row in told
            ],
        )


def _find_pages(database: Database, keys: Values) -> Iterator[list[Row]]:
    after = _BEFORE_ALL
    while rows := database.all(_FIND_MESSAGES, {**keys, "after": after, "limit": PAGE}):
        yield rows
        after = rows[-1]["id"]


def _read_parts(database: Database, keys: Values, row: Row) -> tuple[Part, ...]:
    """The parts of a message without its pictures; of one that cannot be read, its words."""
    if row["parts"] is None:
        return (Text(row["text"]),)
    blobs: dict[str, bytes] = {}
    if has_kept_bytes(row["parts"]):
        found = database.all(_FIND_BYTES, {**keys, "message_id": row["id"]})
        blobs = {each["sha256"].hex(): each["bytes"] for each in found}
    try:
        return decode_parts(row["parts"], lambda name: blobs.get(name, b""))
    except Exception:  # noqa: BLE001  # whatever is wrong with it is for an examination to say
        return (Text(row["text"]),)


_FIND_MESSAGES: Selection = (
    select(_MESSAGE.id, _MESSAGE.text, _MESSAGE.parts)
    .where(of(schema.message), _MESSAGE.id > bind(_MESSAGE.id, "after"))
    .order_by(_MESSAGE.id)
    .limit(number("limit"))
)
# How large a picture is says nothing of how many tokens it has.
_FIND_BYTES: Selection = (
    select(_BLOB.sha256, _BLOB.bytes)
    .join(schema.message_blob, (_HELD.owner_id == _BLOB.owner_id) & (_HELD.sha256 == _BLOB.sha256))
    .where(
        of(schema.message_blob),
        is_(_HELD.message_id),
        or_(_BLOB.media_type.is_(None), _BLOB.media_type.not_like("image/%")),
    )
)
_IS_MESSAGE = of(schema.message) & is_(_MESSAGE.id, "message_id")
_SET_TOKENS = update(schema.message).where(_IS_MESSAGE).values(tokens=bind(_MESSAGE.tokens))
_SET_TEXT = update(schema.message).where(_IS_MESSAGE).values(text=bind(_MESSAGE.text))
