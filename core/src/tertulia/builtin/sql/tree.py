"""
The tree of messages: how one more is added to it.

A branch is a named head over segments, runs of messages without a fork. A message stands at a depth of a
segment, and nobody else can: who finds the place after his head taken begins a segment of his own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import attrs

from tertulia.builtin.sql import statements
from tertulia.builtin.sql.blobs import add_blobs
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.rows import render_conversation, render_message
from tertulia.domain.conversation import ConversationRecord
from tertulia.domain.message import Message, Role
from tertulia.domain.usage import Cost, Usage
from tertulia.errors import BranchNotFoundError, ConversationNotFoundError, TertuliaError

LONGEST_NAME = 200


def make_keys(owner: str, conversation_id: UUID) -> Values:
    """What every statement about a conversation needs."""
    return {"owner_id": owner, "conversation_id": conversation_id}


def add_conversation(database: Database, record: ConversationRecord, messages: Sequence[Message]) -> None:
    """Store a new conversation with its first messages, which have their places already."""
    keys, branch = make_keys(record.owner, record.id), record.branch
    root = {"id": branch.segment, "parent_segment": None, "fork_depth": None}
    first = attrs.evolve(branch, created_at=branch.created_at or record.created_at)
    database.run(statements.ADD_CONVERSATION, {**keys, **render_conversation(record, len(messages))})
    database.run(statements.ADD_SEGMENT, {**keys, **root})
    database.run(statements.ADD_BRANCH, {**keys, **attrs.asdict(first)})
    for message in messages:
        add_row(database, keys, message, branch.segment)


def get_branch(database: Database, keys: Values, branch: str) -> Row:
    """The row of a branch; an error says whether it or its conversation is not there."""
    row = database.first(statements.GET_BRANCH, {**keys, "branch": branch})
    if row is None:
        raise explain_missing(database, keys, branch)
    return row


def get_head(database: Database, keys: Values, branch: str) -> Row:
    """Where a branch ends, and whether the place after it is free."""
    head = database.first(statements.GET_HEAD, {**keys, "branch": branch})
    if head is None:
        raise explain_missing(database, keys, branch)
    return head


def append(database: Database, keys: Values, branch: str, head: Row, message: Message) -> Message:
    """Add a message after a branch's head, and make it the head."""
    parent_id, depth = head["head_id"], head["head_depth"] + 1
    placed = place(message, parent_id, depth)
    segment = head["segment"]
    if head["is_taken"]:
        segment = _begin_segment(database, keys, segment, placed)
    moved = {"branch": branch, "segment": segment, "id": message.id, "depth": depth, "parent_id": parent_id}
    changed = database.run(statements.MOVE_HEAD, {**keys, **moved})
    assert changed == 1  # noqa: S101  # the writer is alone between reading and moving the head
    add_row(database, keys, placed, segment)
    return placed


def append_beside(
    database: Database, keys: Values, branch: str, answer: Message, parent_id: UUID, at: datetime
) -> Message:
    """Add an answer whose branch went on without it to a branch of its own, forked at its question."""
    question = database.first(statements.GET_PLACE, {**keys, "message_id": parent_id})
    assert question is not None  # noqa: S101  # its attempt is stored, and so its question is
    placed = place(answer, parent_id, question["depth"] + 1)
    segment = _begin_segment(database, keys, question["segment"], placed)
    suffix = f"-late-{answer.id}"
    late = {
        "name": branch[: LONGEST_NAME - len(suffix)] + suffix,
        "segment": segment,
        "head_id": placed.id,
        "head_depth": placed.depth,
        "version": 1,
        "provider": answer.provider,
        "model": answer.model,
        "forked_from": branch,
        "fork_depth": question["depth"],
        "created_at": at,
    }
    database.run(statements.ADD_BRANCH, {**keys, **late})
    add_row(database, keys, placed, segment)
    return placed


def place(message: Message, parent_id: UUID | None, depth: int) -> Message:
    """The message as it will be read: what an assistant says has a usage, if only an unknown one."""
    usage = message.usage or (Usage() if message.role is Role.ASSISTANT else None)
    return attrs.evolve(message, parent_id=parent_id, depth=depth, usage=usage)


def _begin_segment(database: Database, keys: Values, parent_segment: UUID, first: Message) -> UUID:
    """Begin a segment with a message, whose id it takes; before the root there is none to go on from."""
    assert first.id is not None and first.depth is not None  # noqa: PT018, S101  # it is about to be stored
    is_root = first.depth == 0
    fork = {
        "id": first.id,
        "parent_segment": None if is_root else parent_segment,
        "fork_depth": None if is_root else first.depth - 1,
    }
    database.run(statements.ADD_SEGMENT, {**keys, **fork})
    return first.id


def add_row(database: Database, keys: Values, message: Message, segment: UUID) -> None:
    """Store a message at its place, and the bytes it holds."""
    row, blobs = render_message(message, segment)
    database.run(statements.ADD_MESSAGE, {**keys, **row})
    add_blobs(database, keys, message.id, blobs)


def count(
    database: Database,
    keys: Values,
    *,
    at: datetime | None,
    messages: int = 0,
    cost: Cost | None = None,
    unknown_costs: int = 0,
) -> None:
    """Add to a conversation's counters."""
    values = {
        "message_count": messages,
        "cost_pico": 0 if cost is None else cost.money.pico,
        "cost_unknown_count": unknown_costs,
        "updated_at": at,
    }
    database.run(statements.COUNT, {**keys, **values})


def explain_missing(database: Database, keys: Values, branch: str) -> TertuliaError:
    """Say what is not there: the branch, or the conversation."""
    conversation_id = keys["conversation_id"]
    if database.first(statements.GET_ACTIVE_BRANCH, keys) is None:
        return explain_no_conversation(conversation_id)
    return BranchNotFoundError(
        f"conversation {conversation_id} has no branch {branch!r}",
        branch=branch,
        next_step="list its branches",
    )


def explain_no_conversation(conversation_id: UUID) -> ConversationNotFoundError:
    """Say that this owner has no such conversation."""
    return ConversationNotFoundError(
        f"there is no conversation {conversation_id}",
        conversation_id=conversation_id,
        next_step="list the conversations there are",
    )
