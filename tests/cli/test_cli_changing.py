"""``tertulia conversations rename``, ``tag``, ``archive``, ``unarchive`` and ``fork``."""

from __future__ import annotations

import json

import pytest
from small_library import Library


@pytest.fixture
def listed(tertulia_command):
    """One conversation as it is now."""

    def listed(identifier: str) -> dict[str, object]:
        lines = tertulia_command("conversations", "list", "--state", "any", "--json").out.splitlines()
        return next(each for each in map(json.loads, lines) if each["id"] == identifier)

    return listed


def test_a_conversation_is_renamed(tertulia_command, library: Library, listed):
    """
    The line says what it was called.
    """
    ended = tertulia_command("conversations", "rename", library.dinner, "Supper")

    assert (0, "", "'Dinner' is called 'Supper' now\n") == ended
    assert "Supper" == listed(library.dinner)["title"]


def test_a_title_can_be_taken_away(tertulia_command, library: Library, listed):
    """
    An empty one is none.
    """
    ended = tertulia_command("conversations", "rename", library.dinner, "")

    assert (0, "", "'Dinner' has no title now\n") == ended
    assert None is listed(library.dinner)["title"]


def test_a_title_that_is_too_long_is_refused(tertulia_command, library: Library, listed):
    """
    The conversation keeps the one it has.
    """
    ended = tertulia_command("conversations", "rename", "last", "x" * 201)

    assert 2 == ended.code
    assert "error: a title has at most 200 characters, and this one has 201\n" == ended.err
    assert None is listed(library.count)["title"]


def test_last_is_the_one_that_was_used_last(tertulia_command, library: Library, listed):
    """
    Archived ones count, and renaming is using.
    """
    tertulia_command("conversations", "rename", library.dinner, "Supper")

    assert "Supper\n" == tertulia_command("conversations", "show", "last").out.partition("\n")[0] + "\n"


@pytest.mark.parametrize(
    ("options", "tags"),
    [
        ([], ["2026", "travel"]),
        (["--add", "paid"], ["2026", "paid", "travel"]),
        (["--add", "travel", "--add", "a b"], ["2026", "a b", "travel"]),
        (["--remove", "2026", "--remove", "nothing"], ["travel"]),
        (["--remove", "2026", "--add", "2027"], ["2027", "travel"]),
    ],
)
def test_tags_are_changed_and_printed(
    tertulia_command, library: Library, listed, options: list[str], tags: list[str]
):
    """
    Those it has then, a line each; adding twice and taking away what is not there is no mistake.
    """
    ended = tertulia_command("conversations", "tag", library.trip, *options)

    assert (0, "".join(f"{tag}\n" for tag in tags), "") == ended
    assert tags == listed(library.trip)["tags"]
    assert tags == json.loads(tertulia_command("conversations", "tag", library.trip, "--json").out)


def test_a_conversation_without_tags_says_so(tertulia_command, library: Library):
    """
    Standard output stays empty.
    """
    assert (0, "", "it has no tag\n") == tertulia_command("conversations", "tag", library.count)


def test_an_empty_tag_is_refused(tertulia_command, library: Library):
    """
    Nothing is changed.
    """
    ended = tertulia_command("conversations", "tag", library.trip, "--add", " ", "--remove", "2026")

    assert (2, "") == ended[:2]
    assert ended.err.startswith("error: a tag has 1 to 200 characters, and this one has 0")
    assert "2026\ntravel\n" == tertulia_command("conversations", "tag", library.trip).out


def test_several_are_archived_and_taken_back(tertulia_command, library: Library, listed):
    """
    Each line says how to take one back, also when it was named twice.
    """
    ended = tertulia_command("conversations", "archive", library.trip, "last", library.trip[:13])

    assert (0, "") == ended[:2]
    assert [
        (
            "'Trip to ␛[2J Lisbon' is archived; "
            f'"tertulia conversations unarchive {library.trip}" takes it back'
        ),
        f'{library.count} is archived; "tertulia conversations unarchive {library.count}" takes it back',
    ] == ended.err.splitlines()
    assert "archived" == listed(library.trip)["state"]

    assert (0, "", "'Trip to ␛[2J Lisbon' is among the others again\n") == tertulia_command(
        "conversations", "unarchive", library.trip
    )
    assert "active" == listed(library.trip)["state"]


def test_one_that_is_not_there_leaves_the_others(tertulia_command, library: Library, listed):
    """
    All are found before anything is done to one.
    """
    nobody = library.trip[:-1] + "f"

    ended = tertulia_command("conversations", "archive", library.trip, nobody)

    assert (1, "") == ended[:2]
    assert ended.err.startswith(f"error: there is no conversation {nobody}; ")
    assert "active" == listed(library.trip)["state"]


@pytest.mark.parametrize("command", ["archive", "unarchive", "delete", "restore"])
def test_somebody_has_to_be_named(tertulia_command, library: Library, command: str):
    """
    A command without an id changes nothing.
    """
    ended = tertulia_command("conversations", command)

    assert (2, "") == ended[:2]
    assert ended.err.startswith("error: Missing argument 'ID...'.")


@pytest.mark.parametrize(("command", "state"), [("unarchive", "archived"), ("restore", "deleted")])
def test_where_there_is_none_there_is_no_last(tertulia_command, command: str, state: str):
    """
    The line says where to look.
    """
    ended = tertulia_command("conversations", command, "last")

    listing = f'"tertulia conversations list --state {state}" shows what there is'
    assert (1, "", f"error: there is no {state} conversation; {listing}\n") == ended


def test_a_named_store_is_in_what_is_suggested(tertulia_command, library: Library):
    """
    The line can be typed as it is.
    """
    ended = tertulia_command("conversations", "archive", library.trip, "--store", library.url)

    assert f'unarchive {library.trip} --store {library.url}" takes it back\n' in ended.err


def test_a_branch_is_forked_at_a_message(tertulia_command, library: Library):
    """
    Its name is printed, the branch begins after that message, and the conversation stays where it was.
    """
    ended = tertulia_command("conversations", "fork", library.trip, "idea", "--at", "2")

    assert (0, "idea\n") == ended[:2]
    assert f'"tertulia chat --conversation {library.trip} --branch idea" goes on there\n' == ended.err
    main, idea = json.loads(tertulia_command("branches", library.trip, "--json").out)
    assert (True, False) == (main["active"], idea["active"])
    assert ("main", 2, 0) == (idea["forked_from"], idea["shared_messages"], idea["own_messages"])


def test_a_fork_without_a_name_gets_one(tertulia_command, library: Library):
    """
    It begins at the newest message of the branch that is named.
    """
    assert "main-2\n" == tertulia_command("conversations", "fork", library.trip, "--branch", "main").out
    [_, second] = json.loads(tertulia_command("conversations", "branches", library.trip, "--json").out)
    assert 4 == second["shared_messages"]


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["idea", "--at", "5"], 2, "Branch 'main' has no message 5: it has 4. "),
        (["idea", "--at", "0"], 2, "Invalid value for '--at': 0 is not in the range x>=1. "),
        (["main"], 1, "there is a branch 'main' already; choose another name\n"),
        (["idea", "--branch", "other"], 1, "conversation"),
        ([" "], 2, "a branch's name has 1 to 200 characters"),
    ],
)
def test_a_fork_that_cannot_be_is_refused(
    tertulia_command, library: Library, arguments: list[str], code: int, error: str
):
    """
    No branch is made.
    """
    ended = tertulia_command("conversations", "fork", library.trip, *arguments)

    assert (code, "") == ended[:2]
    assert ended.err.startswith(f"error: {error}")
    assert 1 == len(json.loads(tertulia_command("branches", library.trip, "--json").out))
