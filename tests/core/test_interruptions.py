"""Streams that are cut, stall or are left, over real HTTP, in every dialect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from histories import statuses

import tertulia
from tertulia import AttemptOutcome, ErrorKind, MessageStatus, StreamInterruptedError, TextDelta, Timeouts

DIALECTS = ["openai", "openai-chat", "gemini", "xai", "xai-chat", "local"]


@pytest.fixture(params=DIALECTS)
async def trip(request, database: str, simulator) -> AsyncIterator[tertulia.Conversation]:
    """A conversation with one service in one of its dialects."""
    name, _, api = request.param.partition("-")
    providers = simulator.providers(api=api or "responses", local=True)
    async with tertulia.open(store=database, providers=providers, environ={}) as client:
        yield await client.start(provider=name)


async def outcomes(conversation: tertulia.Conversation) -> list[AttemptOutcome]:
    return [attempt.outcome for attempt in await conversation.attempts()]


KEPT = [("Count to 5.", MessageStatus.COMPLETE), ("1, 2,", MessageStatus.INTERRUPTED)]


@pytest.mark.parametrize("reset", [False, True], ids=["ended", "reset"])
async def test_a_cut_stream_is_kept_and_resumed(trip, simulator, reset):
    """An answer that ends without its end is interrupted, never whole, and the rest can be asked for."""
    # A reset may overtake what was written, so it waits until the words have arrived.
    simulator.fail(trip.provider, "cut_stream", after=2, reset=reset, seconds=60 if reset else None)

    async def read() -> None:
        async for event in trip.stream("Count to 5."):
            if event == TextDelta(" 2,"):
                simulator.release(trip.provider)

    with pytest.raises(StreamInterruptedError) as caught:
        await read()
    kept = await statuses(trip)
    reply = await trip.resume()

    assert (ErrorKind.INTERRUPTED, "1, 2,") == (caught.value.kind, caught.value.partial.text)
    assert (KEPT, "1, 2, 3, 4, 5.") == (kept, reply.text)
    assert [AttemptOutcome.INTERRUPTED, AttemptOutcome.SUCCEEDED] == await outcomes(trip)
    assert 2 == simulator.sent_to(trip.provider).count


async def test_a_stalled_stream_is_kept(trip, simulator):
    """When nothing more comes for as long as the caller waits, what came is kept and the line is closed."""
    simulator.fail(trip.provider, "stall", after=2)

    with pytest.raises(StreamInterruptedError) as caught:
        await trip.stream("Count to 5.", timeouts=Timeouts(idle=0.2))

    await simulator.left(trip.provider)
    assert (ErrorKind.TIMEOUT, KEPT) == (caught.value.kind, await statuses(trip))


async def test_leaving_the_loop_keeps_what_was_shown(trip, simulator):
    """After a break out of the stream its words are stored and the connection is closed."""
    simulator.fail(trip.provider, "stall", after=2)

    async with trip.stream("Count to 5.") as stream:
        async for event in stream:
            if event == TextDelta(" 2,"):
                break

    await simulator.left(trip.provider)
    assert (KEPT, [AttemptOutcome.CANCELLED]) == (await statuses(trip), await outcomes(trip))


async def test_a_cancelled_task_keeps_what_was_shown(trip, simulator):
    """Cancelling the task that reads ends the call at once, and the cancellation is passed on."""
    simulator.fail(trip.provider, "stall", after=2)
    shown = asyncio.Event()

    async def read() -> None:
        async with trip.stream("Count to 5.") as stream:
            async for event in stream:
                if event == TextDelta(" 2,"):
                    shown.set()

    reading = asyncio.create_task(read())
    await asyncio.wait_for(shown.wait(), 5)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    await simulator.left(trip.provider)
    assert (KEPT, [AttemptOutcome.CANCELLED]) == (await statuses(trip), await outcomes(trip))


async def test_a_stall_before_the_first_word_falls_back(database, simulator):
    """Nothing was shown yet, so another provider answers as if nothing had happened."""
    simulator.fail("openai", "stall", after=0)
    async with tertulia.open(store=database, providers=simulator.providers(), environ={}) as client:
        trip = await client.start(provider="openai")
        reply = await trip.stream("Count to 5.", fallback=["gemini"], timeouts=Timeouts(first_content=0.2))

    assert ("gemini", "1, 2, 3, 4, 5.") == (reply.provider, reply.text)
    assert [ErrorKind.TIMEOUT, None] == [attempt.error_kind for attempt in reply.attempts]
    await simulator.left("openai")


async def test_a_slow_answer_is_waited_for(database, simulator):
    """Slow is not stalled: each word arrives in time, and the answer is whole."""
    simulator.fail("gemini", "slow", seconds=0.01)
    async with tertulia.open(store=database, providers=simulator.providers(), environ={}) as client:
        reply = await (await client.start(provider="gemini")).stream("Count to 5.", timeouts=Timeouts(idle=5))

    assert "1, 2, 3, 4, 5." == reply.text
