"""
The tree of messages: how one more is added to it.

A branch is a named head over segments, runs of messages without a fork. A message stands at a depth of a
segment, and nobody else can: who finds the place after his head taken begins a segment of his own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import attrs

from tertulia.builtin.sql import search, statements
from tertulia.builtin.sql.blobs import add_blobs
from tertulia.builtin.sql.database import LARGEST, Database, Row, Values
from tertulia.builtin.sql.path_tokens import ROOT, end_of
from tertulia.builtin.sql.rows import (
    TOKEN_COLUMNS,
    count_tokens,
    own_cost,
    render_attempt,
    render_branch,
    render_conversation,
    render_message,
)
from tertulia.domain.conversation import Attempt, ConversationRecord, ConversationState
from tertulia.domain.message import Message, Role
from tertulia.domain.usage import Cost, CostTotal, Money, Usage
from tertulia.errors import BranchNotFoundError, ConversationNotFoundError, TertuliaError

LONGEST_NAME = 200
MOST_TOKENS = 10**12
NO_TOKENS: Values = dict.fromkeys(TOKEN_COLUMNS, 0)
_OPEN = frozenset({ConversationState.ACTIVE.value, ConversationState.ARCHIVED.value})


def make_keys(owner: str, conversation_id: UUID) -> Values:
    """What every statement about a conversation needs."""
    return {"owner_id": owner, "conversation_id": conversation_id}


def add_conversation(database: Database, record: ConversationRecord, messages: Sequence[Message]) -> None:
    """Store a new conversation with its first messages, which have their places already."""
    keys, branch = make_keys(record.owner, record.id), record.branch
    root = {"id": branch.segment, "parent_segment": None, "fork_depth": None}
    first = attrs.evolve(branch, created_at=branch.created_at or record.created_at, cost=CostTotal())
    database.run(statements.ADD_CONVERSATION, {**keys, **render_conversation(record, len(messages))})
    database.run(statements.ADD_SEGMENT, {**keys, **root})
    end = ROOT
    for message in messages:
        end = end.follow(message)
        first = attrs.evolve(
            first, cost=add_row(database, keys, message, branch.segment, first.cost, end.tokens)
        )
    database.run(statements.ADD_BRANCH, {**keys, **render_branch(first)})
    add_tags(database, keys, record.tags)
    search.index_title(database, keys, record.title, record.created_at)


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


def get_open_head(database: Database, keys: Values, branch: str) -> Row:
    """The same, of a conversation that can be gone on with: one that is deleted is not found."""
    head = get_head(database, keys, branch)
    if not is_open(head):
        raise explain_no_conversation(keys["conversation_id"], deleted=True)
    return head


def is_open(row: Row) -> bool:
    """Whether a conversation can be gone on with, by a row with its state."""
    return row["state"] in _OPEN


def refuse_deleted(database: Database, keys: Values) -> None:
    """Raise a ConversationNotFoundError where a conversation is not there, or deleted."""
    row = database.first(statements.GET_STATE, keys)
    if row is None or row["state"] not in _OPEN:
        raise explain_no_conversation(keys["conversation_id"], deleted=row is not None)


def append(database: Database, keys: Values, branch: str, head: Row, message: Message) -> Message:
    """Add a message after a branch's head, and make it the head."""
    parent_id, depth = head["head_id"], head["head_depth"] + 1
    placed = place(message, parent_id, depth)
    segment = head["segment"]
    if head["is_taken"]:
        segment = _begin_segment(database, keys, segment, placed)
    tokens = end_of(head).follow(placed).tokens
    cost = add_row(database, keys, placed, segment, path_cost(head), tokens)
    moved = {"branch": branch, "segment": segment, "id": message.id, "depth": depth, "parent_id": parent_id}
    changed = database.run(statements.MOVE_HEAD, {**keys, **moved, "added": 1, **render_path_cost(cost)})
    assert changed == 1  # noqa: S101  # nobody else writes between reading and moving the head
    return placed


def append_beside(
    database: Database,
    keys: Values,
    branch: str,
    answer: Message,
    parent_id: UUID,
    at: datetime,
    origin: str | None,
) -> Message:
    """
    Add an answer whose branch went on without it to a branch of its own, forked at its question.

    Args:
        branch: What that branch was called when the question was asked.
        origin: What it is called by now; None where it was removed.
    """
    question = database.first(statements.GET_PLACE, {**keys, "message_id": parent_id})
    assert question is not None  # noqa: S101  # its attempt is stored, and so its question is
    placed = place(answer, parent_id, question["depth"] + 1)
    segment = _begin_segment(database, keys, question["segment"], placed)
    suffix = f"-late-{answer.id}"
    tokens = end_of(question).follow(placed).tokens
    cost = add_row(database, keys, placed, segment, path_cost(question), tokens)
    late = {
        "name": branch[: LONGEST_NAME - len(suffix)] + suffix,
        "segment": segment,
        "head_id": placed.id,
        "head_depth": placed.depth,
        "version": 1,
        "provider": answer.provider,
        "model": answer.model,
        "forked_from": origin,
        "fork_depth": None if origin is None else question["depth"],
        "created_at": at,
        **render_path_cost(cost),
    }
    database.run(statements.ADD_BRANCH, {**keys, **late})
    return placed


def place(message: Message, parent_id: UUID | None, depth: int) -> Message:
    """The message as it will be read: counted, and with a usage, if only an unknown one, for an answer."""
    usage = message.usage or (Usage() if message.role is Role.ASSISTANT else None)
    tokens = count_tokens(message)
    return attrs.evolve(message, parent_id=parent_id, depth=depth, usage=usage, tokens=tokens)


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


def add_row(
    database: Database,
    keys: Values,
    message: Message,
    segment: UUID,
    before: CostTotal,
    path_tokens: int,
) -> CostTotal:
    """
    Store a message at its place, and the bytes it holds.

    Args:
        before: What the path to it cost.
        path_tokens: What the path holds with it.

    Returns:
        What the path costs with it.
    """
    row, blobs = render_message(message, segment)
    cost = add_costs(before, own_cost(message))
    sums = {**render_path_cost(cost), "path_tokens": path_tokens}
    database.run(statements.ADD_MESSAGE, {**keys, **row, **sums})
    add_blobs(database, keys, message.id, blobs)
    search.index_messages(database, [(keys, message)])
    return cost


def add_costs(before: CostTotal, own: CostTotal) -> CostTotal:
    """Add what is known; a sum that no column holds goes on as what it was, with one cost more unknown."""
    total = before + own
    return (
        total if total.money.pico <= LARGEST else attrs.evolve(before, unknown_count=total.unknown_count + 1)
    )


def add_attempt_row(database: Database, keys: Values, branch: str | None, attempt: Attempt) -> Attempt:
    """Put an attempt into the ledger of a branch."""
    placed = attrs.evolve(attempt, branch=branch)
    row = {**keys, **render_attempt(placed)}
    database.run(statements.ADD_ATTEMPT, row)
    database.run(statements.ADD_CONVERSATION_TARGET, row)
    return placed


def add_tags(database: Database, keys: Values, tags: Iterable[str]) -> None:
    """Give a conversation tags it has not."""
    for name in tags:
        database.run(statements.ADD_TAG, {**keys, "tag": name})


def path_cost(row: Row) -> CostTotal:
    """What a path costs, by the row of its newest message or of its branch."""
    return CostTotal(Money(row["path_cost_pico"]), row["path_cost_unknown_count"])


def render_path_cost(cost: CostTotal) -> Row:
    """The columns of what a path costs."""
    return {"path_cost_pico": cost.money.pico, "path_cost_unknown_count": cost.unknown_count}


def count(
    database: Database,
    keys: Values,
    *,
    at: datetime | None,
    messages: int = 0,
    cost: Cost | None = None,
    unknown_costs: int = 0,
    usage: Usage = Usage(),
) -> None:
    """Add to a conversation's counters."""
    values = {
        **{name: countable(getattr(usage, name)) for name in TOKEN_COLUMNS},
        "message_count": messages,
        "cost_pico": 0 if cost is None else cost.money.pico,
        "cost_unknown_count": unknown_costs,
        "updated_at": at,
    }
    database.run(statements.COUNT, {**keys, **values})


def countable(tokens: int | None) -> int:
    """Tokens as they are counted: what no answer has is nonsense, and would make every sum so."""
    return tokens if tokens is not None and tokens <= MOST_TOKENS else 0


def explain_missing(database: Database, keys: Values, branch: str) -> TertuliaError:
    """Say what is not there: the branch, or the conversation."""
    conversation_id = keys["conversation_id"]
    if database.first(statements.GET_STATE, keys) is None:
        return explain_no_conversation(conversation_id)
    return BranchNotFoundError(
        f"conversation {conversation_id} has no branch {branch!r}",
        branch=branch,
        next_step="list its branches",
    )


def explain_no_conversation(conversation_id: UUID, *, deleted: bool = False) -> ConversationNotFoundError:
    """Say that this owner has no such conversation, or that it is deleted."""
    return ConversationNotFoundError(
        f"conversation {conversation_id} is deleted"
        if deleted
        else f"there is no conversation {conversation_id}",
        conversation_id=conversation_id,
        next_step="restore it" if deleted else "list the conversations there are",
    )
