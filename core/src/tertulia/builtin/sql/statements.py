"""
Every statement of the store, built once.

SQLAlchemy composes and caches statements well, but composing costs more than running them: built for each
call they take five times as long. Parameters begin with ``b_``, as SQLAlchemy wants them told from columns.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Select,
    Table,
    and_,
    bindparam,
    insert,
    select,
    tuple_,
    update,
)

from tertulia.builtin.sql import schema
from tertulia.domain.conversation import AttemptOutcome
from tertulia.domain.message import MessageStatus

_BRANCH = schema.branch.c
_MESSAGE = schema.message.c
_ATTEMPT = schema.attempt.c
_CONVERSATION = schema.conversation.c
_SEGMENT = schema.segment.c
_PENDING = AttemptOutcome.PENDING.value


def _bind(column: Column[Any], name: str | None = None) -> ColumnElement[Any]:
    return bindparam(f"b_{name or column.name}", type_=column.type)


def _of(table: Table) -> ColumnElement[bool]:
    """Rows of one owner's conversation: the owner is in every WHERE."""
    keys = table.c
    return and_(keys.owner_id == _bind(keys.owner_id), keys.conversation_id == _bind(keys.conversation_id))


def _is(column: Column[Any], name: str | None = None) -> ColumnElement[bool]:
    return column == _bind(column, name)


_IS_CONVERSATION = and_(
    _is(_CONVERSATION.owner_id), _CONVERSATION.id == _bind(_CONVERSATION.id, "conversation_id")
)
_IS_BRANCH = and_(_of(schema.branch), _is(_BRANCH.name, "branch"))
_UNDER_WAY = and_(_ATTEMPT.outcome == _PENDING, _ATTEMPT.lease_until > _bind(_ATTEMPT.lease_until, "now"))

ADD_CONVERSATION = insert(schema.conversation)
ADD_SEGMENT = insert(schema.segment)
ADD_BRANCH = insert(schema.branch)
ADD_MESSAGE = insert(schema.message)
ADD_ATTEMPT = insert(schema.attempt)

_CONVERSATIONS: Select[Any] = select(
    schema.conversation,
    *(
        _BRANCH[name].label(f"branch_{name}")
        for name in ("provider", "model", "segment", "head_id", "head_depth", "version")
    ),
).join(
    schema.branch,
    (_BRANCH.owner_id == _CONVERSATION.owner_id)
    & (_BRANCH.conversation_id == _CONVERSATION.id)
    & (_BRANCH.name == _CONVERSATION.active_branch),
)

GET_CONVERSATION = _CONVERSATIONS.where(_IS_CONVERSATION)

_RECENT = (_CONVERSATION.updated_at, _CONVERSATION.id)
FIND_CONVERSATIONS = (
    _CONVERSATIONS.where(_is(_CONVERSATION.owner_id))
    .order_by(*(column.desc() for column in _RECENT))
    .limit(bindparam("b_limit"))
)
FIND_CONVERSATIONS_AFTER = FIND_CONVERSATIONS.where(
    tuple_(*_RECENT) < tuple_(_bind(_CONVERSATION.updated_at), _bind(_CONVERSATION.id))
)

UPDATE_TITLE = (
    update(schema.conversation)
    .where(_IS_CONVERSATION)
    .values(title=_bind(_CONVERSATION.title), updated_at=_bind(_CONVERSATION.updated_at))
)
TOUCH_CONVERSATION = (
    update(schema.conversation).where(_IS_CONVERSATION).values(updated_at=_bind(_CONVERSATION.updated_at))
)
# Relative, so that nobody's addition is lost.
COUNT = (
    update(schema.conversation)
    .where(_IS_CONVERSATION)
    .values(
        message_count=_CONVERSATION.message_count + _bind(_CONVERSATION.message_count),
        cost_pico=_CONVERSATION.cost_pico + _bind(_CONVERSATION.cost_pico),
        cost_unknown_count=_CONVERSATION.cost_unknown_count + _bind(_CONVERSATION.cost_unknown_count),
        updated_at=_bind(_CONVERSATION.updated_at),
    )
)

GET_HEAD = select(_BRANCH.segment, _BRANCH.head_id, _BRANCH.head_depth).where(_IS_BRANCH)
UPDATE_TARGET = (
    update(schema.branch)
    .where(_IS_BRANCH)
    .values(provider=_bind(_BRANCH.provider), model=_bind(_BRANCH.model))
)
# Compare and swap: the head moves only from where the message was made for. NULL is the empty branch.
MOVE_HEAD = (
    update(schema.branch)
    .where(_IS_BRANCH, _BRANCH.head_id.is_not_distinct_from(_bind(_BRANCH.head_id, "parent_id")))
    .values(
        head_id=_bind(_BRANCH.head_id),
        head_depth=_BRANCH.head_depth + 1,
        version=_BRANCH.version + 1,
    )
    .returning(_BRANCH.segment, _BRANCH.head_depth)
)

GET_UNDER_WAY = select(_ATTEMPT.message_id).where(_of(schema.attempt), _UNDER_WAY)

GET_PLACE = select(_MESSAGE.segment, _MESSAGE.depth).where(_of(schema.message), _is(_MESSAGE.id))
UPDATE_STATUS = (
    update(schema.message)
    .where(_of(schema.message), _is(_MESSAGE.id), _MESSAGE.status == MessageStatus.PENDING.value)
    .values(status=_bind(_MESSAGE.status))
)
GET_RUN = (
    select(schema.message)
    .where(_of(schema.message), _is(_MESSAGE.segment), _MESSAGE.depth < _bind(_MESSAGE.depth, "below"))
    .order_by(_MESSAGE.depth.desc())
)
GET_RUN_LIMITED = GET_RUN.limit(bindparam("b_limit"))
GET_FORK = select(_SEGMENT.parent_segment, _SEGMENT.fork_depth).where(_of(schema.segment), _is(_SEGMENT.id))

_NEVER_CHANGED = {
    "owner_id",
    "conversation_id",
    "id",
    "message_id",
    "number",
    "provider",
    "model",
    "started_at",
}
SETTLE_ATTEMPT = (
    update(schema.attempt)
    .where(_of(schema.attempt), _is(_ATTEMPT.id))
    .values({column.name: _bind(column) for column in schema.attempt.c if column.name not in _NEVER_CHANGED})
)
UPDATE_LEASE = (
    update(schema.attempt)
    .where(_is(_ATTEMPT.owner_id), _is(_ATTEMPT.id), _ATTEMPT.outcome == _PENDING)
    .values(lease_until=_bind(_ATTEMPT.lease_until))
)
# A wall clock made the ids, and it may be set back: the depth of its question says which attempt came first.
GET_ATTEMPTS = (
    select(schema.attempt)
    .outerjoin(
        schema.message,
        (_MESSAGE.owner_id == _ATTEMPT.owner_id)
        & (_MESSAGE.conversation_id == _ATTEMPT.conversation_id)
        & (_MESSAGE.id == _ATTEMPT.message_id),
    )
    .where(_of(schema.attempt))
    .order_by(_MESSAGE.depth, _ATTEMPT.number, _ATTEMPT.id)
)
