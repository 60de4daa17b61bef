"""An answer that the store could not take is not lost: it can be saved again."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator

import pytest

from tertulia import Delta, MessageNotFoundError, Request, StoreBusyError
from tertulia.testing import ScriptedProvider


class LockingProvider(ScriptedProvider):
    """Answers while somebody else takes the database's write lock, and keeps it."""

    def __init__(self, path: str) -> None:
        super().__init__("one")
        self.other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    async def send_message(self, request: Request) -> AsyncIterator[Delta]:
        self.other.execute("BEGIN IMMEDIATE")
        async for delta in super().send_message(request):
            yield delta


@pytest.fixture
async def locking(tmp_path):
    provider = LockingProvider(str(tmp_path / "conversations.db"))
    yield provider.says("A")
    provider.other.close()


async def test_an_answer_that_met_a_locked_database_can_be_saved(open_client, locking, database):
    """The error has the answer; once the lock is gone it is stored where it belongs, once."""
    async with open_client(
        store=f"{database}?busy_timeout=0.05", providers={}, plugins=[locking], environ={}
    ) as client:
        trip = await client.start(provider="one")
        with pytest.raises(StoreBusyError, match="locked by another process") as caught:
            await trip.send("a")
        reply = caught.value.reply
        assert "A" == reply.text
        with pytest.raises(StoreBusyError):
            await trip.save(reply)
        locking.other.execute("ROLLBACK")

        stored = await trip.save(reply)

        assert [("a", "complete"), ("A", "complete")] == [
            (message.text, message.status) for message in await trip.history()
        ]
        assert stored == await trip.save(reply) == (await trip.history())[-1]
        assert (2, reply.cost) == ((await trip.record()).message_count, stored.cost)
        assert reply.cost.money == (await trip.record()).cost.money


async def test_only_an_answer_can_be_saved(client):
    """A reply of another conversation is not found here, and nothing is stored."""
    trip, other = await client.start(provider="openai"), await client.start(provider="openai")
    reply = await trip.send("Count to 3.")

    with pytest.raises(MessageNotFoundError):
        await other.save(reply)

    assert [] == await other.history()
