# ruff: noqa: RUF001  # other scripts have letters and marks that look like ours
from datetime import UTC, datetime, timedelta
from uuid import UUID

import attrs
import pytest
from benchmarks.context_packing import pack

from tertulia.domain.context import Candidate
from tertulia.domain.message import Message, Role, Text, ToolResult
from tertulia.services.context.recall import Corpus, Recall, make_query
from tertulia.services.context.recall.memory import Memory
from tertulia.services.context.recall.weights import USUAL

BEGINNING = datetime(2026, 3, 2, 9, tzinfo=UTC)
SMALL_TALK = {
    "en": ("The {} of the week was long and quiet.", "We sat outside and talked about number {}."),
    "de": ("Der {}. Abend war lang und ruhig.", "Wir saßen draußen und sprachen über Punkt {}."),
    "ru": ("Вечер номер {} был долгим и тихим.", "Мы сидели на улице и говорили о деле {}."),
    "ar": ("كان المساء رقم {} طويلا وهادئا.", "جلسنا في الخارج وتحدثنا عن الأمر {}."),
    "zh": ("第{}个晚上又长又安静。", "我们坐在外面聊了第{}件事。"),
    "ja": ("{}番目の夜は長くて静かでした。", "外に座って{}番の話をしました。"),
    "ko": ("{}번째 저녁은 길고 조용했습니다.", "우리는 밖에 앉아 {}번 이야기를 했습니다."),
}


def say(depth, text, role=Role.USER, *, minutes=None):
    said_at = BEGINNING + timedelta(minutes=depth if minutes is None else minutes)
    return Message(
        Role(role), (Text(text),), UUID(int=depth + 1), depth=depth, created_at=said_at, tokens=len(text) // 4
    )


def chat(*texts):
    return [say(depth, text, (Role.USER, Role.ASSISTANT)[depth % 2]) for depth, text in enumerate(texts)]


def plant(fact, language="en", *, at=20, turns=60):
    user, assistant = SMALL_TALK[language]
    texts = [(user, assistant)[depth % 2].format(depth) for depth in range(turns)]
    texts[at] = fact
    return chat(*texts)


def ask(question, messages, **arguments):
    return [each.message.depth for each in Recall().rank(make_query([question]), messages, **arguments)]


@pytest.mark.parametrize(
    ("language", "fact", "question"),
    [
        ("en", "My sister adopted two greyhounds.", "Who is adopting a greyhound?"),
        ("en", "Went to the dentist, it hurt.", "Did I go to a dentist?"),
        ("de", "Meine Schwester hat zwei Häuser in Bremen gekauft.", "Welches Haus hat die Schwester?"),
        ("de", "Der Geburtstagskuchen war mit Kirschen.", "Was gab es zum Geburtstag?"),
        ("ru", "Моя сестра завела собаку по кличке Рекс.", "Как зовут собаки моей сестры?"),
        ("ar", "اشترت أختي سيارة حمراء من المعرض", "ما لون السيارة؟"),
        ("zh", "我妹妹在北京养了一只灰色的猎犬。", "谁养了猎犬？"),
        ("ja", "妹は京都で灰色の猟犬を飼っています。", "猟犬を飼っているのは誰ですか？"),
        ("ko", "제 여동생은 부산에서 사냥개를 키워요.", "사냥개는 어디에 있나요?"),
    ],
)
def test_a_planted_fact_is_found_first_in_whatever_language(language, fact, question):
    """
    Other forms of a word are that word, in each language in its way.
    """
    assert ask(question, plant(fact, language))[:1] == [20]


@pytest.mark.parametrize(
    ("fact", "question"),
    [
        ("The function is parse_invoice_header in billing.", "where is parse_invoice_header?"),
        ("Order ORD-48213 is late.", "What about ORD-48213, is it there?"),
        ("Write to ana.lopez@example.com please.", "Whose address is ana.lopez@example.com?"),
        ("It is in report_final.xlsx, sheet three.", "Which sheet of report_final.xlsx was it?"),
        ("The pump runs at 1450 rpm.", "What runs at 1450?"),
        ("The tent stayed in Reykjavik.", "What stayed in Reykjavick?"),
    ],
)
def test_identifiers_figures_and_slips_of_the_pen_are_found(fact, question):
    """
    What is written in one piece is found by its pieces, and a misspelt word by what is like it.
    """
    assert ask(question, plant(fact))[:1] == [20]


def test_the_answer_to_a_question_is_found_by_the_question():
    """
    What follows a question that has the sought words comes before what stands elsewhere near it.
    """
    messages = plant("Which colour does the gate have, by the way?")
    messages[21] = say(21, "Green, since last spring.", Role.ASSISTANT)

    found = ask("What colour is the gate?", messages)

    assert found[:2] == [20, 21]


def test_what_follows_a_question_gets_more_of_it_than_what_comes_before():
    """
    An answer need not repeat the words that were asked with.
    """
    messages = chat("So it is.", "Which colour does the gate have?", "So it is.")

    scores = {each.message.depth: each.score for each in Recall().rank(make_query(["the gate"]), messages)}

    assert scores[2] > 1.5 * scores[0]


def test_the_best_of_a_sitting_lift_the_rest_of_it():
    """
    What was said in the same sitting comes before what was said in another.
    """
    messages = [
        say(depth, "Bread, please.", minutes=depth + 5000 * (depth >= 50)) for depth in range(0, 100, 10)
    ]
    messages[0] = say(0, "The kayak leaks.")

    assert ask("kayak", messages) == [0, 40, 30, 20, 10]


def test_who_speaks_of_themselves_is_believed_first():
    """
    Of two messages of the one who is asked about, the one in the first person comes first.
    """
    messages = [
        say(depth, f"Ana: {text}") for depth, text in ((0, "I sail well now."), (50, "We sail well now"))
    ]

    assert ask("Does Ana sail?", messages) == [0, 50]


def test_what_is_said_long_before_shares_nothing():
    """
    Neighbours are those of one sitting.
    """
    messages = [
        say(0, "The harbour was closed.", minutes=0),
        say(1, "Later we slept.", minutes=1),
        say(2, "Good morning.", minutes=2000),
        say(3, "Bread, please.", minutes=2001),
    ]

    assert ask("Which harbour?", messages) == [0, 1]


def test_words_said_in_few_tokens_come_before_the_same_words_in_many():
    """
    What is recalled is paid by the token.
    """
    long = "The lighthouse is old. " + "And the sea was calm that day. " * 40
    messages = plant(long)
    messages[40] = say(40, "The lighthouse is old.")

    def compare(weights):
        found = Recall(weights=weights).rank(make_query(["the old lighthouse"]), messages)
        scores = {each.message.depth: each.score for each in found}
        return scores[40] / scores[20]

    assert compare(USUAL) > 2 * compare(attrs.evolve(USUAL, density=0.0))


def test_rare_words_count_more_than_those_everybody_uses():
    """
    A word of one message decides, one of all messages does not.
    """
    messages = chat(*["We talked about the week."] * 10, "The kayak leaks.", "We talked about the week.")

    assert ask("What did we say about the kayak this week?", messages)[0] == 10


def test_who_is_named_is_asked_for():
    """
    Where messages open with names, a question's name says whose words are meant.
    """
    texts = [f"{('Ana', 'Bob')[number % 2]}: I like tea number {number}." for number in range(12)]

    assert {depth % 2 for depth in ask("What does Bob like?", chat(*texts))[:5]} == {1}


def test_a_name_before_a_colon_is_none_where_most_messages_have_none():
    """
    "Note: ..." is nobody's name.
    """
    messages = plant("Note: the key is under the mat.")

    assert ask("Was there a note about the key?", messages)[0] == 20


@pytest.mark.parametrize(
    ("question", "role"),
    [("Which river did I name?", Role.USER), ("Which river did you recommend?", Role.ASSISTANT)],
)
def test_the_first_and_the_second_person_say_whose_words_are_meant(question, role):
    """
    "I" is the user, and "you" in the past the assistant.
    """
    messages = [
        *plant("The river Ebro is nice.")[:30],
        say(40, "The river Ebro is nice.", Role.USER, minutes=900),
        say(41, "So.", Role.USER, minutes=2000),
        say(50, "The river Ebro is nice.", Role.ASSISTANT, minutes=3000),
    ]

    best = Recall().rank(make_query([question]), messages)[0]

    assert best.message.role is role


@pytest.mark.parametrize(
    "question", ["What did we eat in May?", "What did we eat on 4 May 2026?", "2026年5月吃了什么 eat?"]
)
def test_a_date_finds_what_was_said_then(question):
    """
    Of two messages with the same words the one of the day that is asked for comes first.
    """
    may = 63 * 24 * 60
    messages = [
        say(0, "We eat soup."),
        say(1, "Well."),
        say(50, "We eat soup.", minutes=may),
        say(90, "We eat soup.", minutes=2 * may),
    ]

    assert ask(question, messages)[0] == 50


def test_a_message_with_other_words_is_found_by_the_words_of_the_first_hits():
    """
    What is said elsewhere with the first hit's rare words answers, too.
    """
    messages = plant("The greyhound is called Sultan.")
    messages[50] = say(50, "Sultan slept on the porch.")

    query = make_query(["What is the greyhound called?"])
    without = Recall(weights=attrs.evolve(USUAL, feedback=0.0)).rank(query, messages)

    with_it = ask(query.text, messages).index(50)

    assert with_it < 10
    assert with_it < [each.message.depth for each in without].index(50)


def test_results_of_tools_are_found():
    """
    What a tool returned is part of what was said.
    """
    messages = plant("Let me look.")
    messages[21] = Message(
        Role.TOOL, (ToolResult("1", "weather", "Reykjavik: 3 degrees, hail"),), UUID(int=22), depth=21
    )

    assert ask("How much hail was there in Reykjavik?", messages)[0] == 21


def test_the_same_question_finds_the_same_in_whatever_order_candidates_come():
    """
    Ranking depends on what there is and on nothing else.
    """
    messages = plant("My sister adopted two greyhounds.")
    query = make_query(["Who adopted a dog long ago, on which quiet week?"])
    fresh = [(each.message.depth, each.score) for each in Recall().rank(query, messages)]
    warm = Recall()
    warm.rank(query, reversed(messages))

    assert fresh == [(each.message.depth, each.score) for each in warm.rank(query, messages[::-1])]


def test_what_does_not_answer_is_left_out():
    """
    A question of words that nobody has said finds nothing, and neither does one of none.
    """
    messages = plant("The kayak leaks.")

    assert ask("xylophone", messages) == []
    assert ask("?!", messages) == []
    assert ask("kayak", []) == []


def test_no_more_are_returned_than_are_wanted():
    """
    The best are, and those that answer alike the later first.
    """
    messages = [say(depth, "The kayak leaks.") for depth in range(0, 100, 10)]

    assert ask("kayak", messages, most=3) == [90, 80, 70]


def test_what_an_index_has_counted_is_believed():
    """
    Rarity goes by all that was searched, and not by what was found of it.
    """
    messages = chat("The kayak leaks.", "ok", "The boat leaks.", "ok")
    query = make_query(["kayak or boat"])
    kayak_is_rare = {"kayak": 1, "boat": 900}

    counts = [kayak_is_rare[stem] for stem in query.sought]
    found = Recall().rank(query, messages, corpus=Corpus(1000, counts))

    assert found[0].message.depth == 0


def test_messages_without_ids_times_or_tokens_are_ranked():
    """
    What is not stored yet can be ranked as well.
    """
    messages = [Message.of("user", "The kayak leaks."), Message.of("user", "Good morning.")]

    found = Recall().rank(make_query(["Which kayak?"]), messages)

    assert found[0].message is messages[0]


def test_reasons_name_the_words_that_were_found():
    """
    People read why a message was chosen.
    """
    messages = plant("My sister adopted two greyhounds.")

    found = Recall().rank(make_query(["Who is adopting greyhounds?"]), messages)

    assert found[0].reasons == ("adopting", "greyhounds")
    assert found[1].reasons == ("said near it",)


@pytest.mark.parametrize(
    "text", ["", " ", "\x00", "\ud800", "a" * 200_000, "🎉" * 500, ":" * 999, "I " * 9999, "१२३ ??"]
)
def test_any_text_can_be_asked_and_ranked(text):
    """
    Nothing that people paste breaks the ranking.
    """
    messages = [*plant("The kayak leaks."), say(60, text)]

    assert ask("kayak", messages)[0] == 20
    ask(text, messages)


def test_memory_forgets_when_it_is_full():
    """
    However much is ranked, only so much is remembered.
    """
    memory = Memory(most_terms=50)
    for start in range(0, 60, 10):
        memory.describe(plant("The kayak leaks.")[start : start + 10])

    assert memory.count("kayak") == 0
    assert memory.describe(plant("The kayak leaks.")[20:21])[0].terms["kayak"] == 1


@pytest.mark.parametrize(
    ("question", "recent", "least", "most"),
    [
        ("What is my name?", ["Nice weather today."], 0.6, 1.0),
        ("Wie hoch war die Kaution?", ["Schönes Wetter heute."], 0.3, 1.0),
        ("Nice weather, is it not?", ["Nice weather today."], 0.0, 0.1),
        ("And why?", ["Nice weather today."], 0.0, 0.1),
        ("zzz qqq xxx?", ["Nice weather today."], 0.0, 0.0),
    ],
)
def test_pull_tells_who_looks_back_from_who_goes_on(question, recent, least, most):
    """
    What is known only from long ago pulls, what was said just now does not.
    """
    messages = plant("My name is John.")
    messages[24] = say(24, "Die Kaution war 800 Euro.")
    recall = Recall()
    query = make_query([*recent, question])
    last = [say(60 + place, text) for place, text in enumerate(recent)]

    pull = recall.measure_pull(query, recall.rank(query, messages), last)

    assert least <= pull <= most


def test_nothing_found_pulls_nothing():
    """
    Without candidates there is nothing to look back to.
    """
    assert Recall().measure_pull(make_query(["What is my name?"]), [], []) == 0.0


def test_what_fits_is_taken_best_first_and_put_in_order():
    """
    A message that is too long is passed over for the next one.
    """
    kept = [
        Candidate(say(depth, "x" * 40), score) for depth, score in ((7, 3.0), (9, 2.0), (2, 1.0), (1, 0.0))
    ]
    costs = {7: 10, 9: 100, 2: 10, 1: 1}

    taken = pack(kept, budget=25, count=lambda each: costs[each.message.depth or 0])

    assert [each.message.depth for each in taken] == [2, 7]
