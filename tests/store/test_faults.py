"""Whatever a database does wrong: the error is ours, nothing is half done, and it works once it can."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

import pytest
from operations import READING, WRITING, Act, World

import tertulia
from tertulia import Delta, Request, StoreBusyError, StoreError, StoreReadOnlyError, TertuliaError
from tertulia.builtin.sql.sqlite_engine import SQLiteEngine
from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import ScriptedProvider, StandingClock
from tertulia.testing.contracts.talk import Talk
from torture import scale

FLIPS, CUTS = scale(6), scale(3)
"""So many files with flipped bytes, and so many cut short."""


Template: TypeAlias = tuple[Path, UUID, datetime]
"""A database's file, the conversation in it, and the time when it was made."""


class Failing(sqlite3.Connection):
    """A connection whose n-th call from now on fails; with ``rolls_back``, as where the disk is full."""

    calls_left: int | None = None
    rolls_back = False
    words = "disk I/O error"

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        self._count(sql)
        return super().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        self._count(sql)
        return super().executemany(sql, parameters)

    def _count(self, sql: str) -> None:
        if Failing.calls_left is None or sql == "ROLLBACK":
            return
        Failing.calls_left -= 1
        if Failing.calls_left == 0:
            Failing.calls_left = None
            if Failing.rolls_back and self.in_transaction:
                super().execute("ROLLBACK")
            raise sqlite3.OperationalError(Failing.words)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Failing]]:
    """Let every connection be one that can fail."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **named: connect(*args, **named, factory=Failing))
    yield Failing
    Failing.calls_left = None


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """A database with a little in it, made once."""
    path = tmp_path_factory.mktemp("template") / "conversations.db"
    return asyncio.run(_make_template(path))


async def _make_template(path: Path) -> Template:
    store = SQLStore(f"sqlite:///{path}", clock := StandingClock())
    await store.open()
    world = await World.make(store, clock)
    await store.aclose()
    return path, world.talk.id, clock.now()


@asynccontextmanager
async def copied(template: Template, path: Path, query: str = "") -> AsyncIterator[World]:
    """A copy of that database, opened an hour later."""
    original, conversation_id, then = template
    shutil.copy(original, path)
    clock = StandingClock(then + timedelta(hours=1))
    store = SQLStore(f"sqlite:///{path}{query}", clock)
    await store.open()
    try:
        yield World(store, clock, Talk(store, clock, conversation_id))
    finally:
        await store.aclose()


def dump(path: Path) -> list[str]:
    """Everything in a database."""
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


PIECEMEAL = {"write_purge", "write_expiry", "write_search", "write_statistics"}
"""What takes several transactions: each is whole, and what is left is done when it is done again."""

REPAIRS = {"write_search", "write_statistics"}
"""What begins with something that is wrong, and only at its end is not."""


@pytest.mark.parametrize(
    ("name", "rolls_back"), [(name, False) for name in READING + WRITING] + [(name, True) for name in WRITING]
)
async def test_at_every_call_of_the_database_nothing_is_half_done(
    failing, template, tmp_path, monkeypatch, name, rolls_back
):
    """Whichever statement fails, the error is ours, all is as it was, and the same operation then works."""
    monkeypatch.setattr(Failing, "rolls_back", rolls_back)
    monkeypatch.setattr(Failing, "words", "database or disk is full" if rolls_back else "disk I/O error")
    path = tmp_path / "conversations.db"
    async with copied(template, path) as world:
        act = await getattr(world, name)()
        for number in count(1):
            before = dump(path)
            if (error := await _fail(failing, number, act)) is None:
                break
            assert str(path) == error.location
            assert error.next_step, error
            if name not in PIECEMEAL:
                assert before == dump(path)
            elif name not in REPAIRS:
                assert () == (await world.store.verify()).problems
        assert number > 2
        assert () == (await world.store.verify()).problems


async def _fail(failing: type[Failing], number: int, act: Act) -> StoreError | None:
    """Let the n-th call fail, and return the error; None when there were not so many."""
    failing.calls_left = number
    try:
        await act()
    except StoreError as error:
        return error
    finally:
        was_reached, failing.calls_left = failing.calls_left is None, None
    assert not was_reached, "an error was swallowed"
    return None


@asynccontextmanager
async def reopened(world: World, path: Path, query: str = "") -> AsyncIterator[None]:
    """The same store in another way: what was prepared is done on it."""
    store = world.store
    assert isinstance(store, SQLStore)
    await store.aclose()
    store._engine = SQLiteEngine(f"sqlite:///{path}{query}")
    try:
        await store.open()
        yield
    finally:
        await store.aclose()


async def prepare_all(world: World) -> dict[str, Act]:
    """Every operation, each on a conversation of its own."""
    acts: dict[str, Act] = {}
    for name in READING + WRITING:
        each = await World.make(world.store, world.clock)
        acts[name] = await getattr(each, name)()
    return acts


@pytest.mark.parametrize("kind", ["read-only", "locked"])
async def test_every_operation_says_that_it_cannot_write(template, tmp_path, kind):
    """Where nothing can be written, what reads works, and everything else is refused in words of ours."""
    path = tmp_path / "conversations.db"
    expected = StoreReadOnlyError if kind == "read-only" else StoreBusyError
    query = "?mode=ro" if kind == "read-only" else "?busy_timeout=0"
    async with copied(template, path) as world:
        acts = await prepare_all(world)
        before = dump(path)
        async with reopened(world, path, query):
            other = sqlite3.connect(path, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            for name in READING:
                await acts[name]()
            for name in WRITING:
                with pytest.raises(expected) as caught:
                    await acts[name]()
                assert (str(path), kind == "locked") == (caught.value.location, caught.value.retryable), name
            other.execute("ROLLBACK")
            other.close()
        assert before == dump(path)


@pytest.mark.parametrize("way", ["flipped", "cut"])
async def test_a_damaged_file_is_never_made_anew(template, tmp_path, way):
    """
    Bytes are changed at random, or the end is missing: every operation works or says that something is wrong.

    What cannot even be opened is left as it is, byte for byte.
    """
    source, path = tmp_path / "whole.db", tmp_path / "conversations.db"
    async with copied(template, source) as world:
        acts = await prepare_all(world)
        await world.store.aclose()
        whole = source.read_bytes()
        chance = random.Random(8)  # noqa: S311  # no secret
        for _ in range(FLIPS if way == "flipped" else CUTS):
            damaged = _flip(whole, chance) if way == "flipped" else whole[: chance.randrange(1, len(whole))]
            lay(path, damaged)
            error = await _try_all(world, path, acts)
            assert error is None or str(path) == error.location
            assert error is None or damaged == look_at(path)


def lay(path: Path, content: bytes) -> None:
    """Put a file there, and nothing beside it."""
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    path.write_bytes(content)


def look_at(path: Path) -> bytes:
    """What is in a file."""
    return path.read_bytes()


def _flip(whole: bytes, chance: random.Random) -> bytes:
    """Change some bytes of some pages, as a bad disk does; one time in four of the first page."""
    damaged = bytearray(whole)
    page = 0 if chance.random() < 0.25 else chance.randrange(len(whole) // 4096)
    for _ in range(chance.choice((1, 20, 400))):
        damaged[page * 4096 + chance.randrange(4096)] = chance.randrange(256)
    return bytes(damaged)


async def _try_all(world: World, path: Path, acts: dict[str, Act]) -> StoreError | None:
    """Do everything there is, and return why the file was refused."""
    try:
        async with reopened(world, path):
            for act in acts.values():
                with suppress(TertuliaError):
                    await act()
    except StoreError as error:
        return error
    return None


class Locking(ScriptedProvider):
    """Answers, and has another process lock the database meanwhile."""

    def __init__(self, path: Path) -> None:
        super().__init__("fake")
        self.other = sqlite3.connect(path, isolation_level=None)

    async def send_message(self, request: Request) -> AsyncIterator[Delta]:
        self.other.execute("BEGIN IMMEDIATE")
        async for delta in super().send_message(request):
            yield delta


async def test_an_answer_that_could_not_be_stored_can_be_stored_later(database, tmp_path):
    """Where the database is locked when an answer has come, it is in the error, and can be appended."""
    clock = StandingClock()
    provider = Locking(tmp_path / "conversations.db").says("Hi.")
    settings = {"store": f"{database}?busy_timeout=0", "providers": {}, "environ": {}, "clock": clock}
    async with tertulia.open(**settings, plugins=[provider]) as client:
        conversation = await client.start(provider="fake")
        with pytest.raises(StoreBusyError) as caught:
            await conversation.send("Hello")
        provider.other.execute("ROLLBACK")
        provider.other.close()
        clock.advance(16)

        answer = await conversation.append(caught.value.reply.message)
        assert ["Hello", "Hi."] == [message.text for message in await conversation.history()]
        assert (caught.value.reply.message.id, "fake") == (answer.id, answer.provider)
        assert () == (await client._core.store.verify()).problems
