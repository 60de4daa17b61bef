"""``tertulia context``: what a model would get to see, and why; and its options elsewhere."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from small_library import Library

import tertulia
from tertulia.testing import StandingClock
from tertulia_simulator import Simulator

FACT = "My dog Rex was born\x1b[2J in Lisbon."
WEATHER = "It rains in the north today, and the trains are late again. " * 3
QUESTION = "Where was my dog Rex born?"
SMALL = ("--max-tokens", "700")


async def _talk(url: str, simulator: Simulator) -> str:
    """A fact at the beginning, and a dozen turns about the weather."""
    clock = StandingClock(datetime(2026, 11, 20, 12, tzinfo=UTC))
    async with tertulia.open(store=url, providers=simulator.providers(), environ={}, clock=clock) as client:
        talk = await client.start("Talk", provider="openai", system="Be brief.")
        await talk.send(FACT)
        for turn in range(12):
            clock.advance(86_400)
            await talk.send(f"{turn}: {WEATHER}")
        return str(talk.id)


@pytest.fixture(scope="session")
def made_talk(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A talk that is made once; nobody changes it."""
    path = tmp_path_factory.mktemp("talk") / "made.db"
    with Simulator.in_thread() as simulator:
        return path, asyncio.run(_talk(f"sqlite:///{path}", simulator))


@pytest.fixture
def talk(made_talk: tuple[Path, str], database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A talk of one's own, where the command looks for it; its id."""
    path, identifier = made_talk
    shutil.copyfile(path, database.removeprefix("sqlite:///"))
    monkeypatch.setenv("TERTULIA_STORE", database)
    return identifier


@pytest.fixture
def seen(tertulia_command):
    """What would be sent, as a program reads it."""

    def seen(*arguments: str) -> dict[str, object]:
        ended = tertulia_command("context", *arguments, "--json")
        assert (0, "") == (ended.code, ended.err)
        return json.loads(ended.out)

    return seen


def test_what_fits_is_shown_part_by_part(tertulia_command, library: Library):
    """
    The newest user message is asked again, and what was said before it comes along.
    """
    ended = tertulia_command("context", library.trip, "--max-tokens", "1000")

    head, _, *table = ended.out.splitlines()
    assert (0, "") == (ended.code, ended.err)
    assert f"{library.trip}, branch main, gemini/gemini-3.5-flash, strategy recall" == head
    shown = [line.split() for line in table]
    assert [["part", "messages", "tokens", "share"], ["window", "2"], ["newest", "message", "1"]] == [
        shown[0],
        shown[1][:2],
        shown[2][:3],
    ]
    assert ["all", "3"] == shown[3][:2]
    assert "left" == shown[4][0]
    assert 5 == len(shown)


def test_the_parts_add_up(seen, talk: str):
    """
    Their tokens are those of the request, their messages those that are sent, what is quoted aside.
    """
    shown = seen(talk, "--message", QUESTION, *SMALL)

    parts = {each["part"]: each for each in shown["parts"]}
    assert ["system", "window", "recalled", "newest message"] == list(parts)
    assert sum(each["tokens"] for each in parts.values()) == shown["tokens"] <= shown["budget"]
    kept = [parts[name]["messages"] for name in ("system", "window", "newest message")]
    assert sum(kept) == shown["kept"] == len(shown["messages"])
    assert len(shown["recalled"]) == parts["recalled"]["messages"]
    assert 27 - shown["kept"] == sum(each["messages"] for each in shown["left_out"]) - 1


def test_what_is_recalled_is_shown_with_its_place(seen, talk: str):
    """
    Its number, day and words; and the newest message quotes it before its own.
    """
    shown = seen(talk, "--message", QUESTION, *SMALL)

    first = shown["recalled"][0]
    assert (2, "user", FACT, True) == tuple(first[key] for key in ("number", "role", "text", "is_whole"))
    assert "2026-11-20T12:00:00+00:00" == first["created_at"]
    assert 0 < first["score"] == max(each["score"] for each in shown["recalled"])
    assert 0 < shown["looks_back"] <= 1
    newest = shown["messages"][-1]
    assert (None, None, "user") == (newest["number"], newest["id"], newest["role"])
    assert newest["text"].endswith(QUESTION)
    assert "in Lisbon" in newest["text"]


def test_the_table_names_what_is_quoted_and_what_is_left_out(at_terminal, talk: str):
    """
    On a terminal nothing of it is obeyed, and no line of a table is longer than it is wide.
    """
    ended = at_terminal("context", talk, "--message", QUESTION, *SMALL)

    assert 0 == ended.code
    assert "\x1b" not in ended.out
    lines = ended.out.splitlines()
    head = lines.index("quoted  date        who                 score  tokens  why")
    assert lines[head + 1].startswith("2       2026-11-20  you ")
    assert "   My dog Rex was born␛[2J in Lisbon." == lines[head + 2]
    assert ["left", "out", "tokens", "why"] in [line.split() for line in lines]
    assert 80 >= max(map(len, lines[1:]))


@pytest.mark.parametrize(
    ("options", "strategy"),
    [(["--strategy", "recent"], "recent"), (["--recall", "never"], "recall")],
)
def test_another_choice_quotes_nothing(seen, talk: str, options: list[str], strategy: str):
    """
    Who does not want the past quoted gets what was said last.
    """
    shown = seen(talk, "--message", QUESTION, *SMALL, *options)

    assert (strategy, []) == (shown["strategy"], shown["recalled"])
    assert QUESTION == shown["messages"][-1]["text"]


def test_a_summary_that_is_not_written_is_not_asked_for(tertulia_command, talk: str):
    """
    Nobody could be asked here; another strategy stands in for it, and a line says so.
    """
    ended = tertulia_command("context", talk, "--message", QUESTION, *SMALL, "--strategy", "summary")

    assert (0, "") == (ended.code, ended.err)
    assert [
        "recall stands in for the strategy summary, which cannot be shown yet",
        "there is no summary of what was said before: it is made when a message is sent",
    ] == [line for line in ended.out.splitlines() if "summary" in line]


def test_messages_can_be_counted(seen, talk: str):
    """
    Recent ones at most so many, with the newest, without the system's.
    """
    shown = seen(talk, "--message", QUESTION, "--max-messages", "3", "--strategy", "recent")

    assert ["system", "user", "assistant", "user"] == [each["role"] for each in shown["messages"]]


def test_what_is_attached_would_go_along(seen, talk: str, tmp_path: Path):
    """
    It is in the newest message, and in its tokens.
    """
    (tmp_path / "menu.txt").write_text("Fish. " * 50)

    shown = seen(talk, "--message", "What would you order?", "--attach", str(tmp_path / "menu.txt"))

    assert ["menu.txt"] == [each["name"] for each in shown["messages"][-1]["attachments"]]


def test_another_provider_can_be_looked_at(tertulia_command, talk: str):
    """
    The conversation stays with the one it is with.
    """
    ended = tertulia_command("context", talk, "--provider", "gemini")

    assert ended.out.startswith(f"{talk}, branch main, gemini, strategy recall\n")
    ended = tertulia_command("context", talk, "--model", "gpt-5.5")
    assert ended.out.startswith(f"{talk}, branch main, openai/gpt-5.5, strategy recall\n")
    assert "openai/gpt-6.1-sol" in tertulia_command("conversations", "show", talk).out.splitlines()[1]


def test_nothing_is_stored(tertulia_command, talk: str):
    """
    Looking leaves the conversation as it was.
    """
    before = tertulia_command("conversations", "show", talk, "--json").out

    tertulia_command("context", talk, "--message", QUESTION, *SMALL)

    assert before == tertulia_command("conversations", "show", talk, "--json").out


def test_a_pin_is_a_part_of_its_own(tertulia_command, seen, talk: str):
    """
    A message that is hidden is in none.
    """
    tertulia_command("pin", talk, "2")
    tertulia_command("hide", talk, "25")

    shown = seen(talk, "--message", "And the weather?", *SMALL)

    assert {"part": "pinned", "messages": 1} == {
        key: value for key, value in shown["parts"][1].items() if key != "tokens"
    }
    numbers = [each["number"] for each in shown["messages"]]
    assert 2 in numbers
    assert 25 not in numbers


def test_options_are_kept_with_a_conversation(tertulia_command, seen, talk: str):
    """
    They hold for what is sent from then on, and what the command says is over them.
    """
    ended = tertulia_command("context", talk, "--set", "strategy=recent", "--set", "max_tokens=1_000")

    assert (0, "", "the context options of 'Talk' are strategy=recent max_tokens=1000\n") == ended
    shown = seen(talk, "--message", QUESTION)
    assert ("recent", {"strategy": "recent", "max_tokens": 1000}) == (shown["strategy"], shown["options"])
    assert shown["tokens"] <= shown["budget"] <= 1000
    assert "recall" == seen(talk, "--message", QUESTION, "--strategy", "recall")["strategy"]
    assert (
        "its own options: strategy=recent max_tokens=1000"
        == tertulia_command("context", talk).out.splitlines()[1]
    )


@pytest.mark.parametrize("nothing", ["none", "None", ""])
def test_options_are_taken_back(tertulia_command, talk: str, nothing: str):
    """
    The others stay.
    """
    tertulia_command("context", talk, "--set", "strategy=recent", "--set", "max_messages=4")

    ended = tertulia_command("context", talk, "--set", f"strategy={nothing}", "--json")
    assert {"max_messages": 4} == json.loads(ended.out)

    ended = tertulia_command("context", talk, "--set", f"max_messages={nothing}")
    assert (0, "", "the context options of 'Talk' are none of its own\n") == ended


def test_what_is_configured_holds_too(seen, talk: str, monkeypatch: pytest.MonkeyPatch):
    """
    Variables and files choose where neither the command nor the conversation does.
    """
    monkeypatch.setenv("TERTULIA_CONTEXT_STRATEGY", "recent")
    monkeypatch.setenv("TERTULIA_CONTEXT_MAX_TOKENS", "700")

    shown = seen(talk, "--message", QUESTION)

    assert "recent" == shown["strategy"]
    assert shown["budget"] <= 700
    assert shown["left_out"]


KEYS = (
    "strategy, max_tokens, max_messages, reserve_tokens, recall, max_recall_tokens, optimise, summary_model"
)
NOTHING = "nothing was stored, and nothing was sent"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["--strategy", "nonsense"],
            (
                "there is no context strategy 'nonsense'; built in are recall, recent, important, summary; "
                "a plugin may bring others\n"
            ),
        ),
        (["--max-tokens", "0"], "Invalid value for '--max-tokens': 0 is not in the range x>=1. "),
        (["--max-messages", "few"], "Invalid value for '--max-messages': 'few' is not a valid integer "),
        (["--recall", "often"], "Invalid value for '--recall': 'often' is not one of 'auto', 'always', "),
        (["--message", " "], "there is nothing to send: the message is empty\n"),
        (["--attach", "menu.txt"], "--attach needs --message: with what would it go? "),
        (["--provider", "opnai"], "no provider is configured as 'opnai'; did you mean 'openai'?\n"),
        (["--set", "colour=1"], f"--set names no option 'colour': there are {KEYS}. "),
        (["--set", "strategie=recent"], "--set names no option 'strategie': did you mean 'strategy'? "),
        (["--set", "strategy"], "--set 'strategy' has no value: write KEY=VALUE. "),
        (
            ["--set", "max_tokens=0"],
            f"context.max_tokens is a whole number of at least 1, and not 0; {NOTHING}\n",
        ),
        (
            ["--set", "max_messages=few"],
            f"context.max_messages is a whole number of at least 1, and not 'few'; {NOTHING}\n",
        ),
        (
            ["--set", "recall=often"],
            f"context.recall is one of auto, always, never, and not 'often'; {NOTHING}\n",
        ),
        (
            ["--set", "recall=never", "--strategy", "recent"],
            "--set keeps options, and shows no context: do one after the other. ",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(tertulia_command, talk: str, arguments: list[str], error: str):
    """
    The line says what can be written instead, and no option is kept.
    """
    ended = tertulia_command("context", talk, *arguments)

    assert (2, "") == ended[:2]
    assert ended.err.startswith(f"error: {error}")
    assert "its own options" not in tertulia_command("context", talk).out


def test_a_message_that_does_not_fit_is_named_with_its_parts(tertulia_command, talk: str):
    """
    Nothing is left out silently of what has to be sent.
    """
    ended = tertulia_command("context", talk, "--message", "word " * 500, "--max-tokens", "100")

    assert (1, "") == ended[:2]
    assert ended.err.startswith("error: what must be sent does not fit ")
    assert "newest message" in ended.err


def test_an_empty_conversation_has_nothing_to_ask_again(tertulia_command, database: str, monkeypatch):
    """
    With a message there is something to show.
    """

    async def begin() -> str:
        async with tertulia.open(store=database, providers={"openai": {}}, environ={}) as client:
            return str((await client.start(provider="openai")).id)

    identifier = asyncio.run(begin())
    monkeypatch.setenv("TERTULIA_STORE", database)

    ended = tertulia_command("context", identifier)
    assert (1, "") == ended[:2]
    assert 1 == len(ended.err.splitlines())

    ended = tertulia_command("context", identifier, "--message", "Good morning")
    assert (0, "") == (ended.code, ended.err)
    assert "newest message  1 " in ended.out


@pytest.mark.parametrize("options", [(), ("--set", "recall=never"), ("--message", QUESTION)])
def test_a_conversation_of_somebody_else_is_not_found(
    tertulia_command, talk: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
):
    """
    Its whole id does not help, neither to look nor to change.
    """
    (tmp_path / "config.toml").write_text("owner = 'somebody'")
    monkeypatch.setenv("TERTULIA_CONFIG", str(tmp_path / "config.toml"))

    ended = tertulia_command("context", talk, *options)

    assert (1, "") == ended[:2]
    assert ended.err.startswith(f"error: there is no conversation {talk}")


def test_an_answer_can_be_asked_for_with_options(tertulia_command, simulated, talk: str):
    """
    What the command says of the context is over all else, and a line says what was sent.
    """
    ended = tertulia_command(
        "ask", QUESTION, "--conversation", talk, "--context", "strategy=recent",
        "--context", "max_messages=3", "--explain",
    )  # fmt: skip

    assert 0 == ended.code
    line, *_ = ended.err.splitlines()
    assert line.startswith("context: recent, 4 messages with ")
    assert line.endswith("left out (outside the window of messages)")


def test_simulated_services_get_what_is_configured(
    tertulia_command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    But for what is said of the real ones' models, which they do not have.
    """
    (tmp_path / "config.toml").write_text(
        "[providers.mine]\ndriver = 'openai'\n[context]\nstrategy = 'recent'\nsummary_model = 'mine'\n"
        "[context.models.mine]\nmax_tokens = 1\n"
    )
    monkeypatch.setenv("TERTULIA_CONFIG", str(tmp_path / "config.toml"))

    ended = tertulia_command("ask", "My name is John.", "--simulator", "-v")

    assert (0, "Hello John.\n") == (ended.code, ended.out)
    assert "\ncontext: recent, 1 message with " in ended.err


def test_each_of_several_gets_what_the_options_say(tertulia_command, simulated, talk: str):
    """
    What one of them cannot be sent is said of it.
    """
    ended = tertulia_command(
        "compare", QUESTION, "--to", "openai", "--conversation", talk, "--context", "max_tokens=1"
    )

    assert 1 == ended.code
    assert "error: openai/gpt-6.1-sol: what must be sent does not fit 1 tokens (" in ended.err


def test_a_chat_says_what_was_sent(tertulia_command, simulated, talk: str):
    """
    With each answer, what is quoted of the past included.
    """
    ended = tertulia_command(
        "chat", "-c", talk, "-v", "--context", "max_tokens=700", piped=f"{QUESTION}\n".encode()
    )

    assert 0 == ended.code
    line, *_ = ended.err.splitlines()
    assert line.startswith("context: recall, ")
    assert " of the past quoted, " in line


def test_a_chat_shows_what_would_be_sent(tertulia_command, simulated, talk: str):
    """
    With a text as it would be said next, with the options of the chat; nothing is said.
    """
    ended = tertulia_command(
        "chat", "-c", talk, "--context", "max_tokens=700", piped=f"/context {QUESTION}\n/context\n".encode()
    )

    assert 0 == ended.code
    first, second = ended.out.split(f"{talk}, branch main, openai/gpt-6.1-sol, strategy recall\n")[1:]
    assert "\n2       2026-11-20  you" in first
    assert "newest message  1 " in second
    assert 27 == len(json.loads(tertulia_command("conversations", "show", talk, "--json").out)["messages"])


def test_a_chat_that_has_not_begun_has_nothing_to_show(tertulia_command, simulated):
    """
    The line says so.
    """
    ended = tertulia_command("chat", piped=b"/context\n")

    nothing = "nothing was said yet, so there is no conversation; say something first"
    assert (1, "", f"error: {nothing}\n") == ended


def test_without_being_asked_nothing_is_said_of_it(tertulia_command, simulated, talk: str):
    """
    The line about the answer stands alone.
    """
    assert 1 == len(tertulia_command("ask", QUESTION, "--conversation", talk).err.splitlines())


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("colour=1", f"--context names no option 'colour': there are {KEYS}. "),
        ("max_tokens", "--context 'max_tokens' has no value: write KEY=VALUE. "),
        ("max_tokens=0", f"context.max_tokens is a whole number of at least 1, and not 0; {NOTHING}\n"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_sent(
    tertulia_command, simulated, talk: str, value: str, error: str
):
    """
    The conversation has no message more.
    """
    ended = tertulia_command("ask", QUESTION, "--conversation", talk, "--context", value)

    assert (2, "") == ended[:2]
    assert ended.err.startswith(f"error: {error}")
    assert 27 == len(json.loads(tertulia_command("conversations", "show", talk, "--json").out)["messages"])
