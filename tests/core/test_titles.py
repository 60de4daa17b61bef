"""Titles that a model thinks of, and what they cost."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

import tertulia
from tertulia import AttemptPurpose, BranchError, OverloadedError, Usage
from tertulia.services.titles import INSTRUCTIONS


async def test_a_title_is_asked_for_and_in_the_ledger(open_client, one, database):
    """One call more, of its own purpose: its cost is in every sum, and it is in no history."""
    one.says("A").says('"A Trip to Lisbon."\nShall I say more?', usage=Usage(100, 0, 0, 10, 0))
    async with open_client(store=database, providers={}, plugins=[one], environ={}) as client:
        trip = await client.start(provider="one")
        await trip.send("a")

        title = await trip.suggest_title()
        await trip.rename(title)

        assert "A Trip to Lisbon" == title == trip.title
        assert [INSTRUCTIONS, "user: a\n\nassistant: A"] == one.texts
        assert ["a", "A"] == [message.text for message in await trip.history()]
        answer, asked = await trip.attempts()
        assert (AttemptPurpose.ANSWER, AttemptPurpose.TITLE) == (answer.purpose, asked.purpose)
        assert Usage(100, 0, 0, 10, 0) == asked.usage
        assert Decimal("0.00012") == asked.cost.usd
        assert Decimal("0.00014") == (await trip.cost()).total.usd == (await trip.record()).cost.usd
        (session,) = await trip.sessions()
        assert 1 == session.attempt_count


async def test_another_model_may_be_asked(client):
    """The title can come from a cheaper model than the answers."""
    trip = await client.start(provider="openai")
    await trip.send("Say hello.")

    await trip.suggest_title("gemini")

    answer, asked = await trip.attempts()
    assert ("openai", "gemini") == (answer.provider, asked.provider)
    assert "promptTokenCount" in (asked.raw_usage or "")


async def test_a_title_that_fails_is_in_the_ledger_too(open_client, one, database):
    """The error is the provider's, the attempt says so, and the conversation stays as it was."""
    one.says("A").fails(OverloadedError("busy", status=529))
    async with open_client(store=database, providers={}, plugins=[one], environ={}) as client:
        trip = await client.start(provider="one")
        await trip.send("a")

        with pytest.raises(OverloadedError, match="busy"):
            await trip.suggest_title()

        _, asked = await trip.attempts()
        assert ("failed", "overloaded", Decimal(0)) == (asked.outcome, asked.error_kind, asked.cost.usd)
        assert trip.title is None


async def test_there_is_no_title_for_nothing(client):
    """Before anything was said nobody is asked."""
    trip = await client.start(provider="openai", system="Be brief.")

    with pytest.raises(BranchError, match="nothing was said yet"):
        await trip.suggest_title()

    assert [] == await trip.attempts()


async def test_a_conversation_can_be_titled_by_itself(one, database):
    """With auto_title the first answer is followed by one call for a title, and no other one ever is."""
    one.says("A").says("Lisbon").says("B")
    settings = {"store": database, "providers": {}, "plugins": [one], "environ": {}}
    async with tertulia.open(**settings, auto_title=True) as client:
        trip = await client.start(provider="one")
        await trip.send("a")
    async with tertulia.open(**settings, auto_title=True) as client:
        trip = await client.get(trip.id)
        await trip.send("b")

        assert "Lisbon" == trip.title
        assert ["answer", "title", "answer"] == [attempt.purpose for attempt in await trip.attempts()]


async def test_a_title_of_ones_own_stays(one, database):
    """Nobody is asked for the title of a conversation that has one."""
    one.says("A")
    async with tertulia.open(
        store=database, providers={}, plugins=[one], environ={}, auto_title=True
    ) as client:
        trip = await client.start("Mine", provider="one")
        await trip.send("a")

    assert ("Mine", 1) == (trip.title, len(one.requests))


async def test_who_answered_is_asked_for_the_title(one, two, database):
    """After a fallback that is not who was asked first: they have just failed."""
    one.refuses(OverloadedError)
    two.says("A").says("Lisbon")
    async with tertulia.open(
        store=database,
        providers={},
        plugins=[one, two],
        environ={},
        auto_title=True,
        routing={"max_retries": 0},
    ) as client:
        trip = await client.start(provider="one")
        async with trip.stream("a", fallback=["two"]) as stream:
            await stream.read()
    async with tertulia.open(store=database, providers={}, plugins=[one, two], environ={}) as client:
        asked = await (await client.get(trip.id)).attempts()

    assert [("one", "answer"), ("two", "answer"), ("two", "title")] == [
        (attempt.provider, attempt.purpose) for attempt in asked
    ]
    assert "Lisbon" == trip.title


async def test_what_is_hidden_is_in_no_request_for_a_title(open_client, one, database):
    """Nobody who is asked for a title reads what was hidden."""
    one.says("A").says("B").says("Lisbon")
    async with open_client(store=database, providers={}, plugins=[one], environ={}) as client:
        trip = await client.start(provider="one")
        await trip.send("my secret is 42")
        await trip.send("b")
        await trip.hide((await trip.history())[0])

        assert "Lisbon" == await trip.suggest_title()
        assert [INSTRUCTIONS, "assistant: A\n\nuser: b\n\nassistant: B"] == one.texts


async def test_a_title_that_somebody_gave_meanwhile_stays(one, database):
    """Also where that was another program."""
    settings = {"store": database, "providers": {}, "environ": {}}
    release = asyncio.Event()

    class Waits:
        @tertulia.hookimpl(wrapper=True)
        def send_message(self, request):
            answer = yield
            return self.hold_title(request, answer)

        async def hold_title(self, request, answer):
            if request.messages[0].text == INSTRUCTIONS:
                await release.wait()
            async for delta in answer:
                yield delta

    one.says("A").says("Lisbon")
    async with tertulia.open(**settings, plugins=[one, Waits()], auto_title=True) as client:
        trip = await client.start(provider="one")
        await trip.send("a")
        async with tertulia.open(**settings, plugins=[]) as other:
            await other.rename(trip.id, "Mine")
        release.set()

    async with tertulia.open(**settings, plugins=[]) as other:
        assert "Mine" == (await other.record(trip.id)).title
