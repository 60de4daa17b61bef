"""
Appending many messages at once.

Most of what an append costs is the calls: each of them reads a head and writes some rows. Those that wait
together are written together: a head is read once, and what they add is one call for each table.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

import attrs

from tertulia.builtin.sql import answers, search, statements
from tertulia.builtin.sql.blobs import add_blobs
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.path_tokens import PathEnd, end_of
from tertulia.builtin.sql.rows import Blob, own_cost, render_attempt, render_message, with_tokens
from tertulia.builtin.sql.tree import NO_TOKENS, add_costs, is_open, path_cost, place, render_path_cost
from tertulia.domain.conversation import Attempt
from tertulia.domain.message import Message
from tertulia.domain.usage import CostTotal
from tertulia.runtime.clock import Clock

_Place: TypeAlias = tuple[str, UUID, str]
"""An owner, a conversation, a branch."""


@attrs.frozen(eq=False)
class Append:
    """
    A job: append a message to a branch, with the attempt that will answer it, if any.

    Alone it reads and writes for itself; :func:`append_together` takes many.
    """

    keys: Values
    branch: str
    message: Message = attrs.field(converter=with_tokens)
    clock: Clock
    expected_head: UUID | Literal["any"] | None = "any"
    attempt: Attempt | None = None

    def __call__(self, database: Database) -> Message:
        """Do it alone."""
        return answers.add_message(
            database,
            self.keys,
            self.branch,
            self.message,
            self.clock.now(),
            expected_head=self.expected_head,
            attempt=self.attempt,
        )

    @property
    def place(self) -> _Place:
        """Where it goes."""
        return self.keys["owner_id"], self.keys["conversation_id"], self.branch


@attrs.define(eq=False)
class _Head:
    """
    Where a branch ends while messages are added to it.

    Attributes:
        first_id: Where it ended before.

        is_left: Whether nothing more is added to it here.
    """

    keys: Values
    branch: str
    segment: UUID
    id: UUID | None
    depth: int
    cost: CostTotal
    end: PathEnd
    first_id: UUID | None
    is_left: bool = False
    added: int = 0
    last_at: datetime | None = None


@attrs.define(eq=False)
class _Batch:
    """Where branches end, and what is to be written, by table."""

    heads: dict[_Place, _Head | None] = attrs.field(factory=dict[_Place, "_Head | None"])
    messages: list[Row] = attrs.field(factory=list[Row])
    attempts: list[Row] = attrs.field(factory=list[Row])
    blobs: list[tuple[Values, UUID | None, list[Blob]]] = attrs.field(
        factory=list[tuple[Values, "UUID | None", list[Blob]]]
    )
    indexed: list[tuple[Values, Message]] = attrs.field(factory=list[tuple[Values, Message]])


def append_together(database: Database, appends: Sequence[Append]) -> list[Message | None]:
    """
    Append what can be appended without a question.

    Where an answer is under way, the head is not the expected one, the place after it is taken, or anything
    is missing, nothing is written for this append, nor for those that come after it on the same branch.

    Returns:
        The messages with their places, in order; None for those that are to be done alone, afterwards.
    """
    batch = _Batch()
    placed = [_append(database, append, batch) for append in appends]
    _write(database, batch)
    return placed


def _append(database: Database, append: Append, batch: _Batch) -> Message | None:
    if append.place not in batch.heads:
        batch.heads[append.place] = _read_head(database, append)
    head = batch.heads[append.place]
    if head is None or head.is_left:
        return None
    # Whether a name is taken is asked alone: in words of ours, and before anything is written.
    if append.expected_head not in ("any", head.id) or append.message.client_id is not None:
        head.is_left = True
        return None
    message = place(append.message, head.id, head.depth + 1)
    row, blobs = render_message(message, head.segment)
    head.cost, head.end = add_costs(head.cost, own_cost(message)), head.end.follow(message)
    sums = {**render_path_cost(head.cost), "path_tokens": head.end.tokens}
    batch.messages.append({**append.keys, **row, **sums})
    batch.indexed.append((append.keys, message))
    if blobs:
        batch.blobs.append((append.keys, message.id, blobs))
    head.id, head.depth, head.added, head.last_at = (
        message.id,
        head.depth + 1,
        head.added + 1,
        message.created_at,
    )
    if append.attempt is not None:
        attempt = attrs.evolve(append.attempt, branch=append.branch)
        batch.attempts.append({**append.keys, **render_attempt(attempt)})
        head.is_left = True  # from now on an answer is under way
    return message


def _read_head(database: Database, append: Append) -> _Head | None:
    row = database.first(statements.GET_HEAD, {**append.keys, "branch": append.branch})
    if row is None or row["is_taken"] or row["is_pending"] or not is_open(row):
        return None
    return _Head(
        keys=append.keys,
        branch=append.branch,
        segment=row["segment"],
        id=row["head_id"],
        depth=row["head_depth"],
        cost=path_cost(row),
        end=end_of(row),
        first_id=row["head_id"],
    )


def _write(database: Database, batch: _Batch) -> None:
    heads = [head for head in batch.heads.values() if head is not None and head.added]
    database.run_many(statements.ADD_MESSAGE, batch.messages)
    for keys, message_id, blobs in batch.blobs:
        add_blobs(database, keys, message_id, blobs)
    search.index_messages(database, batch.indexed)
    if batch.attempts:
        database.run_many(statements.ADD_ATTEMPT, batch.attempts)
        database.run_many(statements.ADD_CONVERSATION_TARGET, batch.attempts)
    database.run_many(statements.MOVE_HEAD, [_render_move(head) for head in heads])
    database.run_many(statements.COUNT, [_render_count(head) for head in heads])


def _render_move(head: _Head) -> Values:
    moved = {
        "branch": head.branch,
        "segment": head.segment,
        "id": head.id,
        "depth": head.depth,
        "parent_id": head.first_id,
        "added": head.added,
    }
    return {**head.keys, **moved, **render_path_cost(head.cost)}


def _render_count(head: _Head) -> Values:
    added = {"message_count": head.added, "updated_at": head.last_at, "cost_pico": 0, "cost_unknown_count": 0}
    return {**head.keys, **NO_TOKENS, **added}
