"""What contexts are judged by is right: loaders, counts, scores, contenders and tables."""

from __future__ import annotations

import gzip
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from benchmarks.context import compare, make_contenders
from benchmarks.context_cache import Spent, make_turns, simulate
from benchmarks.context_cache import slide as slide_turns
from benchmarks.context_kinds import KINDS, make_talks
from benchmarks.context_ours import open_house
from benchmarks.context_peers import open_peers
from benchmarks.context_plain import make_search, slide
from benchmarks.context_scores import Selection, count_question, count_turn, score
from benchmarks.context_speed import measure_speed
from benchmarks.context_talks import (
    PLANTED,
    Question,
    Talk,
    Turn,
    read_planted,
    read_sets,
    read_yardstick,
    sample_talks,
)

from benchmarks import context_cache, context_speed
from tertulia import ContextOptions

AT = datetime(2026, 1, 5, 9, tzinfo=UTC)
TALK = Talk(
    "short",
    (
        Turn("a", "user", "The cat is called Mo.", None, AT),
        Turn("b", "assistant", "What a fine name for a cat."),
        Turn("c", "user", "It rains.", "Ann"),
    ),
    (Question("What is the cat called?", ("a",), "single-hop"), Question("Who said so?", ("a", "c"), "who")),
)


def test_a_yardstick_file_is_read_with_names_and_moments(tmp_path: Path):
    """
    What is said by somebody with a name is stored behind it, as the chat shows it.
    """
    message = {"id": "D1", "role": "user", "name": "Ann", "content": "Hi!", "at": "2026-01-05T09:00:00"}
    question = {"text": "Who?", "evidence": ["D1"], "kind": "single-hop"}
    path = tmp_path / "some.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(json.dumps({"id": "one", "messages": [message], "questions": [question]}))

    (talk,) = read_yardstick(path)

    assert (Turn("D1", "user", "Hi!", "Ann", AT),) == talk.turns
    assert "Ann: Hi!" == talk.turns[0].text
    assert (Question("Who?", ("D1",), "single-hop"),) == talk.questions


def test_a_planted_text_is_read_paragraph_by_paragraph(tmp_path: Path):
    """
    Turns follow one another by two minutes within a sitting, and indented paragraphs go on with a message.
    """
    text = (
        "== 2026-01-05T09:00\n\n[x] user: One.\n\n    Two.\n\nassistant: Three.\n\n? single-hop [x] What?\n"
    )
    (tmp_path / "talk.txt").write_text(text, "utf-8")

    (talk,) = read_planted(tmp_path)

    assert "talk" == talk.id
    assert (
        Turn("x", "user", "One.\n\nTwo.", None, AT),
        Turn("1", "assistant", "Three.", None, AT.replace(minute=2)),
    ) == talk.turns
    assert (Question("What?", ("x",), "single-hop"),) == talk.questions


def test_a_planted_text_with_a_paragraph_of_nobody_is_refused(tmp_path: Path):
    """
    A slip of the pen is not silently left out.
    """
    (tmp_path / "talk.txt").write_text("user: One.\n\nTwo.\n", "utf-8")

    with pytest.raises(AssertionError, match=r"^talk: nobody says 'Two\.'"):
        read_planted(tmp_path)


def test_each_planted_question_points_to_messages_that_are_there():
    """
    Every piece of evidence is a message of its conversation, and every label is given once.
    """
    for talk in read_planted(PLANTED):
        names = [turn.id for turn in talk.turns]

        assert len(names) == len(set(names)), talk.id
        assert {each for question in talk.questions for each in question.evidence} <= set(names), talk.id


def test_without_the_yardstick_there_is_the_planted_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """
    A folder without those files is as good as none.
    """
    monkeypatch.setenv("TERTULIA_TEST_DATA", str(tmp_path))
    with_folder = list(read_sets())
    monkeypatch.delenv("TERTULIA_TEST_DATA")

    assert ["planted"] == with_folder == list(read_sets())


def test_a_sample_takes_other_questions_of_each_conversation():
    """
    Every second question of the first conversation begins with its first, of the second with its second.
    """
    sampled = sample_talks([TALK, TALK, Talk("empty", TALK.turns, ())], 2)

    assert [["single-hop"], ["who"]] == [[each.kind for each in talk.questions] for talk in sampled]


def test_tokens_are_counted_by_characters():
    """
    A quarter for most, more for wide ones, and four for each message; the name counts.
    """
    assert 4 + 6 == count_turn(Turn("a", "user", "x" * 23))
    assert 4 + 3 == count_turn(Turn("a", "user", "It rains.", "Ann"))
    assert 4 + 6 == count_turn(Turn("a", "user", "听" * 10))
    assert 4 + 6 == count_question(Question("x" * 23, (), ""))


async def test_the_score_is_the_share_of_evidence_kept():
    """
    Half of one question's evidence and all of the other's are three quarters; what is over is counted.
    """

    async def keep_the_first(_talk: Talk, budget: int) -> list[Selection]:
        return [
            Selection(frozenset("a"), seconds=0.002),
            Selection(frozenset("a"), False, 0.004, budget + 1, frozenset("c")),
        ]

    found = await score(keep_the_first, [TALK], 100)

    assert (2, 75.0, 50.0, 1, 1) == (found.questions, found.share, found.whole, found.over, found.lost)
    assert 100.0 == found.touched
    assert {"single-hop": 100.0, "who": 50.0} == found.kinds
    assert {"user": pytest.approx(200 / 3)} == found.roles
    assert (2.0, 4.0, 4.0) == (found.first_ms, found.half_ms, found.most_ms)


async def test_the_sliding_window_stops_at_the_first_that_does_not_fit():
    """
    The newest message fits, the one before it does not, and nothing before that is looked at.
    """
    budget = count_question(TALK.questions[0]) + count_turn(TALK.turns[2]) + count_turn(TALK.turns[0])

    assert frozenset("c") == (await slide(TALK, budget))[0].kept


@pytest.mark.parametrize("tokenize", ["porter unicode61", "trigram"])
async def test_the_plain_search_takes_what_fits_of_what_it_finds(tokenize: str):
    """
    The message with both words of the question comes first.
    """
    budget = count_question(TALK.questions[0]) + count_turn(TALK.turns[0])

    assert frozenset("a") == (await make_search(tokenize)(TALK, budget))[0].kept


async def test_others_are_asked_in_an_environment_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    They get messages with their tokens, and say by place what they keep; who is not installed is left out.
    """
    package = tmp_path / "langchain_core"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "messages.py").write_text(
        "class HumanMessage:\n"
        "    def __init__(self, text, id):\n"
        "        self.id = id\n"
        "AIMessage = HumanMessage\n"
        "def trim_messages(history, *, max_tokens, strategy, token_counter):\n"
        "    assert strategy == 'last'\n"
        "    return [each for each in history if token_counter([each]) < max_tokens][-2:]\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TERTULIA_BENCHMARK_CONTEXT_PEERS", sys.executable)

    async with open_peers() as peers:
        assert ["LangChain trim_messages"] == list(peers)
        selections = await peers["LangChain trim_messages"](TALK, 1_000)

    assert [frozenset("c"), frozenset("c")] == [each.kept for each in selections]
    assert [True, True] == [each.has_newest for each in selections]


async def test_without_an_environment_nobody_else_is_asked(monkeypatch: pytest.MonkeyPatch):
    """
    The rows of others are left out, as the environment variable names no Python.
    """
    monkeypatch.delenv("TERTULIA_BENCHMARK_CONTEXT_PEERS", raising=False)

    async with open_peers() as peers:
        assert {} == peers


async def test_the_table_has_a_row_for_each_contender():
    """
    One budget is one table, with a column for each kind of question and for who said the evidence.
    """
    async with open_house() as house:
        names = list(make_contenders(house))

    title, headings, _, *rows = (await compare("short", [TALK], 60, peers=False)).strip().splitlines()

    assert "short, 60 tokens, 2 questions" == title
    assert ["frac", "all", "in", "part", "over", "lost"] == headings.split()[:6]
    assert ["single-hop", "who", "of", "user"] == headings.split()[-4:]
    assert names == [row[: len(name)] for row, name in zip(rows, names, strict=True)]


def test_conversations_of_all_kinds_are_the_same_each_time():
    """
    They come from seeds, and each question points to what was said of its own matter.
    """
    talks = make_talks(matters=4, seeds=(1,))

    assert list(KINDS) == list(talks)
    assert talks["Chinese"][0].turns == make_talks(matters=4, seeds=(1,))["Chinese"][0].turns
    for (talk,) in talks.values():
        assert 16 == len(talk.turns)
        assert 2 == len(talk.questions)
        assert {each for question in talk.questions for each in question.evidence} <= {
            turn.id for turn in talk.turns
        }


def test_a_sliding_window_breaks_the_prefix_whenever_it_moves():
    """
    As long as all fits, the request before is a prefix of the next; then nothing is.
    """
    turns = [(f"{number} asked", f"{number} answered") for number in ("one", "two", "six")]

    assert Spent(6 + 18 + 30, cached=6 + 18) == slide_turns(turns, None)
    assert Spent(6 + 18 + 18, cached=6) == slide_turns(turns, 20)
    assert (50.0, 55.0) == (Spent(100, 50).share, Spent(100, 50).cost)


async def test_a_conversation_that_fits_is_cached_to_the_last_word():
    """
    Sent through a client turn by turn, each request begins with the whole of the one before.
    """
    turns = [("What is this?", "A test."), ("And that?", "Another one."), ("Thank you.", "Gladly.")]

    assert slide_turns(turns, None) == await simulate(turns, ContextOptions(), 16_000)


def test_every_fifth_turn_asks_for_what_was_said(monkeypatch: pytest.MonkeyPatch):
    """
    A conversation of any length is made, also where there are no long ones to make it of.
    """
    monkeypatch.setattr(context_cache, "_LOOKS_BACK_EVERY", 2)
    turns = make_turns([TALK], 5)

    assert ("The cat is called Mo.", "What a fine name for a cat.") == turns[0]
    assert "What is the cat called?" == turns[2][0]
    assert 5 == len(turns) == len(make_turns([], 5))


async def test_speed_is_measured_at_each_length(monkeypatch: pytest.MonkeyPatch):
    """
    Warm and cold are told apart.
    """
    monkeypatch.setattr(context_speed, "TIMES", 1)
    monkeypatch.setattr(context_speed, "BUDGET", 500)

    assert [
        "SQLite: context of 40 messages, CPU",
        "SQLite: context of 40 messages, wall",
        "SQLite: the first one of 40 messages, wall",
    ] == [row.name for row in await measure_speed([40])]
