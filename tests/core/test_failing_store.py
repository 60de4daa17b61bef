"""Every call to the store fails once, or is cancelled: what is said of it afterwards is true."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import count

import attrs
import pytest

import tertulia
from tertulia import AttemptOutcome, Message, MessageStatus, OverloadedError, ProtocolError, Role, StoreError
from tertulia.contracts.store import Store
from tertulia.services import keeping
from tertulia.testing import ScriptedProvider, StandingClock

WHOLE = "one two three"
Ask = Callable[[tertulia.Conversation, list[Message]], Awaitable[tertulia.Reply]]


class Unhurried(ScriptedProvider):
    """Lets the loop turn after each piece, so that checkpoints are written between them."""

    async def send_message(self, request):
        async for delta in super().send_message(request):
            yield delta
            for _ in range(10):
                await asyncio.sleep(0)


@attrs.define
class Trap:
    """Springs at the n-th call of a store: the call fails, or the task that waits for it is cancelled."""

    number: int
    cancels: bool
    task: asyncio.Task[tertulia.Reply] | None = None
    calls: int = 0
    sprung: str | None = None

    def set(self, store: Store) -> None:
        for name in Store.__abstractmethods__ - {"open", "aclose", "location"}:
            setattr(store, name, self._guard(name, getattr(store, name)))

    def _guard(self, name: str, call: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def guarded(*arguments: object, **named: object) -> object:
            if self.cancels and name == "save_calibrations":
                return await call(*arguments, **named)  # it is done beside the send, and may come after it
            self.calls += 1
            if self.calls == self.number:
                self.sprung = name
                if not self.cancels:
                    raise StoreError("the disk is full")
                assert self.task is not None
                self.task.cancel()
            return await call(*arguments, **named)

        return guarded


def says(provider: ScriptedProvider) -> None:
    provider.says("one", " two", " three")


def refuses(provider: ScriptedProvider) -> None:
    provider.refuses(OverloadedError, status=503)


def breaks_off(provider: ScriptedProvider) -> None:
    provider.fails(ProtocolError("cut"), "one", " two")


async def look() -> str:
    return "looked"


ASKED: dict[str, Ask] = {
    "send": lambda trip, said: trip.send("new"),
    "stream": lambda trip, said: trip.stream("new").read(),
    "fall back": lambda trip, said: trip.stream("new", fallback=["two"]).read(),
    "edit": lambda trip, said: trip.edit(said[2], "new").read(),
    "regenerate": lambda trip, said: trip.regenerate(said[1]).read(),
    "resume": lambda trip, said: trip.resume().read(),
    "call tools": lambda trip, said: trip.stream("new", tools=[look]).read(),
}
ANSWERS = [says, refuses, breaks_off]


async def see_what_is_stored(settings, trip, asked: list[Message], outcome: object, trap: Trap) -> None:
    """Read everything once no lease runs any more, and hold it against what the caller was told."""
    async with tertulia.open(**settings, plugins=[Unhurried("one"), Unhurried("two")]) as client:
        again = await client.get(trip.id)
        branches = [await client.get(trip.id, branch=each.name) for each in await again.branches()]
        histories = {branch.branch: await branch.history() for branch in branches}
        attempts = await again.attempts()
    stored = {message.id: message for history in histories.values() for message in history}
    assert AttemptOutcome.PENDING not in {attempt.outcome for attempt in attempts}
    assert MessageStatus.PENDING not in {message.status for message in stored.values()}
    for message in stored.values():
        if message.role is Role.ASSISTANT and message.text.startswith("one two") and not trap.cancels:
            assert (WHOLE == message.text) == (message.status is MessageStatus.COMPLETE)
    if isinstance(outcome, tertulia.Reply):
        assert (WHOLE, MessageStatus.COMPLETE) == (
            outcome.text.removeprefix("zero "),
            stored[outcome.message.id].status,
        )
    if isinstance(outcome, tertulia.TertuliaError):
        is_stored = "new" in {message.text for message in stored.values()}
        assert ("nothing was stored" in outcome.kept) <= (not is_stored)
        assert ("part of the answer" in outcome.kept) <= any(
            message.status is MessageStatus.INTERRUPTED for message in stored.values()
        )
    for name, history in histories.items():
        if name != "main" and trap.sprung != "remove_branch":
            assert {message.id for message in history} - {message.id for message in asked}


@pytest.mark.parametrize("answers", ANSWERS, ids=lambda answers: answers.__name__)
@pytest.mark.parametrize("asks", ASKED)
@pytest.mark.parametrize("cancels", [False, True], ids=["fails", "cancelled"])
async def test_at_every_call_of_the_store_what_is_kept_is_what_is_said(
    tmp_path, monkeypatch, caplog, asks, answers, cancels
):
    """Nothing is pending or half, no reply is lost, no empty branch stays, and no error goes unobserved."""
    monkeypatch.setattr(keeping, "CHECKPOINT_SECONDS", 0.0)
    caplog.set_level(logging.ERROR)
    for number in count(1):
        clock = StandingClock()
        settings = {
            "store": f"sqlite:///{tmp_path / str(number)}.db",
            "providers": {},
            "environ": {},
            "clock": clock,
        }
        one, two = Unhurried("one").says("A"), Unhurried("two").says("one", " two", " three")
        trap = Trap(number, cancels)
        async with tertulia.open(**settings, plugins=[one, two]) as client:
            client._core.draw = lambda: 0.0  # what is tried again is tried at once
            trip = await client.start(provider="one")
            await trip.send("a")
            if asks == "resume":
                one.fails(ProtocolError("cut"), "zero ")
                with pytest.raises(tertulia.StreamInterruptedError):
                    await trip.stream("b").read()
            else:
                one.says("B")
                await trip.send("b")
            said = await trip.history()
            if asks == "call tools":
                one.calls(("look", {}))
            answers(one)
            trap.set(client._core.store)
            trap.task = asyncio.ensure_future(ASKED[asks](trip, said))
            (outcome,) = await asyncio.wait_for(asyncio.gather(trap.task, return_exceptions=True), 5)
        if trap.sprung is None:
            break
        assert isinstance(outcome, tertulia.Reply | tertulia.TertuliaError | asyncio.CancelledError)
        assert cancels == isinstance(outcome, asyncio.CancelledError)
        clock.advance(60)
        await see_what_is_stored(settings, trip, said, outcome, trap)
    assert number > 2
    assert [] == caplog.records
