"""Long answers are heard beside short messages where they are asked for, and nothing is heard twice."""

# ruff: noqa: RUF001  # other scripts have letters and marks that look like ours
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from benchmarks.context_packing import pack

from tertulia.domain.message import Message, Role, Text
from tertulia.services.context.recall import Recall, make_query
from tertulia.services.context.recall.sides import find_answers_share

BEGINNING = datetime(2026, 3, 2, 9, tzinfo=UTC)
MANNERS = [
    "How did I organise the garden?",
    "Why was the gate painted?",
    "Can you sum up how we built it?",
    "What was the reason for the delay?",
    "What did you advise about the roof?",
    "Wie habe ich das gelöst?",
    "Warum war das Tor offen?",
    "Comment as-tu fait ?",
]
OPEN_QUESTIONS = [
    "How can I build it?",
    "Why?",
    "Wie kann ich das bauen?",
    "Pourquoi pas ?",
    "¿Cómo funciona?",
    "¿Por qué?",
    "Perché?",
    "Hoe werkt dat?",
    "Как это работает?",
    "Почему?",
    "为什么？",
    "どうやって作る？",
    "왜 안 돼요?",
    "كيف يعمل؟",
]
FACTS = [
    "How many chairs are there?",
    "How long is the table?",
    "When did I paint the gate?",
    "Wie viele Stühle sind es?",
    "Wie hoch war die Kaution?",
    "Comment s'appelle mon chien ?",
    "¿Cómo se llama mi perro?",
    "Hoe lang duurt het?",
    "Как зовут мою собаку?",
    "Как долго?",
    "有几把椅子？",
    "",
]


def talk(*texts: str, names: Sequence[str] = ("", "")) -> list[Message]:
    """Two sides taking turns, the user first."""
    return [
        Message(
            (Role.USER, Role.ASSISTANT)[depth % 2],
            (Text(names[depth % 2] + text),),
            UUID(int=depth + 1),
            depth=depth,
            created_at=BEGINNING + timedelta(minutes=depth),
            tokens=len(text) // 4,
        )
        for depth, text in enumerate(texts)
    ]


def advise(names: Sequence[str] = ("", "")) -> list[Message]:
    """Forty short messages about roofs, each with a long answer."""
    filler = "And there is more to say of tiles, of gutters and of beams. " * 8
    texts = [
        (f"My roof leaks at beam {n}, I saw.", f"Mend beam {n} of the roof. {filler}{n}") for n in range(40)
    ]
    return talk(*(text for pair in texts for text in pair), names=names)


def measure_answers(question: str, messages: Sequence[Message]) -> float:
    """The share of tokens that answers have in the best of what is found, as far as 800 tokens go."""
    found = Recall().rank(make_query([question]), messages)
    taken = pack(found, budget=800, count=lambda each: each.message.tokens or 0)
    tokens = [(each.message.role, each.message.tokens or 0) for each in taken]
    return sum(count for role, count in tokens if role is Role.ASSISTANT) / sum(count for _, count in tokens)


@pytest.mark.parametrize(
    ("share", "question"),
    [
        *((2 / 3, question) for question in MANNERS),
        *((1 / 2, question) for question in OPEN_QUESTIONS),
        *((0.0, question) for question in FACTS),
    ],
)
def test_how_and_why_ask_for_what_is_explained_and_facts_do_not(share: float, question: str):
    """
    What was explained is in long answers; what is to be explained now is half about what the user said.
    """
    assert share == find_answers_share(make_query([question]))


def test_a_question_far_down_a_pasted_text_changes_nothing():
    """
    A long message is material, and is not read for what it asks.
    """
    assert 0.0 == find_answers_share(make_query(["material " * 300 + "How did I do it?"]))


def test_who_asks_for_advice_that_was_given_gets_it():
    """
    The long answers are two thirds of what is taken, where short messages would have crowded them out.
    """
    assert measure_answers("What did you advise about the roof beam?", advise()) > 0.6
    assert measure_answers("Which roof beam leaks?", advise()) < 0.6


def test_in_a_chat_of_people_with_names_the_name_that_is_asked_for_decides():
    """
    Where both sides are people, neither is the one that explains.
    """
    question = "How did Ana mend the roof beam?"
    named = advise(("Ana: ", "Bob: "))

    found = Recall().rank(make_query([question]), named)

    assert sorted((each.score for each in found), reverse=True) == [each.score for each in found]


def test_the_very_best_stays_first_and_each_side_keeps_its_order():
    """
    Putting answers forward changes nothing else.
    """
    found = Recall().rank(make_query(["How did I mend the roof beam 7 that leaks?"]), advise())

    def scores(role: Role) -> list[float]:
        return [each.score for each in found if each.message.role is role]

    assert found[0].score == max(each.score for each in found)
    for role in (Role.USER, Role.ASSISTANT):
        assert sorted(scores(role), reverse=True) == scores(role)
    assert 80 == len({each.message.id for each in found})


@pytest.mark.parametrize("messages", [[], talk("The roof leaks."), talk("", "", "roof", "")])
def test_where_one_side_is_silent_the_other_is_heard(messages: Sequence[Message]):
    """
    A share of what there is not is nothing.
    """
    found = Recall().rank(make_query(["How did the roof leak?"]), messages)

    assert len(found) == sum(1 for each in messages if "roof" in each.text) or len(messages) > 1


def test_what_is_repeated_counts_less_the_older_it_is():
    """
    Nine times the same words tell hardly more than once: the last counts in full, the first a third.
    """
    fillers = [f"We sat outside on evening {number}." for number in range(90)]
    messages = talk(
        *("The kayak leaks." if number % 10 == 0 else text for number, text in enumerate(fillers))
    )

    scores = {each.message.depth: each.score for each in Recall().rank(make_query(["kayak"]), messages)}

    assert scores[0] == pytest.approx(scores[80] / 3, rel=0.01)


def test_a_short_answer_that_is_given_often_is_found_beside_its_question():
    """
    "Yes" belongs to what was asked before it.
    """
    turns = [("Do we need milk?", "Yes."), ("Is the kayak mended?", "Yes."), *[("And bread?", "Yes.")] * 9]
    messages = talk(*(text for turn in turns for text in turn))

    best = Recall().rank(make_query(["Is the kayak mended?"]), messages)[:2]

    assert {2, 3} == {each.message.depth for each in best}


def test_pull_goes_by_the_best_whatever_comes_first():
    """
    How far somebody looks back does not depend on the order in which both sides are heard.
    """
    recall, messages = Recall(), advise()
    query = make_query(["How did I mend the roof beam 7 that leaks?"])
    found = recall.rank(query, messages)

    pull = recall.measure_pull(query, found, [])

    assert 0 < pull == recall.measure_pull(query, found[::-1], [])
