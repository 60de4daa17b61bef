"""Ctrl-C and SIGTERM in the middle of something: what is kept, and how the command says so."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from collections.abc import Callable
from time import monotonic

import pytest
from pseudo_terminal import PATIENCE, Terminal

import tertulia
from tertulia_simulator import Simulator

GEMINI = "gemini/gemini-3.5-flash"
ENDS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]

pytestmark = pytest.mark.usefixtures("simulated")


def read(database: str) -> tuple[list[tuple[str, str]], list[tuple[str, str | None]]]:
    """Status and text of what was said in the only conversation, and outcome and error of the attempts."""

    async def read() -> tuple[list[tuple[str, str]], list[tuple[str, str | None]]]:
        async with tertulia.open(store=database, environ={}) as client:
            [record] = await client.list()
            conversation = await client.get(record.id)
            history = await conversation.history()
            attempts = await conversation.attempts()
            return (
                [(message.status.value, message.text) for message in history],
                [(attempt.outcome.value, attempt.error_kind) for attempt in attempts],
            )

    return asyncio.run(read())


@pytest.mark.parametrize(("number", "code"), ENDS)
def test_a_wait_for_the_next_try_is_left_at_once(
    start: Callable[..., subprocess.Popen[str]], simulated: Simulator, database: str, number: int, code: int
):
    """
    The message is kept, one line says so, and nobody waits for the half minute that the service asked for.
    """
    simulated.fail("gemini", "rate_limit", retry_after=30)
    process = start("ask", "-p", "gemini", "--store", database, "My name is John.")
    assert process.stderr is not None
    assert process.stderr.readline().startswith(f"retry: {GEMINI} failed (rate limited); asking it again in ")

    pressed = monotonic()
    process.send_signal(number)
    out, error = process.communicate(timeout=PATIENCE)

    assert (code, "") == (process.returncode, out)
    assert monotonic() - pressed < 5
    assert re.fullmatch(r"interrupted: your message is kept in conversation \S{36}\n", error)
    said, attempts = read(database)
    assert [text for _, text in said] == ["My name is John."]
    assert ("failed", "rate_limited") == attempts[0]
    assert len(simulated.requests) == 1


@pytest.mark.parametrize(
    ("command", "shown", "whole", "number", "code"),
    [("resume", " 3,", "1, 2, 3,", *ENDS[0]), ("retry", "1,", "1,", *ENDS[1])],
)
def test_the_rest_of_an_answer_is_kept_as_far_as_it_came(
    start: Callable[..., subprocess.Popen[str]],
    tertulia_command,
    simulated: Simulator,
    database: str,
    command: str,
    shown: str,
    whole: str,
    number: int,
    code: int,
):
    """
    What is asked for again can be broken off again.
    """
    simulated.fail("gemini", "cut_stream", after=2)
    tertulia_command("ask", "-p", "gemini", "--store", database, "Count to 5.")
    simulated.fail("gemini", "stall", after=1)
    process = start(command, "last", "--store", database)
    assert process.stdout is not None
    assert shown == process.stdout.read(len(shown))

    process.send_signal(number)
    out, error = process.communicate(timeout=PATIENCE)

    said, _ = read(database)
    assert (code, "\n") == (process.returncode, out)
    assert said == [("complete", "Count to 5."), ("interrupted", whole)]
    assert re.fullmatch(
        r"interrupted: your message and what you saw of the answer are kept in conversation \S{36}\n", error
    )


def test_ctrl_c_in_a_chat_ends_a_wait_and_not_the_chat(simulated: Simulator, database: str):
    """
    The line that was shown is gone, the prompt comes back, and whoever does not want to wait says so.
    """
    simulated.fail("gemini", "rate_limit", retry_after=30)
    with Terminal("chat", "-p", "gemini", "--store", database) as terminal:
        terminal.say("My name is John.")
        terminal.expect("asking it again in ")
        terminal.type("\x03")
        terminal.expect("interrupted: your message is kept; ")
        terminal.say("/providers reset gemini")
        terminal.say("/retry")
        terminal.expect("Hello John.\n")
        terminal.say("/quit")
        code, _ = terminal.end()

    assert code == 0
    # Written over before anything else is said: the wait, with the sign for Ctrl-C in it.
    before, _, after = terminal.written.partition(b"asking it again in ")
    assert after.split(b"\r\x1b[K")[1].lstrip().startswith(b"\x1b[33m\x1b[1minterrupted: ")
    assert before.endswith(b"failed (rate limited); ")
    assert read(database)[0] == [("complete", "My name is John."), ("complete", "Hello John.")]
