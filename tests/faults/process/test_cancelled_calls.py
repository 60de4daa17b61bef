"""A call that its caller leaves: the connection is closed at once, and what was shown is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import pytest
from process_cases import SOON, begin, hang, history, open_at, outcomes

import tertulia
from providers.driver_cases import DRIVERS, Driver
from providers.raw_server import STREAM_HEAD, Act, RawServer
from tertulia import AttemptOutcome, ErrorKind, MessageStatus, TextDelta

QUESTION = ("Hello", MessageStatus.COMPLETE)
KEPT = [QUESTION, ("Olá", MessageStatus.INTERRUPTED)]
UNANSWERED = [("Hello", MessageStatus.FAILED)]
AT_ONCE = 0.05


@pytest.fixture(params=["openai", "gemini"])
def driver(request) -> Driver:
    """Each service in turn."""
    return DRIVERS[request.param]


BEFORE_THE_FIRST_WORD = {
    "nothing": [Act.HANG],
    "headers": [STREAM_HEAD, Act.HANG],
    "no content": [*begin(events=1), Act.HANG],
}


@pytest.mark.parametrize("script", BEFORE_THE_FIRST_WORD.values(), ids=BEFORE_THE_FIRST_WORD)
@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_call_cancelled_before_its_first_word_leaves_the_question(database, script, is_streamed):
    """The message is kept, the attempt is cancelled, there is no answer, and the service is left."""
    async with RawServer(script) as server, open_at(server.url, database) as client:
        trip = await client.start(provider="mine")
        asking = trip.stream("Hello").read() if is_streamed else trip.send("Hello")
        task = asyncio.ensure_future(asking)
        await asyncio.wait_for(server.asked.wait(), SOON)

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        await asyncio.wait_for(server.left.wait(), SOON)
        assert (UNANSWERED, [AttemptOutcome.CANCELLED]) == (await history(trip), await outcomes(trip))
        (attempt,) = await trip.attempts()
        assert (ErrorKind.CANCELLED, None, None) == (attempt.error_kind, attempt.cost, attempt.lease_until)


async def leave_by_cancelling(stream: tertulia.ReplyStream) -> None:
    shown = asyncio.Event()

    async def read() -> None:
        async for _ in stream:
            shown.set()

    reading = asyncio.create_task(read())
    await shown.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def leave_by_breaking(stream: tertulia.ReplyStream) -> None:
    async with stream:
        async for _ in stream:
            break


async def leave_by_closing(stream: tertulia.ReplyStream) -> None:
    await anext(stream)
    await stream.aclose()


async def leave_by_time(stream: tertulia.ReplyStream) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as limit:
            async for _ in stream:
                limit.reschedule(0)
        raise AssertionError("the time was not over")


async def leave_a_generator(stream: tertulia.ReplyStream) -> None:
    async def words() -> AsyncIterator[str]:
        async with stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    yield event.text

    async with aclosing(words()) as generator:
        assert "Olá" == await anext(generator)


async def leave_by_an_error(stream: tertulia.ReplyStream) -> None:
    with suppress(ZeroDivisionError):
        async with stream:
            async for _ in stream:
                raise ZeroDivisionError
        raise AssertionError("the error was swallowed")


WAYS = [
    leave_by_cancelling,
    leave_by_breaking,
    leave_by_closing,
    leave_by_time,
    leave_a_generator,
    leave_by_an_error,
]


@pytest.mark.parametrize("leave", WAYS, ids=lambda way: way.__name__)
async def test_whichever_way_a_stream_is_left_what_was_shown_is_kept(database, driver, leave):
    """The words are stored as an interrupted answer, the attempt is cancelled, and the service is left."""
    async with RawServer(hang(driver)) as server, open_at(server.url, database, driver) as client:
        trip = await client.start(provider="mine")

        await asyncio.wait_for(leave(trip.stream("Hello")), SOON)

        await asyncio.wait_for(server.left.wait(), SOON)
        assert (KEPT, [AttemptOutcome.CANCELLED]) == (await history(trip), await outcomes(trip))


async def test_a_bare_break_closes_the_line_once_nobody_holds_the_stream(database):
    """Without ``async with`` the stream is closed as soon as it is dropped."""
    async with RawServer(hang()) as server, open_at(server.url, database) as client:
        trip = await client.start(provider="mine")

        async for _ in trip.stream("Hello"):
            break

        await asyncio.wait_for(server.left.wait(), SOON)
    async with open_at("http://127.0.0.1:9", database) as client:
        again = await client.get(trip.id)
        assert (KEPT, [AttemptOutcome.CANCELLED]) == (await history(again), await outcomes(again))


@pytest.mark.parametrize(
    "script", [[STREAM_HEAD, Act.HANG], hang()], ids=["before the first word", "after it"]
)
async def test_the_service_sees_the_end_within_fifty_milliseconds(database, script):
    """From the cancellation to the closed connection; the best of five, since machines have other work."""
    loop = asyncio.get_running_loop()
    taken: list[float] = []
    async with RawServer(script) as server, open_at(server.url, database) as client:
        for number in range(1, 6):
            reading = asyncio.create_task((await client.start(provider="mine")).send("Hello"))
            while len(server.requests) < number:
                await server.asked.wait()
                server.asked.clear()
            server.left.clear()
            began = loop.time()
            reading.cancel()
            await asyncio.wait_for(server.left.wait(), SOON)
            taken.append(loop.time() - began)
            await asyncio.wait([reading])

    assert AT_ONCE > min(taken)


async def test_nothing_is_left_running_after_a_client_is_closed(database):
    """Tasks, timers of leases and checkpoints, connections: with the client all of it is gone."""
    before = asyncio.all_tasks()
    async with RawServer(hang()) as server:
        async with open_at(server.url, database) as client:
            streams = [(await client.start(provider="mine")).stream("Hello") for _ in range(5)]
            for stream in streams:
                await anext(stream)
            waiting = [asyncio.create_task(anext(stream)) for stream in streams[:2]]
            await asyncio.sleep(0)
        ended = await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.wait_for(server.left.wait(), SOON)

    assert [tertulia.StreamInterruptedError] * 2 == [type(error) for error in ended]
    assert before == asyncio.all_tasks()


async def test_cancelling_twice_stores_the_end_once(database):
    """Who is cancelled again while the end is being stored still leaves one whole row of it."""
    async with RawServer(hang()) as server, open_at(server.url, database) as client:
        trip = await client.start(provider="mine")
        stream = trip.stream("Hello")
        await anext(stream)
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)

        while not reading.done():
            reading.cancel()
            await asyncio.sleep(0)

        assert reading.cancelled()
        assert (KEPT, [AttemptOutcome.CANCELLED]) == (await history(trip), await outcomes(trip))
