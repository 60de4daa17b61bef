"""How what many write becomes few transactions, and how nobody pays for another's mistake."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from tertulia import (
    BranchMovedError,
    BranchNotFoundError,
    ConversationBusyError,
    Message,
    MessageStatus,
    StoreBusyError,
    StoreError,
    Text,
)
from tertulia.builtin.sql import transactions
from tertulia.builtin.sql.address import Address
from tertulia.builtin.sql.database import Database, SQLiteDatabase
from tertulia.builtin.sql.sqlite_engine import READERS
from tertulia.builtin.sql.store import SQLStore
from tertulia.contracts.store import Settlement
from tertulia.domain.conversation import AttemptOutcome
from tertulia.runtime.clock import SystemClock
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk, end
from torture import TORTURED


@pytest.fixture
async def store(database: str) -> AsyncIterator[SQLStore]:
    """A store in a file."""
    store = SQLStore(database, StandingClock())
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
async def talk(store: SQLStore) -> Talk:
    """A conversation in it."""
    clock = store._clock
    assert isinstance(clock, StandingClock)
    return await Talk.begin(store, clock)


Together = Callable[..., Awaitable[list[Any]]]


@pytest.fixture
def together(store: SQLStore, monkeypatch: pytest.MonkeyPatch) -> Together:
    """Hand operations over while the writer is held, so that it finds them all waiting."""
    monkeypatch.setattr(transactions, "LONGEST_GROUP_SECONDS", 60)  # the machine may be busy

    async def together(*operations: Awaitable[Any]) -> list[Any]:
        release, held = threading.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def hold(_: object) -> None:
            loop.call_soon_threadsafe(held.set)
            release.wait()

        holding = asyncio.ensure_future(store._engine._writer.run(hold))
        await held.wait()
        waiting = [asyncio.ensure_future(operation) for operation in operations]
        await asyncio.sleep(0)  # each has handed its operation over
        release.set()
        await holding
        return await asyncio.gather(*waiting, return_exceptions=True)

    return together


async def traced(store: SQLStore) -> list[str]:
    """Every statement from now on."""
    statements: list[str] = []
    await store._engine._writer.run(
        lambda database: database.connection.set_trace_callback(statements.append)
    )
    return statements


async def test_what_waits_is_written_together(store, talk, together):
    """Fifty messages that wait at the same time share one transaction."""
    statements = await traced(store)
    placed = await together(*(talk.append(str(number)) for number in range(50)))

    assert [str(number) for number in range(50)] == await talk.texts()
    assert list(range(50)) == [message.depth for message in placed]
    assert 1 + 1 == statements.count("BEGIN IMMEDIATE")  # that which held the writer, and this


async def test_a_conflict_harms_nobody(store, talk, together):
    """What is refused among those who write together has its own error; the others are written together."""
    statements = await traced(store)
    first, moved, second, missing, third = await together(
        talk.append("first"),
        talk.append("moved", expected_head=None),
        talk.append("second"),
        talk.append("nowhere", "mian"),
        talk.append("third"),
    )

    assert isinstance(moved, BranchMovedError)
    assert isinstance(missing, BranchNotFoundError)
    assert [first, second, third] == await talk.history()
    assert 1 + 1 == statements.count("BEGIN IMMEDIATE")


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"latency_seconds": float("nan")}, "ValueError"), ({"number": 2**70}, "a number of 71 bits")],
    ids=["foreign", "ours"],
)
async def test_an_error_nobody_foresaw_is_only_its_own(store, talk, together, changes, words):
    """What fails after it has written something is undone, and the others are written without it."""
    message = attrs.evolve(talk.make_message("wrong"), status=MessageStatus.PENDING)
    attempt = attrs.evolve(talk.make_attempt(message.id), **changes)
    first, wrong, second = await together(
        talk.append("first"),
        store.add_user_message(OWNER, talk.id, MAIN, message, attempt),
        talk.append("second"),
    )

    assert isinstance(wrong, StoreError)
    assert words in str(wrong)
    assert store.location == wrong.location
    assert [first, second] == await talk.history()
    assert (2, []) == ((await talk.record()).message_count, await talk.attempts())


async def test_a_commit_that_fails_is_done_again(store, talk, together):
    """When the end of the transaction fails, each writes alone, and those whose fault it was not succeed."""
    orphan = attrs.evolve(talk.make_message("orphan"), depth=0)
    record = await talk.record()
    stranger = attrs.evolve(record, id=talk.clock.new_id())

    async def defer() -> None:
        """A foreign key that is found broken at the end, as with a database somebody meddled with."""

        def job(database: Any) -> None:
            database.connection.execute("PRAGMA defer_foreign_keys=ON")
            database.connection.execute(
                "INSERT INTO segment (owner_id, conversation_id, id) VALUES (?, ?, ?)",
                (OWNER, stranger.id.bytes, orphan.id.bytes),
            )

        await store._engine._writer.run(job)

    first, broken, second = await together(talk.append("first"), defer(), talk.append("second"))

    assert isinstance(broken, StoreError)
    assert "FOREIGN KEY constraint failed" in str(broken)
    assert [first, second] == await talk.history()


async def test_those_who_wait_in_vain_have_an_error_each(database, tmp_path):
    """While another process holds the lock, each gets an error of its own, which the others do not change."""
    store = SQLStore(f"{database}?busy_timeout=0.05", clock := StandingClock())
    await store.open()
    talk = await Talk.begin(store, clock)
    other = sqlite3.connect(tmp_path / "conversations.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    errors = await asyncio.gather(*(talk.append(str(number)) for number in range(5)), return_exceptions=True)
    other.execute("ROLLBACK")
    other.close()

    assert [StoreBusyError] * 5 == [type(error) for error in errors]
    assert 5 == len(set(map(id, errors)))
    assert "later" == (await talk.append("later")).text
    await store.aclose()


async def test_nobody_waits_long_for_a_group(store, talk, together, monkeypatch):
    """A transaction that has lasted its time is ended, and the rest goes into the next one."""
    monkeypatch.setattr(transactions, "LONGEST_GROUP_SECONDS", 0)
    statements = await traced(store)
    now = talk.clock.now()
    await together(*(store.update_title(OWNER, talk.id, str(number), now) for number in range(5)))

    assert "4" == (await talk.record()).title
    assert 1 + 5 == statements.count("BEGIN IMMEDIATE")


async def test_appends_that_wait_are_written_at_once(store, talk, together):
    """Together they read each head once and move it once, and so does each conversation its counters."""
    other = await Talk.begin(store, talk.clock)
    statements = await traced(store)
    await together(*(each.append(str(number)) for number in range(8) for each in (talk, other)))

    assert list("01234567") == await talk.texts() == await other.texts()
    assert [8, 8] == [(await each.record()).message_count for each in (talk, other)]
    assert 8 == (await talk.branch()).version
    assert 2 == sum(statement.startswith("UPDATE branch") for statement in statements)
    assert 2 == sum(statement.startswith("UPDATE conversation") for statement in statements)
    assert () == (await store.verify()).problems


async def test_an_append_that_cannot_be_made_costs_the_others_nothing(store, talk, together):
    """A wrong head, an answer under way, a branch that is not there: each has an error of its own."""
    other = await Talk.begin(store, talk.clock)
    first, _, wrong, asked, busy, missing, last = await together(
        talk.append("1"),
        other.append("2"),
        talk.append("3", expected_head=other.id),
        other.ask("4"),
        other.append("5"),
        talk.append("6", "nowhere"),
        talk.append("7"),
    )

    assert (BranchMovedError, ConversationBusyError, BranchNotFoundError) == tuple(
        type(error) for error in (wrong, busy, missing)
    )
    assert (["1", "7"], ["2", "4"]) == (await talk.texts(), await other.texts())
    assert (first.id, 1) == (last.parent_id, last.depth)
    assert [asked.id] == [attempt.id for attempt in await other.attempts()]
    assert () == (await store.verify()).problems


async def test_closing_waits_for_what_was_accepted(database, store, talk):
    """What was handed over before the store is closed is written."""
    waiting = [asyncio.ensure_future(talk.append(str(number))) for number in range(200)]
    await asyncio.sleep(0)
    await store.aclose()

    assert list(range(200)) == [message.depth for message in await asyncio.gather(*waiting)]
    again = SQLStore(database, StandingClock())
    await again.open()
    assert 200 == len(await again.get_messages(OWNER, talk.id, MAIN))
    await again.aclose()


async def test_a_long_reading_keeps_nobody_waiting(store, talk):
    """Others read meanwhile, and there are no more threads than it takes."""
    assert [] == _readers()
    await talk.record()
    assert 1 == len(_readers())

    release = threading.Event()
    reading = [
        asyncio.ensure_future(store._engine._reader.run(lambda _: release.wait())) for _ in range(READERS - 1)
    ]
    await asyncio.sleep(0)  # each has handed its operation over
    try:
        async with asyncio.timeout(30):
            assert talk.id == (await talk.record()).id
        assert READERS == len(_readers())
        await asyncio.gather(*(talk.record() for _ in range(2 * READERS)))
        assert READERS == len(_readers())
    finally:
        release.set()
    await asyncio.gather(*reading)


def _readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tertulia-reader"]


def test_a_full_disk_is_only_the_fault_of_what_is_too_large(tmp_path):
    """Of those who write together, what does not fit fails and what fits is written; later there is room."""
    url = f"sqlite:///{tmp_path / 'conversations.db'}"
    program = Path(__file__).with_name("crowd.py")
    run = subprocess.run(
        [sys.executable, "-W", "error", program, url],
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert (b"", 0) == (run.stderr, run.returncode)
    outcomes = json.loads(run.stdout)
    assert ["StoreError" if number == 5 else "Message" for number in range(11)] == outcomes
    *fitting, large = asyncio.run(_read_texts(url))
    assert ([str(number) for number in range(10) if number != 5], 2_000_000) == (fitting, len(large))


async def _read_texts(url: str) -> list[str]:
    store = SQLStore(url, SystemClock())
    await store.open()
    (record,) = await store.find_conversations(OWNER)
    messages: list[Message] = await store.get_messages(OWNER, record.id, MAIN)
    await store.aclose()
    return [message.text for message in messages]


PROCESSES, APPENDS = 8, 400 if TORTURED else 50


async def test_many_processes_append_to_one_conversation(database, store, talk):
    """Eight processes that append at the same time lose nothing, meet no error and leave no gap."""
    program = Path(__file__).with_name("appender.py")
    command = [sys.executable, "-W", "error", program, database, str(talk.id), str(APPENDS)]
    runs = [
        await asyncio.create_subprocess_exec(
            *command,
            str(number),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for number in range(PROCESSES)
    ]
    outputs = await asyncio.gather(*(run.communicate() for run in runs))

    assert [b""] * PROCESSES == [errors for _, errors in outputs]
    said = [json.loads(output) for output, _ in outputs]
    assert [["wal", 2]] * PROCESSES == [each["pragmas"] for each in said]
    if TORTURED:
        waits = [(each["rare"], each["longest"]) for each in said]
        print("seconds that 99 in 100 waited, and the longest:", max(waits))  # noqa: T201  # it is asked for
    messages = await talk.history()
    assert list(range(PROCESSES * APPENDS)) == [message.depth for message in messages]
    assert [None, *(message.id for message in messages[:-1])] == [each.parent_id for each in messages]
    written = [f"{process}-{number}" for process in range(PROCESSES) for number in range(APPENDS)]
    assert sorted(written) == sorted(message.text for message in messages)
    assert PROCESSES * APPENDS == (await talk.record()).message_count


async def test_a_piece_of_an_answer_is_one_row(store, talk):
    """Its price does not depend on how much of the answer came before, nor on the history."""
    attempt, answer_id = await talk.ask("Hello"), talk.clock.new_id()
    written = []
    for number in range(5):
        before = await store._engine._writer.run(lambda database: database.connection.total_changes)
        await talk.show(attempt, answer_id, "word " * 100, first=number)
        after = await store._engine._writer.run(lambda database: database.connection.total_changes)
        written.append(after - before)

    assert 1 + 3 == written[0]  # and the answer, the head, the counter
    assert [1] * 4 == written[1:]


async def test_settled_answers_leave_no_pieces(store, talk):
    """However an answer ends, its words are then in its message and nowhere else."""
    whole, whole_id = await talk.ask("one"), talk.clock.new_id()
    await talk.show(whole, whole_id, "Whole")
    await talk.answer(whole, Text("Whole."), shown_as=whole_id)
    left = await talk.ask("two")
    await talk.show(left, talk.clock.new_id(), "Left")
    settlement = Settlement(end(left, AttemptOutcome.CANCELLED), MessageStatus.COMPLETE, checkpointed=True)
    await store.settle(OWNER, talk.id, MAIN, settlement)
    dead, dead_id = await talk.ask("three"), talk.clock.new_id()
    await talk.show(dead, dead_id, "Dead")
    talk.clock.advance(16)
    await talk.append("four")
    await talk.show(dead, dead_id, "or not", first=1)

    def read(database: Database) -> tuple[list[Any], list[Any]]:
        execute = database.connection.execute
        return (
            execute("SELECT text FROM checkpoint").fetchall(),
            execute("SELECT text, status FROM message WHERE role = 'assistant' ORDER BY depth").fetchall(),
        )

    assert (
        [],
        [("Whole.", "complete"), ("Left", "interrupted"), ("Dead", "interrupted")],
    ) == await store._engine._reader.run(read)


class _Stuck:
    """A connection that fails at whatever ends a transaction."""

    in_transaction, total_changes = True, 0

    def execute(self, words: str) -> None:
        if not words.startswith("BEGIN"):
            raise sqlite3.OperationalError("disk I/O error")


def test_who_waits_is_told_where_even_rolling_back_fails():
    """The thread that writes lives on, and each job has the error it met."""
    database: Any = SQLiteDatabase(_Stuck())  # type: ignore[arg-type]  # as much of one as is used
    perform = transactions.write_together(Address(None))
    outcomes = [each for group in perform(database, [lambda _: None, lambda _: 1 / 0]) for each in group]

    assert ["the disk fails or is full", "division by zero"] == [
        words
        for words, outcome in zip(("the disk fails or is full", "division by zero"), outcomes, strict=True)
        if words in str(outcome.error)
    ]
