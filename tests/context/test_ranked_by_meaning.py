"""Plugins that rank by meaning: what shares no word with the question is found by them."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

import tertulia
from tertulia import DEFER, Candidate, Client, ContextOptions, Conversation, hookimpl
from tertulia.testing import ScriptedProvider

FACT = "Rex, my golden retriever, sleeps on the sofa."
QUESTION = "Which animal lives at home?"
WINDOW = ContextOptions(max_messages=6)


class Meaning:
    """Knows what a retriever is; scores as it is told to."""

    def __init__(self, score: float = 1.0) -> None:
        self.score = score
        self.asked: list[tuple[str, Sequence[Candidate]]] = []

    @hookimpl
    def rank_messages(self, question: str, candidates: Sequence[Candidate]) -> Sequence[float]:
        self.asked.append((question, candidates))
        return [self.score if "retriever" in each.message.text else 0.0 for each in candidates]


@pytest.fixture
def one() -> ScriptedProvider:
    return ScriptedProvider("one")


@pytest.fixture
async def client(one: ScriptedProvider):
    async with tertulia.open(store="memory:", providers={}, plugins=[one], environ={}) as client:
        yield client


async def begin(client: Client, one: ScriptedProvider, turns: int = 10) -> Conversation:
    """A conversation whose first message is the fact."""
    talk = await client.start(provider="one")
    for text in (FACT, *(f"Chapter {number} is of ships and storms." for number in range(turns))):
        one.says("Well said.")
        await talk.send(text)
    return talk


async def test_what_shares_no_word_with_the_question_is_quoted(client, one):
    """Words find nothing; whoever ranks by meaning is asked about everything, and believed."""
    talk = await begin(client, one)
    before = await talk.preview_context(QUESTION, context=WINDOW)
    client.register(Meaning())

    after = await talk.preview_context(QUESTION, context=WINDOW)

    assert (0.0, ()) == (before.report.looks_back or 0.0, before.report.recalled)
    (recalled,) = after.report.recalled
    assert (1.0, 0, ("ranked by a plugin",)) == (after.report.looks_back, recalled.depth, recalled.reasons)
    assert f"> {FACT}\n" in after.messages[-1].text


async def test_a_question_of_nothing_but_grammar_is_ranked_as_well(client, one):
    """Where there is no word to look for, there may be a meaning."""
    talk = await begin(client, one)
    client.register(Meaning())

    context = await talk.preview_context("Who is it?", context=WINDOW)

    assert [0] == [each.depth for each in context.report.recalled]


async def test_all_that_is_not_sent_anyway_is_ranked(client, one):
    """What words find comes first; of what they do not, with a score of 0, the newest."""
    talk = await begin(client, one)
    meaning = Meaning()
    client.register(meaning)

    await talk.preview_context("Does Rex like the sofa?", context=WINDOW)
    await talk.preview_context(QUESTION, context=WINDOW)

    (question, by_words), (_, by_none) = meaning.asked
    assert "Does Rex like the sofa?" == question
    assert 0 == by_words[0].message.depth
    assert list(range(18)) == sorted(each.message.depth for each in by_words)
    assert [(depth, 0.0) for depth in reversed(range(18))] == [
        (each.message.depth, each.score) for each in by_none
    ]


async def test_what_stands_on_earlier_messages_is_asked_with_them(client, one):
    """Two words say too little; the question has a line for each message it stands on."""
    talk = await begin(client, one)
    meaning = Meaning()
    client.register(meaning)

    await talk.preview_context("And why?", context=WINDOW)

    ((question, _),) = meaning.asked
    assert "Chapter 8 is of ships and storms.\nChapter 9 is of ships and storms.\nAnd why?" == question


@pytest.mark.parametrize(("score", "looks_back", "recalled"), [(0.01, 0.01, 0), (0.2, 0.2, 1), (7.0, 1.0, 1)])
async def test_the_best_score_says_how_far_a_message_looks_back(client, one, score, looks_back, recalled):
    """Where the words do not: who is next to sure that nothing answers has nothing quoted."""
    talk = await begin(client, one)
    client.register(Meaning(score))

    context = await talk.preview_context(QUESTION, context=WINDOW)

    assert looks_back == context.report.looks_back
    assert recalled == len(context.report.recalled)


@pytest.mark.parametrize("answer", [None, DEFER])
async def test_who_passes_leaves_the_choice_to_words(client, one, answer):
    """Nothing is added to what they find."""

    class Passes:
        @hookimpl
        async def rank_messages(self) -> object:
            return answer

    talk = await begin(client, one)
    expected = await talk.preview_context("Is Rex on the sofa?", context=WINDOW)
    client.register(Passes())

    context = await talk.preview_context("Is Rex on the sofa?", context=WINDOW)

    assert expected.messages[-1].text == context.messages[-1].text
    assert expected.report.recalled[0].depth == 0


async def test_a_provider_ranks_for_itself(client):
    """A method of a provider named like the hook is the hook, where that provider is asked."""

    class Knowing(ScriptedProvider):
        def rank_messages(self, candidates: Sequence[Candidate]) -> Sequence[float]:
            return [float("retriever" in each.message.text) for each in candidates]

    one = Knowing("two")
    client.register(one)
    talk = await client.start(provider="two")
    for text in (FACT, *(f"Chapter {number} is of ships." for number in range(8))):
        one.says("Well said.")
        await talk.send(text)

    context = await talk.preview_context(QUESTION, context=WINDOW)

    assert [0] == [each.depth for each in context.report.recalled]
