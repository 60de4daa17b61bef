"""What is typed into a chat, and what it means."""

from __future__ import annotations

import sys
from io import BytesIO, TextIOWrapper

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia_cli.lines import Command, Pipe, Said, UnreadableLineError, read_entry


def read_all(*lines: str) -> list[Said | Command]:
    """Every entry of some lines."""
    remaining = iter(lines)
    entries = []
    while (entry := read_entry(lambda _goes_on: next(remaining, None))) is not None:
        entries.append(entry)
    return entries


@pytest.mark.parametrize(
    ("lines", "entry"),
    [
        (["Good morning"], Said("Good morning")),
        ([""], Said("")),
        ([" /fork"], Said(" /fork")),
        (["//etc/hosts is what?"], Said("/etc/hosts is what?")),
        (["///"], Said("//")),
        (["/fork"], Command("fork", "")),
        (["/fork  my idea "], Command("fork", "my idea")),
        (["/"], Command("", "")),
        (["/edit one \\", "two"], Command("edit", "one \ntwo")),
        (["one\\", "two\\", "three"], Said("one\ntwo\nthree")),
        (["//one\\", "/two"], Said("/one\n/two")),
        (["one\\"], Said("one\n")),
        (['"""', "one", "", "/two\\", '"""'], Said("one\n\n/two\\")),
        (['"""one', 'two"""'], Said("one\ntwo")),
        (['"""one"""'], Said("one")),
        (['"""one', "two"], Said("one\ntwo")),
        (['"""'], Said("")),
        (['say """'], Said('say """')),
    ],
)
def test_what_lines_mean(lines: list[str], entry: Said | Command):
    """
    Slashes, backslashes at the end and three quotes mean something; all else is said as it is.
    """
    assert [entry] == read_all(*lines)


def test_an_entry_ends_where_it_ends():
    """
    What follows a longer entry is the next one.
    """
    entries = read_all("one\\", "two", '"""', "three", '"""', "/quit")

    assert [Said("one\ntwo"), Said("three"), Command("quit", "")] == entries


def test_only_a_line_that_goes_on_is_asked_for_as_one():
    """
    Whoever asks for a line knows whether it begins an entry.
    """
    lines = iter(["one\\", "two"])
    asked = []

    def read_line(goes_on: bool) -> str | None:
        asked.append(goes_on)
        return next(lines, None)

    read_entry(read_line)

    assert [False, True] == asked


@given(
    st.text().filter(lambda text: '"""' not in text and not text.startswith("\n") and not text.endswith("\n"))
)
def test_between_quotes_everything_is_said_as_it_is(text: str):
    """
    Any text can be said that does not hold three quotes itself, but for what stands at its edges.
    """
    [entry] = read_all(*f'"""\n{text}\n"""'.split("\n"))

    assert Said(text) == entry


def test_a_pipe_gives_lines_until_it_ends(monkeypatch: pytest.MonkeyPatch):
    """
    Ends of lines are taken off, whatever they are, and the last line needs none.
    """
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO("eins\r\nzwölf\n\nlast".encode())))
    pipe = Pipe()

    assert ["eins", "zwölf", "", "last", None, None] == [pipe.read("") for _ in range(6)]


def test_a_line_that_is_no_text_is_refused_and_the_next_one_is_not(monkeypatch: pytest.MonkeyPatch):
    """
    Bytes that are not UTF-8 spoil their own line.
    """
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(b"\xff\xfe\nhello\n")))
    pipe = Pipe()

    with pytest.raises(UnreadableLineError):
        pipe.read("")
    assert pipe.read("") == "hello"
