"""What only SQLite can do, and what can go wrong with a file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

import tertulia
from tertulia import (
    ConfigurationError,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreReadOnlyError,
    StoreVersionError,
)
from tertulia.builtin.sql.schema import REVISION, VERSION_TABLE, metadata
from tertulia.builtin.sql.sqlite import Address, make_engine
from tertulia.builtin.sql.store import SQLStore
from tertulia.runtime.clock import SystemClock
from tertulia.testing import ScriptedProvider


async def opened(url: str) -> SQLStore:
    store = SQLStore(url, SystemClock())
    await store.open()
    return store


def fake() -> ScriptedProvider:
    return ScriptedProvider("fake")


async def test_the_revisions_build_the_tables_the_code_knows(database):
    """A migrated database and the schema of the code are the same, column by column."""
    await (await opened(database)).aclose()

    with make_engine(Address.parse(database), writes=False).connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert [] == compare_metadata(context, metadata)
        assert REVISION == context.get_current_revision()


async def test_a_database_is_durable(database):
    """Write-ahead log and full synchronisation: what is acknowledged survives a power cut."""
    store = await opened(database)
    pragmas = ("journal_mode", "synchronous", "foreign_keys")
    read = await store._writer.run(
        lambda connection: [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    )
    await store.aclose()

    assert ["wal", 2, 1] == read


async def test_a_newer_database_is_left_alone(database, tmp_path):
    """A database of a newer version is refused with both versions named, and nothing is changed."""
    await (await opened(database)).aclose()
    path = tmp_path / "conversations.db"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE tertulia_version SET version_num = '0999'")
    connection.close()

    with pytest.raises(StoreVersionError) as caught:
        await opened(database)

    assert (
        f"the database {path} has version 0999, and this tertulia knows up to {REVISION}; "
        "nothing was changed; upgrade tertulia, or open another database"
    ) == str(caught.value)
    with sqlite3.connect(path) as connection:
        assert ("0999",) == connection.execute("SELECT version_num FROM tertulia_version").fetchone()
    connection.close()


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
        assert "the message was not stored, and nothing was sent" == caught.value.kept
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


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    """A path through a file is a clear error."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=f"the folder {tmp_path / 'file' / 'sub'} cannot be made"):
        await opened(f"sqlite:///{tmp_path / 'file' / 'sub' / 'conversations.db'}")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mongodb://localhost", "no store is installed for 'mongodb' URLs"),
        ("sqlite:conversations.db", "is no store's URL; write sqlite:///PATH or memory:"),
        ("sqlite:///x.db?cache=shared", "there is no setting 'cache'"),
        ("sqlite:///x.db?busy_timeout=soon", "busy_timeout must be a number of seconds"),
    ],
)
async def test_a_wrong_url_is_refused(url, message):
    """A URL that no store knows, or a setting it does not have, is a configuration error."""
    with pytest.raises(ConfigurationError, match=message):
        async with tertulia.open(store=url, providers={}, environ={}):
            pass


def test_first_runs_at_once_all_succeed(tmp_path):
    """Eight processes that open the same new database at once all find it ready."""
    program = (
        "import asyncio, sys, tertulia\n"
        "async def main():\n"
        "    async with tertulia.open(store=sys.argv[1], providers={}, environ={}) as client:\n"
        "        print(len(await client.list()))\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-W", "error", "-c", program, f"sqlite:///{tmp_path / 'new.db'}"]

    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]

    assert [(b"0\n", b"")] * 8 == [run.communicate(timeout=60) for run in runs]


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
        sys.executable, "-W", "error", "-c", program, url, stdout=asyncio.subprocess.PIPE
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


def test_nothing_acknowledged_is_lost_by_a_kill(tmp_path):
    """A process killed in the middle of its work leaves every message it had acknowledged."""
    url = f"sqlite:///{tmp_path / 'conversations.db'}"
    program = Path(__file__).with_name("talker.py")
    for _ in range(5):
        run = subprocess.Popen([sys.executable, program, url], stdout=subprocess.PIPE, env=os.environ)
        assert run.stdout is not None
        acknowledged = [run.stdout.readline().decode().strip() for _ in range(7)]
        run.kill()
        acknowledged += run.stdout.read().decode().split()
        run.wait()
        run.stdout.close()

        stored = asyncio.run(_texts(url))
        assert [] == [text for text in acknowledged if text not in stored]


async def _texts(url: str) -> set[str]:
    async with tertulia.open(store=url, providers={}, plugins=[fake()], environ={}) as client:
        texts: set[str] = set()
        for record in await client.list():
            messages = await (await client.get(record.id)).history()
            assert list(range(len(messages))) == [message.depth for message in messages]
            texts |= {message.text for message in messages}
        return texts
