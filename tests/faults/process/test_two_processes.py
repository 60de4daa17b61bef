"""One conversation and several processes: who answers, who waits, and who takes over."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from process_cases import SOON, begin, go_on, history, open_at, outcomes, run_program, say

from providers.raw_server import Act, RawServer
from tertulia import AttemptOutcome, ConversationBusyError, Message, MessageStatus, Role
from tertulia.testing import StandingClock

WHOLE = [("Hello", MessageStatus.COMPLETE), ("Olá 🌍", MessageStatus.COMPLETE)]


async def read_until(program: asyncio.subprocess.Process, word: str, times: int = 1) -> None:
    """Read what a program tells until it has told that so often."""
    assert program.stdout is not None
    while times:
        line = (await asyncio.wait_for(program.stdout.readline(), SOON)).decode()
        assert line, "it ended on its own"
        times -= line.split()[0] == word


async def test_an_answer_of_another_process_is_under_way_as_long_as_that_lives(database):
    """
    While its lease is renewed nobody takes it for dead, and nobody can go on; in the end it is whole.

    Ten renewals are twice the time for which it asked at first.
    """
    gate = asyncio.Event()
    async with RawServer([*begin(), gate, *go_on()]) as server, open_at(server.url, database) as client:
        trip = await client.start(provider="mine")
        other = await run_program("partner.py", "stream", server.url, database, trip.id, "other")
        await read_until(other, "renewed", 10)

        statuses = [status for _, status in await history(trip)]
        with pytest.raises(ConversationBusyError) as caught:
            await trip.send("And me?")
        gate.set()
        await read_until(other, "whole")
        await other.wait()

        assert MessageStatus.PENDING is statuses[0]
        assert MessageStatus.INTERRUPTED not in statuses
        assert "everything said so far is stored" == caught.value.kept
        assert (WHOLE, [AttemptOutcome.SUCCEEDED]) == (await history(trip), await outcomes(trip))
        assert 1 == len(server.requests)


async def test_who_is_killed_is_interrupted_once_its_lease_is_over(database):
    """Until then nobody can tell; from then on its words are kept, and others go on behind them."""
    scripts = [[*begin(), Act.HANG], say("Again.")]
    async with RawServer(*scripts) as server, open_at(server.url, database) as client:
        trip = await client.start(provider="mine")
        other = await run_program("partner.py", "stream", server.url, database, trip.id, "other")
        await read_until(other, "renewed", 3)  # by then the words are written down
        other.kill()
        await other.wait()
        with pytest.raises(ConversationBusyError):
            await trip.append(Message.of("user", "Too early"))
        under_way = [status for _, status in await history(trip)]

        clock = StandingClock(datetime.now(UTC) + timedelta(seconds=1))
        async with open_at(server.url, database, clock=clock) as heir:
            found = await heir.get(trip.id)
            left = (await history(found), await outcomes(found))
            reply = await found.send("Go on.")
            (first, second) = await found.attempts()

    assert [MessageStatus.PENDING] * len(under_way) == under_way
    interrupted = [("Hello", MessageStatus.COMPLETE), ("Olá", MessageStatus.INTERRUPTED)]
    assert (interrupted, [AttemptOutcome.INTERRUPTED]) == left
    assert ("Again.", None) == (reply.text, first.cost)
    assert (AttemptOutcome.INTERRUPTED, AttemptOutcome.SUCCEEDED) == (first.outcome, second.outcome)


async def test_processes_that_ask_at_once_get_their_answers_one_after_another(database):
    """
    Each either has its turn or is told that another has it: nothing is lost, and nothing asked for twice.
    """
    names = ["a", "b"]
    async with RawServer(say("Yes.")) as server, open_at(server.url, database) as client:
        trip = await client.start(provider="mine")
        others = [
            await run_program("partner.py", "send", server.url, database, trip.id, name) for name in names
        ]
        for other in others:
            await read_until(other, "ready")
        for other in others:
            assert other.stdin is not None
            other.stdin.write(b"go\n")
        for other in others:
            await read_until(other, "done")
            await other.wait()

        messages = await trip.history()
        problems = (await client._core.store.verify()).problems
    said = [message.text for message in messages if message.role is Role.USER]
    assert sorted(f"{name}{number}" for name in names for number in range(3)) == sorted(said)
    assert [Role.USER, Role.ASSISTANT] * 6 == [message.role for message in messages]
    assert [None, *(each.id for each in messages[:-1])] == [each.parent_id for each in messages]
    assert {MessageStatus.COMPLETE} == {message.status for message in messages}
    assert ((), 6) == (problems, len(server.requests))
    assert [0, 0] == [other.returncode for other in others]
