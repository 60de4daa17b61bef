"""Switching and provider sessions."""

from __future__ import annotations

import pytest

import tertulia
from tertulia import OverloadedError, SessionReason, UnknownProviderError
from tertulia.testing import ScriptedProvider


async def test_a_failed_switch_changes_nothing(client, simulator):
    """An unknown provider is refused by name, with a suggestion, and the conversation stays as it was."""
    conversation = await client.start(provider="openai")

    with pytest.raises(UnknownProviderError) as caught:
        await conversation.switch("gemin")

    assert "no provider is configured as 'gemin'; did you mean 'gemini'?" == str(caught.value)
    assert ("openai", "gpt-6.1-sol") == (conversation.provider, conversation.model)
    assert "openai" == (await client.get(conversation.id)).provider
    assert [] == simulator.requests


async def test_a_switch_names_a_model(open_client, client, simulator, database):
    """A switch may name a model, and is stored: a client opened later goes on with it."""
    conversation = await client.start(provider="openai")
    await conversation.switch("xai", "grok-4.3")
    async with open_client(store=database, providers=simulator.providers(), environ={}) as later:
        again = await later.get(conversation.id)
        assert ("xai", "grok-4.3") == (again.provider, again.model)

        reply = await again.send("Hello")

    assert ("xai", "grok-4.3", "grok-4.3") == (reply.provider, reply.model, reply.resolved_model)
    assert "grok-4.3" == simulator.sent_to("xai").body["model"]


async def test_a_conversation_goes_on_without_its_former_provider(open_client, simulator, database):
    """Where a provider is no longer configured, its conversation opens, is read, and goes on elsewhere."""
    async with open_client(store=database, providers=simulator.providers(), environ={}) as client:
        conversation = await client.start(provider="openai")
        await conversation.send("My name is John.")

    remaining = {name: table for name, table in simulator.providers().items() if name != "openai"}
    async with open_client(store=database, providers=remaining, environ={}) as client:
        again = await client.get(conversation.id)
        assert ["My name is John.", "Hello John."] == [message.text for message in await again.history()]
        with pytest.raises(UnknownProviderError):
            await again.send("What is my name?")
        await again.switch("gemini")
        assert "Your name is John." == (await again.send("What is my name?")).text


async def test_sessions_tile_the_conversation(open_client, database):
    """Each session ends where the next begins, says why it began, and adds up with the others."""
    one, two = ScriptedProvider("one"), ScriptedProvider("two")
    async with open_client(store=database, providers={}, plugins=[one, two], environ={}) as client:
        conversation = await client.start(provider="one")
        one.says("a")
        await conversation.send("1")
        one.refuses(OverloadedError, status=503)
        two.says("b")
        await conversation.send("2", fallback=["two"])
        one.says("c")
        await conversation.send("3")
        await conversation.switch("two")
        two.says("d")
        await conversation.send("4")

        sessions = await conversation.sessions()
        report = await conversation.cost()

    assert [
        ("one", SessionReason.INITIAL, 2, 1),
        ("two", SessionReason.FALLBACK, 1, 1),
        ("one", SessionReason.RETURN, 1, 1),
        ("two", SessionReason.MANUAL, 1, 1),
    ] == [(s.provider, s.reason, s.attempt_count, s.answer_count) for s in sessions]
    assert [later.started_at for later in sessions[1:]] == [earlier.ended_at for earlier in sessions[:-1]]
    assert sessions[-1].ended_at is None
    assert [False, True, True, True] == [session.succeeded for session in sessions]
    assert report.total == sum((session.cost for session in sessions), tertulia.CostTotal())
