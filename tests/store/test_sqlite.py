"""What only SQLite can do, and what can go wrong with a file."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import sys

import attrs
import pytest
from sqlalchemy import ClauseElement

import tertulia
from tertulia import (
    ConfigurationError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreReadOnlyError,
    StoreVersionError,
)
from tertulia.builtin.sql import contexts, paths, related_sqlite, statements
from tertulia.builtin.sql.database import _prepare
from tertulia.builtin.sql.schema import REVISION
from tertulia.builtin.sql.store import SQLStore
from tertulia.runtime.clock import SystemClock
from tertulia.testing import ScriptedProvider


async def opened(url: str) -> SQLStore:
    store = SQLStore(url, SystemClock())
    await store.open()
    return store


def fake() -> ScriptedProvider:
    return ScriptedProvider("fake")


async def test_a_database_is_durable(database):
    """Write-ahead log and full synchronisation: what is acknowledged survives a power cut."""
    store = await opened(database)
    pragmas = ("journal_mode", "synchronous", "foreign_keys")
    read = await store._engine._writer.run(
        lambda database: [database.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    )
    await store.aclose()

    assert ["wal", 2, 1] == read


@pytest.mark.parametrize("version", ["0999", "0000", "abc"])
async def test_an_unknown_version_is_left_alone(database, meddle, tmp_path, version):
    """A database at no revision of ours is refused with both versions named, and nothing is changed."""
    await (await opened(database)).aclose()
    path = tmp_path / "conversations.db"
    meddle("UPDATE tertulia_version SET version_num = ?", version)
    before = path.read_bytes()

    with pytest.raises(StoreVersionError) as caught:
        await opened(database)

    assert (
        f"the database {path} has version {version}, and this tertulia knows up to {REVISION}; "
        "nothing was changed; upgrade tertulia, or open another database"
    ) == str(caught.value)
    assert before == path.read_bytes()


@pytest.mark.parametrize("query", ["", "?mode=ro"])
async def test_another_programs_database_is_left_alone(database, meddle, tmp_path, query):
    """A database with tables that are not ours is refused before a byte of it is changed."""
    path = tmp_path / "conversations.db"
    meddle("CREATE TABLE artist (name TEXT)")
    meddle("CREATE TABLE album (title TEXT)")
    before = path.read_bytes()

    with pytest.raises(StoreError) as caught:
        await opened(database + query)

    assert (
        f"the database {path} holds other tables, such as 'album'; nothing was changed; name another file"
    ) == str(caught.value)
    assert before == path.read_bytes()
    assert [path] == list(tmp_path.iterdir())


async def test_an_empty_file_becomes_a_database(database, tmp_path):
    """A file without a byte, as a program makes that reserves a name, is fine."""
    (tmp_path / "conversations.db").write_bytes(b"")
    store = await opened(database)

    assert [] == await store.find_conversations("local")
    await store.aclose()


async def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    """Another program's file is refused by name and stays as it is."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ann, " * 200)

    with pytest.raises(StoreCorruptError, match=f"the database {path} is not a SQLite database"):
        await opened(f"sqlite:///{path}")

    assert "Dear Ann, " * 200 == path.read_text()


async def test_a_locked_database_says_so_and_sends_nothing(database, tmp_path):
    """While another process holds the lock, a send fails before anything is sent, and works later."""
    provider = fake().says("Hi.")
    url = f"{database}?busy_timeout=0.05"
    async with tertulia.open(store=url, providers={}, plugins=[provider], environ={}) as client:
        conversation = await client.start(provider="fake")
        other = sqlite3.connect(tmp_path / "conversations.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreBusyError) as caught:
            await conversation.send("Hello")

        assert caught.value.retryable
        assert "nothing was stored, and nothing was sent" == caught.value.kept
        assert ([], []) == (provider.requests, await conversation.history())
        other.execute("ROLLBACK")
        other.close()
        assert "Hi." == (await conversation.send("Hello")).text


async def test_a_read_only_database_can_be_read(database, tmp_path):
    """Opened with mode=ro, conversations are read; a send is refused before anything is sent."""
    async with tertulia.open(
        store=database, providers={}, plugins=[fake().says("Hi.")], environ={}
    ) as client:
        identifier = (await (await client.start(provider="fake")).send("Hello")) and (await client.list())[
            0
        ].id

    provider = fake()
    url = f"{database}?mode=ro"
    async with tertulia.open(store=url, providers={}, plugins=[provider], environ={}) as client:
        conversation = await client.get(identifier)
        assert ["Hello", "Hi."] == [message.text for message in await conversation.history()]
        with pytest.raises(StoreReadOnlyError, match="cannot be written") as caught:
            await conversation.send("More")

    assert str(tmp_path / "conversations.db") == caught.value.location
    assert [] == provider.requests


async def test_a_missing_database_is_not_made_read_only(tmp_path):
    """A file that is not there cannot be opened with mode=ro."""
    with pytest.raises(StoreError, match="cannot be opened"):
        await opened(f"sqlite:///{tmp_path / 'none.db'}?mode=ro")

    assert [] == list(tmp_path.iterdir())


async def test_a_reader_makes_no_file(database, tmp_path):
    """When the file is taken away before the first reading, it is missed and not made anew."""
    store = await opened(database)
    (tmp_path / "conversations.db").rename(tmp_path / "elsewhere.db")

    with pytest.raises(StoreError, match=f"the database {tmp_path / 'conversations.db'} cannot be opened"):
        await store.find_conversations("local")

    assert not (tmp_path / "conversations.db").exists()
    await store.aclose()


async def test_a_database_in_a_sealed_folder_can_be_read(database, tmp_path, monkeypatch):
    """Where no file can be made and no write-ahead log lies, mode=ro reads without making one."""
    await (await opened(database)).aclose()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    store = await opened(f"{database}?mode=ro")

    assert [] == await store.find_conversations("local")
    assert [tmp_path / "conversations.db"] == list(tmp_path.iterdir())
    await store.aclose()


async def test_a_write_ahead_log_is_read_in_a_sealed_folder_too(database, record, tmp_path, monkeypatch):
    """What another process has written and not yet moved into the file is not overlooked."""
    writer = await opened(database)
    await writer.add_conversation(record)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (tmp_path / "link.db").symlink_to(tmp_path / "conversations.db")
    reader = await opened(f"sqlite:///{tmp_path / 'link.db'}?mode=ro")

    assert [record] == await reader.find_conversations("local")
    await reader.aclose()
    await writer.aclose()


async def test_a_folder_is_no_database(tmp_path):
    """A path that leads to a folder is a clear error."""
    with pytest.raises(StoreError) as caught:
        await opened(f"sqlite:///{tmp_path}")

    assert (
        f"{tmp_path} is a folder, and a database is a file; "
        f"name a file in it, such as {tmp_path / 'conversations.db'}"
    ) == str(caught.value)


async def test_a_closed_store_says_so(database, record):
    """After it is closed, a store reads and writes nothing, and says what to do."""
    store = await opened(database)
    await store.aclose()

    for operation in (
        store.find_conversations("local"),
        store.update_title("local", record.id, "Trip", record.updated_at),
    ):
        with pytest.raises(StoreError) as caught:
            await operation
        assert "the store is closed; open the client again" == str(caught.value)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """A path through a file is a clear error."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=f"the folder {tmp_path / 'file' / 'sub'} cannot be made"):
        await opened(f"sqlite:///{tmp_path / 'file' / 'sub' / 'conversations.db'}")


async def test_a_url_of_another_kind_is_refused():
    """A URL that no store knows is a configuration error."""
    with pytest.raises(ConfigurationError, match="no store is installed for 'mongodb' URLs"):
        async with tertulia.open(store="mongodb://localhost", providers={}, environ={}):
            pass


async def test_a_full_disk_keeps_what_was_stored(tmp_path):
    """When the file cannot grow the error names it, and what was stored before can be read."""
    url = f"sqlite:///{tmp_path / 'conversations.db'}"
    program = (
        "import asyncio, resource, signal, sys, tertulia\n"
        "from tertulia.testing import ScriptedProvider\n"
        "async def main():\n"
        "    provider = ScriptedProvider('fake').says('Hi.')\n"
        "    settings = {'store': sys.argv[1], 'providers': {}, 'environ': {}}\n"
        "    async with tertulia.open(**settings, plugins=[provider]) as client:\n"
        "        conversation = await client.start(provider='fake')\n"
        "        await conversation.send('Hello')\n"
        "        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "        try:\n"
        "            await conversation.send('x' * 300_000)\n"
        "        except tertulia.StoreError as error:\n"
        "            print(type(error).__name__, error.location, len(provider.requests))\n"
        "asyncio.run(main())\n"
    )
    run = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        program,
        url,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await run.communicate()

    assert f"StoreError {tmp_path / 'conversations.db'} 1\n" == output.decode()
    async with tertulia.open(store=url, providers={}, plugins=[fake()], environ={}) as client:
        conversation = await client.get((await client.list())[0].id)
        assert ["Hello", "Hi."] == [message.text for message in await conversation.history()]


async def test_a_second_client_sees_what_the_first_wrote(database):
    """Two clients on one file read each other's conversations at once."""
    async with (
        tertulia.open(store=database, providers={}, plugins=[fake().says("Hi.")], environ={}) as first,
        tertulia.open(store=database, providers={}, plugins=[fake().says("Ho.")], environ={}) as second,
    ):
        conversation = await first.start("Trip", provider="fake")
        await conversation.send("Hello")
        seen = await second.get(conversation.id)
        await seen.send("And?")

        assert ["Hello", "Hi.", "And?", "Ho."] == [message.text for message in await conversation.history()]


STATEMENTS = {
    name: statement
    for name, statement in vars(statements).items()
    if name.isupper() and not name.startswith("_") and isinstance(statement, ClauseElement)
}


PIECES = {"PENDING", "CONVERSATIONS", "MESSAGES", "PATH", "ON_PATH"}


@pytest.mark.parametrize("name", sorted(STATEMENTS.keys() - PIECES))
async def test_a_statement_finds_its_rows_by_an_index_and_their_owner(database, name):
    """No statement looks through a table, and none finds another owner's rows."""
    store = await opened(database)
    prepared = _prepare(STATEMENTS[name])
    plan = await store._engine._writer.run(
        lambda database: database.connection.execute(
            f"EXPLAIN QUERY PLAN {prepared.sql}", [None] * len(prepared.names)
        ).fetchall()
    )
    await store.aclose()

    steps = [step for *_, step in plan if step.startswith(("SCAN", "SEARCH"))]
    tables = [step for step in steps if step not in ("SCAN run", "SCAN CONSTANT ROW")]
    assert [] == [step for step in tables if "owner_id=?" not in step]
    assert (tables == []) == (" WHERE " not in prepared.sql.replace("\n", " "))


IN_PART = {
    "outline": paths._GET_OUTLINE,
    "recent": paths._GET_RECENT,
    "found": related_sqlite._GET_PLACES,
    "load": related_sqlite.LOAD,
    "summary": contexts._FIND_SUMMARY,
}


@pytest.mark.parametrize("name", IN_PART)
async def test_what_is_read_in_part_is_found_by_its_place(database, name):
    """No message is looked at but by its id, by its place on a segment, or as one of the system's."""
    store = await opened(database)
    prepared = _prepare(IN_PART[name])
    plan = await store._engine._writer.run(
        lambda database: database.connection.execute(
            f"EXPLAIN QUERY PLAN {prepared.sql}", [None] * len(prepared.names)
        ).fetchall()
    )
    await store.aclose()

    steps = [step for *_, step in plan if "sqlite_autoindex_message_" in step]
    ours = [step for step in steps if "autoindex_message_mark" not in step]
    assert ours
    assert [] == [step for step in ours if not re.search(r"AND id=|AND segment=\? AND depth", step)]
    assert [] == [step for *_, step in plan if step.startswith("SCAN message")]


async def test_a_fork_writes_one_row(database, record):
    """However long its history is, a fork is one row; one more where it shares nothing."""
    store = await opened(database)
    clock = SystemClock()
    messages = [
        attrs.evolve(
            tertulia.Message.of("user", str(depth)), id=clock.new_id(), depth=depth, created_at=clock.now()
        )
        for depth in range(100)
    ]
    branch = attrs.evolve(record.branch, head_id=messages[-1].id, head_depth=99)
    await store.add_conversation(attrs.evolve(record, branch=branch, message_count=100), messages)

    written = []
    for at in ("head", messages[10].id, "root"):
        before = await store._engine._writer.run(lambda database: database.connection.total_changes)
        await store.add_branch(
            "local", record.id, f"at-{at}", source="main", at=at, created_at=record.created_at
        )
        after = await store._engine._writer.run(lambda database: database.connection.total_changes)
        written.append(after - before)
    await store.aclose()

    assert [1, 1, 2] == written
