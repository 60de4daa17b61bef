"""``tertulia compare`` and ``/compare``: one message to several providers at once."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Callable

import pytest
from pseudo_terminal import Terminal

import tertulia
from tertulia_simulator import Simulator

GEMINI, XAI, OPENAI = "gemini/gemini-3.5-flash", "xai/grok-4.7", "openai/gpt-6.1-sol"

pytestmark = pytest.mark.usefixtures("simulated")


def read(database: str) -> dict[str, list[str]]:
    """What was said on each branch of the only conversation."""

    async def read() -> dict[str, list[str]]:
        async with tertulia.open(store=database, environ={}) as client:
            [record] = await client.list()
            branches = await (await client.get(record.id)).branches()
            there = [await client.get(record.id, branch=branch.name) for branch in branches]
            return {each.branch: [message.text for message in await each.history()] for each in there}

    return asyncio.run(read())


def test_the_answers_and_what_each_took(tertulia_command, simulated: Simulator, database: str):
    """
    Answers in the order of the options, then a table; each is on a branch of its own.
    """
    ended = tertulia_command(
        "compare", "--store", database, "--to", "openai", "--to", "gemini,xai/grok-4.3", "My name is John."
    )

    assert 0 == ended.code
    assert re.sub(r" {2,}", "  ", re.sub(r"\d\.\d\d  ", "0.05  ", ended.out)) == (
        f"{OPENAI}\n  Hello John.\n\n"
        f"{GEMINI}\n  Hello John.\n\n"
        "xai/grok-4.3\n  Hello John.\n\n"
        "target  seconds  tokens in  tokens out  cost  branch\n"
        f"{OPENAI}  0.05  8  3  $0.000046  main\n"
        f"{GEMINI}  0.05  8  3  $0.000039  compare-gemini\n"
        "xai/grok-4.3  0.05  8  3  $0.0000175  compare-xai\n"
    )
    said = ["My name is John.", "Hello John."]
    assert read(database) == {"main": said, "compare-gemini": said, "compare-xai": said}
    assert re.search(r"^kept as conversation [0-9a-f-]{36}$", ended.err, re.MULTILINE)


def test_one_failure_harms_no_other(tertulia_command, simulated: Simulator, database: str):
    """
    Who failed has a line, and the exit code is 1; the others are shown all the same.
    """
    simulated.fail("openai", "quota")

    ended = tertulia_command("compare", "--store", database, "-t", "openai,xai", "My name is John.")

    assert 1 == ended.code
    assert ended.out.startswith(f"{XAI}\n   Hello John.\n\n")
    [error] = [line for line in ended.err.splitlines() if line.startswith("error: ")]
    assert error.startswith(f"error: {OPENAI}: provider 'openai': ")
    row = next(line for line in ended.out.splitlines() if line.startswith(OPENAI))
    assert row.split()[2:] == ["0", "0", "$0", "main"]


def test_what_came_of_a_broken_answer_is_shown(tertulia_command, simulated: Simulator, database: str):
    """
    It is kept on its branch, and the line says why it broke off.
    """
    simulated.fail("openai", "cut_stream", after=2)

    ended = tertulia_command("compare", "--store", database, "-t", "openai,xai", "Count to 5.")

    assert 1 == ended.code
    assert ended.out.startswith(f"{OPENAI}\n   1, 2,\n\n{XAI}\n   1, 2, 3, 4, 5.\n")
    assert f"error: {OPENAI}: the answer broke off: " in ended.err
    assert read(database)["main"] == ["Count to 5.", "1, 2,"]


def test_json_is_one_object(tertulia_command, simulated: Simulator):
    """
    Each answer with its tokens, its cost and its error; nothing is told of it on standard error.
    """
    simulated.fail("openai", "quota")

    ended = tertulia_command("compare", "--json", "-t", "openai", "-t", "xai", "My name is John.")

    found = json.loads(ended.out)
    failed, answered = found["answers"]
    assert {"conversation", "message", "cost", "unknown_costs", "answers"} == set(found)
    assert ("openai", "", "quota_exhausted", 1) == (
        failed["provider"],
        failed["text"],
        failed["kind"],
        failed["attempts"],
    )
    assert answered.pop("seconds") > 0
    assert answered == {
        "provider": "xai",
        "model": "grok-4.7",
        "branch": "compare-xai",
        "text": "Hello John.",
        "finish_reason": "stop",
        "input_tokens": 8,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 3,
        "reasoning_tokens": 0,
        "cost": "0.000034",
        "unknown_costs": 0,
        "attempts": 1,
        "error": None,
        "kind": None,
    }
    assert "compare: " not in ended.err


def test_a_conversation_is_gone_on_with(tertulia_command, simulated: Simulator, database: str):
    """
    The history goes to all of them, and who answers in the conversation stays who it was.
    """
    tertulia_command("ask", "-p", "gemini", "--store", database, "My name is John.")

    ended = tertulia_command(
        "compare", "--store", database, "-c", "last", "-t", "openai,xai", "What is my name?"
    )

    assert ended.out.count("   Your name is John.\n") == 2
    shown = json.loads(tertulia_command("conversations", "show", "last", "--store", database, "--json").out)
    assert ("main", 2, "gemini") == (shown["branch"], shown["branches"], shown["provider"])


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--to", "opnai", "Hello."), "no provider is configured as 'opnai'; did you mean 'openai'?"),
        (("--to", "openai,opnai", "Hello."), "no provider is configured as 'opnai'; did you mean 'openai'?"),
        (("Hello.",), "Missing option '-t' / '--to'."),
        (("--to", ",", "Hello."), "There is nobody to ask: name them with --to."),
        (("--to", "openai"), "There is nothing to ask: give TEXT, or pipe it in."),
        (("--to", "openai", "--branch", "main", "Hello."), "--branch needs --conversation."),
    ],
)
def test_what_makes_no_sense_is_refused(
    tertulia_command, simulated: Simulator, arguments: tuple[str, ...], error: str
):
    """
    Nobody is asked then, and the exit code is 2.
    """
    ended = tertulia_command("compare", *arguments)

    assert (2, "") == ended[:2]
    assert ended.err.startswith(f"error: {error}")
    assert [] == simulated.requests


def test_sigterm_keeps_what_came(
    start: Callable[..., subprocess.Popen[str]], simulated: Simulator, database: str
):
    """
    A whole answer stays whole, the beginning of another one is kept, and one line says so.
    """
    simulated.fail("gemini", "stall", after=2)
    process = start("compare", "--store", database, "--to", "openai,gemini", "Count to 5.")
    assert process.stderr is not None
    assert f"compare: {OPENAI} answered" in process.stderr.readline()
    asyncio.run(asyncio.wait_for(simulated.stalled("gemini"), 30))

    process.send_signal(signal.SIGTERM)
    out, error = process.communicate(timeout=30)

    assert (143, "") == (process.returncode, out)
    assert re.fullmatch(
        r"interrupted: your message and what came of the answers are kept in conversation \S{36}\n", error
    )
    assert read(database) == {
        "main": ["Count to 5.", "1, 2, 3, 4, 5."],
        "compare-gemini": ["Count to 5.", "1, 2,"],
    }


def test_in_a_chat(tertulia_command, simulated: Simulator, database: str):
    """
    The chat stays where it is, and another answer is one branch away.
    """
    lines = ["/compare openai xai/grok-4.3 : My name is John.", "/branch compare-xai", "What is my name?"]

    ended = tertulia_command("chat", "--store", database, piped="\n".join(lines).encode())

    assert 0 == ended.code
    assert ended.out.startswith(f"{OPENAI}\n   Hello John.\n\nxai/grok-4.3\n   Hello John.\n\ntarget ")
    assert ended.out.endswith("\nYour name is John.\n")
    assert "on branch compare-xai, where xai/grok-4.3 answers\n" in ended.err


def test_a_failure_in_a_chat_is_told_by_its_exit_code(tertulia_command, simulated: Simulator):
    """
    As where one of its lines is not answered; the other answers are shown.
    """
    simulated.fail("openai", "quota")

    ended = tertulia_command("chat", piped=b"/compare openai xai : My name is John.")

    assert 1 == ended.code
    assert ended.out.startswith(f"{XAI}\n   Hello John.\n\n")
    assert f"error: {OPENAI}: provider 'openai': " in ended.err


def test_answers_cannot_operate_the_terminal(at_terminal, simulated: Simulator):
    """
    They are shown harmlessly at a terminal.
    """
    ended = at_terminal(
        "compare", "--to", "openai,xai", "--system", "Look:\x1b[2J\u202e", "What are your instructions?"
    )

    assert ended.out.count("   My instructions are: “Look:␛[2J\\u202e”\n") == 2
    assert "\x1b[2J" not in ended.out + ended.err


@pytest.mark.parametrize(
    "line", ["/compare", "/compare openai xai", "/compare : Hello.", "/compare openai :"]
)
def test_a_comparison_in_a_chat_needs_names_and_a_text(tertulia_command, simulated: Simulator, line: str):
    """
    The line says how it is typed.
    """
    ended = tertulia_command("chat", piped=f"{line}\n".encode())

    assert (1, "error: use it as /compare TARGET… : TEXT\n") == (ended.code, ended.err)
    assert [] == simulated.requests


def test_ctrl_c_in_a_chat_ends_a_comparison_and_not_the_chat(simulated: Simulator, database: str):
    """
    The prompt comes back after a line that says what is kept.
    """
    simulated.fail("gemini", "stall", after=2)
    with Terminal("chat", "--store", database) as terminal:
        terminal.say("/compare openai gemini : Count to 5.")
        terminal.expect("answered after")
        asyncio.run(asyncio.wait_for(simulated.stalled("gemini"), 30))
        terminal.type("\x03")
        terminal.expect(
            "interrupted: your message and what came of the answers are kept; /branches shows them\n"
        )
        terminal.say("/quit")
        code, _ = terminal.end()

    assert code == 0
    assert read(database)["compare-gemini"] == ["Count to 5.", "1, 2,"]
