"""What broke off is kept to its last words, and can be gone on with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from histories import statuses

import tertulia
from tertulia import (
    BranchError,
    ContextOverflowError,
    ConversationBusyError,
    FinishReason,
    MessageStatus,
    OpaqueState,
    OverloadedError,
    ProtocolError,
    ProviderReply,
    Reasoning,
    StreamInterruptedError,
    Text,
)
from tertulia.services import keeping
from tertulia.services.questions import GO_ON
from tertulia.testing import ScriptedProvider, StandingClock

STATE = OpaqueState("one", {"signature": "c2ln"})


@pytest.fixture
async def client(one, two, database) -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(
        store=database, providers={}, plugins=[one, two], environ={}, routing={"max_retries": 0}
    ) as client:
        yield client


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


@pytest.mark.parametrize(
    ("rest", "parts"),
    [
        ((Text(" three."),), (Text("One, two, three."),)),
        ((Text(" three.", STATE),), (Text("One, two,"), Text(" three.", STATE))),
        (
            (Reasoning("Hm."), Text(" three.")),
            (Text("One, two,"), Reasoning("Hm."), Text(" three.")),
        ),
    ],
    ids=["words", "a provider's state", "thoughts"],
)
async def test_two_texts_become_one_unless_a_provider_wants_one_back(client, one, rest, parts):
    """What a provider has signed stays as it is, and in its place."""
    one.fails(ProtocolError("cut"), "One, two,").replies(ProviderReply(rest, FinishReason.STOP, "stop"))
    trip = await client.start(provider="one")
    with pytest.raises(StreamInterruptedError):
        await trip.stream("Count.").read()

    reply = await trip.resume()

    assert (parts, "One, two, three.") == (reply.message.parts, reply.text)
    assert parts == (await trip.history())[-1].parts


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

    with pytest.raises(BranchError, match="nothing left to answer") as caught:
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


async def test_what_another_provider_shows_is_stored_too(client, one, monkeypatch):
    """After a fallback the words of whoever answers are written down, in its name."""
    written = await checkpoints(client, monkeypatch)
    one.refuses(OverloadedError, status=503)
    provider = Stalling("slow").says("One,", " two.")
    client.register(provider)
    trip = await client.start(provider="one")
    async with trip.stream("Count.", fallback=["slow"]) as stream:
        await read_until(stream, 3)
        piece = await asyncio.wait_for(written.get(), 5)
        provider.go_on.set()
        reply = await stream.read()

    assert ("slow", "One, two.", reply.message.id) == (piece.provider, piece.text, piece.answer_id)


async def test_the_beginning_is_in_what_is_stored_of_the_rest(client, one, monkeypatch):
    """Whoever finds only the checkpoints of a resumed answer finds its beginning in them."""
    one.fails(ProtocolError("cut"), "One, two,")
    provider = Stalling("slow").says(" three,", " four.")
    client.register(provider)
    trip = await client.start(provider="one")
    with pytest.raises(StreamInterruptedError):
        await trip.stream("Count.").read()
    await trip.switch("slow")
    written = await checkpoints(client, monkeypatch)
    async with trip.resume() as stream:
        await read_until(stream, 2)
        piece = await asyncio.wait_for(written.get(), 5)
        provider.go_on.set()
        await stream.read()

    assert (0, "One, two, three, four.") == (piece.number, piece.text)


async def test_one_piece_is_written_at_a_time_and_the_end_comes_last(client, monkeypatch):
    """While a piece is being written the next one grows, and nothing is settled before it is there."""
    monkeypatch.setattr(keeping, "CHECKPOINT_SECONDS", 3600.0)
    store, calls, begun, go_on = client._core.store, [], asyncio.Event(), asyncio.Event()
    add, settle = store.add_checkpoint, store.settle

    async def add_checkpoint(*arguments):
        calls.append("begun")
        begun.set()
        await go_on.wait()
        await add(*arguments)
        calls.append("written")

    async def settle_last(*arguments):
        calls.append("settled")
        return await settle(*arguments)

    monkeypatch.setattr(store, "add_checkpoint", add_checkpoint)
    monkeypatch.setattr(store, "settle", settle_last)
    client.register(ScriptedProvider("quick").says("a" * 2048, "b" * 2048, "c" * 2048))
    trip = await client.start(provider="quick")
    reading = asyncio.create_task(trip.stream("Go.").read())
    await asyncio.wait_for(begun.wait(), 5)
    for _ in range(10):
        await asyncio.sleep(0)
    go_on.set()

    assert 6144 == len((await reading).text)
    assert ["begun", "written", "settled"] == calls


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


@pytest.fixture
async def cut_short(one, two, database):
    """Opens a conversation that ends with the beginning of an answer, with limits; ``two`` is to go on."""

    async def make(**limits) -> tertulia.Conversation:
        one.says("Hello.").fails(ProtocolError("cut"), "One, two,")
        async with tertulia.open(store=database, providers={}, plugins=[one], environ={}) as client:
            trip = await client.start(provider="one")
            await trip.send("Hi.")
            with pytest.raises(StreamInterruptedError):
                await trip.stream("Count.").read()
        two.says(" three.")
        settings = {"store": database, "providers": {}, "plugins": [one, two], "environ": {}}
        settings["context"] = {"recall": "never"}
        client = await clients.enter_async_context(tertulia.open(**settings, **limits))
        trip = await client.get(trip.id)
        await trip.switch("two")
        return trip

    async with AsyncExitStack() as clients:
        yield make


@pytest.mark.parametrize(
    ("limits", "sent"),
    [
        ({"context_window": 1}, ["Count.", "One, two,", GO_ON]),
        ({"context_window": 4}, ["Count.", "One, two,", GO_ON]),
        ({"context_window": 5}, ["Hi.", "Hello.", "Count.", "One, two,", GO_ON]),
        ({"max_context_tokens": 45}, ["Count.", "One, two,", GO_ON]),
        ({"max_context_tokens": 60}, ["Hi.", "Hello.", "Count.", "One, two,", GO_ON]),
    ],
    ids=str,
)
async def test_what_is_gone_on_with_is_always_sent(cut_short, two, limits, sent):
    """However little a request may hold, the question and the beginning of its answer are in it."""
    trip = await cut_short(**limits)

    reply = await trip.resume()

    assert (sent, "One, two, three.") == (two.texts, reply.text)
    assert (len(sent), limits.get("max_context_tokens", 90_000) >= reply.context.tokens) == (
        reply.context.kept_count,
        True,
    )


async def test_a_beginning_that_does_not_fit_is_not_gone_on_with(cut_short, two):
    """An answer is not asked for without its beginning; the error names the whole budget."""
    trip = await cut_short(max_context_tokens=30)

    with pytest.raises(
        ContextOverflowError, match="the beginning of its answer do not fit 30 tokens"
    ) as caught:
        await trip.resume()

    assert ([], 30, "beginning of its answer") == (
        two.requests,
        caught.value.budget,
        [*caught.value.parts][-1],
    )
    assert ("main", ["main"]) == (trip.branch, [branch.name for branch in await trip.branches()])


async def test_a_strategy_chooses_for_the_question(client, one):
    """A plugin that chooses the context sees the question, and cannot take its beginning away."""
    newest = []

    class Nothing:
        @tertulia.hookimpl
        def format_context(self, request):
            newest.append(request.messages[-1].text)
            return request.messages

    client.register(Nothing())
    one.says("Hello.").fails(ProtocolError("cut"), "One, two,").says(" three.")
    trip = await client.start(provider="one")
    await trip.send("Hi.")
    with pytest.raises(StreamInterruptedError):
        await trip.stream("Count.").read()

    await trip.resume()

    assert (["Hi.", "Count.", "Count."], ["Count.", "One, two,", GO_ON]) == (newest, one.texts)


async def test_thoughts_alone_are_asked_for_again(client):
    """Of an answer that broke off before its first word there is no rest: it is asked for anew."""

    class Thinking(ScriptedProvider):
        async def send_message(self, request):
            if not self.requests:
                yield tertulia.ReasoningDelta("Hm.")
            async for delta in super().send_message(request):
                yield delta

    provider = Thinking("deep").fails(ProtocolError("cut")).says("One.")
    client.register(provider)
    trip = await client.start(provider="deep")
    with pytest.raises(StreamInterruptedError):
        await trip.stream("Count.").read()

    reply = await trip.resume()

    assert (["Count."], "One.", "main-2") == (provider.texts, reply.text, trip.branch)


@pytest.mark.parametrize("again", ["regenerate", "resume"])
async def test_an_answer_that_is_coming_is_not_asked_for_again(client, again):
    """While an answer to a message comes there is no second one, and no branch is made for it."""
    provider = Stalling("slow").says("One.")
    client.register(provider)
    trip = await client.start(provider="slow")
    async with trip.stream("Count.") as stream:
        await anext(stream)
        with pytest.raises(ConversationBusyError, match="still coming") as caught:
            await getattr(trip, again)()
        provider.go_on.set()
        await stream.read()
    provider.go_on.clear()
    provider.says("Two.")
    async with trip.regenerate() as stream:
        await anext(stream)
        with pytest.raises(ConversationBusyError, match="still coming"):
            await trip.regenerate()
        provider.go_on.set()
        await stream.read()

    assert "nothing was stored, and nothing was sent" == caught.value.kept
    assert ["main", "main-2"] == [branch.name for branch in await trip.branches()]


async def test_a_store_that_keeps_failing_is_left_alone(client, monkeypatch):
    """Checkpoints that fail are tried again with the clock, not with every word."""
    monkeypatch.setattr(keeping, "CHECKPOINT_SECONDS", 3600.0)
    tries, failed = [], asyncio.Event()

    async def add_checkpoint(*arguments):
        tries.append(arguments)
        failed.set()
        raise tertulia.StoreError("the disk is full")

    monkeypatch.setattr(client._core.store, "add_checkpoint", add_checkpoint)
    provider = Stalling("slow").says("a" * 2048, "b" * 2048, "c" * 2048)
    client.register(provider)
    trip = await client.start(provider="slow")
    async with trip.stream("Go.") as stream:
        await read_until(stream, 1)
        await asyncio.wait_for(failed.wait(), 5)
        await asyncio.sleep(0)
        await read_until(stream, 2)
        for _ in range(10):
            await asyncio.sleep(0)
        provider.go_on.set()
        reply = await stream.read()

    assert (1, 6144) == (len(tries), len(reply.text))
