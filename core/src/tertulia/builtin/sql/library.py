"""Conversations put away, taken out again and removed; what is kept with them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Update, delete, exists, func, null, or_, select, update

from tertulia.builtin.sql import schema, search
from tertulia.builtin.sql.binding import bind, is_, number, of, of_conversation
from tertulia.builtin.sql.database import Database, Values
from tertulia.builtin.sql.statements import GET_STATE, GET_TAGS
from tertulia.builtin.sql.tree import add_tags, explain_no_conversation, refuse_deleted
from tertulia.domain.conversation import ConversationState
from tertulia.domain.metadata import merge_patch
from tertulia.errors import ConversationNotFoundError, StoreError
from tertulia.runtime.serialization import encode_json

LONGEST_TAG = 200
PIECE = 500
"""Rows of a kind that a purge removes in one transaction, so that others need not wait for all."""

PURGED = "purged"

_C = schema.conversation.c
_MESSAGE = schema.message.c
_TAG = schema.tag.c
_BLOB = schema.blob.c
_HELD = schema.message_blob.c


def _update(*names: str, **values: Any) -> Update:
    """Change columns of a conversation, some to parameters of their names."""
    changes = {name: bind(_C[name]) for name in names}
    return (
        update(schema.conversation)
        .where(of_conversation())
        .values(version=_C.version + 1, **changes, **values)
    )


UPDATE_STATE = _update("state", "updated_at")
REMOVE = _update(
    "deleted_at", "purge_after", "updated_at", state=ConversationState.DELETED.value, state_before=_C.state
)
RESTORE = _update(
    "updated_at",
    state=func.coalesce(_C.state_before, ConversationState.ACTIVE.value),
    state_before=null(),
    deleted_at=null(),
    purge_after=null(),
)
UPDATE_METADATA = _update("metadata", "updated_at")
TOUCH = _update("updated_at")
GET_METADATA = select(_C.metadata).where(of_conversation())
REMOVE_TAG = delete(schema.tag).where(of(schema.tag), is_(_TAG.tag))
FIND_TAGS = (
    select(_TAG.tag, func.count().label("found"))
    .join(schema.conversation, (_C.owner_id == _TAG.owner_id) & (_C.id == _TAG.conversation_id))
    .where(
        is_(_TAG.owner_id),
        or_(_C.state == ConversationState.ACTIVE.value, _C.state == ConversationState.ARCHIVED.value),
    )
    .group_by(_TAG.tag)
)

GET_ANY_STATE = select(_C.state, _C.purge_after).where(of_conversation())
PURGE = _update(state=PURGED)
# What somebody could find it by, or write in it by.
REMOVE_BRANCHES = delete(schema.branch).where(of(schema.branch))
REMOVE_UNSETTLED = delete(schema.attempt).where(
    of(schema.attempt),
    or_(schema.attempt.c.outcome == schema.PENDING, schema.attempt.c.lease_until.is_not(None)),
)
FIND_PURGED = select(_C.id).where(is_(_C.owner_id), _C.state == PURGED).order_by(_C.id).limit(1)
FIND_EXPIRED = (
    select(_C.id)
    .where(
        is_(_C.owner_id), _C.state == ConversationState.DELETED.value, _C.purge_after <= bind(_C.purge_after)
    )
    .order_by(_C.purge_after, _C.id)
    .limit(number("limit"))
)
_PIECEMEAL = (schema.message, schema.attempt, schema.segment)
FIND_PIECE = {
    table.name: select(table.c.id).where(of(table)).order_by(table.c.id).limit(number("limit"))
    for table in _PIECEMEAL
}
REMOVE_PIECE = {
    table.name: delete(table).where(of(table), table.c.id <= bind(table.c.id, "last_id"))
    for table in _PIECEMEAL
}
FIND_HELD = (
    select(_HELD.sha256)
    .where(of(schema.message_blob), _HELD.message_id <= bind(_HELD.message_id, "last_id"))
    .distinct()
)
REMOVE_BLOB = delete(schema.blob).where(
    is_(_BLOB.owner_id),
    is_(_BLOB.sha256),
    ~exists().where(_HELD.owner_id == _BLOB.owner_id, _HELD.sha256 == _BLOB.sha256),
)
REMOVE_CONVERSATION = delete(schema.conversation).where(of_conversation(), _C.state == PURGED)


def update_state(database: Database, keys: Values, state: ConversationState, at: datetime) -> None:
    """Put a conversation elsewhere."""
    refuse_deleted(database, keys)
    database.run(UPDATE_STATE, {**keys, "state": state.value, "updated_at": at})


def remove_conversation(database: Database, keys: Values, at: datetime, purge_after: datetime | None) -> None:
    """Delete a conversation so that it can be restored."""
    refuse_deleted(database, keys)
    database.run(REMOVE, {**keys, "deleted_at": at, "purge_after": purge_after, "updated_at": at})


def restore_conversation(database: Database, keys: Values, at: datetime) -> None:
    """Take a deleted conversation back; one that is not deleted is where it was."""
    row = database.first(GET_STATE, keys)
    if row is None:
        raise explain_no_conversation(keys["conversation_id"])
    if row["state"] == ConversationState.DELETED.value:
        database.run(RESTORE, {**keys, "updated_at": at})


def patch_metadata(
    database: Database, keys: Values, patch: Mapping[str, Any], at: datetime
) -> Mapping[str, Any]:
    """Change metadata, and return them as they will be read."""
    refuse_deleted(database, keys)
    row = database.first(GET_METADATA, keys)
    assert row is not None  # noqa: S101  # its conversation is there
    metadata = merge_patch({} if row["metadata"] is None else json.loads(row["metadata"]), patch)
    text = _render_metadata(metadata) if metadata else None
    database.run(UPDATE_METADATA, {**keys, "metadata": text, "updated_at": at})
    return {} if text is None else dict(json.loads(text))


def _render_metadata(metadata: Mapping[str, Any]) -> str:
    try:
        return encode_json(metadata).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"the metadata is no JSON: {error}",
            kept="it is as it was",
            next_step="use texts, numbers, True, False, None, lists and dicts",
        ) from error


def update_tags(
    database: Database, keys: Values, add: Sequence[str], remove: Sequence[str], at: datetime
) -> tuple[str, ...]:
    """Add tags, take others away, and return what there are then."""
    for tag in add:
        if not 1 <= len(tag) <= LONGEST_TAG:
            raise StoreError(
                f"a tag has 1 to {LONGEST_TAG} characters, and this one has {len(tag)}",
                kept="the tags are as they were",
                next_step="choose another tag",
            )
    refuse_deleted(database, keys)
    for tag in remove:
        database.run(REMOVE_TAG, {**keys, "tag": tag})
    add_tags(database, keys, add)
    database.run(TOUCH, {**keys, "updated_at": at})
    return tuple(sorted(row["tag"] for row in database.all(GET_TAGS, keys)))


def find_tags(database: Database, owner: str) -> dict[str, int]:
    """Every tag, and how many conversations have it."""
    rows = database.all(FIND_TAGS, {"owner_id": owner})
    return dict(sorted((row["tag"], row["found"]) for row in rows))


def begin_purge(database: Database, keys: Values) -> None:
    """Let nobody find a deleted conversation any more."""
    row = database.first(GET_ANY_STATE, keys)
    if row is None:
        raise explain_no_conversation(keys["conversation_id"])
    if row["state"] not in (ConversationState.DELETED.value, PURGED):
        raise ConversationNotFoundError(
            f"conversation {keys['conversation_id']} is not deleted",
            conversation_id=keys["conversation_id"],
            kept="nothing of it was removed",
            next_step="delete it first",
        )
    _hide(database, keys)


def begin_purge_of_expired(database: Database, keys: Values, at: datetime) -> bool:
    """The same, if its time has come still: meanwhile it may have been restored."""
    row = database.first(GET_ANY_STATE, keys)
    if row is None or row["state"] != ConversationState.DELETED.value:
        return False
    if row["purge_after"] is None or row["purge_after"] > at:
        return False
    _hide(database, keys)
    return True


def _hide(database: Database, keys: Values) -> None:
    """Let a conversation be found by nobody, and no answer be stored in it that comes too late."""
    for statement in (PURGE, REMOVE_BRANCHES, REMOVE_UNSETTLED):
        database.run(statement, keys)


def find_expired(database: Database, owner: str, at: datetime, limit: int) -> list[UUID]:
    """Deleted conversations whose time has come, the longest overdue first."""
    values = {"owner_id": owner, "purge_after": at, "limit": max(limit, 0)}
    return [row["id"] for row in database.all(FIND_EXPIRED, values)]


def find_purged(database: Database, owner: str) -> UUID | None:
    """A conversation that is half gone."""
    row = database.first(FIND_PURGED, {"owner_id": owner})
    found: UUID | None = None if row is None else row["id"]
    return found


def purge_piece(database: Database, keys: Values) -> bool:
    """Remove some of a conversation, and say whether that was the last of it; one that is back stays."""
    state = database.first(GET_ANY_STATE, keys)
    if state is None or state["state"] != PURGED:
        return True
    if search.forget(database, keys, limit=PIECE) == PIECE:  # it can only while the texts are there
        return False
    for name, statement in FIND_PIECE.items():
        rows = database.all(statement, {**keys, "limit": PIECE})
        if rows:
            values = {**keys, "last_id": rows[-1]["id"]}
            if name == schema.message.name:
                _remove_messages(database, values)
            else:
                database.run(REMOVE_PIECE[name], values)
        if len(rows) == PIECE:
            return False
    database.run(REMOVE_CONVERSATION, keys)
    return True


def _remove_messages(database: Database, values: Values) -> None:
    """Remove messages with their marks, and bytes that only they hold."""
    held = database.all(FIND_HELD, values)
    database.run(REMOVE_PIECE[schema.message.name], values)
    for blob in held:
        database.run(REMOVE_BLOB, {**values, **blob})
