"""What is shown while an answer is waited for: at a terminal one line, elsewhere a line each."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from io import BytesIO, StringIO, TextIOWrapper

import pytest

import tertulia
from tertulia import ErrorKind, Target
from tertulia_cli.answers import Screen
from tertulia_cli.terminal import STATUS, note
from tertulia_simulator import Simulator

GROK, GPT = Target("xai", "grok"), Target("openai", "gpt")
RETRY = tertulia.RetryScheduled(GROK, 1, ErrorKind.RATE_LIMITED, 1.5)


class Terminal(TextIOWrapper):
    """Says that it is a terminal, and shows what would be seen there."""

    def __init__(self) -> None:
        super().__init__(BytesIO(), "utf-8", write_through=True, newline="")

    def isatty(self) -> bool:
        return True

    @property
    def written(self) -> str:
        return self.buffer.getvalue().decode()

    @property
    def seen(self) -> str:
        return show(self.written)


def show(written: str) -> str:
    """What a terminal shows of what was written, which may go back in a line and clear it."""
    lines = [""]
    for piece in re.findall(r"\x1b\[K|\x1b\[[\d;]*m|\r|\n|[^\x1b\r\n]+", written):
        if piece == "\n":
            lines.append("")
        elif piece == "\x1b[K":
            assert written.count("\r\x1b[K") == written.count("\x1b[K")
            lines[-1] = ""
        elif piece[0] not in "\x1b\r":
            lines[-1] += piece
    return "\n".join(lines)


@pytest.fixture
def sit_down(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Make the three standard streams one terminal, as they are for somebody who types."""

    def sit_down() -> Terminal:
        terminal = Terminal()
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setattr(sys, "stdin", terminal)
        monkeypatch.setattr(sys, "stdout", terminal)
        monkeypatch.setattr(sys, "stderr", terminal)
        return terminal

    return sit_down


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (RETRY, "retry: xai/grok failed (rate limited); asking it again in 1.5 s"),
        (
            tertulia.RetryScheduled(GROK, 2, ErrorKind.EMPTY_RESPONSE, 0.0),
            "retry: xai/grok failed (empty response); asking it again",
        ),
        (tertulia.Queued(GROK, 0, 12.34), "queue: waiting for xai/grok, for 12.3 s at least"),
        (tertulia.Queued(GROK, 1), "queue: waiting for xai/grok; 1 call goes first"),
        (
            tertulia.Queued(GROK, 1200, 2),
            "queue: waiting for xai/grok, for 2.0 s at least; 1,200 calls go first",
        ),
        (
            tertulia.FallbackTaken(GROK, GPT, ErrorKind.QUOTA_EXHAUSTED, "no credit"),
            "fallback: xai/grok failed (quota exhausted); asking openai/gpt",
        ),
        (
            tertulia.FallbackTaken(GROK, GPT, ErrorKind.SERVER, "it failed before", was_asked=False),
            "fallback: xai/grok is passed over (server); asking openai/gpt",
        ),
        (
            tertulia.Restarted(GPT, ErrorKind.TIMEOUT, "too slow"),
            "restart: the answer broke off (timeout); openai/gpt begins it again, on a branch of its own",
        ),
        (
            tertulia.Continued(GPT, ErrorKind.CONNECTION, "it is gone"),
            "continue: the answer broke off (connection); openai/gpt goes on",
        ),
        (
            tertulia.Continued(GPT, ErrorKind.INTERRUPTED, ""),
            "continue: the answer broke off; openai/gpt goes on",
        ),
    ],
)
def test_without_a_terminal_each_is_a_line(capsys, event: tertulia.Event, line: str):
    """
    Whatever happens to an answer on its way is one plain line, which stands on its own.
    """
    screen = Screen(StringIO())

    screen.show(event)
    screen.end_line()

    assert ("", f"{line}\n") == capsys.readouterr()


def test_what_is_waited_for_is_gone_when_words_come(sit_down: Callable[[], Terminal]):
    """
    One line is written over and over; in the end there is nothing but the answer.
    """
    terminal = sit_down()
    screen = Screen(terminal)

    screen.show(tertulia.Queued(GROK, 3))
    assert terminal.seen == "queue: waiting for xai/grok; 3 calls go first"
    screen.show(RETRY)
    assert terminal.seen == "retry: xai/grok failed (rate limited); asking it again in 1.5 s"
    screen.show(tertulia.FallbackTaken(GROK, GPT, ErrorKind.SERVER, ""))
    assert terminal.seen == "fallback: xai/grok failed (server); asking openai/gpt"
    screen.show(tertulia.TextDelta("Hello"))
    screen.end_line()

    assert terminal.seen == "Hello\n"


def test_thoughts_end_a_wait_as_words_do(sit_down: Callable[[], Terminal]):
    """
    Whoever thinks is not waited for, though nothing of it is shown.
    """
    terminal = sit_down()
    screen = Screen(terminal)

    screen.show(RETRY)
    screen.show(tertulia.ReasoningDelta("Hm."))

    assert terminal.seen == ""


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (
            tertulia.Restarted(GPT, ErrorKind.TIMEOUT),
            "restart: the answer broke off (timeout); openai/gpt begins it again, on a branch of its own",
        ),
        (
            tertulia.Continued(GPT, ErrorKind.TIMEOUT, ""),
            "continue: the answer broke off (timeout); openai/gpt goes on",
        ),
    ],
)
def test_what_explains_the_words_above_it_stays(
    sit_down: Callable[[], Terminal], event: tertulia.Event, line: str
):
    """
    Between two beginnings of an answer, and where two providers' words meet, there is a line to be seen.
    """
    terminal = sit_down()
    screen = Screen(terminal)

    for each in (tertulia.TextDelta("Once"), event, RETRY, tertulia.TextDelta("upon")):
        screen.show(each)
    screen.end_line()

    assert terminal.seen == f"Once\n{line}\nupon\n"


def test_an_answer_that_is_gone_on_with_is_one_text_in_a_pipe(capsys):
    """
    What another provider continues has no seam on standard output.
    """
    out = StringIO()
    screen = Screen(out)

    for text in ("Once ", "upon"):
        screen.show(tertulia.TextDelta(text))
        screen.show(tertulia.Continued(GPT, ErrorKind.TIMEOUT, ""))
    screen.end_line()

    assert out.getvalue() == "Once upon\n"
    assert capsys.readouterr().err.count("continue: ") == 2


def test_ctrl_c_while_something_is_waited_for_leaves_a_clean_line(sit_down: Callable[[], Terminal]):
    """
    The line, and the sign for Ctrl-C that the terminal puts into it, are gone.
    """
    terminal = sit_down()
    screen = Screen(terminal)
    screen.show(RETRY)
    terminal.write("^C")

    screen.end_line(KeyboardInterrupt())
    note("your message is kept", label="interrupted")

    assert terminal.seen == "interrupted: your message is kept\n"


def test_whatever_else_is_said_takes_the_line_away(sit_down: Callable[[], Terminal]):
    """
    A warning in the middle of a wait is a line of its own.
    """
    terminal = sit_down()
    STATUS.show("a wait", label="retry")

    note("careful", label="warning")

    assert terminal.seen == "warning: careful\n"
    assert not STATUS.clear()


@pytest.mark.parametrize("columns", [30, 100])
def test_the_line_never_wraps(
    sit_down: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch, columns: int
):
    """
    A line longer than the terminal is wide could not be taken back.
    """
    terminal = sit_down()
    monkeypatch.setenv("COLUMNS", str(columns))

    STATUS.show("x" * 200, label="retry")

    assert terminal.seen == f"retry: {'x' * (columns - 9)}…"
    STATUS.clear()


def test_names_and_errors_cannot_operate_the_terminal(sit_down: Callable[[], Terminal]):
    """
    The name of a model is shown, not obeyed, and has no line of its own.
    """
    terminal = sit_down()
    Screen(terminal).show(tertulia.Queued(Target("xai", "a\x1b[2J\n\tb\x9bc\u202e"), 0))

    assert terminal.seen == "queue: waiting for xai/a␛[2J b\\x9bc\\u202e"
    STATUS.clear()


def test_a_plain_terminal_gets_a_line_each(sit_down: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch):
    """
    Where the terminal cannot go back in a line, no control character is written.
    """
    terminal = sit_down()
    monkeypatch.setenv("TERM", "dumb")
    screen = Screen(terminal)

    screen.show(RETRY)
    screen.show(tertulia.TextDelta("Hello"))

    assert terminal.written == "retry: xai/grok failed (rate limited); asking it again in 1.5 s\nHello"


def test_no_color_leaves_the_line_without_colours(
    sit_down: Callable[[], Terminal], monkeypatch: pytest.MonkeyPatch
):
    """
    It is still one line that is written over.
    """
    terminal = sit_down()
    monkeypatch.setenv("NO_COLOR", "1")

    STATUS.show("a wait", label="retry", color="yellow")
    STATUS.clear()

    assert terminal.written == "\r\x1b[Kretry: a wait\r\x1b[K"


def test_who_is_quiet_is_told_nothing(capsys):
    """
    A program that reads JSON has the attempts in it.
    """
    screen = Screen(None, is_quiet=True)

    screen.show(RETRY)
    screen.show(tertulia.Restarted(GPT))

    assert ("", "") == capsys.readouterr()


def test_a_fallback_is_gone_and_told_in_the_end(at_terminal, simulated: Simulator):
    """
    At a terminal the last line says that a call failed, with what all of them cost.
    """
    simulated.fail("gemini", "quota")

    ended = at_terminal("ask", "-p", "gemini", "--fallback", "xai", "My name is John.")

    assert (0, "Hello John.\n") == ended[:2]
    assert "fallback: " in show(ended.err.replace("\r\x1b[K", "\n"))
    assert show(ended.err).endswith("xai/grok-4.7, $0.000034, after 1 failed call\n")
    assert "fallback: " not in show(ended.err)


def test_json_comes_without_such_lines(
    tertulia_command: Callable[..., tuple[int, str, str]], simulated: Simulator
):
    """
    Who failed is in the object.
    """
    simulated.fail("gemini", "quota")

    ended = tertulia_command("ask", "--json", "-p", "gemini", "--fallback", "xai", "My name is John.")

    assert "fallback: " not in ended[2]
    assert '"error_kind": "quota_exhausted"' in ended[1]
