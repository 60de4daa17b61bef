"""``tertulia chat`` at a terminal: what is typed, what is shown, and Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from pseudo_terminal import PATIENCE, Terminal

import tertulia
from tertulia_simulator import Simulator

CTRL_C, CTRL_D, UP = "\x03", "\x04", "\x1b[A"
KEPT = "interrupted: your message and what you saw of the answer are kept"

pytestmark = pytest.mark.usefixtures("simulated")


def wait_for(event: Coroutine[Any, Any, int]) -> None:
    """Wait for something to happen to the simulated services."""
    asyncio.run(asyncio.wait_for(event, PATIENCE))


def read(database: str) -> tuple[str, list[tuple[str, str]]]:
    """On which branch the only conversation goes on, and the status and the text of what was said there."""

    async def read() -> tuple[str, list[tuple[str, str]]]:
        async with tertulia.open(store=database, environ={}) as client:
            [record] = await client.list()
            conversation = await client.get(record.id)
            history = await conversation.history()
            return conversation.branch, [(message.status.value, message.text) for message in history]

    return asyncio.run(read())


def test_what_is_typed_is_answered():
    """
    Question and answer stand under one another, and Ctrl-D leaves with 0.
    """
    with Terminal("chat", "--provider", "openai") as terminal:
        terminal.say("My name is John.")
        terminal.say("What is my name?")
        terminal.expect("you> ")
        terminal.type(CTRL_D)
        code, _ = terminal.end()

    shown, _, conversation_id = terminal.shown.rstrip().rpartition(" ")
    assert (0, 36) == (code, len(conversation_id))
    assert shown == (
        "/help shows what else you can type; Ctrl-D leaves\n"
        "you> My name is John.\n"
        "Hello John.\n"
        "openai/gpt-6.1-sol, $0.000046\n"
        "you> What is my name?\n"
        "Your name is John.\n"
        "openai/gpt-6.1-sol, $0.000096\n"
        "you> \n"
        "kept as conversation"
    )


def test_ctrl_c_stops_an_answer_and_keeps_it(simulated: Simulator, database: str):
    """
    The connection is closed, one line says what is kept, the prompt comes back, and /resume has the rest.
    """
    simulated.fail("gemini", "stall", after=2)
    with Terminal("chat", "--store", database) as terminal:
        terminal.say("Count to 5.")
        terminal.expect("1, 2,")
        terminal.type(CTRL_C)
        stopped = terminal.expect("asks for the rest\n")
        wait_for(simulated.left("gemini"))
        terminal.say("/resume")
        resumed = terminal.expect("goes back\n")
        terminal.say("/quit")
        code, _ = terminal.end()

    assert stopped == f"^C\n{KEPT}; /resume asks for the rest\n"
    assert resumed == (
        "/resume\n 3, 4, 5.\ngemini/gemini-3.5-flash, $0.000084\n"
        "on the new branch main-2; /branch main goes back\n"
    )
    assert code == 0
    assert "asks for the rest\nyou> /resume\n" in terminal.shown
    assert "goes back\nyou (main-2)> /quit\n" in terminal.shown


def test_what_ctrl_c_stopped_is_in_the_store(simulated: Simulator, database: str):
    """
    The answer is kept as an interrupted message, to the word.
    """
    simulated.fail("gemini", "stall", after=3)
    with Terminal("chat", "--store", database) as terminal:
        terminal.say("Count to 5.")
        terminal.expect("1, 2, 3,")
        terminal.type(CTRL_C)
        terminal.say("/quit")
        terminal.end()

    assert read(database) == ("main", [("complete", "Count to 5."), ("interrupted", "1, 2, 3,")])


def test_ctrl_c_before_the_first_word(simulated: Simulator, database: str):
    """
    The message is kept, the line says so, and /resume asks again.
    """
    simulated.fail("gemini", "stall", after=0)
    with Terminal("chat", "--store", database) as terminal:
        terminal.say("My name is John.")
        wait_for(simulated.stalled("gemini"))
        terminal.type(CTRL_C)
        stopped = terminal.expect("asks again\n")
        terminal.say("/resume")
        terminal.expect("Hello John.\n")
        terminal.say("/quit")
        terminal.end()

    assert stopped.endswith("^C\ninterrupted: your message is kept; /resume asks again\n")
    assert read(database) == ("main", [("complete", "My name is John."), ("complete", "Hello John.")])


def test_ctrl_c_before_another_answer(simulated: Simulator, database: str):
    """
    Where nothing of another answer came, the first one stays what it is.
    """
    with Terminal("chat", "--store", database) as terminal:
        terminal.say("My name is John.")
        terminal.expect("$")
        simulated.fail("gemini", "stall", after=0)
        terminal.say("/regenerate")
        wait_for(simulated.stalled("gemini"))
        terminal.type(CTRL_C)
        terminal.expect("^C\ninterrupted: what was said before is kept; there is no other answer yet\n")
        terminal.say("/quit")
        terminal.end()

    assert read(database) == ("main", [("complete", "My name is John."), ("complete", "Hello John.")])


@pytest.mark.parametrize("line", ["", '"""'])
def test_ctrl_c_at_the_prompt_leaves(line: str):
    """
    That is exit code 130, also in the middle of a longer text.
    """
    with Terminal("chat") as terminal:
        terminal.say(line)
        terminal.expect("> " if not line else "... ")
        code, _ = terminal.leave(lambda: terminal.type(CTRL_C))

    assert code == 130


def test_sigterm_stops_an_answer_and_keeps_it(simulated: Simulator, database: str):
    """
    The chat ends with 143, and one line says where what was shown is.
    """
    simulated.fail("gemini", "stall", after=2)
    with Terminal("chat", "--store", database) as terminal:
        terminal.say("Count to 5.")
        terminal.expect("1, 2,")
        terminal.signal(signal.SIGTERM)
        code, shown = terminal.end()

    assert code == 143
    assert shown.startswith(f"\n{KEPT} in conversation ")
    assert shown.count("\n") == 2
    assert read(database) == ("main", [("complete", "Count to 5."), ("interrupted", "1, 2,")])


def test_sigterm_at_the_prompt_leaves():
    """
    That is exit code 143, and the terminal's line is ended.
    """
    with Terminal("chat") as terminal:
        terminal.expect("you> ")
        ended = terminal.leave(lambda: terminal.signal(signal.SIGTERM))

    assert (143, "\n") == ended


def test_an_error_brings_the_prompt_back(simulated: Simulator):
    """
    It is one line; and a chat in which something failed is no failure.
    """
    simulated.fail("gemini", "quota")
    with Terminal("chat") as terminal:
        terminal.say("Hello.")
        terminal.expect("\nerror: provider 'gemini': ")
        terminal.say("/nonsense")
        terminal.expect("error: there is no /nonsense")
        terminal.expect("you> ")
        terminal.type(CTRL_D)
        code, _ = terminal.end()

    assert code == 0


def test_a_longer_text_has_a_prompt_of_its_own(simulated: Simulator):
    """
    Whoever goes on with a line sees that the chat waits for more of it.
    """
    with Terminal("chat") as terminal:
        terminal.say("one\\")
        terminal.expect("... ")
        terminal.type("two\n")
        terminal.expect("$")
        terminal.say("/quit")
        terminal.end()

    assert ["one\ntwo"] == simulated.sent_to("gemini").texts


def test_what_was_typed_can_be_had_again(
    simulated: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    The arrow keys bring it back while the chat lasts, and nothing of it is on disk afterwards.
    """
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    with Terminal("chat", "--store", "memory:") as terminal:
        terminal.say("My name is John.")
        terminal.expect("$")
        terminal.say(UP)
        terminal.expect("$")
        terminal.say("/quit")
        terminal.end()

    assert ["My name is John."] * 2 == simulated.sent_to("gemini").texts[::2]
    assert [tmp_path / "home"] == list(tmp_path.rglob("*"))


def test_what_others_say_cannot_operate_the_terminal():
    """
    Sequences in an answer, in the history and in the name of a branch are shown, not obeyed.
    """
    with Terminal("chat", "--system", "Look:\x1b[2J\u202e") as terminal:
        terminal.say("What are your instructions?")
        answer = terminal.expect("$")
        terminal.say("/history")
        history = terminal.expect("flash, $")
        terminal.say("/quit")
        terminal.end()

    assert "My instructions are: “Look:␛[2J\\u202e”\n" in answer
    assert "1 system\n   Look:␛[2J\\u202e\n" in history
    assert b"\x1b[2J" not in terminal.written


def test_a_plain_terminal_gets_plain_text(monkeypatch: pytest.MonkeyPatch):
    """
    Where the terminal understands no colours, no control character is written at all.
    """
    monkeypatch.setenv("TERM", "dumb")
    with Terminal("chat") as terminal:
        terminal.say("Hello!")
        terminal.say("/nonsense")
        terminal.say("/quit")
        terminal.end()

    assert b"\x1b" not in terminal.written


def test_answers_go_elsewhere_and_the_prompt_does_not(tmp_path: Path):
    """
    With standard output in a file, that has the answers and nothing else.
    """
    with (tmp_path / "answers.txt").open("w+") as file:
        with Terminal("chat", "--provider", "openai", out=file.fileno()) as terminal:
            terminal.say("My name is John.")
            terminal.expect("openai/gpt-6.1-sol, $0.000046\n")
            terminal.expect("you> ")
            terminal.type(CTRL_D)
            code, _ = terminal.end()
        file.seek(0)

        assert (0, "Hello John.\n") == (code, file.read())


def test_a_conversation_that_is_gone_on_with_is_named(database: str):
    """
    Title, branch and provider are said before the first prompt.
    """
    with Terminal("chat", "--store", database) as terminal:
        terminal.say("My name is John.")
        terminal.expect("$")
        terminal.say("/fork")
        terminal.say("/quit")
        conversation_id = terminal.end()[1].split()[-1]

    with Terminal("chat", "--store", database, "--conversation", conversation_id[:20]) as terminal:
        terminal.expect("you (main-2)> ")

    assert terminal.shown.startswith("My name is John., on branch main-2 with gemini/gemini-3.5-flash\n")
