"""Strangers' rankers that do what they must not: nothing wrong is sent, nothing hangs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from context_stores import SHARED, Opener
from context_stories import STORIES, chat

import tertulia
from tertulia import (
    DEFER,
    Client,
    ContextOptions,
    Conversation,
    MessageStatus,
    PluginError,
    ProviderTimeoutError,
    Timeouts,
    hookimpl,
)
from tertulia.testing import MemoryStore, ScriptedProvider

SOON = 5.0
SHORT = Timeouts(total=0.1)


@pytest.fixture
def one() -> ScriptedProvider:
    return ScriptedProvider("one")


@pytest.fixture
async def client(one):
    plugins = [one, Opener(MemoryStore())]
    async with tertulia.open(store=SHARED, providers={}, plugins=plugins, environ={}) as client:
        yield client


class Ranker:
    """Ranks as a test wants."""

    def __init__(self, rank: Callable[[Sequence[Any]], Any]) -> None:
        self._rank = rank
        self.asked: list[str] = []

    @hookimpl
    async def rank_messages(self, question: str, candidates: Sequence[tertulia.Candidate]) -> Any:
        self.asked.append(question)
        return self._rank(candidates)


class FloatLike:
    """A number as libraries of numbers have them."""

    def __init__(self, value: float) -> None:
        self._value = value

    def __float__(self) -> float:
        return self._value


class Moody:
    """A number that will not be one."""

    def __float__(self) -> float:
        raise RuntimeError("not today")


STORY = STORIES["English"]
TEN = ContextOptions(max_messages=10)

BAD_SCORES: dict[str, Callable[[Sequence[Any]], Any]] = {
    "not a number": lambda found: [float("nan")] * len(found),
    "one not a number": lambda found: [1.0] * (len(found) - 1) + [float("nan")],
    "a decimal that is none": lambda found: [Decimal("NaN")] * len(found),
    "a decimal that signals it": lambda found: [Decimal("sNaN")] * len(found),
    "too few": lambda found: [1.0] * (len(found) - 1),
    "too many": lambda found: [1.0] * (len(found) + 1),
    "none at all": lambda found: [],
    "texts": lambda found: ["1.0"] * len(found),
    "a text": lambda found: "1" * len(found),
    "nothing inside": lambda found: [None] * len(found),
    "complex": lambda found: [1j] * len(found),
    "candidates": list,
    "a number": lambda found: 5,
    "a moody number": lambda found: [Moody()] * len(found),
    "a number without end": lambda found: [10**400] * len(found),
    "a dictionary": lambda found: {candidate.message.id: 1.0 for candidate in found},
}

GOOD_SCORES: dict[str, Callable[[Sequence[Any]], Any]] = {
    "floats": lambda found: [float(is_fact(each)) for each in found],
    "integers": lambda found: [int(is_fact(each)) for each in found],
    "truths": lambda found: tuple(is_fact(each) for each in found),
    "fractions": lambda found: [Fraction(int(is_fact(each)), 3) for each in found],
    "decimals": lambda found: [Decimal(int(is_fact(each))) for each in found],
    "floats of a library": lambda found: [FloatLike(float(is_fact(each))) for each in found],
    "a generator": lambda found: (float(is_fact(each)) for each in found),
    "infinities": lambda found: [float("inf") if is_fact(each) else float("-inf") for each in found],
}


def is_fact(candidate: Any) -> bool:
    return STORY.secret in candidate.message.text


async def prepare(client: Client, one: ScriptedProvider) -> Conversation:
    """A conversation that does not fit ten messages, and begins with a fact."""
    talk = await client.start(provider="one")
    one.says("Noted.")
    await talk.send(STORY.fact)
    await chat(talk, STORY, 20)
    return talk


@pytest.mark.parametrize("rank", BAD_SCORES.values(), ids=BAD_SCORES)
async def test_scores_that_are_none_are_refused(client, one, rank):
    """Nothing is sent, and the error says what a ranker is to answer."""
    talk = await prepare(client, one)
    client.register(Ranker(rank))
    with pytest.raises(PluginError, match=r"^rank_messages answered .*, one for each candidate") as caught:
        await talk.send(STORY.question, context=TEN)

    assert "rank_messages" == caught.value.hook
    assert "your message is stored" == caught.value.kept
    assert MessageStatus.FAILED is (await talk.history())[-1].status
    assert 1 == len(one.requests)


@pytest.mark.parametrize("rank", GOOD_SCORES.values(), ids=GOOD_SCORES)
async def test_anything_that_is_a_number_is_a_score(client, one, rank):
    """What scores is quoted, and nothing else."""
    talk = await prepare(client, one)
    client.register(Ranker(rank))
    one.says("7351.")

    reply = await talk.send(STORY.question, context=TEN)

    assert [0] == [each.depth for each in reply.context.recalled]
    assert STORY.fact in one.texts[-1]


async def test_a_ranker_may_decide_that_nothing_is_quoted(client, one):
    """Where nothing scores more than 0, the message is sent as it is."""
    talk = await prepare(client, one)
    ranker = Ranker(lambda found: [0.0] * len(found))
    client.register(ranker)
    one.says("No idea.")

    reply = await talk.send(STORY.question, context=TEN)

    assert (STORY.question, ()) == (one.texts[-1], reply.context.recalled)
    assert [True] == [STORY.question in question for question in ranker.asked]


@pytest.mark.parametrize("answer", [None, DEFER])
async def test_a_ranker_that_passes_changes_nothing(client, one, answer):
    """The scores of the core stay."""
    talk = await prepare(client, one)
    client.register(Ranker(lambda found: answer))
    one.says("7351.")

    await talk.send(STORY.question, context=TEN)

    assert STORY.fact in one.texts[-1]


async def test_a_ranker_that_raises_is_named(client, one):
    """Its exception is the cause of ours, and nothing is sent."""
    talk = await prepare(client, one)
    client.register(Ranker(lambda found: found["first"]))  # type: ignore[call-overload]
    with pytest.raises(PluginError, match="a plugin failed in rank_messages: TypeError: "):
        await talk.send(STORY.question, context=TEN)

    assert 1 == len(one.requests)


async def test_a_ranker_that_hangs_is_cut_off_at_the_deadline(client, one):
    """Nothing is sent, and the message is kept."""

    class Hanging:
        @hookimpl
        async def rank_messages(self) -> None:
            await asyncio.Event().wait()

    talk = await prepare(client, one)
    client.register(Hanging())
    with pytest.raises(ProviderTimeoutError):
        await asyncio.wait_for(talk.send(STORY.question, timeouts=SHORT, context=TEN), SOON)

    assert MessageStatus.FAILED is (await talk.history())[-1].status
    assert 1 == len(one.requests)
