"""What the store does, as someone writes it with sqlite3 who knows the tables and asks for nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import attrs

from benchmarks.clients import Seed

OWNER, BRANCH = "local", "main"

_ADD_MESSAGE = """
    INSERT INTO message (
        owner_id, conversation_id, id, parent_id, segment, depth, role, status, text, parts, provider, model,
        resolved_model, finish_reason, raw_finish_reason, input_tokens, cache_read_tokens, cache_write_tokens,
        output_tokens, reasoning_tokens, cost_pico, cost_source, price_row, computed_cost_pico, latency_us,
        created_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_MOVE_HEAD = """
    UPDATE branch SET head_id = ?, head_depth = ?, version = version + 1
    WHERE owner_id = ? AND conversation_id = ? AND name = ?
"""
_COUNT = """
    UPDATE conversation SET message_count = message_count + 1, updated_at = ? WHERE owner_id = ? AND id = ?
"""
_GET_HEAD = "SELECT segment, head_depth FROM branch WHERE owner_id = ? AND conversation_id = ? AND name = ?"
_GET_NEWEST = """
    SELECT * FROM message WHERE owner_id = ? AND conversation_id = ? AND segment = ? AND depth <= ?
    ORDER BY depth DESC LIMIT ?
"""


@attrs.frozen
class Batch:
    """The rows of some appends, as ``executemany`` takes them."""

    messages: list[tuple[object, ...]]
    heads: list[tuple[object, ...]]
    counts: list[tuple[object, ...]]


def make_batch(seeds: Sequence[Seed], depth: int, ids: Sequence[UUID], text: str) -> Batch:
    """A message at a depth for each of some conversations."""
    places = [
        (seed.id.bytes, seed.record.branch.segment.bytes, message_id.bytes)
        for seed, message_id in zip(seeds, ids, strict=True)
    ]
    nothing = (None,) * 16
    return Batch(
        [
            (OWNER, place, message, None, segment, depth, "user", "complete", text, *nothing, depth)
            for place, segment, message in places
        ],
        [(message, depth, OWNER, place, BRANCH) for place, _, message in places],
        [(depth, OWNER, place) for place, _, _ in places],
    )


class Plain:
    """One connection, as durable as the store's."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    async def append(self, batches: Iterable[Batch]) -> None:
        """Write each batch in one transaction."""
        for batch in batches:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(_ADD_MESSAGE, batch.messages)
            self._database.executemany(_MOVE_HEAD, batch.heads)
            self._database.executemany(_COUNT, batch.counts)
            self._database.execute("COMMIT")

    async def read_newest(self, seed: Seed, count: int) -> None:
        """Fetch the newest rows, and make nothing of them."""
        place = (OWNER, seed.id.bytes)
        segment, depth = self._database.execute(_GET_HEAD, (*place, BRANCH)).fetchone()
        assert count == len(self._database.execute(_GET_NEWEST, (*place, segment, depth, count)).fetchall())


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
