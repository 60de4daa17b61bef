"""What is particular to PostgreSQL: other processes, other programs, and a server that goes away."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from alembic.config import Config
from pooler import Pooler
from postgres_server import PostgresServer
from sqlalchemy.util import await_only

from tertulia import ModelInfo, StoreBusyError, StoreError, StoreReadOnlyError, StoreVersionError
from tertulia.builtin.sql import migrations, revisions, statements
from tertulia.builtin.sql.database import Database
from tertulia.builtin.sql.postgres import revisions as postgres_revisions
from tertulia.builtin.sql.schema import REVISION, VERSION_TABLE
from tertulia.builtin.sql.store import SQLStore
from tertulia.builtin.sql.tree import make_keys
from tertulia.runtime.clock import SystemClock
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import OWNER, Talk

Open = Callable[[str], Awaitable[SQLStore]]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Open stores that are closed when the test ends."""
    async with AsyncExitStack() as stack:

        async def open_store(url: str) -> SQLStore:
            store = SQLStore(url, StandingClock())
            await store.open()
            stack.push_async_callback(store.aclose)
            return store

        yield open_store


@pytest.fixture
async def store(postgres: str, opened: Open) -> SQLStore:
    """A store in a database that nobody else uses."""
    return await opened(postgres)


@pytest.fixture
async def talk(store: SQLStore) -> Talk:
    """A conversation in it."""
    return await begin(store)


async def begin(store: SQLStore) -> Talk:
    """A conversation in a store."""
    clock = store._clock
    assert isinstance(clock, StandingClock)
    return await Talk.begin(store, clock)


def add(url: str, **settings: object) -> str:
    """A URL with more settings."""
    more = "&".join(f"{name}={value}" for name, value in settings.items())
    return f"{url}{'&' if '?' in url else '?'}{more}"


PROCESSES, APPENDS = 4, 40


async def test_many_processes_append_to_one_conversation(postgres, store, talk):
    """Processes that append at the same time lose none, meet no error and leave no gap."""
    program = Path(__file__).with_name("postgres_appender.py")
    outputs = await run_at_once(
        [[str(program), postgres, str(talk.id), str(APPENDS), str(number)] for number in range(PROCESSES)]
    )

    assert [b""] * PROCESSES == [errors for _, errors in outputs]
    messages = await talk.history()
    assert list(range(PROCESSES * APPENDS)) == [message.depth for message in messages]
    assert [None, *(message.id for message in messages[:-1])] == [each.parent_id for each in messages]
    written = [f"{process}-{number}" for process in range(PROCESSES) for number in range(APPENDS)]
    assert sorted(written) == sorted(message.text for message in messages)
    assert PROCESSES * APPENDS == (await talk.record()).message_count


async def run_at_once(commands: list[list[str]]) -> list[tuple[bytes, bytes]]:
    """What Python programs write that run at the same time."""
    runs = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        for command in commands
    ]
    return await asyncio.gather(*(run.communicate() for run in runs))


async def test_first_runs_at_once_all_succeed(new_postgres):
    """Stores that open the same new database at once all find it ready."""
    stores = [SQLStore(new_postgres, StandingClock()) for _ in range(12)]
    await asyncio.gather(*(store.open() for store in stores))

    assert [[]] * 12 == [await store.find_conversations(OWNER) for store in stores]
    await asyncio.gather(*(store.aclose() for store in stores))


async def test_two_stores_write_one_conversation_in_turn(postgres, opened, talk):
    """What several stores append to one branch at once stands one after the other."""
    others = [await opened(postgres) for _ in range(4)]
    talks = [talk, *(Talk(other, talk.clock, talk.id) for other in others)]
    await asyncio.gather(*(each.append(str(number)) for number in range(20) for each in talks))

    assert list(range(100)) == [message.depth for message in await talk.history()]
    assert 100 == (await talk.record()).message_count


async def test_one_connection_is_enough(postgres, opened):
    """A pool of one serves everybody, one after the other."""
    store = await opened(add(postgres, pool_size=1))
    talks = [await begin(store) for _ in range(3)]
    await asyncio.gather(*(talk.append("x") for talk in talks for _ in range(5)))
    histories = await asyncio.gather(*(talk.history() for talk in talks))

    assert [5, 5, 5] == [len(history) for history in histories]


async def test_a_job_reads_what_is_of_one_moment(postgres, opened, talk):
    """A reader that asks twice does not see what was written in between."""
    other = await opened(postgres)
    await talk.append("one")
    path = {**make_keys(OWNER, talk.id), "branch": "main", "limit": 100, "before_depth": 100}
    seen: list[list[str]] = []

    def job(database: Database) -> None:
        seen.append([row["text"] for row in database.all(statements.GET_PATH, path)])
        if len(seen) == 2:  # the first time was outside a transaction
            await_only(Talk(other, talk.clock, talk.id).append("two"))
        seen.append([row["text"] for row in database.all(statements.GET_PATH, path)])

    await talk.store._engine.read(job)

    assert [["one"], ["one"], ["one"]] == seen
    assert ["one", "two"] == await talk.texts()


async def test_a_deadlock_is_nobodys_error(postgres, opened):
    """Two that wait for each other are told apart by the server, and the one that lost starts over."""
    first, second = await opened(postgres), await opened(postgres)
    talks = [await begin(first), await begin(first)]
    keys = [make_keys(OWNER, talk.id) for talk in talks]
    met = asyncio.Barrier(2)
    tries: list[int] = []

    def cross(mine: int) -> Callable[[Database], None]:
        def job(database: Database) -> None:
            tries.append(mine)
            database.all(statements.LOCK_CONVERSATION, keys[mine])
            if tries.count(mine) == 1:
                await_only(met.wait())
            database.all(statements.LOCK_CONVERSATION, keys[1 - mine])

        return job

    await asyncio.gather(first._engine.write(cross(0)), second._engine.write(cross(1)))

    assert [0, 0, 1] == sorted(tries) or [0, 1, 1] == sorted(tries)


async def test_two_who_write_the_same_row_both_succeed(postgres, opened):
    """Catalogues that are taken over at the same moment become one."""
    stores = [await opened(postgres) for _ in range(4)]
    models = [ModelInfo("openai", str(number)) for number in range(20)]
    at = StandingClock().now()
    await asyncio.gather(*(store.replace_models(OWNER, "openai", models, at) for store in stores))

    assert {model.id for model in models} == {model.id for model in await stores[0].get_models(OWNER)}


async def test_a_conversation_that_stays_locked_is_busy(postgres, postgres_server, opened, talk):
    """Who waits longer than busy_timeout is told so, and nothing was added."""
    impatient = await opened(add(postgres, busy_timeout=0.05))
    async with postgres_server.connect(postgres) as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM conversation FOR UPDATE")
        with pytest.raises(StoreBusyError) as caught:
            await Talk(impatient, talk.clock, talk.id).append("x")

    location = impatient.location
    assert f"the database {location} is locked by another process" in str(caught.value)
    assert location == caught.value.location
    assert [] == await talk.texts()


async def test_an_idle_connection_that_was_lost_is_not_noticed(postgres, postgres_server, talk):
    """Where nothing was under way, a new connection is made and nobody hears of it."""
    await talk.append("one")
    await kill(postgres_server, postgres)
    await talk.append("two")
    await kill(postgres_server, postgres)

    assert ["one", "two"] == await talk.texts()


async def kill(server: PostgresServer, url: str) -> None:
    """End every other connection to a database."""
    await server.arun(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        url=url,
    )


async def test_a_connection_lost_while_writing_leaves_nothing_half(postgres, postgres_server, store, talk):
    """What was under way is not written, and the error says what to do; the next one is."""
    values = {**make_keys(OWNER, talk.id), "title": "half", "updated_at": talk.clock.now()}

    def job(database: Database) -> None:
        database.run(statements.UPDATE_TITLE, values)
        await_only(kill(postgres_server, postgres))
        database.run(statements.UPDATE_TITLE, values)

    with pytest.raises(StoreError) as caught:
        await store._engine.write(job)

    assert f"the database {store.location} cannot be asked: " in str(caught.value)
    assert str(caught.value).endswith("try again")
    assert None is (await talk.record()).title


async def test_what_lost_its_connection_is_done_again(postgres, postgres_server, store, talk):
    """Before a commit nothing of it was kept, so it is done once more on another connection."""
    values = {**make_keys(OWNER, talk.id), "title": "whole", "updated_at": talk.clock.now()}
    runs: list[int] = []

    def job(database: Database) -> None:
        runs.append(database.run(statements.UPDATE_TITLE, values))
        if len(runs) == 1:
            await_only(kill(postgres_server, postgres))
        database.run(statements.UPDATE_TITLE, values)

    await store._engine.write(job)

    assert ([1, 1], "whole") == (runs, (await talk.record()).title)


async def test_a_connection_lost_at_the_very_end_says_that_it_is_unknown(postgres, postgres_server, store):
    """Where the commit was not answered, the error does not claim to know what became of it."""

    def job(database: Database) -> None:
        await_only(kill(postgres_server, postgres))

    with pytest.raises(StoreError, match="may have written this or not: the connection was lost"):
        await store._engine.write(job)


async def test_a_server_that_restarts_is_found_again(opened):
    """While it is away the error says so; then all goes on as before."""
    with PostgresServer.start() as server:
        store = await opened(server.url)
        talk = await begin(store)
        await talk.append("one")
        server.stop()
        with pytest.raises(
            StoreError, match=r"cannot be reached: .*; check the host, the port and the server"
        ):
            await talk.append("two")
        with pytest.raises(StoreError, match="cannot be reached"):
            await talk.texts()
        server.resume()
        await talk.append("three")

        assert ["one", "three"] == await talk.texts()
        await store.aclose()


async def test_a_pooler_may_give_each_transaction_another_session(postgres, opened):
    """Behind a pooler that changes sessions between transactions everything works, statements included."""
    async with Pooler(postgres, sessions=3) as pooler:
        store = await opened(pooler.url)
        talks = [await begin(store) for _ in range(4)]
        for number in range(5):
            await asyncio.gather(*(talk.append(str(number)) for talk in talks))
            await asyncio.gather(*(talk.history() for talk in talks))
        await talks[0].answer(await talks[0].ask("Hello"))

        assert [5 + 2, 5, 5, 5] == [len(await talk.history()) for talk in talks]
        assert pooler.changes > 20
        await store.aclose()


@pytest.mark.parametrize("version", ["9999", "", "' OR 1"])
async def test_an_unknown_version_is_left_alone(new_postgres, postgres_server, opened, version):
    """A database of a later Tertulia is refused, with both versions named."""
    await (await opened(new_postgres)).aclose()
    await postgres_server.arun(f"UPDATE {VERSION_TABLE} SET version_num = $v${version}$v$", url=new_postgres)  # noqa: S608

    store = SQLStore(new_postgres, StandingClock())
    with pytest.raises(StoreVersionError) as caught:
        await store.open()

    assert (
        f"the database {store.location} has version {version}, and this tertulia knows up to {REVISION};"
        " nothing was changed; upgrade tertulia, or open another database"
    ) == str(caught.value)


async def test_another_programs_database_is_left_alone(new_postgres, postgres_server):
    """Tables that are not ours are not mixed with ours."""
    await postgres_server.arun("CREATE TABLE orders (id int)", url=new_postgres)

    with pytest.raises(StoreError, match=r"holds other tables, such as 'orders'; nothing was changed"):
        await SQLStore(new_postgres, StandingClock()).open()

    tables = await postgres_server.arun(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", url=new_postgres
    )
    assert ["orders"] == [name for (name,) in tables]


async def test_a_database_can_be_opened_read_only(postgres, opened, talk):
    """With mode=ro everything is read, and nothing is written."""
    await talk.append("one")
    reader = Talk(await opened(add(postgres, mode="ro")), talk.clock, talk.id)

    assert ["one"] == await reader.texts()
    with pytest.raises(StoreReadOnlyError, match="cannot be written"):
        await reader.append("two")
    assert ["one"] == await talk.texts()


async def test_an_empty_database_is_not_made_read_only(new_postgres):
    """No table is made by who only reads."""
    with pytest.raises(StoreReadOnlyError, match="open it once without mode=ro"):
        await SQLStore(add(new_postgres, mode="ro"), StandingClock()).open()


@pytest.fixture
def next_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A later Tertulia, whose next revision adds a column and a table."""
    shutil.copy(Path(migrations.__file__).with_name("env.py"), tmp_path)
    (tmp_path / "versions").mkdir()
    (tmp_path / "versions" / "first.py").write_text(f"revision = {REVISION!r}\ndown_revision = None\n")
    (tmp_path / "versions" / "next.py").write_text(
        f"""
import sqlalchemy as sa
from alembic import op
from tertulia.builtin.sql.column_types import UUIDBytes
revision, down_revision = "next", {REVISION!r}
def upgrade():
    op.add_column("conversation", sa.Column("colour", sa.String(20), server_default="blue"))
    op.create_table("later", sa.Column("id", UUIDBytes, nullable=False))
"""
    )
    config = Config()
    config.set_main_option("script_location", str(tmp_path))
    config.set_main_option("path_separator", "os")
    monkeypatch.setattr(revisions, "_make_config", lambda: config)
    monkeypatch.setattr(revisions, "REVISION", "next")
    monkeypatch.setattr(postgres_revisions, "REVISION", "next")
    return "next"


async def test_an_older_database_is_upgraded_once(
    new_postgres, postgres_server, opened, next_revision, monkeypatch
):
    """Stores that open an older database at once find it upgraded, with what was in it, and types of ours."""
    with monkeypatch.context() as before:
        before.setattr(postgres_revisions, "REVISION", REVISION)
        store = await opened(new_postgres)
        talk = await begin(store)
        await talk.append("one")
    stores = await asyncio.gather(*(opened(new_postgres) for _ in range(4)))

    assert [["one"]] * 4 == [await Talk(each, talk.clock, talk.id).texts() for each in stores]
    columns = await postgres_server.arun(
        "SELECT column_name, data_type, collation_name FROM information_schema.columns"
        " WHERE column_name = 'colour' OR table_name = 'later' ORDER BY 1",
        url=new_postgres,
    )
    assert [("colour", "text", "C"), ("id", "uuid", None)] == [tuple(row) for row in columns]
    versions = await postgres_server.arun(f"SELECT version_num FROM {VERSION_TABLE}", url=new_postgres)  # noqa: S608
    assert [next_revision] == [row[0] for row in versions]


async def test_an_upgrade_that_fails_changes_nothing(new_postgres, postgres_server, opened, next_revision):
    """Where a table of ours is in the way, the database stays what it was, whole."""
    with pytest.MonkeyPatch.context() as before:
        before.setattr(postgres_revisions, "REVISION", REVISION)
        await (await opened(new_postgres)).aclose()
    await postgres_server.arun("CREATE TABLE later (elsewhere text)", url=new_postgres)

    with pytest.raises(StoreError, match="later"):
        await opened(new_postgres)
    columns = await postgres_server.arun(
        "SELECT 1 FROM information_schema.columns WHERE column_name = 'colour'", url=new_postgres
    )
    assert [] == columns


async def test_a_database_without_its_version_is_left_alone(new_postgres, postgres_server, opened):
    """Where nothing says which version the tables have, they are not touched."""
    await (await opened(new_postgres)).aclose()
    await postgres_server.arun(f"DELETE FROM {VERSION_TABLE}", url=new_postgres)  # noqa: S608

    with pytest.raises(StoreError, match="holds other tables, such as 'attempt'; nothing was changed"):
        await opened(new_postgres)


async def test_a_closed_store_says_so(store, talk):
    """No operation hangs after the store is closed."""
    await store.aclose()
    await store.aclose()

    for operation in (talk.append("x"), talk.record()):
        with pytest.raises(StoreError, match="the store is closed; open the client again"):
            await operation


def test_another_event_loop_is_told_so(postgres):
    """A store is of the event loop in which it was opened; elsewhere it says so instead of hanging."""
    store = SQLStore(postgres, SystemClock())
    with asyncio.Runner() as mine:
        mine.run(store.open())
        with asyncio.Runner() as other, pytest.raises(StoreError, match="was opened in another event loop"):
            other.run(store.find_conversations(OWNER))
        mine.run(store.aclose())


async def test_closing_waits_for_what_was_accepted(store, talk, postgres, opened):
    """What was handed over before closing is written."""
    waiting = [asyncio.ensure_future(talk.append(str(number))) for number in range(10)]
    await asyncio.sleep(0)  # each has handed its operation over
    await store.aclose()
    await asyncio.gather(*waiting)

    assert 10 == len(await Talk(await opened(postgres), talk.clock, talk.id).history())


async def test_a_job_that_fails_is_rolled_back(store, talk):
    """An error that nobody foresaw is a StoreError, and nothing of its transaction stays."""
    values = {**make_keys(OWNER, talk.id), "title": "half", "updated_at": talk.clock.now()}

    def job(database: Database) -> None:
        database.run(statements.UPDATE_TITLE, values)
        raise ZeroDivisionError("by zero")

    with pytest.raises(StoreError, match="could not be written: ZeroDivisionError: by zero"):
        await store._engine.write(job)
    assert None is (await talk.record()).title


async def test_a_location_is_for_people(postgres):
    """Where a store is says nothing of who may enter."""
    assert urlsplit(postgres).path in SQLStore(postgres, StandingClock()).location
