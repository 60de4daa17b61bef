"""``tertulia resume`` and ``retry``, and what ``ask`` takes besides: budgets, routing, names of messages."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

import tertulia
from tertulia_cli.asking_options import ON_INTERRUPT, STRATEGIES
from tertulia_simulator import Simulator

GEMINI, XAI, OPENAI = "gemini/gemini-3.5-flash", "xai/grok-4.7", "openai/gpt-6.1-sol"

pytestmark = pytest.mark.usefixtures("simulated")


def read(database: str) -> dict[str, list[tuple[str, str]]]:
    """The status and the text of what was said on each branch of the conversation that was used last."""

    async def read() -> dict[str, list[tuple[str, str]]]:
        async with tertulia.open(store=database, environ={}) as client:
            [record, *_] = await client.list(limit=1)
            conversation = await client.get(record.id)
            said: dict[str, Any] = {}
            for branch in await conversation.branches():
                there = await client.get(record.id, branch=branch.name)
                said[branch.name] = [(each.status.value, each.text) for each in await there.history()]
            return said

    return asyncio.run(read())


def test_the_rest_of_an_answer_is_printed_and_the_whole_is_kept(
    tertulia_command, simulated: Simulator, database: str
):
    """
    What broke off stays where it is, and the line in the end names the new branch.
    """
    simulated.fail("gemini", "cut_stream", after=2)
    broken = tertulia_command("ask", "-p", "gemini", "--store", database, "Count to 5.")

    ended = tertulia_command("resume", "last", "--store", database)

    assert (1, "1, 2,\n") == broken[:2]
    assert (0, " 3, 4, 5.\n") == ended[:2]
    assert ended.err == f"{GEMINI}, $0.000084\non the new branch main-2\n"
    assert read(database) == {
        "main": [("complete", "Count to 5."), ("interrupted", "1, 2,")],
        "main-2": [("complete", "Count to 5."), ("complete", "1, 2, 3, 4, 5.")],
    }


def test_the_error_says_what_to_type(tertulia_command, simulated: Simulator, database: str):
    """
    The command it names asks for the rest.
    """
    simulated.fail("gemini", "cut_stream", after=2)
    broken = tertulia_command("ask", "-p", "gemini", "--store", database, "Count to 5.")
    [_, typed, *_] = broken.err.split('"')

    ended = tertulia_command(*typed.split()[1:], "--json")

    assert typed.startswith("tertulia resume ")
    assert typed.endswith(f" --store {database}")
    assert "1, 2, 3, 4, 5." == json.loads(ended.out)["text"]


def test_what_nobody_answered_is_asked_again(tertulia_command, simulated: Simulator, database: str):
    """
    The message is taken as it is stored, and another provider where one is named.
    """
    simulated.fail("gemini", "quota")
    failed = tertulia_command("ask", "-p", "gemini", "--store", database, "My name is John.")

    ended = tertulia_command("retry", "last", "--store", database, "--provider", "xai")

    assert (1, "") == failed[:2]
    assert (0, "Hello John.\n", f"{XAI}, $0.000034\n") == ended
    assert read(database) == {"main": [("complete", "My name is John."), ("complete", "Hello John.")]}


def test_a_retry_begins_a_broken_answer_again(tertulia_command, simulated: Simulator, database: str):
    """
    From its first word, beside the beginning that there is.
    """
    simulated.fail("gemini", "cut_stream", after=2)
    tertulia_command("ask", "-p", "gemini", "--store", database, "Count to 3.")

    ended = tertulia_command("retry", "last", "--store", database)

    assert (0, "1, 2, 3.\n") == ended[:2]
    assert read(database)["main-2"] == [("complete", "Count to 3."), ("complete", "1, 2, 3.")]


@pytest.mark.parametrize("command", ["resume", "retry"])
def test_a_complete_answer_needs_neither(tertulia_command, simulated: Simulator, database: str, command: str):
    """
    That is an error in one line, and nobody is asked.
    """
    tertulia_command("ask", "-p", "gemini", "--store", database, "Hello.")
    asked = len(simulated.requests)

    ended = tertulia_command(command, "last", "--store", database)

    assert (1, "") == ended[:2]
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert asked == len(simulated.requests)


@pytest.mark.parametrize("command", ["resume", "retry", "chat"])
def test_what_is_not_there_is_not_made(tertulia_command, tmp_path, command: str):
    """
    A mistyped store is an error, and no new database.
    """
    arguments = ["--conversation"] if command == "chat" else []

    ended = tertulia_command(command, *arguments, "last", "--store", f"sqlite:///{tmp_path}/none.db")

    assert (2, "") == ended[:2]
    assert not (tmp_path / "none.db").exists()


def test_a_question_in_a_conversation(tertulia_command, simulated: Simulator, database: str):
    """
    The history comes along.
    """
    tertulia_command("ask", "-p", "gemini", "--store", database, "My name is John.")

    ended = tertulia_command("ask", "--store", database, "--conversation", "last", "What is my name?")

    assert (0, "Your name is John.\n") == ended[:2]
    assert len(read(database)["main"]) == 4


def test_the_same_name_is_not_sent_twice(tertulia_command, simulated: Simulator, database: str):
    """
    The answer that is stored is printed, and a line says that nobody was asked.
    """
    tertulia_command("ask", "-p", "gemini", "--store", database, "My name is John.")
    again = ("ask", "--store", database, "-c", "last", "--client-id", "question-2", "What is my name?")
    first = tertulia_command(*again)
    asked = len(simulated.requests)

    second = tertulia_command(*again)
    third = json.loads(tertulia_command(*again, "--json").out)

    assert first[:2] == second[:2] == (0, "Your name is John.\n")
    assert asked == len(simulated.requests)
    assert "note: that message was sent before, so nobody was asked; this is its answer\n" in second.err
    assert ("Your name is John.", True) == (third["text"], third["was_stored"])
    assert len(read(database)["main"]) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--client-id", "a"), "--client-id needs --conversation: a new one has no message of any name."),
        (("--branch", "main"), "--branch needs --conversation."),
        (("-c", "last", "-s", "Hm."), "--system is for a new conversation, and --conversation goes on with "),
        (("--budget", "much"), "--budget 'much' is no number of dollars above 0: write 0.05."),
        (("--budget", "0"), "--budget '0' is no number of dollars above 0: write 0.05."),
        (("--budget", "-1"), "--budget '-1' is no number of dollars above 0: write 0.05."),
        (("--budget", "nan"), "--budget 'nan' is no number of dollars above 0: write 0.05."),
        (("--strategy", "best"), "Invalid value for '--strategy': 'best' is not one of 'configured', "),
        (("--on-interrupt", "stop"), "Invalid value for '--on-interrupt': 'stop' is not one of 'keep', "),
        (
            ("--max-output-tokens", "0"),
            "Invalid value for '--max-output-tokens': 0 is not in the range x>=1.",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    tertulia_command, simulated: Simulator, options: tuple[str, ...], said: str
):
    """
    Before anything is stored or sent, with exit code 2.
    """
    ended = tertulia_command("ask", *options, "Hello.")

    assert (2, "") == ended[:2]
    assert ended.err.startswith(f"error: {said}")
    assert [] == simulated.requests


def test_the_words_are_those_of_the_framework():
    """
    What can be typed is what a Routing takes.
    """
    assert STRATEGIES == tuple(tertulia.Strategy)
    assert ON_INTERRUPT == tuple(tertulia.OnInterrupt)


def test_a_call_over_the_budget_is_not_made(tertulia_command, simulated: Simulator):
    """
    The exit code tells it from other failures, and the line says what it may have cost.
    """
    ended = tertulia_command("ask", "-p", "gemini", "--budget", "$0.00001", "My name is John.")

    assert (3, "") == ended[:2]
    assert ended.err.startswith("error: the budget of $0.00001 for this send does not allow the call")
    assert [] == simulated.requests


def test_a_call_over_the_budget_can_be_made_shorter(tertulia_command, simulated: Simulator, database: str):
    """
    The error says what to type, and that is answered within the same budget.
    """
    ended = tertulia_command("ask", "-p", "gemini", "--budget", "0.001", "--store", database, "Count to 3.")
    found = re.search(
        r'"tertulia (retry \S+ --store \S+ --max-output-tokens) 1000" asks for a shorter', ended.err
    )
    assert found

    again = tertulia_command(*found[1].split(), "100", "--budget", "0.001")

    assert (0, "1, 2, 3.\n") == again[:2]


@pytest.mark.parametrize("command", ["resume", "retry"])
def test_a_whole_answer_is_not_asked_for_again(
    tertulia_command, simulated: Simulator, database: str, command: str
):
    """
    The error says how to go on with what can be typed, and not with what can be programmed.
    """
    tertulia_command("ask", "-p", "gemini", "--store", database, "Count to 3.")

    ended = tertulia_command(command, "last", "--store", database)

    assert (1, "") == ended[:2]
    assert re.search(r'; "tertulia ask --conversation \S+ --store \S+ TEXT" goes on$', ended.err)


def test_a_short_answer_stays_within_the_budget(tertulia_command, simulated: Simulator):
    """
    What an answer may cost depends on how long it may be.
    """
    asked = ("ask", "-p", "gemini", "--budget", "0.001", "My name is John.")

    assert 3 == tertulia_command(*asked).code
    assert (0, "Hello John.\n") == tertulia_command(*asked, "--max-output-tokens", "100")[:2]
    assert simulated.requests[-1].body["generationConfig"]["maxOutputTokens"] == 100


def test_another_provider_goes_on_with_a_broken_answer(tertulia_command, simulated: Simulator, database: str):
    """
    With --on-interrupt continue standard output has one text, and a line says who goes on.
    """
    simulated.fail("gemini", "cut_stream", after=2)
    options = ("-p", "gemini", "-f", "xai", "--on-interrupt", "continue", "--store", database)

    ended = tertulia_command("ask", *options, "Count to 5.")

    assert (0, "1, 2, 3, 4, 5.\n") == ended[:2]
    assert re.search(r"^continue: the answer broke off \(protocol\); \S+ goes on$", ended.err, re.MULTILINE)


def test_another_provider_begins_a_broken_answer_again(tertulia_command, simulated: Simulator, database: str):
    """
    With --on-interrupt restart the beginning is told from the answer, also in JSON.
    """
    options = ("-p", "gemini", "-f", "xai", "--on-interrupt", "restart", "--store", database)
    simulated.fail("gemini", "cut_stream", after=2)
    shown = tertulia_command("ask", *options, "Count to 5.")
    simulated.fail("gemini", "cut_stream", after=2)

    answer = json.loads(tertulia_command("ask", *options, "--json", "Count to 5.").out)

    assert (0, "1, 2,\n1, 2, 3, 4, 5.\n") == shown[:2]
    assert re.search(
        r"^restart: the answer broke off \(protocol\); \S+ begins it again", shown.err, re.MULTILINE
    )
    assert ("1, 2, 3, 4, 5.", 2) == (answer["text"], len(answer["attempts"]))


def test_the_cheapest_is_asked_first(tertulia_command, simulated: Simulator):
    """
    --strategy decides among whoever is named.
    """
    ended = tertulia_command("ask", "-p", "openai", "-f", "xai", "--strategy", "cheapest", "My name is John.")

    assert (0, "Hello John.\n", f"{XAI}, $0.000034\n") == ended


def test_a_retry_is_one_line(tertulia_command, simulated: Simulator):
    """
    It says who failed and for how long it is waited, and the last line that there was a failure.
    """
    simulated.fail("gemini", "overloaded")

    ended = tertulia_command("ask", "-p", "gemini", "My name is John.")

    told, last = ended.err.splitlines()
    assert (0, "Hello John.\n") == ended[:2]
    assert told.startswith(f"retry: {GEMINI} failed (overloaded); asking it again in 0.")
    assert last == f"{GEMINI}, $0.000039, after 1 failed call"


def test_what_failed_in_every_try_is_said_once(
    tertulia_command, simulated: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """
    When all targets failed the line has each of them, and how often.
    """
    (tmp_path / "config.toml").write_text("[routing]\nmax_retries = 1\n")
    monkeypatch.setenv("TERTULIA_CONFIG", str(tmp_path / "config.toml"))
    simulated.fail("gemini", "overloaded", times=None)
    simulated.fail("xai", "quota")

    ended = tertulia_command("ask", "-p", "xai", "-f", "gemini", "Hello.")

    error = ended.err.splitlines()[-1]
    assert (1, 1) == (ended.code, error.count("provider 'xai': "))
    assert error.count("provider 'gemini': ") == 1
    assert " (2 times); " in error


def test_a_refused_key_is_shown_beside_the_answer(tertulia_command, simulated: Simulator):
    """
    Somebody else answers, and a line says that a key is not taken, which no waiting mends.
    """
    simulated.fail("gemini", "auth")

    ended = tertulia_command("ask", "-p", "gemini", "-f", "xai", "My name is John.")

    assert (0, "Hello John.\n") == ended[:2]
    [warning] = [line for line in ended.err.splitlines() if line.startswith("note: ")]
    assert "gemini" in warning
    assert "key" in warning


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (tertulia.BudgetExceededError("spent"), 3),
        (tertulia.QueueFullError("no place"), 4),
        (tertulia.AllProvidersFailed("all", errors=[tertulia.QueueFullError("no place")]), 4),
        (
            tertulia.AllProvidersFailed(
                "all", errors=[tertulia.QueueFullError("no place"), tertulia.ServerError("no")]
            ),
            1,
        ),
        (tertulia.AllProvidersFailed("all"), 1),
        (tertulia.RateLimitError("slowly"), 1),
        (tertulia.MissingKeyError("no key"), 2),
    ],
)
def test_the_exit_code_tells_what_kind_of_failure_it_was(
    tertulia_command, monkeypatch: pytest.MonkeyPatch, error: tertulia.TertuliaError, code: int
):
    """
    A program can tell a budget that is used up and a full queue from what failed elsewhere.
    """

    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(tertulia, "open", fail)

    assert code == tertulia_command("ask", "-p", "gemini", "Hello.").code
