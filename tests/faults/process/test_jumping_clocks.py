"""A machine whose time of day jumps in the middle of a call: order and patience do not come from it."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from process_cases import SOON, begin, go_on, history, open_at, outcomes, say

from providers.raw_server import Act, RawServer
from tertulia import AttemptOutcome, Message, MessageStatus, ProviderTimeoutError, Timeouts
from tertulia.runtime.clock import SystemClock, make_uuid7

BACK, FORTH = timedelta(hours=-1), timedelta(days=1)
SAID = ["one", "Olá 🌍", "two", "Yes.", "three", "Yes."]


class JumpingClock(SystemClock):
    """The machine's clock as somebody sets it; ids are of its time too."""

    def __init__(self) -> None:
        super().__init__()
        self.jumped = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.jumped

    def new_id(self) -> UUID:
        tick = int(self.now().timestamp() * 1000) * 4096
        return make_uuid7(tick, int.from_bytes(os.urandom(8), "big"))


@pytest.mark.parametrize("jump", [BACK, FORTH], ids=["back", "forth"])
async def test_order_is_that_of_what_happened(database, jump):
    """Messages, attempts and branches are in the order in which they came, though their times are not."""
    clock, gate = JumpingClock(), asyncio.Event()
    script = [*begin(), gate, *go_on()]
    async with (
        RawServer(script, say("Yes.")) as server,
        open_at(server.url, database, clock=clock) as client,
    ):
        trip = await client.start(provider="mine")
        stream = trip.stream("one")
        await anext(stream)
        clock.jumped = jump
        gate.set()
        reply = await stream.read()
        for number, words in enumerate(("two", "three")):
            clock.jumped = jump * (1 - number)
            await trip.send(words)

        messages = await trip.history()
        attempts = await trip.attempts()
        assert SAID == [message.text for message in messages]
        assert list(range(6)) == [message.depth for message in messages]
        assert {MessageStatus.COMPLETE} == {message.status for message in messages}
        asked = [message.id for message in messages[::2]]
        assert asked == [attempt.message_id for attempt in attempts]
        assert messages[0].created_at != messages[2].created_at
        assert 0 <= reply.first_content_seconds <= reply.latency_seconds < SOON
        assert SAID == [message.text for message in await (await trip.fork("idea")).history()]
        assert () == (await client._core.store.verify()).problems


@pytest.mark.parametrize("jump", [BACK, FORTH], ids=["back", "forth"])
async def test_patience_is_measured_by_what_passes(database, jump):
    """A jump neither ends a call nor makes it last: after as long as it may take it is over."""
    clock = JumpingClock()
    async with (
        RawServer([Act.HANG]) as server,
        open_at(server.url, database, clock=clock) as client,
    ):
        trip = await client.start(provider="mine")
        timeouts = Timeouts(first_content=0.2, total=0.2)
        asking = asyncio.create_task(trip.send("Hello", timeouts=timeouts))
        await asyncio.wait_for(server.asked.wait(), SOON)
        clock.jumped = jump
        for _ in range(20):
            await asyncio.sleep(0)
        was_over = asking.done()

        with pytest.raises(ProviderTimeoutError):
            await asyncio.wait_for(asking, SOON)
        (attempt,) = await trip.attempts()

    assert not was_over
    assert 0.15 < attempt.latency_seconds < SOON


async def test_a_call_outlives_its_lease_where_the_clock_jumps_ahead(database):
    """Its own process settles it as what it is, whatever others could have taken it for meanwhile."""
    clock, gate = JumpingClock(), asyncio.Event()
    async with (
        RawServer([*begin(), gate, *go_on()]) as server,
        open_at(server.url, database, clock=clock) as client,
    ):
        trip = await client.start(provider="mine")
        stream = trip.stream("one")
        await anext(stream)
        clock.jumped = FORTH
        meanwhile = await outcomes(trip)
        gate.set()
        await stream.read()

        assert [AttemptOutcome.INTERRUPTED] == meanwhile
        assert [("one", MessageStatus.COMPLETE), ("Olá 🌍", MessageStatus.COMPLETE)] == await history(trip)
        assert [AttemptOutcome.SUCCEEDED] == await outcomes(trip)


async def test_a_jump_back_does_not_lock_a_branch(database):
    """What a call leaves behind an hour ahead of us is no call under way."""
    clock = JumpingClock()
    clock.jumped = FORTH
    async with (
        RawServer(say("Yes.")) as server,
        open_at(server.url, database, clock=clock) as client,
    ):
        trip = await client.start(provider="mine")
        await trip.send("one")
        clock.jumped = BACK
        await trip.append(Message.of("user", "two"))

        assert ["one", "Yes.", "two"] == [message.text for message in await trip.history()]
