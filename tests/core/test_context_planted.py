"""
Facts planted in conversations of several kinds and languages are found again: the floor under every change.

The questions stand with the conversations, in ``benchmarks/planted``; each is asked as a send would ask it,
of messages in a database, with room for a part of the conversation only. Tokens are counted by characters, so
the figures are the same on every machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
from benchmarks.context_ours import House, make_contexts, make_ranking, open_house
from benchmarks.context_plain import make_search, slide
from benchmarks.context_scores import Score, Select, score
from benchmarks.context_talks import PLANTED, Talk, read_planted

from tertulia import ContextOptions

TALKS = read_planted(PLANTED)
BUDGET = 500
"""Tokens: about half of each conversation."""

FLOORS = {"elliptical": 90, "inference": 90, "multi-hop": 85, "single-hop": 95, "temporal": 90}
"""Percent of a question's evidence that is kept whole, by kind."""

FLOOR_OF_A_LANGUAGE = 85


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A client with a database of its own."""
    async with open_house() as house:
        yield house


async def ask(select: Select, talks: Sequence[Talk] = TALKS) -> Score:
    return await score(select, talks, BUDGET)


def show_misses(found: Score) -> dict[str, float]:
    return {kind: share for kind, share in found.kinds.items() if share < FLOORS[kind]}


def test_there_are_questions_of_each_kind():
    """
    Eight conversations in six languages, with 67 questions whose answers were said long before.
    """
    kinds = Counter(question.kind for talk in TALKS for question in talk.questions)

    assert {"single-hop": 30, "multi-hop": 11, "temporal": 9, "elliptical": 9, "inference": 8} == kinds
    assert [
        *("arabic-wedding", "chinese-restaurant", "coding-chat", "family-chat", "german-move"),
        *("japanese-bakery", "russian-dacha", "support-chat"),
    ] == [talk.id for talk in TALKS]


async def test_the_ranking_finds_every_planted_fact():
    """
    Whatever the language, the messages that answer are among the best of the whole conversation.
    """
    found = await ask(make_ranking())

    assert (100.0, 100.0, 0) == (found.share, found.whole, found.over)


async def test_a_context_holds_most_planted_facts(house: House):
    """
    Recent messages and recalled ones share the room, none is over the budget, and none loses the question.
    """
    found = await ask(make_contexts(house, ContextOptions(recall="always")))

    assert (67, 0, 0) == (found.questions, found.over, found.lost)
    assert {} == show_misses(found)


async def test_a_context_holds_facts_that_are_asked_for_without_being_told_to(house: House):
    """
    Whether the newest message looks back is found out, in each language.
    """
    found = await ask(make_contexts(house, ContextOptions()))

    assert (67, 0, 0) == (found.questions, found.over, found.lost)
    assert {} == show_misses(found)


async def test_the_index_of_the_store_finds_as_much(house: House):
    """
    Asked as in a long conversation, which is never read whole, it brings what the ranking needs.
    """
    found = await ask(make_contexts(house, ContextOptions(), index=True))

    assert (67, 0, 0) == (found.questions, found.over, found.lost)
    assert {} == show_misses(found)


async def test_each_language_has_its_facts_found(house: House):
    """
    No conversation is left behind by the average.
    """
    select = make_contexts(house, ContextOptions())
    shares = {talk.id: (await ask(select, [talk])).share for talk in TALKS}

    assert {} == {name: share for name, share in shares.items() if share < FLOOR_OF_A_LANGUAGE}


async def test_the_newest_messages_alone_hold_few_of_them(house: House):
    """
    What everybody else keeps has less than a third, so the facts are planted deep enough.
    """
    assert (await ask(slide)).share < 33
    assert (await ask(make_contexts(house, ContextOptions(strategy="recent")))).share < 33


async def test_a_plain_search_finds_fewer(house: House):
    """
    Words alone, with their English stems, find three quarters of what is to be found.
    """
    plain = await ask(make_search("porter unicode61"))

    assert 74 == round(plain.share)
    assert plain.share < (await ask(make_contexts(house, ContextOptions(recall="always")))).share
