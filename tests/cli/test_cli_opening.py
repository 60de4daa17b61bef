"""A command that only reads makes no database, wherever it is told to look."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_library import Library

ID = "0199a3c4-5d6e-7000-8000-000000000000"
READING = [
    ("conversations", "list"),
    ("conversations", "show", ID),
    ("conversations", "search", "name"),
    ("conversations", "tags"),
    ("conversations", "stats"),
    ("conversations", "export", "{folder}/all.jsonl"),
    ("conversations", "rename", ID, "x"),
    ("conversations", "tag", ID),
    ("conversations", "archive", ID),
    ("conversations", "delete", ID),
    ("conversations", "purge", ID, "--yes"),
    ("conversations", "fork", ID),
    ("branches", ID),
    ("costs",),
    ("doctor",),
    ("chat", "--conversation", ID),
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_a_mistyped_store_is_refused(tertulia_command, tmp_path: Path, command: tuple[str, ...]):
    """
    The line names the file, and there still is none.
    """
    arguments = [part.format(folder=tmp_path) for part in command]
    ended = tertulia_command(*arguments, "--store", f"sqlite:///{tmp_path}/mist%20yped.db")

    name = " ".join(word for word in command[:2] if word.isalpha() and word != "name")
    assert (
        2,
        "",
        (
            f"error: There is no database '{tmp_path}/mist yped.db', and none was created. "
            f'See "tertulia {name} --help".\n'
        ),
    ) == ended
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [each for each in READING if each[0] != "chat"], ids=" ".join)
def test_the_own_database_is_not_created_by_looking(
    tertulia_command, tmp_path: Path, command: tuple[str, ...]
):
    """
    Where nothing was ever said, nothing is found.
    """
    arguments = [part.format(folder=tmp_path) for part in command]
    ended = tertulia_command(*arguments)

    assert ended.code == int(ID in command)
    assert [] == [path for path in tmp_path.iterdir() if path.suffix == ".db"]


@pytest.mark.parametrize("store", ["memory:", "sqlite:///:memory:"])
def test_a_store_in_memory_is_no_file(tertulia_command, store: str):
    """
    It is empty, and that is all.
    """
    assert (0, "", "there is no conversation yet\n") == tertulia_command(
        "conversations", "list", "--store", store
    )


def test_a_store_that_is_there_is_opened(tertulia_command, library: Library):
    """
    With settings in its URL too.
    """
    ended = tertulia_command("conversations", "list", "--store", f"{library.url}?mode=ro", "--json")

    assert 2 == len(ended.out.splitlines())


def test_a_url_that_is_none_is_refused(tertulia_command):
    """
    What is wrong with it says the library, and no file of that name is made.
    """
    ended = tertulia_command("conversations", "list", "--store", "conversations.db")

    assert (2, "") == ended[:2]
    assert "'conversations.db'" in ended.err
    assert not Path("conversations.db").exists()
