"""The n-th call of the store and the n-th byte of a connection fail, for every n: nothing is lost or half."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest

import tertulia
from tertulia import (
    AttemptOutcome,
    Budget,
    CostTotal,
    MessageStatus,
    Reply,
    Role,
    Routing,
    StoreError,
    StreamInterruptedError,
    TertuliaError,
    TextDelta,
)
from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock
from torture import TORTURED

from .cut_wire import CutWire
from .fragile_store import FragileStore

WHOLE = "1, 2, 3, 4, 5."
STRIDE = 1 if TORTURED else 457
"""Every so many bytes a connection is cut: all of them with ``make torture``."""

NO_RETRIES: dict[str, Any] = {"routing": Routing(max_retries=0)}
BUDGETED: dict[str, Any] = {"budgets": [Budget("100"), Budget("100", scope="conversation")]}


class Shelf:
    """Brings a store that is there already."""

    def __init__(self, store: FragileStore) -> None:
        self._store = store

    @tertulia.hookimpl
    def open_store(self, url: str) -> FragileStore:
        return self._store


@pytest.fixture
async def store(tmp_path) -> AsyncIterator[FragileStore]:
    """A SQLite database that fails when it is told to, and outlives its clients."""
    inner = SQLStore(f"sqlite:///{tmp_path / 'conversations.db'}", StandingClock())
    await inner.open()
    yield FragileStore(inner, random.Random(1))  # noqa: S311  # it decides nothing here
    await inner.aclose()


@asynccontextmanager
async def open_client(store, simulator, *, wire=None, **settings) -> AsyncIterator[tertulia.Client]:
    """A client of that store and of the simulated services, of which one may be behind a wire."""
    providers = simulator.providers()
    if wire is not None:
        address = urlsplit(providers["openai"]["base_url"])
        providers["openai"]["base_url"] = f"http://127.0.0.1:{wire.port}{address.path}"
    clock = store.inner._clock  # what decides whether a lease has run out
    async with tertulia.open(
        store="shelf:", providers=providers, plugins=[Shelf(store)], environ={}, clock=clock, **settings
    ) as client:
        yield client


@asynccontextmanager
async def cut_at(store, simulator, *, after: int | None = None, before: int | None = None) -> AsyncIterator:
    """A conversation whose connection is closed at an even byte, and torn down at an odd one."""
    async with (
        CutWire(urlsplit(simulator.url).port) as wire,
        open_client(store, simulator, wire=wire, **NO_RETRIES) as client,
    ):
        wire.cut_after, wire.cut_before, wire.resets = after, before, (after or before or 0) % 2 == 1
        yield await client.start(provider="openai")


async def ask(conversation, *, streams: bool, **settings) -> tuple[object, str]:
    """Ask, and return the reply or the error, and the words that were shown."""
    shown = ""
    try:
        if not streams:
            reply = await conversation.send("Count to 5.", **settings)
            return reply, reply.text
        async with conversation.stream("Count to 5.", **settings) as stream:
            async for event in stream:
                shown += event.text if isinstance(event, TextDelta) else ""
        return stream.reply, shown
    except TertuliaError as error:
        return error, shown


async def check(conversation, store, outcome: object, shown: str) -> None:
    """Hold what the caller was told against what is stored, once no lease runs any more."""
    store.inner._clock.advance(3600)
    history = await conversation.history()
    attempts = await conversation.attempts()
    asked = [message for message in history if message.role is Role.USER]
    answers = [message for message in history if message.role is Role.ASSISTANT]
    kept = getattr(outcome, "kept", None) or "your message is stored"
    assert ("nothing was stored" not in kept) == ([message.text for message in asked] == ["Count to 5."])
    assert MessageStatus.PENDING not in {message.status for message in history}
    assert AttemptOutcome.PENDING not in {attempt.outcome for attempt in attempts}
    assert [*range(1, len(attempts) + 1)] == [attempt.number for attempt in attempts]
    for answer in answers:
        assert WHOLE.startswith(answer.text)
        assert answer.status is not MessageStatus.COMPLETE or answer.text == WHOLE
    if isinstance(outcome, Reply):
        assert [(WHOLE, MessageStatus.COMPLETE)] == [(each.text, each.status) for each in answers]
        assert (WHOLE, WHOLE) == (outcome.text, shown)
    if isinstance(outcome, StreamInterruptedError):
        assert shown == outcome.partial.text
        assert [(shown, MessageStatus.INTERRUPTED)] == [(each.text, each.status) for each in answers]
    assert CostTotal.of(attempt.cost for attempt in attempts) == (await conversation.cost()).total


async def measure(store, simulator, *, streams: bool) -> tuple[int, int]:
    """How many bytes go each way where nothing is cut."""
    async with (
        CutWire(urlsplit(simulator.url).port) as wire,
        open_client(store, simulator, wire=wire) as client,
    ):
        outcome, shown = await ask(await client.start(provider="openai"), streams=streams)
        assert (WHOLE, WHOLE) == (outcome.text, shown)
        return wire.asked, wire.answered


@pytest.mark.parametrize("streams", [False, True], ids=["send", "stream"])
async def test_at_whatever_byte_of_the_answer_a_connection_ends_no_half_is_whole(store, simulator, streams):
    """Before the first word somebody else answers, after it what was shown is kept, and an end is an end."""
    _, bytes_answered = await measure(store, simulator, streams=streams)
    seen = set()
    for number in [*range(0, bytes_answered, STRIDE), bytes_answered - 2, bytes_answered]:
        async with cut_at(store, simulator, after=number) as conversation:
            outcome, shown = await ask(conversation, streams=streams, fallback=["gemini"])
            await check(conversation, store, outcome, shown)
        assert isinstance(outcome, Reply | StreamInterruptedError)
        seen.add(outcome.provider if isinstance(outcome, Reply) else "nobody")

    assert ({"gemini", "openai", "nobody"} if streams else {"gemini", "openai"}) == seen
    assert () == (await store.verify()).problems


async def test_at_whatever_byte_of_the_request_a_connection_ends_somebody_answers(store, simulator):
    """A request that did not arrive whole is answered by somebody else, and is one attempt in the ledger."""
    bytes_asked, _ = await measure(store, simulator, streams=True)
    for number in range(1, bytes_asked, STRIDE):
        async with cut_at(store, simulator, before=number) as conversation:
            outcome, shown = await ask(conversation, streams=True, fallback=["gemini"])
            await check(conversation, store, outcome, shown)
        assert isinstance(outcome, Reply)
        assert ["openai", "gemini"] == [attempt.provider for attempt in outcome.attempts]


@pytest.mark.parametrize("fails", [False, True], ids=["answers", "falls-back"])
@pytest.mark.parametrize("streams", [False, True], ids=["send", "stream"])
async def test_at_whatever_call_the_store_fails_what_is_kept_is_what_is_said(
    store, simulator, streams, fails
):
    """The message is kept or said not to be, a whole answer can be saved, and the conversation goes on."""
    for number in count(1):
        async with open_client(store, simulator, **NO_RETRIES, **BUDGETED) as client:
            conversation = await client.start(provider="openai")
            if fails:
                simulator.fail("openai", "overloaded")
            store.calls.clear()
            store.fails_at = number
            outcome, shown = await ask(conversation, streams=streams, fallback=["gemini"])
            was_sprung, store.fails_at = len(store.calls) >= number, None
            simulator.heal("openai")
            if isinstance(outcome, StoreError) and outcome.reply is not None:
                await conversation.save(outcome.reply)
                assert WHOLE == (await conversation.history())[-1].text
            await check(conversation, store, outcome, shown)
            assert WHOLE == (await conversation.send("Count to 5.")).text
            assert () == (await store.verify()).problems
        if not was_sprung:
            assert isinstance(outcome, Reply)
            return
    pytest.fail("the store is called without end")
