"""Databases that earlier versions wrote."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import attrs
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from tertulia import StoreError
from tertulia.builtin.sql import search_schema
from tertulia.builtin.sql.address import Address
from tertulia.builtin.sql.revisions import _make_config, upgrade
from tertulia.builtin.sql.schema import REVISION, VERSION_TABLE, metadata
from tertulia.builtin.sql.sqlite import make_engine
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.message import Message, Text, ToolCall
from tertulia.domain.model import ModelInfo
from tertulia.domain.usage import CostTotal, Money
from tertulia.testing import StandingClock
from torture import TORTURED

ANN = UUID("01a20320-a5e8-7000-8000-000000000002")
BOB = UUID("01a20320-e850-7000-8000-00000000000e")
LATE = "main-late-01a20320-e468-7000-8000-00000000000c"


@pytest.fixture(params=["0001", "0002", "0003", "0004", "0005"])
def old_database(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database of an earlier revision."""
    path = tmp_path / "conversations.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(Path(__file__).with_name("database_0001.sql").read_text())
    url = f"sqlite:///{path}"
    if request.param != "0001":
        with make_engine(Address.parse(url), writes=True).begin() as connection:
            config = _make_config()
            config.attributes["connection"] = connection
            command.upgrade(config, request.param)
    return url


async def test_everything_is_found_again(old_database):
    """Conversations, late answers and the ledger come over as they were, and can be gone on with."""
    clock = StandingClock(datetime(2026, 11, 23, tzinfo=UTC))
    store = SQLStore(old_database, clock)
    await store.open()

    main = await store.get_messages("ann", ANN, "main")
    assert ["Be brief.", "one", "ONE", "two", "three", "THREE"] == [message.text for message in main]
    assert (Text("ONE"), ToolCall("call-1", "add", {"a": 1})) == main[2].parts
    late = await store.get_messages("ann", ANN, LATE)
    assert ["Be brief.", "one", "ONE", "two", "TWO, late"] == [message.text for message in late]

    first, beside = await store.find_branches("ann", ANN)
    assert ("main", None, None) == (first.name, first.forked_from, first.fork_depth)
    assert (LATE, "main", 3) == (beside.name, beside.forked_from, beside.fork_depth)
    assert [datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC), datetime(2026, 11, 22, 12, 0, 17, tzinfo=UTC)] == [
        branch.created_at for branch in (first, beside)
    ]

    attempts = await store.get_attempts("ann", ANN)
    assert [("one", "failed"), ("one", "succeeded"), ("two", "succeeded"), ("three", "succeeded")] == [
        (next(each.text for each in main if each.id == attempt.message_id), attempt.outcome)
        for attempt in attempts
    ]
    assert [("openai", 1), ("gemini", 2)] == [(each.provider, each.number) for each in attempts[:2]]
    record = await store.get_conversation("ann", ANN)
    assert (first, 7, CostTotal(Money(30_000_000_000))) == (
        record.branch,
        record.message_count,
        record.cost,
    )

    (question,) = await store.get_messages("bob", BOB, "main")
    assert ("Is anybody there?", "failed") == (question.text, question.status)
    following = Message.of("user", "Hello?")
    await store.add_message("bob", BOB, "main", _with_id(following, clock))
    await store.replace_models("bob", "openai", [ModelInfo("openai", "gpt-6.1-sol")], clock.now())
    assert [ModelInfo("openai", "gpt-6.1-sol")] == await store.get_models("bob")
    assert ["failed", "complete"] == [each.status for each in await store.get_messages("bob", BOB, "main")]
    await store.aclose()


async def test_the_tables_are_those_of_a_new_database(old_database, tmp_path):
    """An upgraded database and a new one differ in nothing but their rows."""
    new = f"sqlite:///{tmp_path / 'new.db'}"
    for url in (old_database, new):
        store = SQLStore(url, StandingClock())
        await store.open()
        await store.aclose()
        with make_engine(Address.parse(url), writes=False).connect() as connection:
            opts = {"version_table": VERSION_TABLE, "include_name": _is_known}
            context = MigrationContext.configure(connection, opts=opts)
            assert [] == compare_metadata(context, metadata)
            assert REVISION == context.get_current_revision()

    assert _read_tables(tmp_path / "new.db") == _read_tables(tmp_path / "conversations.db")


async def test_the_revisions_make_what_a_new_database_has(tmp_path):
    """From nothing, all revisions one after the other end at the very tables that are made at once."""
    new, revised = tmp_path / "new.db", tmp_path / "revised.db"
    store = SQLStore(f"sqlite:///{new}", StandingClock())
    await store.open()
    await store.aclose()
    with make_engine(Address.parse(f"sqlite:///{revised}"), writes=True).begin() as connection:
        upgrade(connection)

    assert _read_tables(new) == _read_tables(revised)


async def test_an_upgrade_that_fails_changes_nothing(old_database, meddle, tmp_path):
    """Where a table of ours is in the way, the database stays what it was, whole."""
    meddle("CREATE TABLE calibration (elsewhere TEXT)")
    tables = _read_tables(tmp_path / "conversations.db")

    for _ in range(2):
        with pytest.raises(StoreError, match="table calibration already exists"):
            await SQLStore(old_database, StandingClock()).open()

    assert tables == _read_tables(tmp_path / "conversations.db")
    meddle("DROP TABLE calibration")
    store = SQLStore(old_database, StandingClock())
    await store.open()
    assert 6 == len(await store.get_messages("ann", ANN, "main"))
    await store.aclose()


def test_first_runs_at_once_all_succeed(tmp_path):
    """Processes that open the same new database at once all find it ready."""
    times = 12 if TORTURED else 6
    assert [(b"0\n", b"")] * times == open_at_once(f"sqlite:///{tmp_path / 'new.db'}", times=times)


@pytest.mark.parametrize("old_database", ["0001"], indirect=True)
def test_upgrades_at_once_all_succeed(old_database):
    """Processes that open the same old database at once all find it upgraded."""
    assert [(b"1\n", b"")] * 4 == open_at_once(old_database, times=4)


def open_at_once(url: str, *, times: int) -> list[tuple[bytes, bytes]]:
    """What processes say that open a database, all at the same time, and count its conversations."""
    program = (
        "import asyncio, sys\n"
        "from tertulia.builtin.sql.store import SQLStore\n"
        "from tertulia.testing import StandingClock\n"
        "async def main():\n"
        "    store = SQLStore(sys.argv[1], StandingClock())\n"
        "    await store.open()\n"
        "    print(len(await store.find_conversations('ann')))\n"
        "    await store.aclose()\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-W", "error", "-c", program, f"{url}?busy_timeout=60"]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(times)]
    return [run.communicate(timeout=120) for run in runs]


def _is_known(name: str | None, kind: str, _: object) -> bool:
    """An index of words is none of the tables that Alembic can compare."""
    return kind != "table" or name is None or not name.startswith(search_schema.PREFIX)


def _read_tables(path: Path) -> dict[str, set[object]]:
    """Every table with its columns, references and indexes; the order of the columns means nothing."""
    with closing(sqlite3.connect(path)) as connection:
        read = connection.execute
        tables = [name for (name,) in read("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: set(_read_columns(connection, table)) for table in tables}


def _read_columns(connection: sqlite3.Connection, table: str) -> Iterator[object]:
    read = connection.execute
    for _, name, *facts in read(f"PRAGMA table_info({table})"):
        yield name, *facts
    for _, _, *facts in read(f"PRAGMA foreign_key_list({table})"):
        yield tuple(facts)
    for _, name, *facts in read(f"PRAGMA index_list({table})"):
        yield name, *facts, *(column for _, _, column in read(f"PRAGMA index_info({name})"))


def _with_id(message: Message, clock: StandingClock) -> Message:
    return attrs.evolve(message, id=clock.new_id(), created_at=clock.now())
