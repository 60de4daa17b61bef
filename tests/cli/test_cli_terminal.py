"""What others say cannot operate the terminal it is shown on."""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia_cli import main
from tertulia_cli.terminal import one_line, sanitise

OBEYED = {
    *(chr(code) for code in range(0x20) if chr(code) not in "\n\t"),
    *(chr(code) for code in range(0x7F, 0xA0)),
    *"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\nin [bold]two[/bold] lines", "plain\ttext\nin [bold]two[/bold] lines"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x1b]52;c;ZXZpbA==\x1b\\", "␛]52;c;ZXZpbA==␛\\"),
        ("\x9b31m", "\\x9b31m"),
        ("good\rbad\x08\x7f\x00", "good␍bad␈␡␀"),
        ("\u202eevil\u202c", "\\u202eevil\\u202c"),
        ("Grüße, 世界 👩\u200d💻", "Grüße, 世界 👩\u200d💻"),
    ],
)
def test_control_characters_are_shown_instead_of_obeyed(text: str, shown: str):
    """
    A terminal shows a sign for what it would have done; other text is as it was.
    """
    assert shown == sanitise(text)


@given(st.text(st.one_of(st.sampled_from(sorted(OBEYED)), st.characters())), st.data())
def test_no_text_gets_through_whole_or_in_pieces(text: str, data: st.DataObject):
    """
    Nothing that is obeyed is left, and a cut anywhere changes nothing.
    """
    cut = data.draw(st.integers(0, len(text)))

    shown = sanitise(text[:cut]) + sanitise(text[cut:])

    assert shown == sanitise(text) == sanitise(shown)
    assert not OBEYED & set(shown)


@given(st.text())
def test_one_line_is_one_line(text: str):
    """
    A text in a place for one line cannot begin another.
    """
    assert len(one_line(text).splitlines()) <= 1


def test_an_answer_is_harmless_on_a_terminal(on_terminal: Callable[..., str]):
    """
    The simulator quotes what it is told; the terminal gets the quotation without its sequences.
    """
    shown = on_terminal("ask", "--simulator", "[bold]Look:\x1b[2J\u202e")

    assert "“[bold]Look:␛[2J\\u202e”" in shown
    assert "\x1b[2J" not in shown


def test_an_answer_in_a_pipe_is_unchanged(tertulia_command):
    """
    What is not shown on a terminal is not touched.
    """
    assert "“Look:\x1b[2J”" in tertulia_command("ask", "--simulator", "Look:\x1b[2J").out


def test_a_closed_standard_output_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys):
    """
    ``>&-`` in a shell: there is nowhere to write to, and the command says so.
    """
    monkeypatch.setattr(sys, "stdout", None)

    assert 1 == main(["conversations", "list"])

    assert "error: the result cannot be written: standard output is closed\n" == capsys.readouterr().err


def test_what_is_interrupted_before_it_begins_is_not_complained_of(monkeypatch: pytest.MonkeyPatch, capsys):
    """
    A signal may come at any moment, also in the one between a command and its work.
    """

    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio.Runner, "run", interrupt)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        code = main(["conversations", "list"])
        gc.collect()

    assert (130, "") == (code, capsys.readouterr().out)
    assert [] == [str(each.message) for each in caught]
