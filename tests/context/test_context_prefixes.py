"""What is sent begins alike for many turns, more room never finds less, and a long past is not read whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import attrs
import pytest
from context_listeners import Heard, listen
from context_stores import SHARED, Opener
from context_stories import STORIES, chat
from context_worlds import make_chance

import tertulia
from tertulia import Client, ContextOptions, Message
from tertulia.builtin.sql.store import SQLStore
from tertulia.services import path
from tertulia.testing import ScriptedProvider, StandingClock

ENGLISH = STORIES["English"]
TURNS = 60


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with tertulia.open(store="memory:", providers={}, plugins=[listen("openai")], environ={}) as client:
        yield client


@attrs.frozen
class Turn:
    """
    One request of a conversation.

    Attributes:
        is_quiet: Whether nothing was recalled for it.
    """

    heard: Heard
    is_quiet: bool

    @property
    def start(self) -> int:
        """The place where its window begins."""
        return self.heard.messages[1].depth or 0

    def begins_with(self, earlier: Turn) -> bool:
        """Whether it begins with all that another one held before its newest message, as it is rendered."""
        items = earlier.heard.body["input"][:-1]
        return bool(self.heard.body["input"][: len(items)] == items)


async def talk_on(client: Client, options: ContextOptions, seed: int) -> list[Turn]:
    """Every request of a conversation in which every fourth message looks back."""
    provider: Any = client._plugins.get_provider("openai")
    chance = make_chance(seed)
    provider.heard.clear()
    talk = await client.start(provider="openai", system="Be brief.")
    small_talk, quiet = ENGLISH.small_talk(), list[bool]()
    for turn in range(TURNS):
        said, _ = next(small_talk)
        question = f"What did I say of {chance.choice(ENGLISH.subjects)} before?"
        text = question if turn % 4 == 3 else said + " And so on." * chance.choice((0, 1, 5))
        reply = await talk.send(text, context=options)
        quiet.append(not reply.context.recalled)
    return [Turn(*each) for each in zip(provider.heard, quiet, strict=True)]


@pytest.mark.parametrize("recall", ["auto", "never"])
async def test_a_request_begins_with_the_one_before_unless_there_was_a_cut(client, recall):
    """Of requests that recall nothing each is the one before and what was said since, but for a few cuts."""
    turns = await talk_on(client, ContextOptions(max_tokens=600, recall=recall), 1)

    quiet = [turn for turn in turns if turn.is_quiet]
    cuts = [later for earlier, later in pairwise(quiet) if not later.begins_with(earlier)]
    assert len(quiet) >= TURNS / 2
    assert len(cuts) == len({turn.start for turn in quiet}) - 1
    assert 3 <= len(cuts) <= 12


@pytest.mark.parametrize("seed", range(4))
async def test_a_window_only_moves_forwards_whatever_is_asked(client, seed):
    """What is recalled may shorten it for one request; the next one has it back, and never more than that."""
    turns = await talk_on(client, ContextOptions(max_tokens=400), seed)

    starts = [turn.start for turn in turns if turn.is_quiet]
    stable = 0
    for turn in turns:
        assert turn.start >= stable
        stable = turn.start if turn.is_quiet else stable
    assert starts == sorted(starts)
    assert not all(turn.is_quiet for turn in turns)


async def test_more_room_never_finds_less():
    """Of eight facts, each larger budget finds as many as the smaller one, or more; the largest finds all."""
    facts = {
        "When is the dentist?": "The dentist expects me on the ninth of March.",
        "Where did I park the car?": "I have parked the car behind the old brewery.",
        "Who feeds the cat?": "Our neighbour Vera feeds the cat in August.",
        "How much was the boiler?": "The new boiler was 4,380 euros.",
        "What is the wifi password?": "The wifi password is quiet-otter-88.",
        "Which tent did Paul borrow?": "Paul has borrowed the green tent.",
        "What is my shoe size?": "My shoe size is forty-three and a half.",
        "Which platform does the night train leave from?": "The night train leaves from platform six.",
    }
    async with tertulia.open(
        store="memory:", providers={}, plugins=[ScriptedProvider("one")], environ={}
    ) as client:
        talk = await client.start(provider="one")
        for fact in facts.values():
            await talk.append(Message.of("user", fact))
            await talk.append(Message.of("assistant", "Good to know."))
        await chat(talk, ENGLISH, 40)
        found = []
        for budget in (150, 300, 600, 900, 1_500, 3_000):
            options = ContextOptions(max_tokens=budget)
            contexts = [await talk.preview_context(asked, context=options) for asked in facts]
            sent = ["\n".join(each.text for each in context.messages) for context in contexts]
            found.append(sum(fact in text for fact, text in zip(facts.values(), sent, strict=True)))

    assert found == sorted(found)
    assert 8 == found[-1]
    assert found[2] >= 7


class CountingStore(SQLStore):
    """Counts what is read, by call."""

    def __init__(self) -> None:
        super().__init__("memory:", StandingClock())
        self.calls: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()

    async def get_messages(self, *arguments: Any, **named: Any) -> list[Message]:
        return self._count("get_messages", await super().get_messages(*arguments, **named))

    async def get_recent(self, *arguments: Any, **named: Any) -> list[Message]:
        return self._count("get_recent", await super().get_recent(*arguments, **named))

    async def find_related(self, *arguments: Any, **named: Any) -> Any:
        related = await super().find_related(*arguments, **named)
        assert related is not None
        self._count("find_related", list(related.messages))
        return related

    async def get_outline(self, *arguments: Any, **named: Any) -> Any:
        self.calls["get_outline"] += 1
        return await super().get_outline(*arguments, **named)

    def _count(self, name: str, messages: list[Message]) -> list[Message]:
        self.calls[name] += 1
        self.messages[name] += len(messages)
        return messages


async def count_read(turns: int) -> tuple[Counter[str], Counter[str]]:
    """What a client that has never seen a conversation of so many turns reads for one look at its context."""
    store = CountingStore()
    settings: Any = {"store": SHARED, "providers": {}, "environ": {}}
    plugins = [ScriptedProvider("one"), Opener(store)]
    async with tertulia.open(**settings, plugins=plugins) as client:
        talk = await client.start(provider="one")
        await talk.append(Message.of("user", ENGLISH.fact))
        await talk.append(Message.of("assistant", "Noted."))
        for _ in range(turns // 60):
            await chat(talk, ENGLISH, 60)
        async with tertulia.open(**settings, plugins=[ScriptedProvider("one"), Opener(store)]) as other:
            again = await other.get(talk.id)
            store.calls.clear()
            store.messages.clear()
            context = await again.preview_context(ENGLISH.question, context=ContextOptions(max_tokens=500))
            read = Counter(store.calls), Counter(store.messages)
    assert ENGLISH.fact in context.messages[-1].text
    return read


async def test_a_long_past_costs_no_more_than_a_shorter_one(monkeypatch):
    """Three times as many messages: as many calls, and no more messages read."""
    monkeypatch.setattr(path, "WHOLE", 50)
    calls, messages = await count_read(180)
    more_calls, more_messages = await count_read(540)

    assert calls == more_calls
    assert sum(calls.values()) <= 6
    assert sum(messages.values()) <= 700
    assert sum(more_messages.values()) <= 1.3 * sum(messages.values())


async def test_the_same_is_found_whatever_was_looked_for_before(database):
    """A process that has answered other questions scores what is recalled as a new one does."""
    facts = ("My dog Rex was born in Ulm.", "The boat is called Seagull.", "Our cat Mia hates rain.")
    one = ScriptedProvider("one")

    def opened() -> tertulia.Client:
        return tertulia.open(store=database, providers={}, plugins=[one], environ={}, context_window=4)

    async with opened() as client:
        talk = await client.start(provider="one")
        for said in (*facts, *(f"Chapter {number} is about the sea and a boat." for number in range(9))):
            one.says(f"I see: {said}")
            await talk.send(said)
        first = (await talk.preview_context("Where was Rex born?")).report
        await talk.preview_context("What does Mia hate?")
        again = (await talk.preview_context("Where was Rex born?")).report

    async with opened() as client:
        fresh = (await (await client.get(talk.id)).preview_context("Where was Rex born?")).report

    assert 0 == first.recalled[0].depth
    assert first == again == fresh
