"""Switching and starting: what touches the store and nobody else."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import raw
from benchmarks.clients import Seed, open_client
from benchmarks.driver import make_turns
from benchmarks.table import Row
from benchmarks.timing import compare
from tertulia import Client, Conversation

TIMES = 10
SHORT, LONG = 20, 201


async def measure_switching(url: str, rounds: int) -> list[Row]:
    """A switch in a short and in a long conversation, and new conversations, against one durable commit."""
    seeds = [Seed(make_turns(length), "whole") for length in (SHORT, LONG)]
    with TemporaryDirectory(prefix="tertulia-benchmark-") as folder:
        database = _open_raw(Path(folder) / "raw.db")
        async with open_client(url, ["whole", "other"], seeds=seeds) as client:
            short, long = [await client.get(seed.id) for seed in seeds]
            works: dict[str, Callable[[], Awaitable[object]]] = {
                f"switch in a conversation of {SHORT} messages": lambda: _switch(short),
                f"switch in a conversation of {LONG} messages": lambda: _switch(long),
                "start a conversation": lambda: client.start(provider="whole", model=raw.MODEL),
                "start a conversation and send 5 messages": lambda: _start_and_send(client),
                "raw": lambda: _commit(database),
            }
            spent = await compare(works, rounds=rounds, times=TIMES)
        database.close()
    plain = spent.pop("raw")
    return [Row(f"{name}, wall", ours.wall, plain.wall, "µs") for name, ours in spent.items()]


async def _switch(conversation: Conversation) -> None:
    await conversation.switch("other" if conversation.provider == "whole" else "whole", raw.MODEL)


async def _start_and_send(client: Client) -> None:
    conversation = await client.start(provider="whole", model=raw.MODEL)
    for _ in range(5):
        await conversation.send(raw.QUESTION)


def _open_raw(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (a INTEGER)")
    database.execute("INSERT INTO t VALUES (0)")
    return database


async def _commit(database: sqlite3.Connection) -> None:
    database.execute("UPDATE t SET a = a + 1")
