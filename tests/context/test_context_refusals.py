"""Options that nobody can follow, and budgets that are too small: said at once, and nothing is sent."""

from __future__ import annotations

from typing import Any

import pytest
from context_stores import SHARED, Opener

import tertulia
from tertulia import (
    ConfigurationError,
    ContextOptions,
    ContextOverflowError,
    Conversation,
    Message,
    MessageStatus,
    ModelInfo,
    UnknownProviderError,
    hookimpl,
)
from tertulia.testing import MemoryStore, ScriptedProvider


@pytest.fixture
def one() -> ScriptedProvider:
    return ScriptedProvider("one")


@pytest.fixture
async def client(one):
    plugins = [one, Opener(MemoryStore())]
    async with tertulia.open(store=SHARED, providers={}, plugins=plugins, environ={}) as client:
        yield client


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "no tokens": ({"max_tokens": 0}, "context.max_tokens is a whole number of at least 1, and not 0"),
    "negative tokens": ({"max_tokens": -5}, "context.max_tokens is a whole number of at least 1, and not -5"),
    "half a token": ({"max_tokens": 0.5}, "context.max_tokens is a whole number of at least 1, and not 0.5"),
    "words": ({"max_tokens": "10"}, "context.max_tokens is a whole number of at least 1, and not '10'"),
    "a truth": ({"max_tokens": True}, "context.max_tokens is a whole number of at least 1, and not True"),
    "no messages": ({"max_messages": 0}, "context.max_messages is a whole number of at least 1, and not 0"),
    "a list of messages": (
        {"max_messages": [1]},
        "context.max_messages is a whole number of at least 1, and not [1]",
    ),
    "a negative reserve": (
        {"reserve_tokens": -1},
        "context.reserve_tokens is a whole number of at least 0, and not -1",
    ),
    "a negative recall": (
        {"max_recall_tokens": -1},
        "context.max_recall_tokens is a whole number of at least 0, and not -1",
    ),
    "recall sometimes": (
        {"recall": "sometimes"},
        "context.recall is one of auto, always, never, and not 'sometimes'",
    ),
    "recall by number": ({"recall": 1}, "context.recall is one of auto, always, never, and not 1"),
    "recall by list": ({"recall": []}, "context.recall is one of auto, always, never, and not []"),
    "optimise everything": (
        {"optimise": "everything"},
        "context.optimise is one of lossless, superseded, off, and not 'everything'",
    ),
    "an empty strategy": ({"strategy": " "}, "context.strategy is a text that is not empty, and not ' '"),
    "a strategy by number": ({"strategy": 5}, "context.strategy is a text that is not empty, and not 5"),
    "an empty model": (
        {"summary_model": ""},
        "context.summary_model is a text that is not empty, and not ''",
    ),
}


@pytest.mark.parametrize(("fields", "problem"), MISTAKES.values(), ids=MISTAKES)
async def test_options_that_say_nothing_are_refused_before_anything_is_stored(client, one, fields, problem):
    """Of a call, of a conversation, and of a look ahead."""
    talk = await client.start(provider="one")
    options = ContextOptions(**fields)
    for call in (
        lambda: talk.send("Hello", context=options),
        lambda: talk.stream("Hello", context=options).read(),
        lambda: talk.preview_context("Hello", context=options),
        lambda: talk.set_context(options),
        lambda: client.start(provider="one", context=options),
    ):
        with pytest.raises(ConfigurationError) as caught:
            await call()
        assert problem == caught.value.message
        assert next(iter(fields.values())) == caught.value.value

    assert [] == await talk.history()
    assert [] == one.requests
    assert ContextOptions() == talk.context


@pytest.mark.parametrize("context", ["recent", {"strategy": "recent"}, 500, ContextOptions])
async def test_what_are_no_options_is_refused(client, one, context):
    """A call takes options and nothing like them."""
    talk = await client.start(provider="one")
    with pytest.raises(ConfigurationError, match="context must be a ContextOptions, not a"):
        await talk.send("Hello", context=context)

    assert [] == await talk.history()


@pytest.mark.parametrize("name", ["cleverest", "Recall", "recent ", "__class__"])
async def test_an_unknown_strategy_is_refused_with_those_there_are(client, one, name):
    """Of a call, of a conversation, and of a look ahead; nothing is stored."""
    talk = await client.start(provider="one")
    options = ContextOptions(strategy=name)
    for call in (
        lambda: talk.send("Hello", context=options),
        lambda: talk.preview_context("Hello", context=options),
        lambda: talk.set_context(options),
        lambda: client.start(provider="one", context=options),
    ):
        with pytest.raises(ConfigurationError) as caught:
            await call()
        assert f"there is no context strategy {name!r}" == caught.value.message
        assert name == caught.value.value
        assert (caught.value.next_step or "").startswith("built in are recall, recent, important, summary")

    assert [] == await talk.history()
    assert [] == one.requests


async def test_a_plugin_may_know_a_strategy_of_its_own(client, one):
    """It answers for its own name and passes for all others, which the core knows or refuses."""

    class Newest:
        @hookimpl
        def format_context(self, request: tertulia.Request, window: tertulia.Window) -> Any:
            return request.messages if window.strategy == "newest" else None

    client.register(Newest())
    talk = await client.start(provider="one", context=ContextOptions(strategy="newest"))
    for text in ("a", "b"):
        one.says(text.upper())
        await talk.send(text)
    assert ["b"] == one.texts

    one.says("C")
    await talk.send("c", context=ContextOptions(strategy="recent"))
    assert ["a", "A", "b", "B", "c"] == one.texts
    with pytest.raises(ConfigurationError, match="there is no context strategy 'oldest'"):
        await talk.send("d", context=ContextOptions(strategy="oldest"))


async def refuse(talk: Conversation, one: ScriptedProvider, **options: Any) -> ContextOverflowError:
    """Say something short that does not fit: the error; the message is kept and nothing was sent."""
    asked = len(one.requests)
    with pytest.raises(ContextOverflowError) as caught:
        await talk.send("And now?", context=ContextOptions(**options))
    newest = (await talk.history())[-1]
    assert ("And now?", MessageStatus.FAILED) == (newest.text, newest.status)
    assert asked == len(one.requests)
    assert ("your message is stored", "one") == (caught.value.kept, caught.value.provider)
    return caught.value


async def test_a_budget_smaller_than_what_must_be_sent_is_refused_part_by_part(client, one):
    """System, newest message and pins, each with its tokens; nothing of them is left out to make it fit."""
    talk = await client.start(provider="one", system="You are a travel agent. Be brief and kind.")
    one.says("Noted.")
    await talk.send("We are five people, two of them children, and all of us are vegetarians.")
    await talk.pin((await talk.history())[1])

    error = await refuse(talk, one, max_tokens=30)

    assert {"system": 15, "newest message": 7, "pinned": 22} == error.parts
    assert 30 == error.budget
    listed = "system 15, newest message 7, pinned 22"
    assert f"what must be sent does not fit 30 tokens ({listed}), so nothing was sent" == error.message
    assert "allow more max_context_tokens" in (error.next_step or "")


@pytest.mark.parametrize("strategy", ["recall", "recent", "important", "summary"])
async def test_a_pin_larger_than_the_window_is_refused_whatever_the_strategy(client, one, strategy):
    """It is never cut, and never left out; taken off, the conversation goes on."""
    talk = await client.start(provider="one")
    pinned = await talk.append(Message.of("user", "Mind this. " * 500))
    await talk.append(Message.of("assistant", "Minded."))
    await talk.pin(pinned)

    error = await refuse(talk, one, strategy=strategy, max_tokens=400)

    assert error.parts["pinned"] > 400
    await talk.unpin(pinned)
    one.says("Fine.").says("Fine.")  # where a summary is written, that is an answer too
    await talk.send("Go on.", context=ContextOptions(strategy=strategy, max_tokens=400, recall="never"))
    assert "Mind this." not in "".join(one.texts)


async def test_one_token_is_too_few_for_anything(client, one):
    """The smallest budget there is."""
    error = await refuse(await client.start(provider="one"), one, max_tokens=1)

    assert ({"system": 0, "newest message": 7}, 1) == (error.parts, error.budget)


async def test_one_message_is_the_newest(client, one):
    """The smallest window there is holds what is said now, and the system's words."""
    talk = await client.start(provider="one", system="Be brief.")
    for text in ("a", "b"):
        one.says(text.upper())
        await talk.send(text, context=ContextOptions(max_messages=1, recall="never"))

    assert ["Be brief.", "b"] == one.texts


async def test_options_of_a_call_win_over_those_of_the_conversation_and_of_the_client(one):
    """Each field for itself: what is not said is as the next one says."""
    async with tertulia.open(
        store="memory:", providers={}, plugins=[one], environ={}, context=ContextOptions(max_tokens=900)
    ) as client:
        talk = await client.start(provider="one", context=ContextOptions("recent", max_messages=50))
        budgets = []
        for options in (None, ContextOptions(max_tokens=700), ContextOptions("important")):
            one.says("Fine.")
            reply = await talk.send("Hello", context=options)
            budgets.append((reply.context.strategy, reply.context.budget))

    assert [("recent", 900), ("recent", 700), ("important", 900)] == budgets


async def test_where_pins_take_most_they_are_to_be_unpinned(client, one):
    """Whoever pinned too much reads that, and not that a question of two words is too long."""
    talk = await client.start(provider="one")
    await talk.pin(await talk.append(Message.of("user", "Mind this. " * 500)))

    error = await refuse(talk, one, max_tokens=300)

    assert "(newest message 7, pinned 1504)" in error.message
    assert (error.next_step or "").startswith("unpin() what not every request needs, allow more ")


async def test_a_reserve_that_leaves_nothing_is_named(client, one):
    """It is what is to give way, and not what was said."""
    one.MODELS = (ModelInfo("scripted", "scripted-1", context_window=1000),)
    talk = await client.start(provider="one")

    error = await refuse(talk, one, reserve_tokens=2000)

    assert error.next_step == (
        "leave less than 2000 tokens free for the answer (reserve_tokens), "
        "or use a model with a larger window"
    )


async def test_a_small_model_needs_no_settings(client, one):
    """Where nobody says how long answers are, half of a small window is for what is sent."""
    one.MODELS = (ModelInfo("scripted", "scripted-1", context_window=4096),)
    talk = await client.start(provider="one")
    one.says("Hi.")

    reply = await talk.send("Hello")

    assert int(2048 * 0.9) == reply.context.budget


async def test_a_model_for_summaries_that_nobody_has_is_refused_at_once(client, one):
    """Not only when the first summary is due; and the error says which option it was."""
    says = "context.summary_model is provider/model, and no provider is configured as 'nobody'"
    talk = await client.start(provider="one")
    options = ContextOptions(summary_model="nobody/large")

    with pytest.raises(UnknownProviderError) as preview:
        await talk.preview_context("Hello", context=options)
    with pytest.raises(UnknownProviderError) as kept:
        await talk.set_context(options)
    with pytest.raises(UnknownProviderError) as started:
        await client.start(provider="one", context=options)

    assert [says] * 3 == [each.value.message for each in (preview, kept, started)]
    assert ContextOptions() == talk.context
