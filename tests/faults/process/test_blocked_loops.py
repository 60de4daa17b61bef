"""A loop that somebody blocks: what arrived meanwhile is there, so nobody is blamed for a stall."""

from __future__ import annotations

import asyncio
import time

import pytest
from process_cases import OPENAI, begin, go_on, open_at, served, until

from providers.raw_server import Act
from tertulia import ErrorKind, ProviderTimeoutError, StreamInterruptedError, Timeouts

PATIENCE = 0.08
BLOCKED = 0.2
TIMEOUTS = Timeouts(first_content=PATIENCE, idle=PATIENCE, total=5)
WHOLE = OPENAI.whole["output"][0]["content"][0]["text"]


async def test_a_reader_that_blocks_between_words_is_no_stall(database):
    """Who sleeps on each word for longer than the service may be silent gets the whole answer."""
    with served([*begin(), *go_on()]) as server:
        async with open_at(server.url, database) as client:
            stream = (await client.start(provider="mine")).stream("Hello", timeouts=TIMEOUTS)
            async for _ in stream:
                time.sleep(BLOCKED)  # noqa: ASYNC251  # the fault

    assert WHOLE == stream.reply.text


@pytest.mark.parametrize("is_streamed", [True, False], ids=["a word", "the head"])
async def test_a_loop_blocked_by_another_task_while_a_word_arrives_is_no_stall(database, is_streamed):
    """What has arrived by the time the loop turns again has arrived in time, whatever a timer says."""
    gate = asyncio.Event()
    script = [*begin(), gate, *go_on()] if is_streamed else [gate, *begin(), *go_on()]
    with served(script) as server:
        async with open_at(server.url, database) as client:
            stream = (await client.start(provider="mine")).stream("Hello", timeouts=TIMEOUTS)
            if is_streamed:
                await anext(stream)
            reading = asyncio.create_task(stream.read())
            await until(lambda: bool(server.requests))
            for _ in range(20):
                await asyncio.sleep(0)
            server.let(gate)
            time.sleep(BLOCKED)  # noqa: ASYNC251  # the fault

            assert WHOLE == (await reading).text


async def test_a_service_that_says_nothing_while_the_loop_is_blocked_is_still_a_stall(database):
    """Time that passed is not given back: where nothing has come, the answer has stopped."""
    with served([*begin(), Act.HANG]) as server:
        async with open_at(server.url, database) as client:
            stream = (await client.start(provider="mine")).stream("Hello", timeouts=TIMEOUTS)
            await anext(stream)
            reading = asyncio.create_task(stream.read())
            await asyncio.sleep(0)
            time.sleep(BLOCKED)  # noqa: ASYNC251  # the fault

            with pytest.raises(StreamInterruptedError) as caught:
                await asyncio.wait_for(reading, 1)

    assert ErrorKind.TIMEOUT is caught.value.kind


async def test_a_head_that_never_comes_ends_in_time(database):
    """A blocked loop makes nobody wait for longer than the first word may take, and a little."""
    with served([Act.HANG]) as server:
        async with open_at(server.url, database) as client:
            trip = await client.start(provider="mine")
            patience = 5 * PATIENCE  # in which the request is to be there, however busy the machine is
            asking = asyncio.create_task(
                trip.send("Hello", timeouts=Timeouts(first_content=patience, total=patience))
            )
            await until(lambda: bool(server.requests))
            time.sleep(patience + BLOCKED)  # noqa: ASYNC251  # the fault

            with pytest.raises(ProviderTimeoutError):
                await asyncio.wait_for(asking, 1)
