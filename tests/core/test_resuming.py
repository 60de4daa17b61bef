"""What broke off is kept to its last words, and can be gone on with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

import tertulia
from tertulia import (
    BranchError,
    ConversationBusyError,
    MessageStatus,
    OverloadedError,
    ProtocolError,
    StreamInterruptedError,
)
from tertulia.services import keeping
from tertulia.services.questions import GO_ON
from tertulia.testing import ScriptedProvider, StandingClock


@pytest.fixture
def one() -> ScriptedProvider:
    return ScriptedProvider("one")


@pytest.fixture
def two() -> ScriptedProvider:
    return ScriptedProvider("two")


@pytest.fixture
async def client(one, two, database) -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(store=database, providers={}, plugins=[one, two], environ={}) as client:
        yield client


async def statuses(conversation: tertulia.Conversation) -> list[tuple[str, MessageStatus]]:
    return [(message.text, message.status) for message in await conversation.history()]


class Stalling(ScriptedProvider):
    """Says its pieces, and then nothing more until it is told to go on."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.go_on = asyncio.Event()

    async def send_message(self, request):
        async for delta in super().send_message(request):
            if isinstance(delta, tertulia.ProviderReply):
                await self.go_on.wait()
            yield delta


async def test_the_rest_of_an_answer_is_joined_to_its_beginning(client, one):
    """The provider gets the beginning and is asked for the rest; the whole is a sibling of the beginning."""
    one.fails(ProtocolError("cut"), "One, two,").says(" three.").says("Bye.")
    trip = await client.start(provider="one")
    with pytest.raises(StreamInterruptedError):
        await trip.stream("Count.").read()

    async with trip.resume() as stream:
        events = [event async for event in stream]

    assert [tertulia.TextDelta(" three."), tertulia.Completed(stream.reply)] == events
    assert ["Count.", "One, two,", GO_ON] == one.texts
    assert ("One, two, three.", "main-2") == (stream.reply.text, trip.branch)
    assert [("Count.", MessageStatus.COMPLETE), ("One, two, three.", MessageStatus.COMPLETE)] == (
        await statuses(trip)
    )
    assert [("Count.", MessageStatus.COMPLETE), ("One, two,", MessageStatus.INTERRUPTED)] == (
        await statuses(await client.get(trip.id, branch="main"))
    )
    await trip.send("Thanks.")
    assert ["Count.", "One, two, three.", "Thanks."] == one.texts


async def test_another_provider_can_go_on(client, one, two):
    """After a switch the rest comes from the other provider; each attempt has its own cost."""
    one.fails(ProtocolError("cut"), "One, two,")
    two.says(" three.")
    trip = await client.start(provider="one")
    with pytest.raises(StreamInterruptedError):
        await trip.stream("Count.").read()
    await trip.switch("two")

    reply = await trip.resume()

    assert ("two", "One, two, three.") == (reply.provider, reply.text)
    assert [("one", "interrupted"), ("two", "succeeded")] == [
        (attempt.provider, attempt.outcome) for attempt in await trip.attempts()
    ]


async def test_what_breaks_off_again_is_kept_whole(client, one):
    """The beginning and what came after it are one interrupted answer, and can be gone on with again."""
    one.fails(ProtocolError("cut"), "One,").fails(ProtocolError("cut"), " two,").says(" three.")
    trip = await client.start(provider="one")
    with pytest.raises(StreamInterruptedError):
        await trip.stream("Count.").read()

    with pytest.raises(StreamInterruptedError) as caught:
        await trip.resume()
    again = await trip.resume()

    assert "One, two," == caught.value.partial.text
    assert ("One, two, three.", "main-3") == (again.text, trip.branch)


async def test_what_nobody_answered_is_asked_again(client, one):
    """A message that failed is answered where it is, without saying it twice."""
    one.refuses(OverloadedError, status=503).says("Hi.")
    trip = await client.start(provider="one")
    with pytest.raises(OverloadedError):
        await trip.send("Hello")

    reply = await trip.resume()

    assert ("Hi.", "main", ["Hello"]) == (reply.text, trip.branch, one.texts)
    assert [("Hello", MessageStatus.COMPLETE), ("Hi.", MessageStatus.COMPLETE)] == await statuses(trip)
    assert [1, 2] == [attempt.number for attempt in await trip.attempts()]


async def test_a_complete_answer_is_not_resumed(client, one):
    """There is nothing to go on with after a complete answer, and nobody is asked."""
    one.says("Hi.")
    trip = await client.start(provider="one")
    await trip.send("Hello")

    with pytest.raises(BranchError, match="nothing to resume") as caught:
        await trip.resume()

    assert "nothing was stored, and nothing was sent" == caught.value.kept
    assert (1, ["main"]) == (len(one.requests), [branch.name for branch in await trip.branches()])


async def test_an_empty_branch_is_not_resumed(client, one):
    """Before anything was said there is nothing to go on with."""
    with pytest.raises(BranchError, match="empty"):
        await (await client.start(provider="one")).resume()

    assert [] == one.requests


async def checkpoints(client, monkeypatch) -> asyncio.Queue[tertulia.Checkpoint]:
    """Every checkpoint once it is stored."""
    written: asyncio.Queue[tertulia.Checkpoint] = asyncio.Queue()
    add = client._core.store.add_checkpoint

    async def add_checkpoint(owner, conversation_id, branch, checkpoint):
        await add(owner, conversation_id, branch, checkpoint)
        written.put_nowait(checkpoint)

    monkeypatch.setattr(client._core.store, "add_checkpoint", add_checkpoint)
    return written


async def read_until(stream: tertulia.ReplyStream, count: int) -> list[object]:
    return [await anext(stream) for _ in range(count)]


async def test_shown_words_are_stored_within_a_quarter_of_a_second(client, database, monkeypatch):
    """Another process sees what was shown while the answer is still coming, marked as pending."""
    written = await checkpoints(client, monkeypatch)
    provider = Stalling("slow").says("One,", " two,", " three.")
    client.register(provider)
    trip = await client.start(provider="slow")
    async with trip.stream("Count.") as stream:
        await read_until(stream, 3)
        piece = await asyncio.wait_for(written.get(), 5)

        heir = ScriptedProvider("slow")
        async with tertulia.open(store=database, providers={}, plugins=[heir], environ={}) as other:
            elsewhere = await other.get(trip.id)
            assert [("Count.", MessageStatus.PENDING), ("One, two, three.", MessageStatus.PENDING)] == (
                await statuses(elsewhere)
            )
            with pytest.raises(ConversationBusyError):
                await elsewhere.resume()
        provider.go_on.set()
        reply = await stream.read()

    assert (0, "One, two, three.") == (piece.number, piece.text)
    assert piece.answer_id == reply.message.id
    assert [("Count.", MessageStatus.COMPLETE), ("One, two, three.", MessageStatus.COMPLETE)] == (
        await statuses(trip)
    )
    assert (0.25, 2048) == (keeping.CHECKPOINT_SECONDS, keeping.CHECKPOINT_CHARACTERS)


async def test_two_kilobytes_are_stored_at_once(client, monkeypatch):
    """Many words do not wait for the clock, and each piece holds only what is new."""
    monkeypatch.setattr(keeping, "CHECKPOINT_SECONDS", 3600.0)
    written = await checkpoints(client, monkeypatch)
    provider = Stalling("slow").says("a" * 2048, "b" * 2047, "c")
    client.register(provider)
    trip = await client.start(provider="slow")
    async with trip.stream("Go.") as stream:
        await read_until(stream, 1)
        first = await asyncio.wait_for(written.get(), 5)
        await read_until(stream, 2)
        second = await asyncio.wait_for(written.get(), 5)
        provider.go_on.set()
        await stream.read()

    assert [(0, "a" * 2048), (1, "b" * 2047 + "c")] == [
        (piece.number, piece.text) for piece in (first, second)
    ]
    assert ["Go.", "a" * 2048 + "b" * 2047 + "c"] == [message.text for message in await trip.history()]


async def test_a_dead_process_leaves_what_it_showed(database, monkeypatch):
    """Once the lease has run out, the words that were stored read as interrupted, and can be resumed."""
    clock = StandingClock()
    provider = Stalling("slow").says("One,", " two,")
    settings = {"store": database, "providers": {}, "environ": {}, "clock": clock}
    async with tertulia.open(**settings, plugins=[provider]) as client:
        written = await checkpoints(client, monkeypatch)
        trip = await client.start(provider="slow")
        stream = trip.stream("Count.")
        await read_until(stream, 2)
        await asyncio.wait_for(written.get(), 5)

        heir = ScriptedProvider("slow").says(" three.")
        async with tertulia.open(**settings, plugins=[heir]) as other:
            found = await other.get(trip.id)
            clock.advance(16)
            assert [("Count.", MessageStatus.COMPLETE), ("One, two,", MessageStatus.INTERRUPTED)] == (
                await statuses(found)
            )
            reply = await found.resume()

        provider.go_on.set()
        late = await stream.read()

    assert ("One, two, three.", ["Count.", "One, two,", GO_ON]) == (reply.text, heir.texts)
    assert "One, two," == late.text


async def test_a_store_that_fails_for_a_moment_loses_no_piece(client, monkeypatch):
    """What could not be written down is in the next piece."""
    monkeypatch.setattr(keeping, "CHECKPOINT_SECONDS", 0.0)
    add = client._core.store.add_checkpoint
    pieces: list[tertulia.Checkpoint] = []
    stored = asyncio.Event()

    async def add_checkpoint(owner, conversation_id, branch, checkpoint):
        pieces.append(checkpoint)
        if len(pieces) == 1:
            raise tertulia.StoreError("busy")
        await add(owner, conversation_id, branch, checkpoint)
        stored.set()

    monkeypatch.setattr(client._core.store, "add_checkpoint", add_checkpoint)
    provider = Stalling("slow").says("One,", " two.")
    client.register(provider)
    trip = await client.start(provider="slow")
    async with trip.stream("Count.") as stream:
        await read_until(stream, 2)
        await asyncio.wait_for(stored.wait(), 5)
        provider.go_on.set()
        await stream.read()

    assert [(0, "One, two."), (0, "One, two.")] == [(piece.number, piece.text) for piece in pieces]


async def test_a_whole_answer_needs_no_checkpoint(client, one, monkeypatch):
    """An answer that is not shown in pieces is stored once."""
    written = await checkpoints(client, monkeypatch)
    one.says("a" * 5000)
    trip = await client.start(provider="one")

    await trip.send("Go.")

    assert written.empty()
