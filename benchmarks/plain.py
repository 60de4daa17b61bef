"""What the store does, as someone writes it with sqlite3 who knows the tables and asks for nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import attrs

from benchmarks.clients import Seed
from tertulia import FinishReason, Message, Role, Text, Usage
from tertulia.builtin.sql.search_scope import render_scope
from tertulia.domain.message import MessageStatus
from tertulia.domain.terms import render_terms

OWNER, BRANCH = "local", "main"

_ADD_MESSAGE = """
    INSERT INTO message (
        owner_id, conversation_id, id, parent_id, segment, depth, role, status, text, parts, provider, model,
        resolved_model, finish_reason, raw_finish_reason, input_tokens, cache_read_tokens, cache_write_tokens,
        output_tokens, reasoning_tokens, cost_pico, cost_source, price_row, computed_cost_pico, latency_us,
        created_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_ENTRY = """
    INSERT INTO search_entry (number, owner_id, conversation_id, message_id, created_at)
    VALUES (?, ?, ?, ?, ?)
"""
_ADD_WORDS = "INSERT INTO search_words (rowid, words) VALUES (?, ?)"
_MOVE_HEAD = """
    UPDATE branch SET head_id = ?, head_depth = ?, version = version + ?
    WHERE owner_id = ? AND conversation_id = ? AND name = ?
"""
_COUNT = """
    UPDATE conversation SET message_count = message_count + ?, updated_at = ?, version = version + 1
    WHERE owner_id = ? AND id = ?
"""
_GET_HEAD = "SELECT segment, head_depth FROM branch WHERE owner_id = ? AND conversation_id = ? AND name = ?"
_GET_NEWEST = """
    SELECT
        id, parent_id, depth, role, status, text, parts, provider, model, resolved_model, finish_reason,
        raw_finish_reason, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
        reasoning_tokens, cost_pico, cost_source, price_row, computed_cost_pico, latency_us, created_at
    FROM message WHERE owner_id = ? AND conversation_id = ? AND segment = ? AND depth <= ?
    ORDER BY depth DESC LIMIT ?
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Rows = list[tuple[object, ...]]


@attrs.frozen
class Batch:
    """The rows of some appends, as ``executemany`` takes them; the words of each message among them."""

    messages: _Rows
    entries: _Rows
    words: _Rows
    heads: _Rows
    counts: _Rows


def make_batch(seeds: Sequence[Seed], depth: int, ids: Sequence[UUID], text: str, first_number: int) -> Batch:
    """
    A message for each of some conversations.

    Args:
        seeds: Conversations; one that comes again gets another message.
        depth: Of the first message in each.
        ids: Of the messages.
        text: Of all of them.
        first_number: Of the rows of the index, which no other batch has.
    """
    depths: dict[UUID, int] = {}
    batch = Batch([], [], [], [], [])
    heads: dict[UUID, tuple[bytes, int]] = {}
    for number, (seed, message_id) in enumerate(zip(seeds, ids, strict=True), first_number):
        place = depths.get(seed.id, depth)
        depths[seed.id] = place + 1
        conversation, message, segment = seed.id.bytes, message_id.bytes, seed.record.branch.segment.bytes
        said = (segment, place, "user", "complete", text, *(None,) * 16, place)
        batch.messages.append((OWNER, conversation, message, None, *said))
        batch.entries.append((number, OWNER, conversation, message, place))
        scope = " ".join(render_scope(OWNER, seed.id, "user"))
        batch.words.append((number, f"{scope} {render_terms(text)}"))
        heads[seed.id] = (message, place)
    for conversation_id, (message, place) in heads.items():
        added = place + 1 - depth
        batch.heads.append((message, place, added, OWNER, conversation_id.bytes, BRANCH))
        batch.counts.append((added, place, OWNER, conversation_id.bytes))
    return batch


class Plain:
    """One connection, as durable as the store's."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database

    async def append(self, batches: Iterable[Batch]) -> None:
        """Write each batch in one transaction."""
        for batch in batches:
            self.database.execute("BEGIN IMMEDIATE")
            self.database.executemany(_ADD_MESSAGE, batch.messages)
            self.database.executemany(_ADD_ENTRY, batch.entries)
            self.database.executemany(_ADD_WORDS, batch.words)
            self.database.executemany(_MOVE_HEAD, batch.heads)
            self.database.executemany(_COUNT, batch.counts)
            self.database.execute("COMMIT")

    async def insert(self, tables: Mapping[str, Sequence[Sequence[object]]]) -> None:
        """Write whole rows of tables in one transaction."""
        self.database.execute("BEGIN IMMEDIATE")
        for statement, rows in tables.items():
            self.database.executemany(statement, rows)
        self.database.execute("COMMIT")

    async def read_newest(self, seed: Seed, count: int) -> None:
        """Fetch the newest rows, and make nothing of them."""
        assert count == len(self._fetch_newest(seed, count))

    async def read_newest_values(self, seed: Seed, count: int) -> None:
        """Fetch the newest rows, and make the values of them that the store makes, in a plain way."""
        assert count == len([_make_message(*row) for row in self._fetch_newest(seed, count)])

    async def fetch(self, statement: str, *values: object) -> None:
        """Fetch every row of a statement, and make nothing of them."""
        self.database.execute(statement, values).fetchall()

    def _fetch_newest(self, seed: Seed, count: int) -> list[tuple[object, ...]]:
        place = (OWNER, seed.id.bytes)
        segment, depth = self.database.execute(_GET_HEAD, (*place, BRANCH)).fetchone()
        return self.database.execute(_GET_NEWEST, (*place, segment, depth, count)).fetchall()


def _make_message(
    identifier: bytes,
    parent_id: bytes | None,
    depth: int,
    role: str,
    status: str,
    text: str,
    _parts: None,
    provider: str | None,
    model: str | None,
    resolved_model: str | None,
    finish_reason: str | None,
    raw_finish_reason: str | None,
    *rest: int | None,
) -> Message:
    """Of a row without a cost."""
    assert rest[-1] is not None
    return Message(
        role=Role(role),
        parts=(Text(text),),
        id=UUID(bytes=identifier),
        parent_id=None if parent_id is None else UUID(bytes=parent_id),
        depth=depth,
        status=MessageStatus(status),
        provider=provider,
        model=model,
        resolved_model=resolved_model,
        finish_reason=None if finish_reason is None else FinishReason(finish_reason),
        raw_finish_reason=raw_finish_reason,
        usage=Usage(*rest[:5]) if role == "assistant" else None,
        created_at=_EPOCH + timedelta(microseconds=rest[-1]),
    )


@contextmanager
def open_plain(path: Path) -> Iterator[Plain]:
    """Open a database whose tables are there."""
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA busy_timeout=5000"
    )
    try:
        yield Plain(database)
    finally:
        database.close()
