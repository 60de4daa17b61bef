"""
A store examined: its file, every conversation, every attachment, the catalogue.

A little at a time, each in a transaction of its own, so that a large store can be examined while it is used:
what belongs together, which is a conversation, is of one moment.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import cache
from typing import Any

import attrs
from sqlalchemy import exists, select, tuple_

from tertulia.builtin.sql import file_checks, schema
from tertulia.builtin.sql.binding import Selection, bind, is_, number
from tertulia.builtin.sql.catalogue import get_models
from tertulia.builtin.sql.database import Database, Row
from tertulia.builtin.sql.engine import Engine
from tertulia.builtin.sql.examination import examine_conversation
from tertulia.builtin.sql.findings import MOST, Findings, limit
from tertulia.builtin.sql.schema import REVISION
from tertulia.builtin.sql.tree import make_keys
from tertulia.domain.upkeep import StoreProblem, StoreReport
from tertulia.errors import StoreCorruptError

MESSAGES_AT_A_TIME = 2000
"""Then a transaction ends, and another may read."""

BYTES_AT_A_TIME = 2**25
"""The same for attachments."""

CONVERSATIONS_AT_A_TIME = 200
PURGED = "purged"

_CONVERSATION = schema.conversation.c
_BLOB = schema.blob.c
_MESSAGE_BLOB = schema.message_blob.c
_MODEL = schema.model.c
_COUNTS = ("conversations", "messages", "attempts", "attachments")


@attrs.frozen
class _Step:
    """
    A part of the examination.

    Attributes:
        found: What it has found.
        place: Where the next one begins; None when this was the last.
    """

    found: Findings
    place: Row | None = None


_Look = Callable[[Database, str | None, Row], _Step]
"""Examines something of one owner or of all, from a place on."""


async def verify(engine: Engine, owner: str | None) -> StoreReport:
    """Examine everything of one owner, or of all. Nothing is changed."""
    name, size = await engine.read(
        lambda database: (file_checks.name_engine(database), file_checks.measure(database))
    )
    problems: list[StoreProblem] = []
    counts = Counter(dict.fromkeys(_COUNTS, 0))
    for look in (_look_at_file, _look_at_conversations, _look_at_blobs, _look_at_models):
        async for found in _go_through(engine, owner, look):
            problems += found.problems
            counts += found.counts
            if len(problems) > MOST:
                break
    named = {name: counts[name] for name in _COUNTS}
    return StoreReport(engine.location, name, REVISION, size, named, limit(problems))


def find_conversations(database: Database, owner: str | None, place: Row) -> list[Row]:
    """
    The next conversations of one owner or of all, by their keys and states.

    Args:
        place: The last of those before; empty for the first ones.
    """
    values = _make_values(owner, place, CONVERSATIONS_AT_A_TIME)
    return database.all(_find_conversations(owner is not None, bool(place)), values)


async def _go_through(engine: Engine, owner: str | None, look: _Look) -> AsyncIterator[Findings]:
    """Take one step after another; where the database fails altogether, that is a problem and the end."""
    place: Row | None = {}
    while place is not None:
        try:
            step = await engine.read(_bind_step(look, owner, place))
        except StoreCorruptError as error:
            found = Findings()
            found.add("damaged", error.message, error.next_step or "restore a copy of the database")
            step = _Step(found)
        yield step.found
        place = step.place


def _bind_step(look: _Look, owner: str | None, place: Row) -> Callable[[Database], _Step]:
    return lambda database: look(database, owner, place)


def _look_at_file(database: Database, owner: str | None, _place: Row) -> _Step:
    found = Findings()
    file_checks.examine_file(database, found)
    file_checks.examine_references(database, owner, found)
    return _Step(found)


def _look_at_conversations(database: Database, owner: str | None, place: Row) -> _Step:
    """Examine the next conversations, until there were many messages; one that is half purged is none."""
    rows = find_conversations(database, owner, place)
    all_found = Findings()
    for place in rows:
        if place["state"] != PURGED:
            found = examine_conversation(database, make_keys(place["owner_id"], place["id"]))
            all_found.problems += found.problems
            all_found.counts += found.counts
        if all_found.counts["messages"] >= MESSAGES_AT_A_TIME:
            return _Step(all_found, place)
    return _Step(all_found, place if rows else None)


def _look_at_blobs(database: Database, owner: str | None, place: Row) -> _Step:
    """Examine the next attachments, one in memory at a time."""
    found, size = Findings(), 0
    while size < BYTES_AT_A_TIME:
        row = database.first(_find_blobs(owner is not None, bool(place)), _make_values(owner, place, 1))
        if row is None:
            return _Step(found)
        place = {name: row[name] for name in ("owner_id", "sha256")}
        size += len(row["bytes"]) + 2**14
        found.counts["attachments"] += 1
        _examine_blob(database, row, found)
    return _Step(found, place)


def _examine_blob(database: Database, row: Row, found: Findings) -> None:
    name = row["sha256"].hex()
    if not row["is_used"]:
        unused = Findings(row["owner_id"])
        what = f"the attachment {name} belongs to no message, and takes {row['size']} bytes"
        unused.add("attachments", what, "nothing: it harms nobody")
        found.problems += unused.problems
    elif hashlib.sha256(row["bytes"]).digest() != row["sha256"] or len(row["bytes"]) != row["size"]:
        for user in database.all(_FIND_USERS, row):
            damaged = Findings(row["owner_id"], user["conversation_id"])
            what = f"the bytes of the attachment {name} are damaged"
            damaged.add("attachments", what, "restore a copy of the database")
            found.problems += damaged.problems


def _look_at_models(database: Database, owner: str | None, _place: Row) -> _Step:
    found = Findings()
    for row in database.all(_FIND_LISTS, {}):
        if owner in (None, row["owner_id"]):
            of_owner = Findings(row["owner_id"])
            with of_owner.reading(f"the list of models of {row['provider']!r}"):
                get_models(database, row["owner_id"], row["provider"])
            found.problems += of_owner.problems
    return _Step(found)


def _make_values(owner: str | None, place: Row, count: int) -> Row:
    return {"owner": owner, **place, "limit": count}


@cache
def _find_conversations(of_owner: bool, further: bool) -> Selection:
    columns = (_CONVERSATION.owner_id, _CONVERSATION.id)
    return _find_next(select(*columns, _CONVERSATION.state), columns, of_owner, further)


@cache
def _find_blobs(of_owner: bool, further: bool) -> Selection:
    columns = (_BLOB.owner_id, _BLOB.sha256)
    is_used = exists().where(_MESSAGE_BLOB.owner_id == _BLOB.owner_id, _MESSAGE_BLOB.sha256 == _BLOB.sha256)
    found = select(*columns, _BLOB.size, _BLOB.bytes, is_used.label("is_used"))
    return _find_next(found, columns, of_owner, further)


def _find_next(found: Selection, columns: Any, of_owner: bool, further: bool) -> Selection:
    """Rows in the order of their keys, after a place or from the first one on."""
    if of_owner:
        found = found.where(is_(columns[0], "owner"))
    if further:
        found = found.where(tuple_(*columns) > tuple_(*map(bind, columns)))
    return found.order_by(*columns).limit(number("limit"))


_FIND_USERS = (
    select(_MESSAGE_BLOB.conversation_id)
    .where(is_(_MESSAGE_BLOB.owner_id), is_(_MESSAGE_BLOB.sha256))
    .distinct()
    .limit(10)
)
_FIND_LISTS = select(_MODEL.owner_id, _MODEL.provider).distinct().order_by(_MODEL.owner_id, _MODEL.provider)
