"""Switching and provider sessions."""

from __future__ import annotations

from contextlib import suppress

import pytest

import tertulia
from tertulia import (
    DriverNotInstalledError,
    ModelNotFoundError,
    PermissionDeniedError,
    Role,
    SessionReason,
    StoreBusyError,
    UnknownProviderError,
)
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
    assert [] == simulator.requests
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
        with pytest.raises(UnknownProviderError) as caught:
            await again.send("What is my name?")
        assert "switch()" in str(caught.value)
        await again.switch("gemini")
        assert "Your name is John." == (await again.send("What is my name?")).text


async def test_sessions_tile_the_conversation(open_client, database):
    """Each session ends where the next begins, says why it began, and adds up with the others."""
    one, two = ScriptedProvider("one"), ScriptedProvider("two")
    async with open_client(store=database, providers={}, plugins=[one, two], environ={}) as client:
        conversation = await client.start(provider="one")
        one.says("a")
        await conversation.send("1")
        one.refuses(PermissionDeniedError, status=403)
        two.says("b")
        await conversation.send("2", fallback=["two"])
        one.says("c")
        await conversation.send("3")
        await conversation.switch("two")
        two.says("d")
        await conversation.send("4")

        sessions = await conversation.sessions()
        report = await conversation.cost()
        messages = (await conversation.record()).message_count

    assert [
        ("one", SessionReason.INITIAL, 2, 1, 3),
        ("two", SessionReason.FALLBACK, 1, 1, 1),
        ("one", SessionReason.RETURN, 1, 1, 2),
        ("two", SessionReason.MANUAL, 1, 1, 2),
    ] == [(s.provider, s.reason, s.attempt_count, s.answer_count, s.message_count) for s in sessions]
    assert 8 == sum(session.message_count for session in sessions) == messages
    assert [later.started_at for later in sessions[1:]] == [earlier.ended_at for earlier in sessions[:-1]]
    assert sessions[-1].ended_at is None
    assert [False, True, True, True] == [session.succeeded for session in sessions]
    assert report.total == sum((session.cost for session in sessions), tertulia.CostTotal())


async def test_another_providers_second_answer_is_no_fallback(open_client, database):
    """Whoever switches and regenerates has chosen, although the message was asked before."""
    one, two = ScriptedProvider("one").says("a"), ScriptedProvider("two").says("b")
    async with open_client(store=database, providers={}, plugins=[one, two], environ={}) as client:
        conversation = await client.start(provider="one")
        await conversation.send("1")
        await conversation.switch("two")
        await conversation.regenerate()
        sessions = await conversation.sessions()

    assert [("one", SessionReason.INITIAL, 2), ("two", SessionReason.MANUAL, 1)] == [
        (session.provider, session.reason, session.message_count) for session in sessions
    ]


async def test_a_session_counts_what_broke_off_and_not_what_failed(open_client, database):
    """The beginning of an answer is a message; a failure leaves only what was asked."""
    one = ScriptedProvider("one").refuses(ModelNotFoundError, status=404)
    one.fails(ModelNotFoundError("gone"), "Be").says("a")
    async with open_client(store=database, providers={}, plugins=[one], environ={}) as client:
        conversation = await client.start(provider="one")
        for text in ("1", "2", "3"):
            with suppress(tertulia.ProviderError):
                await conversation.stream(text)
        (session,) = await conversation.sessions()
        assert 5 == session.message_count == (await conversation.record()).message_count

    assert (3, 1, False) == (session.attempt_count, session.answer_count, session.succeeded)


async def test_a_switch_that_the_store_refuses_changes_nothing(database, monkeypatch):
    """The conversation goes on with whom it was with, here and for whoever opens it later."""
    one, two = ScriptedProvider("one").says("a"), ScriptedProvider("two")
    async with tertulia.open(store=database, providers={}, plugins=[one, two], environ={}) as client:
        conversation = await client.start(provider="one")

        async def refuse(*_arguments: object, **_named: object) -> None:
            raise StoreBusyError("the database is locked", location=database)

        monkeypatch.setattr(client._core.store, "update_target", refuse)
        with pytest.raises(StoreBusyError):
            await conversation.switch("two")

        assert ("one", "one") == (conversation.provider, (await client.get(conversation.id)).provider)
        assert "one" == (await conversation.send("1")).provider


async def test_a_smaller_window_cuts_one_request_only(open_client, simulator, database):
    """Who has less room is sent less, and the reply says what; whoever has more is sent everything again."""
    one, two = ScriptedProvider("one"), ScriptedProvider("two")
    two.MODELS = (tertulia.ModelInfo("scripted", "scripted-1", context_window=4296),)
    for number in range(8):
        one.says(f"answer {number} " + "word " * 20)
    two.says("b")
    one.says("c")
    async with open_client(store=database, providers={}, plugins=[one, two], environ={}) as client:
        conversation = await client.start(provider="one")
        for number in range(8):
            await conversation.send(f"question {number}")
        await conversation.switch("two")
        small = tertulia.ContextOptions(reserve_tokens=4096, recall="never")
        there = await conversation.send("And now?", context=small)
        await conversation.switch("one")
        back = await conversation.send("And again?")
        history = await conversation.history()

    dropped = sum(len(each.message_ids) for each in there.context.dropped)
    assert ["over the token budget"] == [each.reason for each in there.context.dropped]
    assert (17 - dropped, "And now?") == (len(two.texts), two.texts[-1])
    assert (there.context.budget or 0) >= there.context.tokens
    assert ((), 19, 20) == (back.context.dropped, len(one.texts), len(history))


async def test_a_conversation_whose_driver_is_gone_is_read_and_kept(
    open_client, simulator, database, tmp_path
):
    """All that needs no answer works: history, costs, sessions, search, a fork, an export."""
    async with open_client(store=database, providers=simulator.providers(), environ={}) as client:
        conversation = await client.start("Trip", provider="openai")
        await conversation.send("My name is John.")
        cost = await conversation.cost()

    gone = {**simulator.providers(), "openai": {"driver": "nowhere"}}
    async with open_client(store=database, providers=gone, environ={}) as client:
        (record,) = await client.list()
        again = await client.get(record.id)
        assert ["My name is John.", "Hello John."] == [message.text for message in await again.history()]
        assert ("openai", cost) == (again.provider, await again.cost())
        assert ["openai"] == [session.provider for session in await again.sessions()]
        assert {Role.USER, Role.ASSISTANT} == {hit.role for hit in await client.search("John")}
        assert "openai" == (await again.fork("other")).provider
        await client.export(tmp_path / "all.jsonl")
        with pytest.raises(DriverNotInstalledError) as caught:
            await again.send("What is my name?")
        assert "switch()" in str(caught.value)
        assert 2 == len(await again.history())
        await again.switch("gemini")
        assert "Your name is John." == (await again.send("What is my name?")).text
