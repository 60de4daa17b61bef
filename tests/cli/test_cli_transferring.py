"""``tertulia conversations export`` and ``import``: to files, and from files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from pseudo_terminal import Terminal
from small_library import Library


@pytest.fixture
def exported(tertulia_command, library: Library, tmp_path: Path) -> Path:
    """Everything there is, in a file."""
    path = tmp_path / "all.jsonl"
    ended = tertulia_command("conversations", "export", str(path))
    assert (0, "", f"3 conversations exported to {path}\n") == ended
    return path


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """Another store, which is not there yet."""
    return f"sqlite:///{tmp_path / 'elsewhere.db'}"


def test_what_is_exported_can_be_imported(tertulia_command, library: Library, exported: Path, elsewhere: str):
    """
    Everything comes along, archived ones included, and what each of them says is the same.
    """
    ended = tertulia_command("conversations", "import", str(exported), "--store", elsewhere)

    assert (0, "", "3 conversations imported, with 8 messages\n") == ended
    for command in (("list", "--state", "any"), ("show", library.trip), ("show", library.count)):
        here = tertulia_command("conversations", *command, "--json")
        assert here == tertulia_command("conversations", *command, "--json", "--store", elsewhere)


def test_what_is_there_is_left_as_it_is(tertulia_command, library: Library, exported: Path):
    """
    The same file changes nothing.
    """
    ended = tertulia_command("conversations", "import", str(exported))

    assert (0, "") == ended[:2]
    assert (
        "0 conversations imported, with 0 messages\n"
        "3 conversations were there already, and left as they are\n"
    ) == ended.err


def test_a_pipe_carries_conversations(tertulia_command, library: Library, exported: Path, elsewhere: str):
    """
    "-" is standard output, to which nothing else is written, and standard input.
    """
    ended = tertulia_command("conversations", "export", "-", "--conversation", library.trip[:13])
    assert (0, "1 conversation exported\n") == (ended.code, ended.err)

    piped = tertulia_command(
        "conversations", "import", "-", "--json", "--store", elsewhere, piped=ended.out.encode()
    )

    assert (0, "") == (piped.code, piped.err)
    assert {"imported": [library.trip], "skipped": [], "messages": 4, "problems": []} == json.loads(piped.out)


def test_a_pipe_without_conversations_is_called_what_it_is(tertulia_command):
    """
    The error names standard input, and not where it was kept meanwhile.
    """
    code, out, error = tertulia_command("conversations", "import", "-", piped=b"")

    assert (1, "") == (code, out)
    assert error.startswith("error: standard input is none of what can be imported")


def test_what_cannot_be_imported_is_reported(
    tertulia_command, exported: Path, elsewhere: str, tmp_path: Path
):
    """
    The rest is imported, each problem has a line, and the exit code is 1.
    """
    spoilt = tmp_path / "spoilt.jsonl"
    spoilt.write_text(exported.read_text("utf-8") + "\x1b[2J no JSON\n", "utf-8")

    ended = tertulia_command("conversations", "import", str(spoilt), "--store", elsewhere)

    assert (1, "") == ended[:2]
    first, *problems = ended.err.splitlines()
    assert "3 conversations imported, with 8 messages" == first
    assert 1 == len(problems)
    assert problems[0].startswith("not imported: line ")
    assert "\x1b" not in ended.err


def test_a_spoilt_file_can_be_refused_as_a_whole(
    tertulia_command, exported: Path, elsewhere: str, tmp_path: Path
):
    """
    Nothing of it is imported then.
    """
    spoilt = tmp_path / "spoilt.jsonl"
    spoilt.write_text(exported.read_text("utf-8") + "no JSON\n", "utf-8")

    ended = tertulia_command(
        "conversations", "import", str(spoilt), "--on-error", "refuse", "--store", elsewhere
    )

    assert (1, "") == ended[:2]
    assert ended.err.startswith("error: ")
    assert "" == tertulia_command("conversations", "list", "--json", "--store", elsewhere).out


def test_a_file_is_not_replaced_unasked(tertulia_command, library: Library, tmp_path: Path):
    """
    --force says that it is meant.
    """
    path = tmp_path / "all.jsonl"
    path.write_text("mine")

    refused = tertulia_command("conversations", "export", str(path))

    assert (2, "") == refused[:2]
    assert refused.err.startswith(
        f"error: '{path}' is there already, and stays as it is: --force replaces it. "
    )
    assert "mine" == path.read_text()
    assert 0 == tertulia_command("conversations", "export", str(path), "--force").code
    assert path.read_text("utf-8").startswith("{")


@pytest.mark.parametrize(("name", "options"), [("all.md", []), ("all.txt", ["--format", "markdown"])])
def test_markdown_is_for_people(
    tertulia_command, library: Library, tmp_path: Path, name: str, options: list[str]
):
    """
    The file's name says so, or --format; one conversation follows the other, the oldest first.
    """
    path = tmp_path / name

    ended = tertulia_command("conversations", "export", str(path), *options)

    assert (0, "", f"3 conversations exported to {path}\n") == ended
    text = path.read_text("utf-8")
    assert text.index("My name is John.") < text.index("My name is Mary.") < text.index("Count to 5.")
    assert 3 == len(re.findall(r"^---\n(?:title|id): ", text, re.MULTILINE))
    assert sorted(path.parent.iterdir()) == sorted([path, Path(library.url.removeprefix("sqlite:///"))])


def test_markdown_is_nobody_elses_to_read(tertulia_command, library: Library, tmp_path: Path):
    """
    As an export is, and a link to it goes on leading there.
    """
    (tmp_path / "link.md").symlink_to("all.md")

    assert 0 == tertulia_command("conversations", "export", str(tmp_path / "link.md"))[0]

    assert (tmp_path / "link.md").is_symlink()
    assert 0o600 == (tmp_path / "all.md").stat().st_mode & 0o777


@pytest.mark.parametrize("options", [[], ["--format", "markdown"]])
def test_what_is_no_file_is_not_replaced(tertulia_command, library: Library, tmp_path: Path, options):
    """
    A device or a pipe stays what it is, whatever is forced.
    """
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    code, out, error = tertulia_command("conversations", "export", str(pipe), "--force", *options)

    assert (1, "") == (code, out)
    assert "cannot be written: it is no file" in error
    assert (True, ["pipe"]) == (
        pipe.is_fifo(),
        [path.name for path in tmp_path.iterdir() if "pipe" in path.name],
    )


def test_markdown_of_one_goes_into_a_pipe(tertulia_command, library: Library):
    """
    The conversations that are named, each once.
    """
    ended = tertulia_command(
        "conversations", "export", "-", "--format", "markdown", "-c", library.dinner, "-c", library.dinner
    )

    assert (0, "1 conversation exported\n") == (ended.code, ended.err)
    assert ended.out.startswith('---\ntitle: "Dinner"\n')
    assert "My name is Mary." in ended.out


@pytest.mark.parametrize("name", ["nowhere/all.md", "nowhere/all.jsonl"])
def test_a_file_that_cannot_be_written_is_one_line(
    tertulia_command, library: Library, tmp_path: Path, name: str
):
    """
    It names the file.
    """
    ended = tertulia_command("conversations", "export", str(tmp_path / name))

    assert (1, "") == ended[:2]
    assert ended.err.startswith("error: ")
    assert str(tmp_path / name) in ended.err
    assert 1 == ended.err.count("\n")


def test_a_file_that_is_not_there_is_one_line(tertulia_command, tmp_path: Path):
    """
    And so is one that is nothing that can be read.
    """
    text = tmp_path / "notes.txt"
    text.write_text("just notes")
    for path in (tmp_path / "nowhere.jsonl", tmp_path, text):
        ended = tertulia_command("conversations", "import", str(path))

        assert (1, "") == ended[:2]
        assert 1 == ended.err.count("\n")


def test_an_interrupted_export_leaves_no_file(
    tertulia_command, library: Library, tmp_path: Path, interrupt: Callable[..., None]
):
    """
    One line says so, and the exit code is that of Ctrl-C.
    """
    interrupt("export")
    path = tmp_path / "all.jsonl"

    assert (130, "", f"interrupted: '{path}' was not written\n") == tertulia_command(
        "conversations", "export", str(path)
    )
    assert not path.exists()


def test_an_interrupted_export_leaves_the_file_that_was_there(
    tertulia_command, library: Library, tmp_path: Path, interrupt: Callable[..., None]
):
    """
    Half of an export never takes the place of a whole one.
    """
    interrupt("get", 2)
    path = tmp_path / "all.md"
    path.write_text("mine")

    ended = tertulia_command("conversations", "export", str(path), "--force")

    assert (130, "", f"interrupted: '{path}' is as it was\n") == ended
    assert "mine" == path.read_text()
    assert {"all.md", "conversations.db"} >= {each.name for each in tmp_path.iterdir()}


def test_an_interrupted_export_into_a_pipe_writes_nothing(
    tertulia_command, library: Library, interrupt: Callable[..., None]
):
    """
    Who reads it gets nothing, and not a half.
    """
    interrupt("export")

    assert (130, "", "interrupted: nothing was written\n") == tertulia_command("conversations", "export", "-")


def test_an_interrupted_import_says_how_to_go_on(
    tertulia_command, exported: Path, elsewhere: str, interrupt: Callable[..., None]
):
    """
    What is stored stays stored.
    """
    interrupt("import_conversations")

    ended = tertulia_command("conversations", "import", str(exported), "--store", elsewhere)

    kept = "what was imported until then is kept; importing the file again goes on with the rest"
    assert (130, "", f"interrupted: {kept}\n") == ended
    assert 0 == tertulia_command("conversations", "import", str(exported), "--store", elsewhere).code


def test_a_terminal_shows_how_far_it_is(exported: Path, tmp_path: Path):
    """
    On one line, which is gone in the end.
    """
    with Terminal("conversations", "export", str(tmp_path / "again.jsonl")) as terminal:
        code, shown = terminal.end()

    assert 0 == code
    assert re.search(r"exporting ━+ 3", shown)
    assert terminal.written.rindex(b"\x1b[2K") > terminal.written.rindex(b"exporting")


def test_an_import_shows_how_many_bytes_are_read(at_terminal, exported: Path):
    """
    All of them, in the end.
    """
    ended = at_terminal("conversations", "import", str(exported))

    assert 0 == ended.code
    size = f"{exported.stat().st_size / 1000:.1f} kB"
    assert f"{size} of {size}" in click.unstyle(ended.err)


@pytest.mark.parametrize("quiet", ["--quiet", "--json", "TERM"])
def test_a_terminal_can_be_left_alone(
    at_terminal, exported: Path, monkeypatch: pytest.MonkeyPatch, quiet: str
):
    """
    With --quiet, with --json, and where it cannot go back in a line.
    """
    options = [quiet] if quiet.startswith("-") else []
    if not options:
        monkeypatch.setenv(quiet, "dumb")

    ended = at_terminal("conversations", "import", str(exported), *options)

    assert 0 == ended.code
    assert "importing" not in ended.err


def test_an_export_to_a_terminal_is_harmless(at_terminal, library: Library):
    """
    What a title says cannot operate it.
    """
    ended = at_terminal("conversations", "export", "-", "--format", "markdown", "-c", library.trip)

    assert 0 == ended.code
    assert "My name is John." in ended.out
    assert "\x1b[2J" not in ended.out
