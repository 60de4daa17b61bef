"""Very many conversations at once, and a provider that takes a few calls at a time."""

from __future__ import annotations

import asyncio

import pytest
from process_cases import SOON, open_at, outcomes, say, until

import tertulia
from providers.raw_server import Act, RawServer
from tertulia import AttemptOutcome, Limits, ProviderTimeoutError, Queued, Timeouts
from torture import scale

CROWD = scale(200)
PLACES = 8


async def test_a_crowd_is_served_in_order_and_a_few_at_a_time(database):
    """
    At most eight calls are under way; who came first goes first; nobody's patience runs out in the queue.

    The service lets one go at a time, so each arrival there is somebody's turn.
    """
    gates = [asyncio.Event() for _ in range(CROWD)]
    queued: list[str] = []
    async with (
        RawServer(*([gate, *say("Yes.")] for gate in gates)) as server,
        open_at(server.url, database, limits=Limits(concurrent=PLACES)) as client,
    ):
        trips = [await client.start(provider="mine") for _ in range(CROWD)]

        async def ask(number: int) -> tertulia.Reply:
            stream = trips[number].stream(f"{number}")
            async for event in stream:
                if isinstance(event, Queued):
                    queued.append(f"{number}")  # noqa: PERF401  # while the others still come
            return stream.reply

        asking = asyncio.gather(*(ask(number) for number in range(CROWD)))
        most = 0
        for number, gate in enumerate(gates):
            await until(lambda: len(queued) == CROWD - PLACES)
            await until(lambda number=number: len(server.requests) >= min(number + PLACES, CROWD))
            most = max(most, len(server.requests) - number)
            gate.set()
        replies = await asking

    came = [request.body["input"][-1]["content"][-1]["text"] for request in server.requests]
    assert (PLACES, queued) == (most, came[PLACES:])
    assert {"Yes."} == {reply.text for reply in replies}
    waits = [reply.queued_seconds for reply in replies]
    assert PLACES == waits.count(0.0)
    assert 0 <= min(waits)
    assert [reply.attempts[0].queued_seconds or 0.0 for reply in replies] == waits


async def test_waiting_for_a_place_takes_nothing_of_the_time_for_the_answer(database):
    """Who waited for longer than an answer may take still has all of that time."""
    loop, gate = asyncio.get_running_loop(), asyncio.Event()
    limits, timeouts = Limits(concurrent=1), Timeouts(first_content=1, total=1)
    async with (
        RawServer([gate, *say("Late.")], say("Yes.")) as server,
        open_at(server.url, database, limits=limits) as client,
    ):
        slow = asyncio.create_task((await client.start(provider="mine")).send("Hello"))
        await asyncio.wait_for(server.asked.wait(), SOON)
        loop.call_later(1.2, gate.set)
        reply = await (await client.start(provider="mine")).send("Hello", timeouts=timeouts)

        assert ("Late.", "Yes.") == ((await slow).text, reply.text)
        assert 1.1 < reply.queued_seconds


async def test_who_leaves_the_queue_leaves_no_trace_at_the_service(database):
    """A call that is cancelled in the queue was never made, costs nothing, and takes nobody's place."""
    limits = Limits(concurrent=1)
    gate = asyncio.Event()
    async with (
        RawServer([gate, *say("Yes.")], say("No.")) as server,
        open_at(server.url, database, limits=limits) as client,
    ):
        trips = [await client.start(provider="mine") for _ in range(3)]
        first = asyncio.create_task(trips[0].send("Hello"))
        await asyncio.wait_for(server.asked.wait(), SOON)
        stream = trips[1].stream("Hello")
        assert isinstance(await anext(stream), Queued)
        second, third = (asyncio.create_task(each) for each in (stream.read(), trips[2].send("Hello")))
        for _ in range(50):
            await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        gate.set()

        assert ("Yes.", "No.") == ((await first).text, (await third).text)
        (attempt,) = await trips[1].attempts()
        assert (AttemptOutcome.CANCELLED, "$0") == (attempt.outcome, str(attempt.cost.money)[:2])
        assert 2 == len(server.requests)


async def test_a_place_is_free_again_whatever_became_of_the_call(database):
    """Calls that fail, stall or are cancelled give back their place: the next one is served at once."""
    limits = Limits(concurrent=1)
    scripts = [[Act.HANG], [Act.HANG], [Act.RESET], say("Yes.")]
    async with (
        RawServer(*scripts) as server,
        open_at(server.url, database, limits=limits) as client,
    ):
        trips = [await client.start(provider="mine") for _ in range(3)]
        cancelled = asyncio.create_task(trips[0].send("Hello"))
        await asyncio.wait_for(server.asked.wait(), SOON)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        with pytest.raises(ProviderTimeoutError):
            await trips[1].send("Hello", timeouts=Timeouts(total=0.2))
        reply = await asyncio.wait_for(trips[2].send("Hello"), SOON)

        assert ("Yes.", 0.0) == (reply.text, reply.queued_seconds)
        assert [AttemptOutcome.CANCELLED] == await outcomes(trips[0])
