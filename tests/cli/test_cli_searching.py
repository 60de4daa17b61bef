"""``tertulia conversations search``: where something was said, with what was found marked."""

from __future__ import annotations

import json

import pytest
from small_library import Library

import tertulia
from tertulia_cli.searching import mark_snippet


def test_what_was_found_stands_in_brackets(tertulia_command, library: Library):
    """
    In a pipe there are no colours, so that brackets mark it.
    """
    ended = tertulia_command("conversations", "search", "mary", "name", "--role", "user")

    assert (0, "") == (ended.code, ended.err)
    head, snippet = ended.out.splitlines()
    assert head.startswith(f"{library.dinner}  2026-11-21 ")
    assert head.endswith("  1 you  Dinner")
    assert "   My [name] is [Mary]." == snippet


def test_titles_are_found(tertulia_command, library: Library):
    """
    A hit in a title says so; a title cannot operate the terminal.
    """
    head, snippet = tertulia_command("conversations", "search", "lisbon").out.splitlines()

    assert head.endswith("  title  Trip to ␛[2J Lisbon")
    assert "   Trip to ␛[2J [Lisbon]" == snippet


def test_json_is_a_hit_a_line(tertulia_command, library: Library):
    """
    With --json marks are positions, and nothing is changed.
    """
    ended = tertulia_command("conversations", "search", "Mary", "--json", "--limit", "2")

    first, second = map(json.loads, ended.out.splitlines())
    assert {first["role"], second["role"]} == {"user", "assistant"}
    question = first if first["role"] == "user" else second
    assert question.pop("score") > 0
    assert len(question.pop("message")) == 36
    assert question == {
        "conversation": library.dinner,
        "title": "Dinner",
        "number": 1,
        "role": "user",
        "created_at": "2026-11-21T12:00:00+00:00",
        "snippet": "My name is Mary.",
        "marks": [[11, 15]],
    }


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ([], 4),
        (["--limit", "1"], 1),
        (["--role", "user"], 3),
        (["--since", "2026-11-21"], 1),
        (["--until", "2026-11-21"], 3),
        (["--conversation", "{trip}"], 3),
    ],
)
def test_a_search_has_bounds(tertulia_command, library: Library, options: list[str], count: int):
    """
    Each option leaves what it speaks of.
    """
    options = [option.format(**library._asdict()) for option in options]

    ended = tertulia_command("conversations", "search", "name", "--json", *options)

    assert count == len(ended.out.splitlines())


@pytest.mark.parametrize("query", ["nowhere", '"', "AND OR NOT", "*", "-", "%", "nowhere: (", "北京"])
def test_any_text_is_a_query(tertulia_command, library: Library, query: str):
    """
    What has a meaning elsewhere is only text here.
    """
    assert (0, "", "nothing was found\n") == tertulia_command("conversations", "search", "--", query)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([], "Missing argument 'WORDS...'."),
        (["name", "--since", "soon"], "--since 'soon' is no date: "),
        (["name", "--limit", "0"], "Invalid value for '-n' / '--limit': 0 is not in the range "),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused(
    tertulia_command, library: Library, options: list[str], error: str
):
    """
    It is one line and exit code 2.
    """
    ended = tertulia_command("conversations", "search", *options)

    assert (2, "") == ended[:2]
    assert ended.err.startswith(f"error: {error}")


def test_what_was_found_is_bold_on_a_terminal(at_terminal, library: Library):
    """
    Nothing else of it reaches the terminal as more than text.
    """
    ended = at_terminal("conversations", "search", "lisbon")

    assert "   Trip to ␛[2J \x1b[1mLisbon\x1b[0m\n" in ended.out
    assert 2 == ended.out.count("\x1b")


def test_without_colours_it_stands_in_brackets_on_a_terminal(
    at_terminal, library: Library, monkeypatch: pytest.MonkeyPatch
):
    """
    NO_COLOR holds here too.
    """
    monkeypatch.setenv("NO_COLOR", "1")

    assert "   Trip to ␛[2J [Lisbon]\n" in at_terminal("conversations", "search", "lisbon").out


def test_a_mark_can_hold_nothing_that_is_obeyed():
    """
    Neither what was found nor what stands around it, on any number of lines.
    """
    snippet = tertulia.Snippet("…a\x1b[2J\nb\x07\u202ec\r\n", ((2, 8), (9, 10)))

    assert "…a[␛[2J b]␇[\\u202e]c" == mark_snippet(snippet)
