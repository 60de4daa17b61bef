"""``tertulia pin``, ``hide``, ``mark``, their opposites and ``marks``: what is sent whatever is chosen."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from small_library import Library

TRIP = "'Trip to ␛[2J Lisbon'"


@pytest.fixture
def marks(tertulia_command):
    """What is said of messages, by their numbers."""

    def marks(identifier: str, *options: str) -> dict[int, tuple[object, ...]]:
        listed = json.loads(tertulia_command("marks", identifier, *options, "--json").out)
        return {
            each["number"]: tuple(each[key] for key in ("pinned", "hidden", "importance", "expires_at"))
            for each in listed
        }

    return marks


def test_messages_are_pinned_and_unpinned(tertulia_command, library: Library, marks):
    """
    By their numbers, each once; a line says what is said of each.
    """
    ended = tertulia_command("pin", library.trip, "3", "1", "3")

    told = f"message 3 of {TRIP} is pinned\nmessage 1 of {TRIP} is pinned\n"
    assert (0, "", told) == ended
    assert {1: (True, False, None, None), 3: (True, False, None, None)} == marks(library.trip)

    assert f"message 1 of {TRIP} is without a mark\n" == tertulia_command("unpin", library.trip, "1").err
    assert [3] == list(marks(library.trip))


def test_messages_are_hidden_and_shown_again(tertulia_command, library: Library, marks):
    """
    A mark keeps what else is said of the message.
    """
    tertulia_command("pin", library.trip, "2")

    assert f"message 2 of {TRIP} is pinned, hidden\n" == tertulia_command("hide", library.trip, "2").err
    assert {2: (True, True, None, None)} == marks(library.trip)
    assert f"message 2 of {TRIP} is pinned\n" == tertulia_command("unhide", library.trip, "2").err


def test_importance_and_expiry_are_said_and_taken_back(tertulia_command, library: Library, marks):
    """
    What is not named stays as it is.
    """
    ended = tertulia_command(
        "mark", library.trip, "1", "--importance", "0.80", "--expires", "2027-01-02T00:00Z"
    )

    here = datetime(2027, 1, 2, tzinfo=UTC).astimezone()
    told = f"message 1 of {TRIP} is of importance 0.8, sent until {here:%Y-%m-%d %H:%M}\n"
    assert (0, "", told) == ended
    assert {1: (False, False, 0.8, "2027-01-02T00:00:00+00:00")} == marks(library.trip)

    tertulia_command("mark", library.trip, "1", "--importance", "None")
    assert {1: (False, False, None, "2027-01-02T00:00:00+00:00")} == marks(library.trip)
    tertulia_command("mark", library.trip, "1", "--expires", "none")
    assert {} == marks(library.trip)


def test_an_expiry_may_be_a_span_from_now(tertulia_command, library: Library, marks):
    """
    Thirty days are from the moment it is typed.
    """
    before = datetime.now(UTC)
    tertulia_command("mark", library.trip, "1", "--expires", "30d")

    expires = datetime.fromisoformat(str(marks(library.trip)[1][3]))
    assert timedelta(days=30) <= expires - before <= timedelta(days=30, minutes=1)


def test_marks_are_listed(tertulia_command, library: Library):
    """
    Number, who, mark and first words of each, harmless on any terminal.
    """
    tertulia_command("mark", library.trip, "4", "--importance", "1")
    tertulia_command("hide", library.trip, "1")

    ended = tertulia_command("marks", library.trip)

    assert (0, "") == (ended.code, ended.err)
    assert [
        "message  who                      mark             words",
        "1        you                      hidden           My name is John.",
        "4        gemini/gemini-3.5-flash  of importance 1  Your name is John.",
    ] == ended.out.splitlines()


def test_where_nothing_is_said_it_says_so(tertulia_command, library: Library):
    """
    Standard output stays empty, or is an empty list.
    """
    assert (0, "", "no message has a mark\n") == tertulia_command("marks", library.trip)
    assert (0, "[]\n", "") == tertulia_command("marks", library.trip, "--json")


def test_marks_are_of_a_branch(tertulia_command, library: Library, marks):
    """
    What is shared with another branch is marked there, too; what is not there is not found.
    """
    tertulia_command("conversations", "fork", library.trip, "idea", "--at", "2")

    assert 0 == tertulia_command("pin", library.trip, "2", "--branch", "idea").code
    ended = tertulia_command("pin", library.trip, "3", "--branch", "idea")

    assert (2, "") == ended[:2]
    assert "error: Branch 'idea' has no message 3: it has 2. " in ended.err
    assert [2] == list(marks(library.trip)) == list(marks(library.trip, "--branch", "idea"))


def test_what_is_marked_is_shown_with_the_messages(tertulia_command, library: Library):
    """
    Whoever reads the conversation sees what is said of its messages.
    """
    tertulia_command("pin", library.trip, "1")

    shown = tertulia_command("conversations", "show", library.trip).out

    assert "\n1 you, pinned\n   My name is John.\n" in shown


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["pin", "{trip}", "5"], "Branch 'main' has no message 5: it has 4. See \"tertulia pin --help\"."),
        (["hide", "{trip}", "1", "9"], "Branch 'main' has no message 9: it has 4. "),
        (["pin", "{trip}", "0"], "Invalid value for 'N...': 0 is not in the range x>=1. "),
        (["unpin", "{trip}", "first"], "Invalid value for 'N...': 'first' is not a valid integer range. "),
        (["pin", "{trip}"], "Missing argument 'N...'. "),
        (["mark", "{trip}", "1"], "There is nothing to say: give --importance, --expires or both. "),
        (
            ["mark", "{trip}", "1", "--importance", "2"],
            "--importance '2' is no number from 0 to 1: write 0.8, or none. ",
        ),
        (
            ["mark", "{trip}", "1", "--importance", "nan"],
            "--importance 'nan' is no number from 0 to 1: write 0.8, or none. ",
        ),
        (
            ["mark", "{trip}", "1", "--importance", "very"],
            "--importance 'very' is no number from 0 to 1: write 0.8, or none. ",
        ),
        (
            ["mark", "{trip}", "1", "--expires", "soon"],
            "--expires 'soon' is no date: write 2026-11-22, 2026-11-22T14:30, or 12h, 30d or 2w from now. ",
        ),
        (
            ["mark", "{trip}", "1", "--expires", "999999w"],
            "--expires '999999w' is no date: ",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    tertulia_command, library: Library, marks, arguments: list[str], error: str
):
    """
    The line says what can be written instead, and nothing is said of any message.
    """
    ended = tertulia_command(*(each.format(trip=library.trip) for each in arguments))

    assert (2, "") == ended[:2]
    assert ended.err.startswith(f"error: {error}".rstrip() if error.endswith(".") else f"error: {error}")
    assert {} == marks(library.trip)


@pytest.mark.parametrize("command", [("pin", "1"), ("unhide", "1"), ("mark", "1", "--importance", "1")])
def test_a_conversation_of_somebody_else_is_not_found(
    tertulia_command, library: Library, marks, tmp_path, monkeypatch, command: tuple[str, ...]
):
    """
    Its whole id does not help.
    """
    (tmp_path / "config.toml").write_text("owner = 'somebody'")
    with monkeypatch.context() as patch:
        patch.setenv("TERTULIA_CONFIG", str(tmp_path / "config.toml"))
        name, *rest = command
        ended = tertulia_command(name, library.trip, *rest)

    assert (1, "") == ended[:2]
    assert ended.err.startswith(f"error: there is no conversation {library.trip}")
    assert {} == marks(library.trip)


def test_an_empty_conversation_has_no_message(tertulia_command, tmp_path, monkeypatch):
    """
    Where nothing was ever said, the last conversation is not found.
    """
    ended = tertulia_command("pin", "last", "1")

    listing = '"tertulia conversations list" shows what there is'
    assert (1, "", f"error: there is no conversation yet; {listing}\n") == ended
