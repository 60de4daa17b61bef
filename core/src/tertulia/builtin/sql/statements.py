"""
Every statement of the store, built once.

Parameters are named like the columns they are for; SQLAlchemy wants them told from columns, so they begin
with ``b_`` here, and :mod:`tertulia.builtin.sql.database` takes that away again.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    FromClause,
    Insert,
    ScalarSelect,
    Select,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
    update,
)

from tertulia.builtin.sql import schema
from tertulia.builtin.sql.binding import bind, is_, number, of, of_conversation
from tertulia.builtin.sql.database import LARGEST
from tertulia.builtin.sql.rows import BRANCH_COLUMNS, TOKEN_COLUMNS
from tertulia.builtin.sql.schema import PENDING
from tertulia.domain.message import MessageStatus, Role

_BRANCH = schema.branch.c
_MESSAGE = schema.message.c
_ATTEMPT = schema.attempt.c
_CONVERSATION = schema.conversation.c
_SEGMENT = schema.segment.c
_BLOB = schema.blob.c
_MESSAGE_BLOB = schema.message_blob.c
_CHECKPOINT = schema.checkpoint.c
_MODEL = schema.model.c


def _same(table: FromClause, other: FromClause) -> ColumnElement[bool]:
    """Rows of the same owner's conversation."""
    return and_(table.c.owner_id == other.c.owner_id, table.c.conversation_id == other.c.conversation_id)


def _set(table: Table, *but: str) -> dict[str, ColumnElement[Any]]:
    """Every column of a table but some, each to a parameter of its name."""
    return {column.name: bind(column) for column in table.c if column.name not in but}


def _next_in_sequence(table: Table) -> ScalarSelect[int]:
    last = func.max(table.c.sequence)
    return select(func.coalesce(last, 0) + 1).where(of(table)).scalar_subquery()


def _insert(table: Table) -> Insert:
    if "sequence" not in table.c:
        return insert(table).values(_set(table))
    return insert(table).values({**_set(table, "sequence"), "sequence": _next_in_sequence(table)})


_IS_CONVERSATION = of_conversation()
_IS_BRANCH = and_(of(schema.branch), is_(_BRANCH.name, "branch"))
_IS_MESSAGE = and_(of(schema.message), _MESSAGE.id == bind(_MESSAGE.id, "message_id"))

ADD_CONVERSATION = insert(schema.conversation).values(
    {**_set(schema.conversation), "id": bind(_CONVERSATION.id, "conversation_id")}
)
ADD_SEGMENT = _insert(schema.segment)
ADD_BRANCH = _insert(schema.branch)
ADD_MESSAGE = _insert(schema.message)
ADD_ATTEMPT = _insert(schema.attempt)
ADD_MESSAGE_BLOB = _insert(schema.message_blob)

CONVERSATIONS: Select[Any] = select(
    schema.conversation,
    *(column.label(f"branch_{column.name}") for column in schema.branch.c if column.name in BRANCH_COLUMNS),
).join(
    schema.branch,
    (_BRANCH.owner_id == _CONVERSATION.owner_id)
    & (_BRANCH.conversation_id == _CONVERSATION.id)
    & (_BRANCH.name == _CONVERSATION.active_branch),
)

GET_CONVERSATION = CONVERSATIONS.where(_IS_CONVERSATION, _CONVERSATION.state != "purged")
GET_STATE = select(_CONVERSATION.state).where(_IS_CONVERSATION, _CONVERSATION.state != "purged")
_IS_THERE = exists().where(_IS_CONVERSATION, _CONVERSATION.state != "purged")  # not half gone
GET_ACTIVE_BRANCH = select(_CONVERSATION.active_branch).where(_IS_CONVERSATION)
# Who is going to change something of a conversation holds its row; SQLite has one who writes anyway.
LOCK_CONVERSATION = select(_CONVERSATION.version).where(_IS_CONVERSATION).with_for_update()

UPDATE_TITLE = (
    update(schema.conversation)
    .where(_IS_CONVERSATION)
    .values(title=bind(_CONVERSATION.title), updated_at=bind(_CONVERSATION.updated_at))
)
TOUCH_CONVERSATION = (
    update(schema.conversation).where(_IS_CONVERSATION).values(updated_at=bind(_CONVERSATION.updated_at))
)
UPDATE_ACTIVE_BRANCH = (
    update(schema.conversation)
    .where(_IS_CONVERSATION)
    .values(active_branch=bind(_CONVERSATION.active_branch), updated_at=bind(_CONVERSATION.updated_at))
)
# A sum that no column holds stays what it is, with one cost more unknown.
_FITS = _CONVERSATION.cost_pico <= literal(LARGEST, BigInteger) - bind(_CONVERSATION.cost_pico)
# Relative, so that nobody's addition is lost.
COUNT = (
    update(schema.conversation)
    .where(_IS_CONVERSATION)
    .values(
        message_count=_CONVERSATION.message_count + bind(_CONVERSATION.message_count),
        cost_pico=_CONVERSATION.cost_pico + case((_FITS, bind(_CONVERSATION.cost_pico)), else_=0),
        cost_unknown_count=_CONVERSATION.cost_unknown_count
        + bind(_CONVERSATION.cost_unknown_count)
        + case((_FITS, 0), else_=1),
        updated_at=bind(_CONVERSATION.updated_at),
        version=_CONVERSATION.version + 1,
        **{column.name: column + bind(column) for column in _CONVERSATION if column.name in TOKEN_COLUMNS},
    )
)

# Asked along with the head: whether another branch's message stands where the next one would, since
# (segment, depth) is the arbiter; and whether an attempt is pending in the conversation, as mostly none is.
_NEWEST = schema.message.alias("newest")
GET_HEAD = (
    select(
        _BRANCH.segment,
        _BRANCH.head_id,
        _BRANCH.head_depth,
        _BRANCH.path_cost_pico,
        _BRANCH.path_cost_unknown_count,
        _CONVERSATION.state,
        exists()
        .where(
            _same(schema.message, schema.branch),
            _MESSAGE.segment == _BRANCH.segment,
            _MESSAGE.depth == _BRANCH.head_depth + 1,
        )
        .label("is_taken"),
        exists().where(_same(schema.attempt, schema.branch), _ATTEMPT.outcome == PENDING).label("is_pending"),
        _NEWEST.c.role,
        _NEWEST.c.status,
        _NEWEST.c.tokens,
        _NEWEST.c.path_tokens,
    )
    .select_from(
        schema.branch.join(
            schema.conversation,
            (_CONVERSATION.owner_id == _BRANCH.owner_id) & (_CONVERSATION.id == _BRANCH.conversation_id),
        ).outerjoin(_NEWEST, _same(_NEWEST, schema.branch) & (_NEWEST.c.id == _BRANCH.head_id))
    )
    .where(_IS_BRANCH)
)
GET_BRANCH = select(schema.branch).where(_IS_BRANCH)
FIND_BRANCHES = select(schema.branch).where(of(schema.branch)).order_by(_BRANCH.sequence)
UPDATE_TARGET = (
    update(schema.branch).where(_IS_BRANCH).values(provider=bind(_BRANCH.provider), model=bind(_BRANCH.model))
)
# Compare and swap: the head moves only from where the message was made for. NULL is the empty branch.
MOVE_HEAD = (
    update(schema.branch)
    .where(_IS_BRANCH, _BRANCH.head_id.is_not_distinct_from(bind(_BRANCH.head_id, "parent_id")))
    .values(
        segment=bind(_BRANCH.segment),
        head_id=bind(_BRANCH.head_id, "id"),
        head_depth=bind(_BRANCH.head_depth, "depth"),
        version=_BRANCH.version + number("added"),
        path_cost_pico=bind(_BRANCH.path_cost_pico),
        path_cost_unknown_count=bind(_BRANCH.path_cost_unknown_count),
    )
)
# What an answer cost is known once it is whole: then its branches, which end with it, know it too.
UPDATE_PATH_COST = (
    update(schema.branch)
    .where(of(schema.branch), _BRANCH.head_id == bind(_BRANCH.head_id, "id"))
    .values(
        path_cost_pico=bind(_BRANCH.path_cost_pico),
        path_cost_unknown_count=bind(_BRANCH.path_cost_unknown_count),
    )
)
RENAME_BRANCH = update(schema.branch).where(_IS_BRANCH).values(name=bind(_BRANCH.name))
RENAME_ORIGIN = (
    update(schema.branch)
    .where(of(schema.branch), is_(_BRANCH.forked_from, "branch"))
    .values(forked_from=bind(_BRANCH.forked_from, "name"))
)
# Deeper than where the removed branch itself was forked, nothing is shared with the one before it.
INHERIT_ORIGIN = (
    update(schema.branch)
    .where(of(schema.branch), is_(_BRANCH.forked_from, "branch"))
    .values(
        forked_from=bind(_BRANCH.forked_from),
        fork_depth=case(
            (_BRANCH.fork_depth < bind(_BRANCH.fork_depth), _BRANCH.fork_depth),
            else_=bind(_BRANCH.fork_depth),
        ),
    )
)
REMOVE_BRANCH = delete(schema.branch).where(_IS_BRANCH)
RENAME_ATTEMPTS = (
    update(schema.attempt)
    .where(of(schema.attempt), is_(_ATTEMPT.branch))
    .values(branch=bind(_ATTEMPT.branch, "name"))
)

ADD_TAG = insert(schema.tag).from_select(
    [column.name for column in schema.tag.c],
    select(*map(bind, schema.tag.c)).where(~exists().where(of(schema.tag), is_(schema.tag.c.tag))),
)
GET_TAGS = select(schema.tag.c.tag).where(of(schema.tag)).order_by(schema.tag.c.tag)
ADD_CONVERSATION_TARGET = insert(schema.conversation_target).from_select(
    [column.name for column in schema.conversation_target.c],
    select(*map(bind, schema.conversation_target.c)).where(
        ~exists().where(
            of(schema.conversation_target),
            is_(schema.conversation_target.c.provider),
            is_(schema.conversation_target.c.model),
        )
    ),
)

GET_PENDING_ATTEMPTS = select(_ATTEMPT.message_id, _ATTEMPT.lease_until, _ATTEMPT.branch).where(
    of(schema.attempt), _ATTEMPT.outcome == PENDING
)
GET_LAST_NUMBER = select(func.coalesce(func.max(_ATTEMPT.number), 0).label("number")).where(
    of(schema.attempt), is_(_ATTEMPT.message_id)
)
_OUTCOME_ONLY = (
    "owner_id",
    "conversation_id",
    "id",
    "sequence",
    "message_id",
    "number",
    "provider",
    "model",
    "branch",
    "purpose",
    "is_fallback",
)
SETTLE_ATTEMPT = (
    update(schema.attempt)
    .where(of(schema.attempt), is_(_ATTEMPT.id), _ATTEMPT.outcome == PENDING)
    .values(_set(schema.attempt, *_OUTCOME_ONLY, "started_at"))
)
# What the store settled in the name of a process that was thought dead has its lease still.
SETTLE_TAKEN_OVER = (
    update(schema.attempt)
    .where(of(schema.attempt), is_(_ATTEMPT.id), _ATTEMPT.lease_until.is_not(None))
    .values(_set(schema.attempt, *_OUTCOME_ONLY, "started_at"))
)
TAKE_OVER_ATTEMPTS = (
    update(schema.attempt)
    .where(of(schema.attempt), is_(_ATTEMPT.message_id), _ATTEMPT.outcome == PENDING)
    .values(
        outcome=bind(_ATTEMPT.outcome),
        error_kind=bind(_ATTEMPT.error_kind),
        error_message=bind(_ATTEMPT.error_message),
        lease_until=func.coalesce(_ATTEMPT.lease_until, _ATTEMPT.started_at),
    )
)
GET_PENDING_ATTEMPT = select(_ATTEMPT.id).where(
    of(schema.attempt), is_(_ATTEMPT.id), _ATTEMPT.outcome == PENDING
)
GET_BRANCH_OF_ATTEMPT = select(_ATTEMPT.branch).where(of(schema.attempt), is_(_ATTEMPT.id))
UPDATE_LEASE = (
    update(schema.attempt)
    .where(is_(_ATTEMPT.owner_id), is_(_ATTEMPT.id), _ATTEMPT.outcome == PENDING)
    .values(lease_until=bind(_ATTEMPT.lease_until))
)
GET_ATTEMPTS = select(schema.attempt).where(of(schema.attempt), _IS_THERE).order_by(_ATTEMPT.sequence)

# The keys are known to who asks, and making ids of them takes longer than the rest.
_NOT_READ = (
    "owner_id",
    "conversation_id",
    "segment",
    "path_cost_pico",
    "path_cost_unknown_count",
    "path_tokens",
)
# Asked along with the messages: whether anything is said of any in the conversation, as mostly nothing is.
_IS_MARKED = exists().where(of(schema.message_mark)).label("is_marked")
MESSAGE_COLUMNS = tuple(column for column in schema.message.c if column.name not in _NOT_READ)
MESSAGES = select(*MESSAGE_COLUMNS, _IS_MARKED)
GET_MESSAGE = MESSAGES.where(_IS_MESSAGE, _IS_THERE)
_IS_OF_CLIENT = and_(of(schema.message), is_(_MESSAGE.client_id))
GET_ID_OF_CLIENT = select(_MESSAGE.id).where(_IS_OF_CLIENT)
FIND_MESSAGE = MESSAGES.where(_IS_OF_CLIENT, _IS_THERE)
GET_PLACE = select(
    _MESSAGE.parent_id,
    _MESSAGE.segment,
    _MESSAGE.depth,
    _MESSAGE.role,
    _MESSAGE.status,
    _MESSAGE.path_cost_pico,
    _MESSAGE.path_cost_unknown_count,
    _MESSAGE.tokens,
    _MESSAGE.path_tokens,
).where(_IS_MESSAGE)
_NEXT, _FORK = schema.message.alias("next"), schema.segment.alias("fork")
_IS_ANSWER = and_(of(_NEXT), _NEXT.c.depth == _MESSAGE.depth + 1, _NEXT.c.role == Role.ASSISTANT.value)
_IS_FORKED = and_(of(_FORK), _FORK.c.parent_segment == _MESSAGE.segment, _FORK.c.fork_depth == _MESSAGE.depth)
# Whether anything but one answer follows. Nothing forks before the place below is taken: mostly the first
# question is the only one. In words of its own, for SQLAlchemy leaves the tables out behind RETURNING.
_BELOW = """
EXISTS (
    SELECT 1 FROM message AS next
    WHERE next.owner_id = message.owner_id AND next.conversation_id = message.conversation_id
    AND next.segment = message.segment AND next.depth = message.depth + 1 {}
)
"""
_FORKED = """
EXISTS (
    SELECT 1 FROM segment AS fork
    WHERE fork.owner_id = message.owner_id AND fork.conversation_id = message.conversation_id
    AND fork.parent_segment = message.segment AND fork.fork_depth = message.depth
)
"""
_NO_ANSWER = "AND next.role <> 'assistant'"
_IS_FOLLOWED = literal_column(
    f"{_BELOW.format('')} AND ({_BELOW.format(_NO_ANSWER)} OR {_FORKED})", Boolean
).label("is_followed")
# A message that failed may still be answered, and what is complete stays so.
UPDATE_STATUS = (
    update(schema.message)
    .where(_IS_MESSAGE, _MESSAGE.status != MessageStatus.COMPLETE.value)
    .values(status=bind(_MESSAGE.status))
    .returning(_IS_FOLLOWED)
)
# A message that has an answer is complete, whatever becomes of another one. The first that followed it
# stands on its segment, and each other one begins a segment.
REOPEN_MESSAGE = (
    update(schema.message)
    .where(
        _IS_MESSAGE,
        ~exists().where(_IS_ANSWER, _NEXT.c.segment == _MESSAGE.segment),
        ~exists().where(_IS_FORKED, _IS_ANSWER, _NEXT.c.segment == _FORK.c.id),
    )
    .values(status=bind(_MESSAGE.status))
    .returning(_IS_FOLLOWED)
)
_PATH_WITH_TOKENS = _MESSAGE.path_tokens - _MESSAGE.tokens + bind(_MESSAGE.tokens)
_KEPT_PLACE = ("owner_id", "conversation_id", "id", "parent_id", "segment", "depth", "path_tokens")
_PATH_FITS = _MESSAGE.path_cost_pico <= literal(LARGEST, BigInteger) - bind(_MESSAGE.path_cost_pico)
COMPLETE_MESSAGE = (
    update(schema.message)
    .where(of(schema.message), is_(_MESSAGE.id), _MESSAGE.status == PENDING)
    .values(
        {
            **_set(schema.message, *_KEPT_PLACE),
            # Until now its cost counted as unknown.
            "path_cost_pico": _MESSAGE.path_cost_pico
            + case((_PATH_FITS, bind(_MESSAGE.path_cost_pico)), else_=0),
            "path_cost_unknown_count": _MESSAGE.path_cost_unknown_count
            + case((_PATH_FITS, bind(_MESSAGE.path_cost_unknown_count) - 1), else_=0),
            "path_tokens": _PATH_WITH_TOKENS,
        }
    )
    .returning(_MESSAGE.depth, _MESSAGE.path_cost_pico, _MESSAGE.path_cost_unknown_count)
)
INTERRUPT_MESSAGE = (
    update(schema.message)
    .where(_IS_MESSAGE)
    .values(
        text=bind(_MESSAGE.text),
        parts=bind(_MESSAGE.parts),
        status=bind(_MESSAGE.status),
        tokens=bind(_MESSAGE.tokens),
        path_tokens=_PATH_WITH_TOKENS,
    )
)

_PIECE: tuple[Column[Any], ...] = tuple(schema.checkpoint.c)
ADD_CHECKPOINT = insert(schema.checkpoint).from_select(
    [column.name for column in _PIECE],
    select(*map(bind, _PIECE)).where(exists().where(_IS_MESSAGE, _MESSAGE.status == PENDING)),
)
GET_PIECES = (
    select(_CHECKPOINT.message_id, _CHECKPOINT.text, _CHECKPOINT.thoughts, _MESSAGE.parent_id)
    .join(
        schema.message,
        _same(schema.message, schema.checkpoint) & (_MESSAGE.id == _CHECKPOINT.message_id),
    )
    .where(of(schema.checkpoint))
    .order_by(_CHECKPOINT.message_id, _CHECKPOINT.number)
)
REMOVE_PIECES = delete(schema.checkpoint).where(of(schema.checkpoint), is_(_CHECKPOINT.message_id))


ADD_BLOB = insert(schema.blob).from_select(
    [column.name for column in schema.blob.c],
    select(*map(bind, schema.blob.c)).where(~exists().where(is_(_BLOB.owner_id), is_(_BLOB.sha256))),
)


def _climb(start: Select[*tuple[Any, ...]]) -> CTE:
    """
    The segments of a path, the newest first.

    Args:
        start: Selects the newest ``segment``, the depth ``below`` which its messages are wanted, and the
            lowest depth that is (``bottom``).
    """
    run = start.cte("run", recursive=True)
    forked_below = _SEGMENT.fork_depth + 1
    return run.union_all(
        select(
            _SEGMENT.parent_segment,
            case((forked_below < run.c.below, forked_below), else_=run.c.below),
            run.c.bottom,
        )
        .join(run, _SEGMENT.id == run.c.segment)
        .where(of(schema.segment), _SEGMENT.parent_segment.is_not(None), forked_below > run.c.bottom)
    )


EVERYTHING = 2**31
"""More messages than a path has."""


def _make_path() -> CTE:
    end, before = _BRANCH.head_depth + 1, number("before_depth")
    below = case((end < before, end), else_=before)
    start = select(_BRANCH.segment, below.label("below"), (below - number("limit")).label("bottom"))
    return _climb(start.where(_IS_BRANCH))


PATH = _make_path()
ON_PATH = and_(
    of(schema.message),
    _MESSAGE.segment == PATH.c.segment,
    _MESSAGE.depth < PATH.c.below,
    _MESSAGE.depth >= PATH.c.bottom,
)
# Depths have no gaps, so the newest so many are a range of depths, however many segments it runs over.
GET_PATH = MESSAGES.join(PATH, ON_PATH).order_by(_MESSAGE.depth)
GET_SEGMENTS = select(
    _climb(
        select(bind(_SEGMENT.id, "segment").label("segment"), number("below").label("below")).add_columns(
            literal(0).label("bottom")
        )
    )
)

_BLOBS = select(_BLOB.sha256, _BLOB.bytes).where(is_(_BLOB.owner_id))
_HELD = select(_MESSAGE_BLOB.sha256).where(of(schema.message_blob))
_IDSON_PATH = select(_MESSAGE.id).join(PATH, ON_PATH)
GET_MESSAGE_BLOBS = _BLOBS.where(_BLOB.sha256.in_(_HELD.where(is_(_MESSAGE_BLOB.message_id))))
GET_PATH_BLOBS = _BLOBS.where(_BLOB.sha256.in_(_HELD.where(_MESSAGE_BLOB.message_id.in_(_IDSON_PATH))))

ADD_MODEL = insert(schema.model).values(_set(schema.model))
UPDATE_MODEL = (
    update(schema.model)
    .where(is_(_MODEL.owner_id), is_(_MODEL.provider), is_(_MODEL.id))
    .values(facts=bind(_MODEL.facts))
)
GET_ALL_MODELS = select(schema.model).where(is_(_MODEL.owner_id)).order_by(_MODEL.provider, _MODEL.id)
GET_MODELS = GET_ALL_MODELS.where(is_(_MODEL.provider))
