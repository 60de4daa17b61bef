"""What can be done with stored conversations, by either API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

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

FAR = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14)))
"""A moment that UTC has no name for."""


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
    settings = {"context_window": 2, "context": {"recall": "never"}}
    async with open_client(store=database, providers={}, plugins=[one], environ={}, **settings) as client:
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
        (lambda client: client.statistics(time_zone=None), "there is no time zone None"),
        (lambda client: client.list(after="0199a3c4"), "after is the last record of the page before"),
        (lambda client: client.list(where=ConversationFilter(tags="travel")), "write tags=.'travel',."),
        (lambda client: client.list(where=ConversationFilter(tags=(1,))), "a tag must be a str, not an int"),
        (lambda client: client.list(where=ConversationFilter(states="gone")), "states are several"),
        (lambda client: client.list(where=ConversationFilter(states=("gone",))), "states is no 'gone'"),
        (lambda client: client.list(where=ConversationFilter(role="tutor")), "choose one of: system, user"),
        (lambda client: client.list(where=ConversationFilter(text=5)), "text must be a str, not an int"),
        (lambda client: client.list(where=ConversationFilter(min_messages="2")), "must be an int, not a str"),
        (lambda client: client.list(where=ConversationFilter(max_messages=True)), "an int, not a bool"),
        (lambda client: client.list(where=ConversationFilter(min_cost=0.1)), "must be a Money, not a float"),
        (lambda client: client.list(where=ConversationFilter(created_from="2026")), "must be a datetime"),
        (lambda client: client.list(where=ConversationFilter(updated_from=FAR)), "after the year 9999"),
        (lambda client: client.search(5), "query must be a str, not an int"),
        (lambda client: client.search("a", role="tutor"), "role is no 'tutor'; choose one of"),
        (lambda client: client.search("a", since="yesterday"), "since must be a datetime, not a str"),
        (lambda client: client.costs(provider=5), "provider must be a str, not an int"),
        (lambda client: client.export(""), "target names no file"),
        (lambda client: client.export(b"a.jsonl"), "target must be a str, not a bytes"),
        (lambda client: client.import_conversations("a\0b"), "source names no file"),
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
        (lambda trip: trip.tag(["a", "b"]), "a tag must be a str, not a list"),
        (lambda trip: trip.rename(5), "a title must be a str, not an int"),
        (lambda trip: trip.delete(keep_for=30), "keep_for must be a timedelta, not an int"),
        (lambda trip: trip.delete(keep_for=timedelta.max), "keep_for ends after the year 9999"),
        (lambda trip: trip.delete(keep_for=timedelta(days=-1)), "keep_for is a time to come"),
        (lambda trip: trip.merge(5), "source must be a str, not an int"),
        (lambda trip: trip.suggest_title(5), "target must be a str, not an int"),
    ],
)
async def test_what_cannot_be_kept_is_refused(scripted, wrong, words):
    """A tag or metadata that cannot be kept changes nothing."""
    trip = await scripted.start(provider="one")

    with pytest.raises(ConfigurationError, match=words):
        await wrong(trip)

    record = await trip.record()
    assert ((), {}, ConversationState.ACTIVE) == (record.tags, record.metadata, record.state)


async def test_names_stand_for_states_and_roles(scripted, one):
    """In a filter as anywhere else."""
    one.says("A")
    trip = await scripted.start("Trip", provider="one")
    await trip.send("a")
    await scripted.start("Empty", provider="one")

    assert ["Trip"] == await titles(scripted, where=ConversationFilter(states=["active"], role="user"))
    assert [trip.id] == [hit.conversation_id for hit in await scripted.search("a", role="assistant")]


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ({"pinned": "yes"}, "pinned must be a bool, not a str"),
        ({"hidden": None}, "hidden must be a bool"),
        ({"importance": "high"}, "importance is from 0 to 1, and not 'high'"),
        ({"importance": float("nan")}, "importance is from 0 to 1, and not nan"),
        ({"importance": True}, "importance is from 0 to 1, and not True"),
        ({"expires_at": "tomorrow"}, "expires_at must be a datetime, not a str"),
        ({"expires_at": FAR}, "after the year 9999 in UTC"),
    ],
)
async def test_a_mark_that_means_nothing_changes_nothing(scripted, one, mark, words):
    """The conversation can be read as before."""
    one.says("A")
    trip = await scripted.start(provider="one")
    reply = await trip.send("a")

    with pytest.raises(ConfigurationError, match=words):
        await trip.mark(reply, **mark)

    assert [Mark(), Mark()] == [message.mark for message in await trip.history()]


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
