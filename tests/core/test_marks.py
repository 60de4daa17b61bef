"""Pinned, hidden and expired messages where it is not plain which of them are sent."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import tertulia
from tertulia import Conversation, Message, ToolCall, ToolResult
from tertulia.testing import ScriptedProvider, StandingClock


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def describe(messages: tuple[Message, ...]) -> list[object]:
    """What a request holds: texts, names of calls, outputs of results."""
    said: list[object] = []
    for message in messages:
        said += [message.text] if message.text else []
        said += [part.name for part in message.parts if isinstance(part, ToolCall)]
        said += [part.output for part in message.parts if isinstance(part, ToolResult)]
    return said


async def compute(client: tertulia.Client, one: ScriptedProvider) -> Conversation:
    """A conversation in which two calls of one answer were carried out, and something was said since."""
    one.calls(("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4})).says("3 and 7").says("B").says("C")
    talk = await client.start(provider="one")
    await talk.send("compute", tools=[add])
    await talk.send("b")
    return talk


@pytest.fixture
def settings(one, database) -> dict[str, Any]:
    return {"store": database, "providers": {}, "plugins": [one], "environ": {}}


@pytest.mark.parametrize("half", [1, 2])
async def test_a_pinned_call_and_its_result_are_sent_together(settings, one, half):
    """Whichever half is pinned, the other comes along, and what it was asked: no result is made up."""
    async with tertulia.open(**settings, context_window=1, context={"recall": "never"}) as client:
        talk = await compute(client, one)
        await talk.pin((await talk.history())[half])
        reply = await talk.send("c")

    assert ["compute", "add", "add", "3", "7", "c"] == describe(one.requests[-1].messages)
    assert () == reply.warnings


async def test_a_hidden_result_is_said_to_be_hidden(settings, one):
    """The model reads neither what was returned nor that nothing was."""
    async with tertulia.open(**settings) as client:
        talk = await compute(client, one)
        _, _, results, answer, *_ = await talk.history()
        await talk.hide(results)
        await talk.hide(answer)
        reply = await talk.send("c")

    hidden = "This result is not shown any more."
    assert ["compute", "add", "add", hidden, hidden, "b", "B", "c"] == describe(one.requests[-1].messages)
    assert () == reply.warnings


async def test_a_call_and_its_result_are_hidden_together(settings, one):
    """Nothing is left of either, and nothing has to be repaired."""
    async with tertulia.open(**settings) as client:
        talk = await compute(client, one)
        _, calls, results, *_ = await talk.history()
        await talk.hide(calls)
        await talk.hide(results)
        reply = await talk.send("c")

    assert ["compute", "3 and 7", "b", "B", "c"] == describe(one.requests[-1].messages)
    assert () == reply.warnings


@pytest.mark.parametrize("window", [1, None])
@pytest.mark.parametrize("service", ["openai", "gemini", "xai"])
async def test_no_service_refuses_what_marks_leave(simulator, database, service, window):
    """However the messages around parallel calls are marked, the history that is sent is one that can be."""
    async with tertulia.open(
        store=database, providers=simulator.providers(), environ={}, context_window=window
    ) as client:
        talk = await client.start(provider=service)
        simulator.call_tools(service, ("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4}))
        await talk.send("compute", tools=[add])
        await talk.send("b")
        marked = (await talk.history())[:4]
        for number, marks in enumerate(itertools.product(["none", "pin", "hide"], repeat=3)):
            for message, mark in zip(marked[1:], marks, strict=True):
                await talk.mark(message, pinned=mark == "pin", hidden=mark == "hide")
            branch = await talk.fork(f"try-{number}")
            assert (await branch.send("and now?")).text


async def test_what_expires_while_a_conversation_is_open_is_sent_no_more(settings, one):
    """Also where everything before was read while it was still good."""
    clock = StandingClock(datetime(2026, 11, 22, tzinfo=UTC))
    one.says("A").says("B").says("C")
    async with tertulia.open(**settings, clock=clock) as client:
        talk = await client.start(provider="one")
        await talk.send("today's password is swordfish")
        question, _ = await talk.history()
        await talk.mark(question, expires_at=clock.now() + timedelta(hours=1))
        await talk.send("b")
        before = one.texts
        clock.advance(3600)
        await talk.send("c")

    assert ["today's password is swordfish", "A", "b"] == before
    assert ["A", "b", "B", "c"] == one.texts


async def test_what_is_hidden_while_it_is_answered_is_hidden_afterwards(settings, one):
    """The first question of a conversation is no exception."""
    one.says("A", "B").says("C")
    async with tertulia.open(**settings) as client:
        talk = await client.start(provider="one")
        async with talk.stream("my secret is 42") as stream:
            await anext(stream)
            await talk.hide((await talk.history())[0])
            await stream.read()
        await talk.send("c")

    assert ["AB", "c"] == one.texts
