"""
What stands on a branch, read in part.

Nothing here takes longer because the branch is long: sums are read where a path ends, and of the messages
only those that are returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import attrs
from sqlalchemy import (
    BigInteger,
    Integer,
    ScalarSelect,
    Subquery,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
    true,
    union,
)

from tertulia.builtin.sql import schema, statements
from tertulia.builtin.sql.binding import Selection, is_, number, of
from tertulia.builtin.sql.blobs import find_blobs
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.joining import InOrder
from tertulia.builtin.sql.leases import resolve
from tertulia.builtin.sql.marks import MARK_COLUMNS, add_marks, parse_mark
from tertulia.builtin.sql.path_tokens import ROOT, UNANSWERED, end_of
from tertulia.builtin.sql.rows import parse_message
from tertulia.builtin.sql.schema import SYSTEM
from tertulia.builtin.sql.statements import EVERYTHING, MESSAGE_COLUMNS, ON_PATH, PATH
from tertulia.builtin.sql.tree import get_branch
from tertulia.domain.context import Outline
from tertulia.domain.message import NO_MARK, Message, MessageStatus, Role

_BLOB = schema.blob.c
_HELD = schema.message_blob.c
_MESSAGE = schema.message.c
_MARK = schema.message_mark.c


def make_values(keys: Values, branch: str, before_depth: int) -> Row:
    """What the statements about the path of a branch need."""
    return {**keys, "branch": branch, "before_depth": before_depth, "limit": EVERYTHING}


def get_outline(
    database: Database, keys: Values, branch: str, now: datetime, *, before_depth: int
) -> Outline:
    """What a branch holds before a depth."""
    path = make_values(keys, branch, before_depth)
    rows = database.all(_GET_OUTLINE, path)
    end, kept = rows[0], [row for row in rows if row["id"] is not None]
    if end["message_count"] is None:
        get_branch(database, keys, branch)
    messages = _read(database, path, kept, now)
    return Outline(
        system=tuple(message for message in messages if message.role is Role.SYSTEM),
        marked=tuple(message for message in messages if message.mark != NO_MARK),
        message_count=max(0, end["message_count"] or 0),
        tokens=end_of(_read_end(database, path, end, now)).before(Role.USER.value),
    )


def _read_end(database: Database, path: Values, found: Row, now: datetime) -> Row:
    """The newest message's row; of an answer under way nothing was counted before it came."""
    row = {name: found[f"end_{name}"] for name in _END}
    if _is_coming(row):
        stored = row["tokens"]
        resolve(database, path, [row], now)
        row["path_tokens"] += row["tokens"] - stored
    return row


def _is_coming(row: Row) -> bool:
    return (row["role"], row["status"]) == (Role.ASSISTANT.value, MessageStatus.PENDING.value)


def _read(database: Database, path: Values, rows: Sequence[Row], now: datetime) -> list[Message]:
    """The messages of rows that come with their marks."""
    in_order = sorted(rows, key=lambda row: int(row["depth"]))
    resolve(database, path, in_order, now)
    find = find_blobs(database, in_order, _GET_KEPT_BLOBS, path)
    return [attrs.evolve(parse_message(row, find), mark=parse_mark(row)) for row in in_order]


def get_recent(
    database: Database, keys: Values, branch: str, now: datetime, *, before_depth: int, tokens: int
) -> list[Message]:
    """The newest messages of a branch before a depth that have so many tokens together."""
    path = make_values(keys, branch, before_depth) | {"tokens": tokens}
    rows = database.all(_GET_RECENT, path)
    if not rows:
        get_branch(database, keys, branch)
    is_coming = bool(rows) and _is_coming(rows[-1])
    resolve(database, keys, rows, now)
    rows = _leave_out(rows, tokens) if is_coming else rows
    find = find_blobs(database, rows, _GET_RECENT_BLOBS, path)
    return add_marks(database, keys, rows, [parse_message(row, find) for row in rows])


def _leave_out(rows: Sequence[Row], most: int) -> list[Row]:
    """The newest rows that have so many tokens, now that an answer is counted as far as it came."""
    end, before = ROOT, list[int]()
    for row in rows:
        before.append(end.before(row["role"]))
        end = end.follow_row(row)
    total = end.before(Role.USER.value)
    return [row for row, earlier in zip(rows, before, strict=True) if total - earlier <= most]


_RUN, _END_RUN = PATH.alias("end_of_run"), PATH.alias("last_run")
_END = ("id", "parent_id", "role", "status", "tokens", "path_tokens")
_ONE, _NOTHING = literal_column("1", Integer), literal_column("0", BigInteger)
_LENGTH = select(func.max(_END_RUN.c.below)).scalar_subquery()


def _find_newest() -> Subquery:
    """The last message of a branch before a depth."""
    newest, run = schema.message.alias("newest"), PATH.alias("newest_run")
    is_last = and_(newest.c.depth < run.c.below, newest.c.depth == _LENGTH - _ONE)
    is_there = and_(of(newest), newest.c.segment == run.c.segment, is_last)
    columns = (newest.c[name].label(f"end_{name}") for name in _END)
    return select(*columns).select_from(InOrder(run, newest, is_there)).subquery("newest")


def _find_kept() -> Subquery:
    """The system messages of a path, and those of which anything is said."""
    system, mark = schema.message.alias("system"), schema.message_mark.alias("mark")
    wanted = union(
        select(system.c.id).where(of(system), system.c.role == SYSTEM),
        select(mark.c.message_id).where(of(mark)),
    ).subquery("wanted")
    is_wanted = of(schema.message) & (_MESSAGE.id == wanted.c.id)
    is_marked = of(schema.message_mark) & (_MARK.message_id == _MESSAGE.id)
    found = InOrder(InOrder(wanted, schema.message, is_wanted), PATH, ON_PATH)
    return (
        select(*MESSAGE_COLUMNS, *MARK_COLUMNS)
        .select_from(found.outerjoin(schema.message_mark, is_marked))
        .subquery("kept")
    )


def _find_boundary() -> ScalarSelect[int]:
    """
    The depth of the newest message before which there is too much, by what a path holds before it.

    Each segment is looked through from its end, and only as far as its messages are wanted.
    """
    newest, passed = _find_newest().c, schema.message.alias("passed")
    is_unanswered = and_(
        newest.end_role == Role.USER.value, or_(*(newest.end_status == each for each in UNANSWERED))
    )
    total = newest.end_path_tokens - case((is_unanswered, newest.end_tokens), else_=_NOTHING)
    least = select(total - number("tokens")).scalar_subquery()
    of_run = (
        select(passed.c.depth)
        .where(
            of(passed),
            passed.c.segment == _RUN.c.segment,
            passed.c.depth < _RUN.c.below,
            passed.c.path_tokens - passed.c.tokens < least,
        )
        .order_by(passed.c.depth.desc())
        .limit(_ONE)
        .correlate(_RUN)
        .scalar_subquery()
    )
    deepest = func.coalesce(func.max(of_run), literal_column("-1", Integer))
    return select(deepest).select_from(_RUN).scalar_subquery()


def _hold(ids: Selection) -> Selection:
    """The bytes of messages."""
    held = select(_HELD.sha256).where(of(schema.message_blob), _HELD.message_id.in_(ids))
    return select(_BLOB.sha256, _BLOB.bytes).where(is_(_BLOB.owner_id), _BLOB.sha256.in_(held))


_NEWEST, _KEPT = _find_newest(), _find_kept()
_SIZE = select(func.max(_END_RUN.c.below).label("message_count")).subquery("size")
_GET_OUTLINE: Selection = select(_SIZE, _NEWEST, _KEPT).select_from(
    _SIZE.outerjoin(_NEWEST, true()).outerjoin(_KEPT, true())
)
_IS_RECENT = and_(
    of(schema.message),
    _MESSAGE.segment == PATH.c.segment,
    _MESSAGE.depth < PATH.c.below,
    _MESSAGE.depth > _find_boundary(),  # and no other bound, of which SQLite might take that one
)
_GET_RECENT = statements.MESSAGES.join(PATH, _IS_RECENT).order_by(_MESSAGE.depth)
_GET_RECENT_BLOBS = _hold(select(_MESSAGE.id).join(PATH, _IS_RECENT))
_GET_KEPT_BLOBS = _hold(select(_KEPT.c.id))
