"""Every command has help, and the page about them says what the help says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tertulia_cli.chat_commands import COMMANDS as CHAT_COMMANDS
from tertulia_cli.commands import cli

PAGE = (Path(__file__).parents[2] / "docs/reference/cli.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## `(tertulia[^`]*)`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
ROW = re.compile(r"^\| (`-[^|]*) \|", re.MULTILINE)


def walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, with what is typed to call each."""
    yield name, command
    if isinstance(command, click.Group):
        for below, each in command.commands.items():
            yield from walk(each, f"{name} {below}")


COMMANDS = dict(walk(cli, "tertulia"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_examples(tertulia_command, name: str):
    """
    Whoever asks for help sees lines to type.
    """
    ended = tertulia_command(*name.split()[1:], "--help")

    assert (0, "") == (ended.code, ended.err)
    assert f"Examples:\n    {name}" in ended.out


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_the_usage_of_every_command(tertulia_command, name: str):
    """
    What the page says can be typed is what the help says.
    """
    usage = tertulia_command(*name.split()[1:], "--help").out.splitlines()[0]

    assert f"Usage: `{usage.removeprefix('Usage: ')}`\n" in SECTIONS[name]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_every_option_and_no_other(tertulia_command, name: str):
    """
    In the order of the help, the short names included.
    """
    options = tertulia_command(*name.split()[1:], "--help").out.partition("Options:\n")[2]
    told = re.findall(r"^  (?:(-\w), )?(--[\w-]+)", options, re.MULTILINE)
    shown = [" ".join(filter(None, (long, short))) for short, long in told if long != "--help"]

    rows = [" ".join(re.findall(r"`(-[^`]+)`", row)) for row in ROW.findall(SECTIONS[name])]

    assert shown == rows


def test_the_page_has_no_other_command():
    """
    What can no longer be typed is no longer on the page.
    """
    assert set(COMMANDS) == set(SECTIONS)


def test_the_page_has_what_can_be_typed_in_a_chat():
    """
    Each command of a chat has a row, as the chat's own help has it.
    """
    rows = re.findall(r"^\| `(/[^`]+)` \|", SECTIONS["tertulia chat"], re.MULTILINE)

    assert [entry.usage for entry in CHAT_COMMANDS.values()] == rows
