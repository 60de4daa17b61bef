"""What can be done with stored conversations, by either API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import tertulia
from tertulia import (
    ConfigurationError,
    ContextOverflowError,
    ConversationFilter,
    ConversationNotFoundError,
    ConversationState,
    Mark,
    MessageNotFoundError,
    Order,
)
from tertulia.testing import ScriptedProvider, StandingClock


@pytest.fixture
async def scripted(open_client, one, database):
    """A client of one scripted provider."""
    async with open_client(store=database, providers={}, plugins=[one], environ={}) as client:
        yield client


async def titles(client, **chosen) -> list[str | None]:
    return [record.title for record in await client.list(**chosen)]


async def test_a_conversation_is_put_away_and_taken_out_again(scripted):
    """Archived and deleted ones are in their own lists, and come back to where they were."""
    trip = await scripted.start("Trip", provider="one")
    await scripted.start("Other", provider="one")
    archived = ConversationFilter(states=(ConversationState.ARCHIVED,))
    deleted = ConversationFilter(states=(ConversationState.DELETED,))

    await trip.archive()
    assert (["Other"], ["Trip"]) == (await titles(scripted), await titles(scripted, where=archived))
    await scripted.delete(trip.id)
    assert ([], ["Trip"]) == (await titles(scripted, where=archived), await titles(scripted, where=deleted))
    with pytest.raises(ConversationNotFoundError, match=r"is deleted; restore it"):
        await scripted.get(trip.id)
    with pytest.raises(ConversationNotFoundError, match="is deleted"):
        await trip.send("Are you there?")
    await trip.restore()
    assert ConversationState.ARCHIVED is (await trip.record()).state
    await scripted.unarchive(trip.id)
    assert ["Trip", "Other"] == (await titles(scripted, order=Order.TITLE))[::-1]


async def test_a_deleted_conversation_is_purged_when_its_time_has_come(one, database):
    """Until then it can be restored, and afterwards nothing of it is left."""
    clock = StandingClock(datetime(2026, 11, 22, tzinfo=UTC))
    async with tertulia.open(store=database, providers={}, plugins=[one], environ={}, clock=clock) as client:
        trip = await client.start("Trip", provider="one")
        kept = await client.start("Kept", provider="one")
        await client.delete(trip.id, keep_for=timedelta(days=30))
        await client.delete(kept.id)

        assert [] == await client.purge_expired()
        clock.advance(30 * 86_400)
        assert [trip.id] == await client.purge_expired()
        with pytest.raises(ConversationNotFoundError, match="there is no conversation"):
            await client.restore(trip.id)
        await client.purge(kept.id)
        with pytest.raises(ConversationNotFoundError, match="there is no conversation"):
            await client.record(kept.id, deleted=True)


async def test_what_is_not_deleted_is_not_purged(scripted):
    """Purging asks for two steps: nobody loses a conversation by one."""
    trip = await scripted.start("Trip", provider="one")

    with pytest.raises(ConversationNotFoundError):
        await scripted.purge(trip.id)

    assert ["Trip"] == await titles(scripted)


async def test_conversations_have_tags_and_metadata(scripted):
    """Both can be changed in one step and found again."""
    trip = await scripted.start("Trip", provider="one")
    await scripted.start("Other", provider="one")

    assert ("lisbon", "travel") == await trip.tag("travel", " lisbon ")
    assert ("travel",) == await scripted.untag(trip.id, "lisbon", "madrid")
    assert {"travel": 1} == await scripted.tags()
    await trip.patch_metadata({"customer": {"plan": "pro", "seats": 3}})
    patched = await scripted.patch_metadata(trip.id, {"customer": {"seats": None}, "vip": True})

    assert {"customer": {"plan": "pro"}, "vip": True} == patched == (await trip.record()).metadata
    assert ["Trip"] == await titles(scripted, where=ConversationFilter(tags=("travel",)))
    assert ["Trip"] == await titles(scripted, where=ConversationFilter(metadata={"customer.plan": "pro"}))


async def test_a_hidden_message_is_sent_to_nobody(scripted, one):
    """It stays in the history, and is sent again once it is not hidden any more."""
    one.says("A").says("B").says("C")
    trip = await scripted.start(provider="one")
    first = await trip.send("my secret is 42")
    question = (await trip.history())[0]

    assert Mark(hidden=True) == await trip.hide(question)
    await trip.hide(first)
    await trip.send("b")
    assert ["b"] == one.texts
    await trip.unhide(question)
    await trip.unhide(first)
    await trip.send("c")

    assert ["my secret is 42", "A", "b", "B", "c"] == one.texts
    assert ["my secret is 42", "A", "b", "B", "c", "C"] == [each.text for each in await trip.history()]


async def test_an_expired_message_is_sent_no_more(one, database):
    """What somebody gave a time to live is left out once that is over."""
    clock = StandingClock(datetime(2026, 11, 22, tzinfo=UTC))
    one.says("A").says("B")
    async with tertulia.open(store=database, providers={}, plugins=[one], environ={}, clock=clock) as client:
        trip = await client.start(provider="one")
        await trip.send("today's password is swordfish")
        question, answer = await trip.history()
        for message in (question, answer):
            await trip.mark(message, expires_at=clock.now() + timedelta(hours=1))
        clock.advance(3600)
        await trip.send("b")

    assert ["b"] == one.texts


async def test_a_pinned_message_is_always_sent(open_client, one, database):
    """A window of two messages leaves out all that is old, but never a pin."""
    one.says("A").says("B").says("C").says("D")
    async with open_client(
        store=database, providers={}, plugins=[one], environ={}, context_window=2
    ) as client:
        trip = await client.start(provider="one")
        first = await trip.send("my name is John")
        await trip.send("b")
        await trip.pin((await trip.history())[0])
        reply = await trip.send("c")

        assert ["my name is John", "c"] == one.texts
        assert first.message.id in reply.context.dropped[0].message_ids
        await trip.unpin((await trip.history())[0])
        await trip.send("d")
        assert ["d"] == one.texts


async def test_a_pin_that_does_not_fit_is_an_error(open_client, one, database):
    """What somebody asked to be sent always is not left out silently."""
    one.says("A")
    async with open_client(
        store=database, providers={}, plugins=[one], environ={}, max_context_tokens=200
    ) as client:
        trip = await client.start(provider="one")
        await trip.append(tertulia.Message.of("user", "word " * 500))
        await trip.pin((await trip.history())[0])

        with pytest.raises(ContextOverflowError, match="pinned") as caught:
            await trip.send("b")
        assert 200 == caught.value.budget


async def test_a_strategy_that_loses_a_pin_is_refused(database):
    """The guard around every choice knows the pins."""

    class Forgetful:
        @tertulia.hookimpl
        def format_context(self, view: object, request: tertulia.Request, window: object) -> object:
            return request.messages

    provider = ScriptedProvider("one").says("A").says("B")
    async with tertulia.open(
        store=database, providers={}, plugins=[provider, Forgetful()], environ={}
    ) as client:
        trip = await client.start(provider="one")
        await trip.send("a")
        await trip.pin((await trip.history())[0])

        with pytest.raises(tertulia.PluginError, match="lost a pinned message"):
            await trip.send("b")


async def test_a_message_that_is_not_there_cannot_be_marked(scripted, one):
    """A message of another conversation is not found."""
    one.says("A")
    trip = await scripted.start(provider="one")
    other = await scripted.start(provider="one")
    reply = await trip.send("a")

    with pytest.raises(MessageNotFoundError):
        await other.pin(reply)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda client: client.list(limit=0), "limit is from 1 to 10,000, and not 0"),
        (lambda client: client.list(order="size"), "lists are ordered by: recent, newest"),
        (lambda client: client.list(where={"tag": "a"}), "where is a ConversationFilter"),
        (
            lambda client: client.list(where=ConversationFilter(created_from=datetime(2026, 1, 1))),  # noqa: DTZ001
            "created_from has no time zone",
        ),
        (lambda client: client.search("a", since=datetime(2026, 1, 1)), "since has no time zone"),  # noqa: DTZ001
        (lambda client: client.costs("weekday"), "costs can be added up by: provider, model"),
        (lambda client: client.costs(time_zone="Mars/Olympus"), "there is no time zone 'Mars/Olympus'"),
        (lambda client: client.statistics(time_zone="../etc/passwd"), "there is no time zone"),
    ],
)
async def test_what_cannot_be_meant_is_refused(scripted, wrong, words):
    """An argument that no list or sum can be made of says what it should be."""
    with pytest.raises(ConfigurationError, match=words):
        await wrong(scripted)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda trip: trip.tag(""), "a tag has 1 to 200 characters"),
        (lambda trip: trip.tag("a" * 201), "and this one has 201"),
        (lambda trip: trip.patch_metadata(["a"]), "metadata is a dict"),
        (lambda trip: trip.patch_metadata({"a": object()}), "metadata is not JSON"),
        (lambda trip: trip.patch_metadata({1: "a"}), "with texts for keys"),
    ],
)
async def test_what_cannot_be_kept_is_refused(scripted, wrong, words):
    """A tag or metadata that cannot be kept changes nothing."""
    trip = await scripted.start(provider="one")

    with pytest.raises(ConfigurationError, match=words):
        await wrong(trip)

    record = await trip.record()
    assert ((), {}) == (record.tags, record.metadata)


async def test_an_importance_is_a_share(scripted, one):
    """Outside 0 to 1 it is refused; inside it comes back."""
    one.says("A")
    trip = await scripted.start(provider="one")
    reply = await trip.send("a")

    with pytest.raises(ConfigurationError, match="importance is from 0 to 1"):
        await trip.mark(reply, importance=1.5)

    assert Mark(importance=0.5) == await trip.mark(reply, importance=0.5)
    assert Mark(pinned=True, importance=0.5) == await trip.pin(reply)
    assert Mark(pinned=True) == await trip.mark(reply, importance=None)


async def test_another_owners_conversations_are_not_found(one, database):
    """Every operation on a stored conversation asks whose it is."""
    settings = {"store": database, "providers": {}, "plugins": [one], "environ": {}}
    one.says("A")
    async with tertulia.open(**settings, owner="ann") as client:
        trip = await client.start("Trip", provider="one")
        reply = await trip.send("a")
        await trip.tag("travel")
    async with tertulia.open(**settings, owner="bob") as bob:
        for attempt in (
            bob.record(trip.id),
            bob.archive(trip.id),
            bob.unarchive(trip.id),
            bob.delete(trip.id),
            bob.restore(trip.id),
            bob.purge(trip.id),
            bob.tag(trip.id, "mine"),
            bob.untag(trip.id, "travel"),
            bob.patch_metadata(trip.id, {"a": 1}),
            bob.statistics(trip.id),
            bob.get(trip.id),
        ):
            with pytest.raises(ConversationNotFoundError):
                await attempt
        assert ([], {}, []) == (await bob.list(), await bob.tags(), list(await bob.search("a")))
        assert 0 == (await bob.costs()).total.attempts
        assert 1 == (await bob.costs(all_owners=True)).total.attempts
    assert reply.text == "A"
