"""
The conversation store on SQL: a tree of immutable messages and the ledger of attempts.

One thread writes and one reads, each with its own connection. A branch is a named head over segments, runs
of messages without a fork; (segment, depth) is unique and so the arbiter between two who append at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import attrs
from sqlalchemy import Connection, RowMapping

from tertulia.builtin.sql import statements
from tertulia.builtin.sql.address import Address
from tertulia.builtin.sql.errors import opening
from tertulia.builtin.sql.lane import Lane
from tertulia.builtin.sql.rows import (
    parse_attempt,
    parse_conversation,
    parse_message,
    render_attempt,
    render_message,
)
from tertulia.builtin.sql.sqlite import execute, make_engine, prepare, query, read, write
from tertulia.contracts.store import Settlement, Store
from tertulia.domain.conversation import Attempt, ConversationRecord
from tertulia.domain.message import Message, MessageStatus
from tertulia.errors import ConversationBusyError, ConversationNotFoundError
from tertulia.runtime.clock import Clock

T = TypeVar("T")
Keys = Mapping[str, Any]


class SQLStore(Store):
    """
    Conversations in a SQLite database.

    Args:
        url: ``sqlite:///PATH`` or ``memory:``.
        clock: For deciding whether a lease has run out.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._address = Address.parse(url)
        self._clock = clock
        self._writer = self._make_lane("tertulia-writer", writes=True)
        in_memory = self._address.path is None  # the database is the connection: there is only one
        self._reader = self._writer if in_memory else self._make_lane("tertulia-reader", writes=False)

    @property
    def location(self) -> str:
        """The file's path, or ``memory:``."""
        return str(self._address)

    async def open(self) -> None:
        """Open the database, creating or migrating it where needed."""
        try:
            await self._writer.run(prepare(self._address))
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Finish what was accepted and close both connections."""
        await self._writer.aclose()
        await self._reader.aclose()

    async def add_conversation(self, record: ConversationRecord, messages: Sequence[Message] = ()) -> None:
        """Store a new conversation with its first messages."""

        def job(database: sqlite3.Connection) -> None:
            keys = {"owner_id": record.owner, "conversation_id": record.id}
            segment = {"id": record.branch.segment, "parent_segment": None, "fork_depth": None}
            execute(database, statements.ADD_CONVERSATION, _conversation_row(record, len(messages)))
            execute(database, statements.ADD_SEGMENT, {**keys, **segment})
            execute(database, statements.ADD_BRANCH, {**keys, **attrs.asdict(record.branch)})
            for message in messages:
                row = render_message(message, record.owner, record.id, record.branch.segment)
                execute(database, statements.ADD_MESSAGE, row)

        await self._write(job)

    async def get_conversation(self, owner: str, conversation_id: UUID) -> ConversationRecord:
        """Return one conversation of this owner."""
        keys = _keys(owner, conversation_id)

        def job(connection: Connection) -> ConversationRecord:
            row = query(connection, statements.GET_CONVERSATION, keys).mappings().first()
            if row is None:
                raise _not_found(conversation_id)
            return parse_conversation(row)

        return await self._read(job)

    async def find_conversations(
        self, owner: str, *, limit: int = 50, after: ConversationRecord | None = None
    ) -> list[ConversationRecord]:
        """Return a page of conversations, the most recently used first."""
        page = statements.FIND_CONVERSATIONS
        values: dict[str, Any] = {"b_owner_id": owner, "b_limit": limit}
        if after is not None:
            page = statements.FIND_CONVERSATIONS_AFTER
            values |= {"b_updated_at": after.updated_at, "b_id": after.id}

        def job(connection: Connection) -> list[ConversationRecord]:
            return [parse_conversation(row) for row in query(connection, page, values).mappings()]

        return await self._read(job)

    async def update_title(self, owner: str, conversation_id: UUID, title: str | None, at: datetime) -> None:
        """Rename a conversation."""
        values = {**_keys(owner, conversation_id), "b_title": title, "b_updated_at": at}

        def job(database: sqlite3.Connection) -> None:
            if execute(database, statements.UPDATE_TITLE, values).rowcount == 0:
                raise _not_found(conversation_id)

        await self._write(job)

    async def update_target(
        self, owner: str, conversation_id: UUID, branch: str, *, provider: str, model: str, at: datetime
    ) -> None:
        """Let a branch go on with another provider and model."""
        keys = _keys(owner, conversation_id)
        target = {**keys, "b_branch": branch, "b_provider": provider, "b_model": model}

        def job(database: sqlite3.Connection) -> None:
            if execute(database, statements.UPDATE_TARGET, target).rowcount == 0:
                raise _not_found(conversation_id)
            execute(database, statements.TOUCH_CONVERSATION, {**keys, "b_updated_at": at})

        await self._write(job)

    async def add_user_message(
        self, owner: str, conversation_id: UUID, branch: str, message: Message, attempt: Attempt
    ) -> Message:
        """Append a user message to a branch, together with the attempt that will answer it."""
        keys = _keys(owner, conversation_id)

        def job(database: sqlite3.Connection) -> Message:
            head_id = _find_head(database, keys, branch)
            if head_id in _find_under_way(database, keys, self._clock.now()):
                raise _busy()
            placed = _append(database, keys, branch, attrs.evolve(message, parent_id=head_id))
            assert placed is not None  # noqa: S101  # the writer is alone between reading and moving the head
            execute(database, statements.ADD_ATTEMPT, render_attempt(attempt, owner, conversation_id))
            _count(database, keys, messages=1, at=message.created_at)
            return placed

        return await self._write(job)

    async def settle(
        self, owner: str, conversation_id: UUID, branch: str, settlement: Settlement
    ) -> Message | None:
        """Store how an attempt ended, and the answer with it."""
        keys = _keys(owner, conversation_id)
        ended, status, answer = settlement.attempt, settlement.user_status, settlement.answer

        def job(database: sqlite3.Connection) -> Message | None:
            row = {
                f"b_{name}": value for name, value in render_attempt(ended, owner, conversation_id).items()
            }
            if execute(database, statements.SETTLE_ATTEMPT, row).rowcount == 0:
                return None  # the attempt was never stored, so there is nothing to settle
            if status is not None:
                values = {**keys, "b_id": ended.message_id, "b_status": status.value}
                execute(database, statements.UPDATE_STATUS, values)
            placed = None
            if answer is not None:
                answer_to = attrs.evolve(answer, parent_id=ended.message_id)
                placed = _append(database, keys, branch, answer_to) or _append_beside(
                    database, keys, branch, answer_to
                )
            if settlement.next_attempt is not None:
                following = render_attempt(settlement.next_attempt, owner, conversation_id)
                execute(database, statements.ADD_ATTEMPT, following)
            _count(database, keys, messages=0 if answer is None else 1, at=self._clock.now(), settled=ended)
            return placed

        return await self._write(job)

    async def update_lease(self, owner: str, attempt_id: UUID, lease_until: datetime) -> None:
        """Say that a pending attempt is still under way."""
        values = {"b_owner_id": owner, "b_id": attempt_id, "b_lease_until": lease_until}
        await self._write(lambda database: execute(database, statements.UPDATE_LEASE, values).rowcount)

    async def get_messages(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        *,
        limit: int | None = None,
        before_depth: int | None = None,
    ) -> list[Message]:
        """Return a branch's messages, oldest first."""
        keys, now = _keys(owner, conversation_id), self._clock.now()

        def job(connection: Connection) -> list[Message]:
            head = _read_head(connection, keys, branch)
            below = head["head_depth"] + 1 if before_depth is None else before_depth
            rows = _read_path(connection, keys, head["segment"], below, limit)
            pending = any(row["status"] == MessageStatus.PENDING.value for row in rows)
            alive = _under_way(connection, keys, now) if pending else frozenset[UUID]()
            return [parse_message(row, abandoned=row["id"] not in alive) for row in reversed(rows)]

        return await self._read(job)

    async def get_attempts(self, owner: str, conversation_id: UUID) -> list[Attempt]:
        """Return every attempt of a conversation, in the order they were started."""
        keys, now = _keys(owner, conversation_id), self._clock.now()

        def job(connection: Connection) -> list[Attempt]:
            rows = query(connection, statements.GET_ATTEMPTS, keys).mappings()
            return [parse_attempt(row, now) for row in rows]

        return await self._read(job)

    def _make_lane(self, name: str, *, writes: bool) -> Lane:
        engine = make_engine(self._address, writes=writes)

        def connect() -> Connection:
            with opening(self._address):
                return engine.connect()

        return Lane(name, connect)

    async def _write(self, job: Callable[[sqlite3.Connection], T]) -> T:
        return await self._writer.run(write(self._address, job))

    async def _read(self, job: Callable[[Connection], T]) -> T:
        return await self._reader.run(read(self._address, job))


def _keys(owner: str, conversation_id: UUID) -> Keys:
    return {"b_owner_id": owner, "b_conversation_id": conversation_id}


def _conversation_row(record: ConversationRecord, message_count: int) -> dict[str, Any]:
    return {
        "owner_id": record.owner,
        "id": record.id,
        "title": record.title,
        "active_branch": record.branch.name,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "message_count": message_count,
        "cost_pico": record.cost.money.pico,
        "cost_unknown_count": record.cost.unknown_count,
    }


def _read_head(connection: Connection, keys: Keys, branch: str) -> RowMapping:
    row = query(connection, statements.GET_HEAD, {**keys, "b_branch": branch}).mappings().first()
    if row is None:
        raise _not_found(keys["b_conversation_id"])
    return row


def _append(database: sqlite3.Connection, keys: Keys, branch: str, message: Message) -> Message | None:
    """Move a branch's head from a message's parent to the message, and add it; None when it was elsewhere."""
    values = {**keys, "b_branch": branch, "b_parent_id": message.parent_id, "b_head_id": message.id}
    # All of its rows are fetched before the next statement: only then is an UPDATE … RETURNING finished.
    moved = execute(database, statements.MOVE_HEAD, values).fetchall()
    if not moved:
        return None
    ((segment, depth),) = moved
    placed = attrs.evolve(message, depth=depth)
    row = render_message(placed, keys["b_owner_id"], keys["b_conversation_id"], UUID(bytes=segment))
    execute(database, statements.ADD_MESSAGE, row)
    return placed


def _append_beside(database: sqlite3.Connection, keys: Keys, branch: str, answer: Message) -> Message | None:
    """Add an answer whose branch went on without it to a branch of its own, forked at its question."""
    ((segment, depth),) = execute(database, statements.GET_PLACE, {**keys, "b_id": answer.parent_id})
    owned = {"owner_id": keys["b_owner_id"], "conversation_id": keys["b_conversation_id"]}
    fork = {"id": answer.id, "parent_segment": UUID(bytes=segment), "fork_depth": depth}
    late = {
        "name": f"{branch}-late-{answer.id}",
        "segment": answer.id,
        "head_id": answer.parent_id,
        "head_depth": depth,
        "version": 0,
        "provider": answer.provider,
        "model": answer.model,
    }
    execute(database, statements.ADD_SEGMENT, {**owned, **fork})
    execute(database, statements.ADD_BRANCH, {**owned, **late})
    return _append(database, keys, f"{branch}-late-{answer.id}", answer)


def _find_head(database: sqlite3.Connection, keys: Keys, branch: str) -> UUID | None:
    """The head a branch has right now, under the write lock; None while it is empty."""
    row = execute(database, statements.GET_HEAD, {**keys, "b_branch": branch}).fetchone()
    if row is None:
        raise _not_found(keys["b_conversation_id"])
    _, head_id, _ = row
    return None if head_id is None else UUID(bytes=head_id)


def _find_under_way(database: sqlite3.Connection, keys: Keys, now: datetime) -> frozenset[UUID]:
    """The user messages that somebody is answering right now, under the write lock."""
    rows = execute(database, statements.GET_UNDER_WAY, {**keys, "b_now": now})
    return frozenset(UUID(bytes=message_id) for (message_id,) in rows)


def _read_path(
    connection: Connection, keys: Keys, segment: UUID, below: int, limit: int | None
) -> list[RowMapping]:
    """Read messages from a place towards the root, hopping from segment to segment."""
    rows: list[RowMapping] = []
    place: UUID | None = segment
    while place is not None and below > 0 and (limit is None or len(rows) < limit):
        values = {**keys, "b_segment": place, "b_below": below}
        if limit is None:
            found = query(connection, statements.GET_RUN, values)
        else:
            found = query(connection, statements.GET_RUN_LIMITED, {**values, "b_limit": limit - len(rows)})
        rows.extend(found.mappings())
        below = rows[-1]["depth"] if rows else below
        place, below = _hop(connection, keys, place, below)
    return rows


def _hop(connection: Connection, keys: Keys, segment: UUID, below: int) -> tuple[UUID | None, int]:
    """Where a segment was forked from, and below which depth to read there; the root needs no looking up."""
    if below == 0:
        return None, 0
    fork = query(connection, statements.GET_FORK, {**keys, "b_id": segment}).first()
    if fork is None or fork.parent_segment is None:
        return None, 0
    return fork.parent_segment, min(below, fork.fork_depth + 1)


def _under_way(connection: Connection, keys: Keys, now: datetime) -> frozenset[UUID]:
    """The user messages that somebody is answering right now."""
    return frozenset(query(connection, statements.GET_UNDER_WAY, {**keys, "b_now": now}).scalars())


def _count(
    database: sqlite3.Connection,
    keys: Keys,
    *,
    messages: int,
    at: datetime | None,
    settled: Attempt | None = None,
) -> None:
    """Add to a conversation's counters."""
    cost = None if settled is None else settled.cost
    values = {
        **keys,
        "b_message_count": messages,
        "b_cost_pico": 0 if cost is None else cost.money.pico,
        "b_cost_unknown_count": int(settled is not None and cost is None),
        "b_updated_at": at,
    }
    execute(database, statements.COUNT, values)


def _not_found(conversation_id: UUID) -> ConversationNotFoundError:
    return ConversationNotFoundError(
        f"there is no conversation {conversation_id}",
        conversation_id=conversation_id,
        next_step="list the conversations there are",
    )


def _busy() -> ConversationBusyError:
    return ConversationBusyError(
        "an answer is still under way on this branch, so the message was not added",
        kept="everything said so far is stored",
        next_step="wait for the answer, or fork the conversation",
    )
