"""Nothing acknowledged is lost, whenever a process dies."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from test_sqlite import fake

import tertulia
from tertulia import Message, MessageStatus, Role
from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk
from torture import scale

ROUNDS, AT_ONCE, CLIENTS = scale(2), 4, scale(2)
"""So many kills: rounds of several processes on one database, and clients one after another."""


@pytest.fixture
def chance() -> random.Random:
    """The moments of death; the same ones every time."""
    return random.Random(25)  # noqa: S311  # no secret


def test_nothing_acknowledged_is_lost_by_kills(tmp_path, chance):
    """
    Processes that append and stream are killed while they write to one database, again and again.

    Everything they had acknowledged is there, in a tree without a gap; what was not finished reads as
    interrupted up to its last acknowledged words; and the counters are what can be counted.
    """
    path = tmp_path / "conversations.db"
    for _ in range(ROUNDS):
        runs = [_start("streamer.py", path) for _ in range(AT_ONCE)]
        lines = [line for run in runs for line in _kill_after(run, chance.randrange(5, 60))]
        acknowledged = [line.split() for line in lines]
        assert {"message", "answer"} >= {kind for kind, *_ in acknowledged} != set()
        asyncio.run(_check(path, acknowledged))
        assert [] == _miscounted(path)

    asyncio.run(_go_on(path))
    assert [] == _miscounted(path)
    assert [(0,)] == _query(path, "SELECT count(*) FROM checkpoint")
    assert [] == _query(path, "SELECT id FROM message WHERE status = 'pending'")


CYCLES, MIGRATIONS = scale(22), scale(3)
"""So many deaths in the middle of anything, and in the middle of a migration."""


def test_nothing_acknowledged_is_lost_whatever_a_process_died_of_doing(tmp_path):
    """
    Processes that append, answer, fork, import, purge and rebuild are killed at random moments.

    After each, the next one finds every message acknowledged, no conversation that was purged, a tree that is
    whole and sums that add up.
    """
    result = _run_killer("writers", tmp_path, CYCLES)

    assert [] == result["wrong"]
    assert CYCLES == result["killed"]
    assert CYCLES < result["acknowledged"]


def test_a_migration_that_is_killed_is_finished_by_the_next_process(tmp_path):
    """At whatever moment it dies, the next one to open the database finds it old or new, and all of it."""
    old = tmp_path / "before.db"
    with closing(sqlite3.connect(old)) as connection, connection:
        connection.executescript(Path(__file__).with_name("database_0001.sql").read_text())
        for table in ("conversation", "segment", "message", "branch", "attempt"):
            _multiply(connection, table, 200)
    (tmp_path / "new").mkdir()
    result = _run_killer("migrations", old, tmp_path / "new", MIGRATIONS)

    assert [] == result["wrong"]
    assert 0 < result["killed"] <= MIGRATIONS
    (found,) = _query(tmp_path / "new" / "old.db", "SELECT count(*) FROM message WHERE owner_id LIKE 'ann%'")
    assert (201 * 7,) == found


def _multiply(connection: sqlite3.Connection, table: str, times: int) -> None:
    """Give as many owners the same as one has."""
    columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")][1:]
    names = ", ".join(columns)
    connection.execute(
        f"""
        WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?)
        INSERT INTO {table} (owner_id, {names})
        SELECT owner_id || n, {names} FROM {table} JOIN number WHERE owner_id = 'ann'
        """,  # noqa: S608  # names of ours
        (times,),
    )


def _run_killer(what: str, *places: Path | int) -> dict[str, Any]:
    """Have children killed, with the seed that is printed where something was wrong."""
    seed = random.SystemRandom().randrange(2**32) if CYCLES > 15 else 25
    command = [sys.executable, "-W", "error", Path(__file__).with_name("killer.py"), what, *places, seed]
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert ("", 0) == (run.stderr, run.returncode), seed
    result: dict[str, Any] = json.loads(run.stdout)
    return {**result, "wrong": [*result["wrong"], f"seed {seed}"] if result["wrong"] else []}


async def _check(path: Path, acknowledged: Iterable[list[str]]) -> None:
    """Read everything an hour later, when every lease has run out."""
    clock = StandingClock(datetime.now(UTC) + timedelta(hours=1))
    store = SQLStore(f"sqlite:///{path}", clock)
    await store.open()
    found: dict[UUID, Message] = {}
    for record in await store.find_conversations(OWNER, limit=100_000):
        messages = await store.get_messages(OWNER, record.id, MAIN)
        assert list(range(len(messages))) == [message.depth for message in messages]
        assert [None, *(each.id for each in messages[:-1])] == [each.parent_id for each in messages]
        found |= {message.id: message for message in messages if message.id is not None}
        for attempt in await store.get_attempts(OWNER, record.id):
            assert attempt.outcome in ("succeeded", "interrupted")
    assert () == (await store.verify()).problems
    await store.aclose()

    texts = {message.text for message in found.values()}
    for kind, *words in acknowledged:
        if kind == "message":
            assert words[0] in texts
        else:
            assert found[UUID(words[0])].text.startswith(words[1])
    for message in found.values():
        assert MessageStatus.PENDING is not message.status
        if message.role is Role.ASSISTANT and message.finish_reason is None:
            assert MessageStatus.INTERRUPTED is message.status
            assert message.parent_id is not None
            assert MessageStatus.COMPLETE is found[message.parent_id].status


async def _go_on(path: Path) -> None:
    """Write behind everything that was left: so it is settled for good."""
    clock = StandingClock(datetime.now(UTC) + timedelta(hours=1))
    store = SQLStore(f"sqlite:///{path}", clock)
    await store.open()
    statuses: set[MessageStatus] = set()
    for record in await store.find_conversations(OWNER, limit=100_000):
        talk = Talk(store, clock, record.id)
        before = await talk.history()
        statuses |= {message.status for message in before}
        await talk.append("And now?")
        assert before == (await talk.history())[:-1]
    assert {MessageStatus.COMPLETE, MessageStatus.INTERRUPTED} <= statuses
    await store.aclose()


def test_nothing_a_client_acknowledged_is_lost_by_a_kill(tmp_path, chance):
    """A client killed in the middle of its work leaves every message it had acknowledged."""
    path = tmp_path / "conversations.db"
    for _ in range(CLIENTS):
        acknowledged = _kill_after(_start("talker.py", path), chance.randrange(5, 20))
        stored = asyncio.run(_read_texts(path))
        assert [] == [text for text in acknowledged if text not in stored]


async def _read_texts(path: Path) -> set[str]:
    settings = {"store": f"sqlite:///{path}", "providers": {}, "environ": {}}
    async with tertulia.open(**settings, plugins=[fake()]) as client:
        texts: set[str] = set()
        for record in await client.list():
            messages = await (await client.get(record.id)).history()
            assert list(range(len(messages))) == [message.depth for message in messages]
            texts |= {message.text for message in messages}
        return texts


def _start(program: str, path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, Path(__file__).with_name(program), f"sqlite:///{path}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def _kill_after(run: subprocess.Popen[bytes], lines: int) -> list[str]:
    """Kill a process that has said so many lines, and return all it has said in whole lines."""
    assert run.stdout is not None
    said = b"".join(run.stdout.readline() for _ in range(lines))
    assert lines == said.count(b"\n"), "it ended on its own"
    run.kill()
    said += run.stdout.read()
    run.wait()
    run.stdout.close()
    return said.decode().rpartition("\n")[0].splitlines()


def _miscounted(path: Path) -> list[tuple[object, ...]]:
    """The conversations whose counters are not the sums of their rows."""
    return _query(
        path,
        """
        SELECT id FROM conversation WHERE message_count != (
            SELECT count(*) FROM message
            WHERE message.owner_id = conversation.owner_id AND conversation_id = conversation.id
        ) OR (cost_pico, cost_unknown_count) != (
            SELECT coalesce(sum(attempt.cost_pico), 0), count(*) - count(attempt.cost_pico) FROM attempt
            WHERE attempt.owner_id = conversation.owner_id AND conversation_id = conversation.id
            AND outcome != 'pending'
        )
        """,
    )


def _query(path: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()
