"""A library of very many conversations, written straight into the tables of a store that is open nowhere."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tertulia.runtime.clock import make_uuid7

OWNER = "local"
FIRST_MOMENT_US = 1_735_689_600_000_000
"""The first of January 2025."""

SPAN_US = 2 * 365 * 86_400 * 1_000_000
"""Over two years, whatever their number."""

TARGETS = (("openai", "gpt-6.1-sol"), ("gemini", "gemini-3-pro"), ("xai", "grok-4.7"))
WORDS = ("Trip", "Recipe", "Review", "Letter", "Plan", "Draft", "Notes", "Question")
_BATCH = 20_000


def fill(path: Path, count: int, *, owner: str = OWNER, seed: int = 1) -> None:
    """
    Add conversations without messages, spread evenly over two years.

    One in twenty is archived, one in fifty has no title, one in a hundred is tagged ``rare``, one in a
    hundred ``put away``, all of which are archived, and every third ``common``; one in ten asked xai.

    Args:
        path: A database that a store has made.
        count: How many.
    """
    chance = random.Random(seed)  # noqa: S311  # the same for everybody
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        for start in range(0, count, _BATCH):
            _add(connection, owner, range(start, min(start + _BATCH, count)), count, chance)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")


def _add(
    connection: sqlite3.Connection, owner: str, numbers: range, count: int, chance: random.Random
) -> None:
    ids = {number: _make_id(number, count, chance) for number in numbers}
    tables: dict[str, Iterator[dict[str, object]]] = {
        "conversation": (_render_conversation(owner, ids[n], n, count, chance) for n in numbers),
        "segment": (_render_segment(owner, ids[n]) for n in numbers),
        "branch": (_render_branch(owner, ids[n], n, count) for n in numbers),
        "tag": (row for n in numbers for row in _render_tags(owner, ids[n], n)),
        "conversation_target": (row for n in numbers for row in _render_targets(owner, ids[n], n)),
    }
    for table, rows in tables.items():
        _insert(connection, table, list(rows))


def _insert(connection: sqlite3.Connection, table: str, rows: list[dict[str, object]]) -> None:
    if rows:
        names = list(rows[0])
        columns, values = ", ".join(names), ", ".join(f":{name}" for name in names)
        connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({values})", rows)  # noqa: S608  # ours


def begun_at(number: int, count: int) -> int:
    """When a conversation was begun, in microseconds since 1970."""
    return FIRST_MOMENT_US + number * SPAN_US // count


def _make_id(number: int, count: int, chance: random.Random) -> bytes:
    return make_uuid7(begun_at(number, count) // 1000 * 4096, chance.getrandbits(62)).bytes


def _render_conversation(
    owner: str, identifier: bytes, number: int, count: int, chance: random.Random
) -> dict[str, object]:
    begun = begun_at(number, count)
    title = None if number % 50 == 0 else f"{chance.choice(WORDS)} {number * 7919 % count}"
    return {
        "owner_id": owner,
        "id": identifier,
        "title": title,
        "active_branch": "main",
        "created_at": begun,
        "updated_at": begun + int(chance.expovariate(1 / 86_400_000_000)),
        "message_count": 2 * int(chance.expovariate(1 / 10)),
        "cost_pico": int(chance.expovariate(1 / 1e10)),
        "cost_unknown_count": int(number % 40 == 9),
        "state": "archived" if number % 20 == 0 else "active",
        "metadata": '{"customer":{"plan":"pro"}}' if number % 1000 == 11 else None,
    }


def _render_segment(owner: str, identifier: bytes) -> dict[str, object]:
    return {"owner_id": owner, "conversation_id": identifier, "id": identifier}


def _render_branch(owner: str, identifier: bytes, number: int, count: int) -> dict[str, object]:
    provider, model = TARGETS[number % 3]
    return {
        "owner_id": owner,
        "conversation_id": identifier,
        "name": "main",
        "segment": identifier,
        "head_depth": -1,
        "version": 0,
        "provider": provider,
        "model": model,
        "created_at": begun_at(number, count),
        "sequence": 1,
    }


def _render_tags(owner: str, identifier: bytes, number: int) -> Iterator[dict[str, object]]:
    for tag, each, which in (("common", 3, 0), ("rare", 100, 7), ("put away", 100, 0)):
        if number % each == which:
            yield {"owner_id": owner, "tag": tag, "conversation_id": identifier}


def _render_targets(owner: str, identifier: bytes, number: int) -> Iterator[dict[str, object]]:
    for provider, model in (TARGETS[number % 2], *TARGETS[2:] * (number % 10 == 3)):
        yield {"owner_id": owner, "conversation_id": identifier, "provider": provider, "model": model}
