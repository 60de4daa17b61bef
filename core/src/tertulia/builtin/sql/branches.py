"""Branches: names for places in the tree."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import update

from tertulia.builtin.sql import schema, statements
from tertulia.builtin.sql.binding import bind, is_, of
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.leases import is_partial, refuse_while_busy
from tertulia.builtin.sql.rows import parse_branch
from tertulia.builtin.sql.tree import (
    LONGEST_NAME,
    explain_missing,
    get_branch,
    path_cost,
    refuse_deleted,
    render_path_cost,
)
from tertulia.domain.conversation import Branch
from tertulia.domain.usage import CostTotal
from tertulia.errors import (
    BranchError,
    BranchExistsError,
    BranchMovedError,
    DuplicateMessageError,
    MessageNotFoundError,
)

_UPDATE_FORK_DEPTH = (
    update(schema.branch)
    .where(of(schema.branch), is_(schema.branch.c.name))
    .values(fork_depth=bind(schema.branch.c.fork_depth))
)


def add_branch(
    database: Database,
    keys: Values,
    branch: str,
    *,
    source: str,
    at: UUID | Literal["head", "root"],
    created_at: datetime,
    now: datetime,
    new_segment: UUID,
) -> Branch:
    """
    Give a place in the tree a name: one row, however much is above it.

    Args:
        new_segment: The id of the segment with which a branch begins that shares nothing.
    """
    refuse_deleted(database, keys)
    origin = get_branch(database, keys, source)
    _check_name(database, keys, branch)
    head_id = origin["head_id"] if at == "head" else None if at == "root" else at
    if head_id is None:
        root = {"id": new_segment, "parent_segment": None, "fork_depth": None}
        database.run(statements.ADD_SEGMENT, {**keys, **root})
        place = {"segment": new_segment, "head_id": None, "head_depth": -1, "fork_depth": -1}
        place |= render_path_cost(CostTotal())
    else:
        place = _find_place(database, keys, origin, head_id, now)
    row = {
        "name": branch,
        **place,
        "version": 0,
        "provider": origin["provider"],
        "model": origin["model"],
        "forked_from": origin["name"],
        "created_at": created_at,
    }
    database.run(statements.ADD_BRANCH, {**keys, **row})
    return parse_branch(get_branch(database, keys, branch))


def update_branch_name(
    database: Database, keys: Values, branch: str, name: str, at: datetime, now: datetime
) -> None:
    """Rename a branch wherever it is named."""
    refuse_deleted(database, keys)
    row = get_branch(database, keys, branch)
    if name == branch:
        return
    _check_name(database, keys, name)
    _refuse_while_answered(database, keys, row, now, "it was not renamed")
    database.run(statements.RENAME_BRANCH, {**keys, "branch": branch, "name": name})
    database.run(statements.RENAME_ORIGIN, {**keys, "branch": branch, "name": name})
    database.run(statements.RENAME_ATTEMPTS, {**keys, "branch": branch, "name": name})
    active = _get_active(database, keys)
    renamed = {"active_branch": name if active == row["name"] else active, "updated_at": at}
    database.run(statements.UPDATE_ACTIVE_BRANCH, {**keys, **renamed})


def update_active_branch(database: Database, keys: Values, branch: str, at: datetime) -> None:
    """Let a branch be the one a conversation is opened on."""
    refuse_deleted(database, keys)
    get_branch(database, keys, branch)
    database.run(statements.UPDATE_ACTIVE_BRANCH, {**keys, "active_branch": branch, "updated_at": at})


def update_target(
    database: Database, keys: Values, branch: str, *, provider: str, model: str, at: datetime
) -> None:
    """Let a branch go on with another provider and model."""
    refuse_deleted(database, keys)
    target = {"branch": branch, "provider": provider, "model": model}
    if database.run(statements.UPDATE_TARGET, {**keys, **target}) == 0:
        raise explain_missing(database, keys, branch)
    database.run(statements.TOUCH_CONVERSATION, {**keys, "updated_at": at})


def update_branch_head(
    database: Database,
    keys: Values,
    branch: str,
    *,
    to: UUID,
    expected_head: UUID | None,
    at: datetime,
    now: datetime,
) -> Branch:
    """Let a branch end with another message that follows its newest one."""
    refuse_deleted(database, keys)
    row = get_branch(database, keys, branch)
    place = _find_message(database, keys, to, now, "no other branch can end with it yet")
    if row["head_id"] != expected_head:
        raise explain_moved(branch, expected_head, row["head_id"], "it stays where it is")
    _refuse_unless_behind(database, keys, row, to, place)
    _refuse_while_answered(database, keys, row, now, "it stays where it is")
    moved = {"segment": place["segment"], "id": to, "depth": place["depth"], "parent_id": expected_head}
    cost = render_path_cost(path_cost(place))
    database.run(statements.MOVE_HEAD, {**keys, "branch": branch, "added": 1, **moved, **cost})
    database.run(statements.TOUCH_CONVERSATION, {**keys, "updated_at": at})
    _update_fork_depths(database, keys, branch)
    return parse_branch(get_branch(database, keys, branch))


def remove_branch(database: Database, keys: Values, branch: str, at: datetime, now: datetime) -> None:
    """Take a branch's name away; what was forked from it counts as forked from where it was forked itself."""
    refuse_deleted(database, keys)
    row = get_branch(database, keys, branch)
    if _get_active(database, keys) == row["name"]:
        raise BranchError(
            f"branch {branch!r} is the active one, so it was not removed",
            branch=branch,
            next_step="switch to another branch first",
        )
    _refuse_while_answered(database, keys, row, now, "it was not removed")
    database.run(statements.REMOVE_BRANCH, {**keys, "branch": branch})
    database.run(statements.RENAME_ATTEMPTS, {**keys, "branch": branch, "name": None})
    origin = {"forked_from": row["forked_from"], "fork_depth": row["fork_depth"]}
    database.run(statements.INHERIT_ORIGIN, {**keys, "branch": branch, **origin})
    database.run(statements.TOUCH_CONVERSATION, {**keys, "updated_at": at})


def _refuse_unless_behind(database: Database, keys: Values, row: Row, to: UUID, place: Row) -> None:
    """Raise a BranchError unless the path to a message leads over the newest one of a branch."""
    segments = _find_segments(database, keys, place["segment"], place["depth"])
    is_behind = row["head_id"] is None or row["head_depth"] < segments.get(row["segment"], -1)
    if not is_behind or row["head_id"] == to:
        raise BranchError(
            f"message {to} does not follow what branch {row['name']!r} ends with, so it stays where it is",
            branch=row["name"],
            next_step="merge the branches, or fork at that message",
        )


def _update_fork_depths(database: Database, keys: Values, branch: str) -> None:
    """Say how much a branch that moved shares now with where it was forked, and with what was forked off."""
    rows = {row["name"]: row for row in database.all(statements.FIND_BRANCHES, keys)}
    for name, row in rows.items():
        origin = rows.get(row["forked_from"])
        if origin is not None and branch in (name, origin["name"]):
            shared = _find_shared_depth(database, keys, row, origin)
            database.run(_UPDATE_FORK_DEPTH, {**keys, "name": name, "fork_depth": shared})


def _refuse_while_answered(database: Database, keys: Values, row: Row, now: datetime, what: str) -> None:
    """Raise a ConversationBusyError when an answer is under way that is meant for this branch."""
    refuse_while_busy(database, keys, row["head_id"], now, what, row["name"])


def _find_place(database: Database, keys: Values, origin: Row, head_id: UUID, now: datetime) -> Row:
    """Where a message stands, and how deep what is shared with the branch of origin reaches."""
    place = _find_message(database, keys, head_id, now, "it cannot be forked there")
    segment, depth = place["segment"], place["depth"]
    where = {"segment": segment, "head_id": head_id, "head_depth": depth}
    where["fork_depth"] = _find_shared_depth(database, keys, where, origin)
    return where | render_path_cost(path_cost(place))


def _find_message(database: Database, keys: Values, message_id: UUID, now: datetime, what: str) -> Row:
    """Where a branch may end: at any message but an answer that is still coming."""
    place = database.first(statements.GET_PLACE, {**keys, "message_id": message_id})
    if place is None:
        raise explain_no_message(keys["conversation_id"], message_id)
    if is_partial(place):
        refuse_while_busy(database, keys, message_id, now, what)
    return place


def _find_shared_depth(database: Database, keys: Values, ours: Row, theirs: Row) -> int:
    """The depth of the newest message that two branches share; -1 when they share none."""
    if ours["segment"] == theirs["segment"]:
        return int(min(ours["head_depth"], theirs["head_depth"]))
    first, second = (
        _find_segments(database, keys, end["segment"], end["head_depth"]) for end in (ours, theirs)
    )
    return max((min(first[each], second[each]) - 1 for each in first.keys() & second), default=-1)


def _find_segments(database: Database, keys: Values, segment: UUID, depth: int) -> dict[UUID, int]:
    """The segments of a path, each with the depth below which its messages are on the path."""
    rows = database.all(statements.GET_SEGMENTS, {**keys, "segment": segment, "below": depth + 1})
    return {row["segment"]: row["below"] for row in rows}


def _check_name(database: Database, keys: Values, name: str) -> None:
    if not 1 <= len(name) <= LONGEST_NAME:
        raise BranchError(
            f"a branch's name has 1 to {LONGEST_NAME} characters, and this one has {len(name)}",
            branch=name,
            next_step="choose another name",
        )
    if database.first(statements.GET_BRANCH, {**keys, "branch": name}) is not None:
        raise BranchExistsError(
            f"there is a branch {name!r} already", branch=name, next_step="choose another name"
        )


def _get_active(database: Database, keys: Values) -> str:
    row = database.first(statements.GET_ACTIVE_BRANCH, keys)
    assert row is not None  # noqa: S101  # it has the branch that was found
    name: str = row["active_branch"]
    return name


def explain_no_message(conversation_id: UUID, message_id: UUID) -> MessageNotFoundError:
    """Say that a conversation has no such message."""
    return MessageNotFoundError(
        f"conversation {conversation_id} has no message {message_id}",
        message_id=message_id,
        next_step="read its history",
    )


def explain_moved(
    branch: str, expected: UUID | str | None, actual: UUID | None, what: str
) -> BranchMovedError:
    """Say that a branch does not end where somebody believed."""
    return BranchMovedError(
        f"branch {branch!r} ends with {_name(actual)} and not with {_name(expected)}, so {what}",
        branch=branch,
        expected=expected,
        actual=actual,
        next_step="read what was said meanwhile, and decide again",
    )


def explain_duplicate(conversation_id: UUID, client_id: str, message_id: UUID) -> DuplicateMessageError:
    """Say that a message was sent before."""
    return DuplicateMessageError(
        f"conversation {conversation_id} has a message with the client_id {client_id!r} already",
        message_id=message_id,
        kept="it is as it was, and nothing was added",
        next_step="read that one, or give the new one a client_id of its own",
    )


def _name(message_id: UUID | str | None) -> str:
    return "nothing" if message_id is None else f"message {message_id}"
