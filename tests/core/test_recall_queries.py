# ruff: noqa: RUF001  # other scripts have letters and marks that look like ours
from datetime import date

import pytest

from tertulia.services.context.recall import make_query
from tertulia.services.context.recall.dates import Named, find_dates
from tertulia.services.context.recall.forms import MOST_FORMS, find_forms
from tertulia.services.context.recall.likeness import Vocabulary
from tertulia.services.context.recall.query import MOST_ALTERNATIVES
from tertulia.services.context.recall.stems import find_stem


@pytest.mark.parametrize(
    "words",
    [
        "adopt adopts adopted adopting adoption",
        "run running runs ran",
        "agency agencies",
        "study studies studied studying",
        "educate education educated educational",
        "class classes",
        "happy happiness happily",
        "buy bought buying",
        "child children",
    ],
)
def test_the_forms_of_an_english_word_have_one_stem(words):
    """
    Endings and the usual irregular forms make no difference.
    """
    assert len(set(map(find_stem, words.split()))) == 1


@pytest.mark.parametrize("word", ["", "a", "bus", "x1", "48213", "школа", "犬", "glass", "nth", "sss"])
def test_what_has_no_ending_is_its_own_stem(word):
    """
    Short words, figures and words of other scripts stay as they are.
    """
    assert find_stem(word) == word


@pytest.mark.parametrize(
    ("word", "form"),
    [
        ("adoption", "adopted"),
        ("adopted", "adoption"),
        ("running", "ran"),
        ("run", "running"),
        ("bought", "buy"),
        ("agencies", "agency"),
        ("hauser", "haus"),
        ("собаки", "собаку"),
        ("السيارة", "سيارة"),
        ("سيارة", "السيارة"),
        ("사냥개는", "사냥개를"),
    ],
)
def test_an_index_is_asked_for_other_forms_of_a_word(word, form):
    """
    What an exact index holds may be another form than the one asked for.
    """
    assert form in find_forms(word)
    assert find_forms(word)[0] == word
    assert len(find_forms(word)) <= MOST_FORMS


def test_words_that_are_grammar_are_not_looked_for():
    """
    An index would return everything for them.
    """
    query = make_query(["What did the vet say about my 2 cats in Oviedo?"])

    assert {"vet", "cats", "oviedo", "2", "say"} == {forms[0] for forms in query.alternatives}


def test_the_rarest_looking_words_are_looked_for_first():
    """
    Figures first, then what is long.
    """
    assert ["48213", "greyhound", "cat"] == [
        forms[0] for forms in make_query(["The cat, the greyhound and 48213, please."]).alternatives
    ]


def test_however_much_is_pasted_few_words_are_looked_for():
    """
    A query of an index has its limits.
    """
    pasted = " ".join(f"word{number}" for number in range(5000))

    query = make_query([pasted])

    assert len(query.alternatives) == MOST_ALTERNATIVES == len(query.sought)
    assert all(len(forms) <= MOST_FORMS for forms in query.alternatives)


@pytest.mark.parametrize("said", [[], [""], ["   "], ["?!"], ["What is it?"], ["😀"]])
def test_what_asks_for_nothing_is_empty(said):
    """
    Grammar and marks alone cannot be looked for.
    """
    assert make_query(said).is_empty


@pytest.mark.parametrize("newest", ["And why?", "why", "And the second one?", "什么？", "Und warum?", "And?"])
def test_an_elliptical_message_is_looked_for_with_those_before_it(newest):
    """
    "And why?" means what was asked before.
    """
    query = make_query(["Hello.", "Which greyhound did the shelter give away?", newest])

    assert query.is_elliptical
    assert ("greyhound" in [forms[0] for forms in query.alternatives]) is True
    assert query.question == f"Hello.\nWhich greyhound did the shelter give away?\n{newest}"


@pytest.mark.parametrize(
    "newest",
    ["What is my name?", "Wie hoch war die Kaution?", "Who adopted a dog?", "And who adopted the grey dog?"],
)
def test_a_message_that_stands_on_its_own_is_looked_for_alone(newest):
    """
    What was said before a whole question has nothing to do with it.
    """
    query = make_query(["Which greyhound did the shelter give away?", newest])

    assert not query.is_elliptical
    assert query.question == newest
    assert "greyhound" not in [forms[0] for forms in query.alternatives]


def test_words_of_the_newest_message_count_more_than_those_before_it():
    """
    What is meant comes first, what it refers to second, what was said before third.
    """
    weights = {word.word: word.weight for word in make_query(["parrots", "greyhounds", "And cats?"]).words}

    assert {"parrots": 0.25, "greyhounds": 0.5, "and": 0.3, "cats": 1.0} == weights


@pytest.mark.parametrize("mark", ["?", "？", "؟", "\u037e", "? "])
def test_question_marks_of_all_scripts_ask(mark):
    """
    Greek, Arabic and Chinese have marks of their own.
    """
    assert make_query([f"kayak{mark}"]).asks
    assert not make_query(["kayak."]).asks


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("on 2023-11-16", Named(2023, 11, 16)),
        ("am 16.11.2023", Named(2023, 11, 16)),
        ("on 16 November 2023", Named(2023, 11, 16)),
        ("on the 16th of November, 2023", Named(2023, 11, 16)),
        ("November 16, 2023", Named(2023, 11, 16)),
        ("le 3 février 2024", Named(2024, 2, 3)),
        ("el 3 de mayo de 2024", Named(2024, 5, 3)),
        ("im März 2024", Named(2024, 3, None)),
        ("в мае", Named(None, 5, None)),
        ("3 мая", Named(None, 5, 3)),
        ("2024年5月3日", Named(2024, 5, 3)),
        ("5月", Named(None, 5, None)),
        ("2024년 5월 3일", Named(2024, 5, 3)),
        ("in May", Named(None, 5, None)),
        ("the October trip", Named(None, 10, None)),
        ("in 2021", Named(2021, None, None)),
    ],
)
def test_days_months_and_years_are_read(text, named):
    """
    As people write them in several languages.
    """
    assert [named] == find_dates(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "may I march there?",
        "31 February 2023",
        "99.99.2023",
        "12345",
        "room 20",
        "Mark and June-bugs"[:8],
    ],
)
def test_what_is_no_date_is_none(text):
    """
    Words that are months by chance, and days that there are not.
    """
    assert all(named.day is None and named.month is None for named in find_dates(text))


@pytest.mark.parametrize(
    ("named", "said", "expected"),
    [
        (Named(2023, 11, 16), date(2023, 11, 15), False),
        (Named(2023, 11, 16), date(2023, 11, 16), True),
        (Named(2023, 11, 16), date(2023, 11, 26), True),
        (Named(2023, 11, 16), date(2023, 11, 27), False),
        (Named(None, 12, 30), date(2024, 1, 5), True),
        (Named(None, 12, None), date(2023, 12, 31), True),
        (Named(None, 12, None), date(2024, 1, 20), False),
        (Named(2023, None, None), date(2023, 12, 31), True),
        (Named(2023, None, None), date(2024, 1, 1), False),
        (Named(None, 2, 29), date(2023, 3, 1), True),
    ],
)
def test_what_happened_on_a_day_is_told_on_it_or_soon_after(named, said, expected):
    """
    A day and a month last ten days longer, and a year does not.
    """
    assert expected is named.holds(said)


def test_words_are_like_one_another_by_the_runs_they_share():
    """
    Compounds, inflections and slips; short words are like nothing.
    """
    vocabulary = Vocabulary()
    vocabulary.add(["geburtstagskuchen", "reykjavik", "собаку", "cat", "car", "사냥개를"])

    assert [("reykjavik", 0.82)] == [
        (word, round(share, 2)) for word, share in vocabulary.find_like("reykjavick")
    ]
    assert ["geburtstagskuchen"] == [word for word, _ in vocabulary.find_like("geburtstag")]
    assert ["собаку"] == [word for word, _ in vocabulary.find_like("собака")]
    assert ["사냥개를"] == [word for word, _ in vocabulary.find_like("사냥개")]
    assert [] == vocabulary.find_like("cas")
    assert [] == vocabulary.find_like("")


def test_a_word_without_end_is_compared_by_its_beginning():
    """What is remembered of words is bounded: a pasted text may be one word."""
    query = make_query(["what is " + "abcdefghij" * 50_000])

    assert {200} == {max(len(form) for form in forms) // 10 * 10 for forms in query.alternatives}
