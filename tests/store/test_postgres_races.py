"""Two who write at once in PostgreSQL what is not one conversation's: bytes, and whole conversations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from postgres_server import PostgresServer

from tertulia import Image
from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import OWNER, Talk
from tertulia.testing.contracts.transfer import make_tree

PICTURE = Image(data=b"\x89PNG", media_type="image/png")


@pytest.fixture
async def store(postgres: str) -> AsyncIterator[SQLStore]:
    """A store in a database that nobody else uses."""
    store = SQLStore(postgres, StandingClock())
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
async def somebody(postgres: str, postgres_server: PostgresServer) -> AsyncIterator[Any]:
    """A connection of somebody else's."""
    async with postgres_server.connect(postgres) as connection:
        yield connection


async def begin(store: SQLStore) -> Talk:
    """A conversation with a picture."""
    clock = store._clock
    assert isinstance(clock, StandingClock)
    talk = await Talk.begin(store, clock)
    await show(talk)
    return talk


async def show(talk: Talk) -> None:
    """Add the picture."""
    await talk.store.add_message(
        OWNER, talk.id, "main", attrs.evolve(talk.make_message(""), parts=(PICTURE,))
    )


async def wait_for(connection: Any) -> None:
    """Until somebody waits for what this connection holds."""
    waiting = """SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"""
    async with asyncio.timeout(10):
        while not await connection.fetchval(waiting):
            pass


async def count_blobs(connection: Any) -> int:
    count: int = await connection.fetchval("SELECT count(*) FROM blob")
    return count


async def test_bytes_that_are_removed_meanwhile_are_stored_again(store, somebody):
    """A message whose bytes were there, and are gone when it is written, brings its own."""
    gone, talk = await begin(store), await Talk.begin(store, store._clock)
    async with somebody.transaction():
        await somebody.execute("DELETE FROM message_blob WHERE conversation_id = $1", gone.id)
        await somebody.execute("DELETE FROM blob")
        adding = asyncio.ensure_future(show(talk))
        await wait_for(somebody)
    await adding

    assert [(PICTURE,)] == [message.parts for message in await talk.history()]


async def test_bytes_that_are_needed_meanwhile_are_not_removed(store, somebody):
    """Who purges leaves the bytes of a message that is written at the same moment."""
    gone, talk = await begin(store), await Talk.begin(store, store._clock)
    kept = await talk.append("Look:")
    await store.remove_conversation(OWNER, gone.id, store._clock.now())
    async with somebody.transaction():
        await somebody.execute(
            "INSERT INTO message_blob SELECT owner_id, $1, $2, 0, sha256 FROM blob", talk.id, kept.id
        )
        purging = asyncio.ensure_future(store.purge_conversation(OWNER, gone.id))
        await wait_for(somebody)
    await purging

    assert 1 == await count_blobs(somebody)
    assert 0 == await somebody.fetchval("SELECT count(*) FROM conversation WHERE id = $1", gone.id)


async def test_bytes_nobody_needs_any_more_are_gone(store, somebody):
    """Conversations with the same picture that are purged at once leave nothing of it."""
    talks = [await begin(store) for _ in range(4)]
    for talk in talks:
        await store.remove_conversation(OWNER, talk.id, store._clock.now())
    await asyncio.gather(*(store.purge_conversation(OWNER, talk.id) for talk in talks))

    assert 0 == await count_blobs(somebody)


async def test_a_conversation_that_two_import_at_once_is_stored_once(postgres, store):
    """Each conversation is stored by one of them, whichever way round they come, and left by the other."""
    other = SQLStore(postgres, StandingClock())
    await other.open()
    try:
        trees = [make_tree(store._clock, number) for number in range(8)]
        stored = await asyncio.gather(
            store.add_trees(OWNER, trees), other.add_trees(OWNER, trees[::-1]), store.add_trees(OWNER, trees)
        )
    finally:
        await other.aclose()

    assert sorted(tree.record.id for tree in trees) == sorted(each for ids in stored for each in ids)
    for tree in trees:
        found = await store.find_messages(OWNER, tree.record.id)
        assert {message.id for message in tree.messages} == {message.id for message in found}
