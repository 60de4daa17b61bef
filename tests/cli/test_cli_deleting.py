"""``tertulia conversations delete``, ``restore`` and ``purge``: there and back, and no way back."""

from __future__ import annotations

import json
from collections.abc import Callable

import click
import pytest
from small_library import Library

import tertulia.sync


@pytest.fixture
def ids(tertulia_command):
    """The ids of all conversations of a state."""

    def ids(state: str = "any") -> list[str]:
        listed = tertulia_command("conversations", "list", "--state", state, "--json").out
        return [json.loads(line)["id"] for line in listed.splitlines()]

    return ids


def test_what_is_deleted_can_be_restored(tertulia_command, library: Library, ids):
    """
    Nothing is asked; a line says how to take it back, and an archived one comes back to the archive.
    """
    ended = tertulia_command("conversations", "delete", library.dinner)

    restore = f"tertulia conversations restore {library.dinner}"
    assert (0, "", f"'Dinner' is deleted; \"{restore}\" takes it back\n") == ended
    assert [library.dinner] == ids("deleted")
    assert 1 == tertulia_command("conversations", "show", library.dinner).code

    assert (0, "", "'Dinner' is back\n") == tertulia_command("conversations", "restore", "last")
    assert [library.dinner] == ids("archived")


def test_a_deleted_one_can_be_kept_for_a_time(tertulia_command, library: Library):
    """
    The time is stored, and the line says it.
    """
    ended = tertulia_command("conversations", "delete", library.trip, "--keep-for", "30d")

    assert ended.err.endswith(" takes it back until it is purged, 30d from now at the earliest\n")
    [deleted] = map(
        json.loads, tertulia_command("conversations", "list", "--state", "deleted", "--json").out.splitlines()
    )
    with tertulia.sync.open() as client:
        record = client.record(library.trip, deleted=True)
    assert 30 == (record.purge_after - record.deleted_at).days
    assert record.purge_after.isoformat() == deleted["purge_after"]


@pytest.mark.parametrize(
    "command", [("delete", "{trip}", "--purge"), ("purge", "{dinner}"), ("purge", "--expired")]
)
def test_nothing_goes_for_good_unasked(tertulia_command, library: Library, ids, command: tuple[str, ...]):
    """
    Where nobody can be asked, --yes is missing.
    """
    tertulia_command("conversations", "delete", library.dinner, "--keep-for", "0m")

    ended = tertulia_command("conversations", *(part.format(**library._asdict()) for part in command))

    assert (2, "") == ended[:2]
    assert ended.err.startswith(
        "error: Nothing was purged, since nobody can be asked: --yes says that it is meant. "
    )
    assert 3 == len(ids())


def test_deleting_and_purging_is_one_step_for_who_is_sure(tertulia_command, library: Library, ids):
    """
    Several at once, and they are gone.
    """
    ended = tertulia_command("conversations", "delete", library.trip, library.dinner, "--purge", "--yes")

    assert (0, "", "2 conversations are gone for good\n") == ended
    assert [library.count] == ids()


def test_only_what_is_deleted_is_purged(tertulia_command, library: Library, ids):
    """
    The beginning of an id leads only to deleted ones, and so does a whole one.
    """
    tertulia_command("conversations", "delete", library.dinner)

    beginning = tertulia_command("conversations", "purge", library.trip[:13], "--yes")
    whole = tertulia_command("conversations", "purge", library.trip, "--yes")

    assert (1, 1) == (beginning.code, whole.code)
    assert '"tertulia conversations list --state deleted" shows what there is' in beginning.err
    assert 3 == len(ids())
    assert (0, "", "1 conversation is gone for good\n") == tertulia_command(
        "conversations", "purge", "last", "--yes"
    )
    assert [library.count, library.trip] == ids()


def test_what_has_expired_is_purged(tertulia_command, library: Library, ids):
    """
    Those whose time has not come stay, and those without one as well.
    """
    tertulia_command("conversations", "delete", library.trip, "--keep-for", "0m")
    tertulia_command("conversations", "delete", library.dinner, "--keep-for", "1d")
    tertulia_command("conversations", "delete", library.count)

    ended = tertulia_command("conversations", "purge", "--expired", "--yes")

    assert (0, "", "1 conversation is gone for good\n") == ended
    assert {library.dinner, library.count} == set(ids())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["purge"], "Say which: either an ID, or --expired. "),
        (["purge", "last", "--expired"], "Say which: either an ID, or --expired. "),
        (
            ["delete", "last", "--keep-for", "long"],
            "--keep-for 'long' is no span of time: write 12h, 30d or 2w. ",
        ),
        (["delete", "last", "--keep-for", "1d", "--purge"], "--keep-for and --purge are two ways, "),
    ],
)
def test_what_cannot_be_meant_changes_nothing(
    tertulia_command, library: Library, ids, arguments: list[str], error: str
):
    """
    It is one line and exit code 2.
    """
    ended = tertulia_command("conversations", *arguments)

    assert (2, "") == ended[:2]
    assert ended.err.startswith(f"error: {error}")
    assert [] == ids("deleted")


@pytest.mark.parametrize(
    ("answer", "code", "shown"),
    [
        ("y\n", 0, "1 conversation is gone for good\n"),
        ("n\n", 1, "nothing was purged\n"),
        ("\n", 1, "nothing was purged\n"),
        ("", 130, ""),
    ],
)
def test_who_is_asked_decides(at_terminal, library: Library, ids, answer: str, code: int, shown: str):
    """
    Only a yes is one; what would go is named before.
    """
    ended = at_terminal("conversations", "delete", library.trip, "--purge", typed=answer)

    asked, question, rest = ended.err.partition("Remove this for good, with its messages and costs? [y/N]: ")
    assert question
    assert "'Trip to ␛[2J Lisbon'" in asked
    assert code == ended.code
    assert click.unstyle(rest).endswith(shown)
    assert (code != 0) is (library.trip in ids())


def test_an_interrupted_purge_says_what_is_gone(
    tertulia_command, library: Library, ids, interrupt: Callable[..., None]
):
    """
    Ctrl-C ends it with one line.
    """
    interrupt("purge", 2)

    ended = tertulia_command("conversations", "delete", library.trip, library.dinner, "--purge", "--yes")

    assert (
        130,
        "",
        "interrupted: 1 conversation is gone for good; purging again goes on with the rest\n",
    ) == ended
    assert [library.count] == ids("active")
    assert [library.dinner] == ids("deleted")
