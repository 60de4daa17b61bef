"""``tertulia plugins``, ``--version`` and ``--help``: what one asks a command about itself."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

EVIL = """\
print("I am not JSON")
raise RuntimeError("[red]boom[/red] \\x1b[2J")
"""


@pytest.fixture
def evil_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed plugin that prints when it is imported, and cannot be."""
    information = tmp_path / "evil-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[tertulia.plugins]\nevil = evil_plugin:Plugin\n")
    (tmp_path / "evil_plugin.py").write_text(EVIL)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_drivers_are_listed(tertulia_command):
    """
    Each installed driver has a line with its distribution.
    """
    ended = tertulia_command("plugins")

    lines = ended.out.splitlines()
    assert ended.code == 0
    assert lines[0].split() == ["name", "kind", "distribution", "status", "reason"]
    assert ["openai", "driver", "tertulia-openai", version("tertulia-openai"), "available"] in [
        line.split() for line in lines
    ]


def test_json_is_a_list(tertulia_command):
    """
    With --json each driver is an object, the ones there are in order.
    """
    listed = json.loads(tertulia_command("plugins", "--json").out)

    names = [each["name"] for each in listed if each["kind"] == "driver"]
    assert names == sorted(names)
    assert {
        "name": "xai",
        "kind": "driver",
        "distribution": f"tertulia-xai {version('tertulia-xai')}",
        "status": "available",
        "reason": None,
    } in listed


@pytest.mark.usefixtures("evil_plugin")
def test_what_a_plugin_prints_does_not_spoil_json(tertulia_command):
    """
    A plugin that prints and breaks leaves standard output to the command, and is listed with its reason.
    """
    ended = tertulia_command("plugins", "--json")

    [evil] = [each for each in json.loads(ended.out) if each["name"] == "evil"]
    assert evil["status"] == "refused"
    assert evil["reason"] == "RuntimeError: [red]boom[/red] \x1b[2J"
    assert "\x1b" not in ended.out


@pytest.mark.usefixtures("evil_plugin")
def test_a_refused_plugin_cannot_write_on_the_terminal(tertulia_command):
    """
    A reason is shown as it is: no markup is read and no control character gets through.
    """
    ended = tertulia_command("plugins")

    assert "[red]boom[/red]" in ended.out
    assert "␛[2J" in ended.out
    assert ended.err.endswith("warning: plugin 'evil' was refused: RuntimeError: [red]boom[/red] ␛[2J\n")
    assert "\x1b" not in ended.out + ended.err


def test_version_names_both_distributions(tertulia_command):
    """
    The versions are those that are installed.
    """
    versions = f"tertulia {version('tertulia')}\ntertulia-cli {version('tertulia-cli')}\n"

    assert (0, versions, "") == tertulia_command("--version")


def test_version_is_cheap():
    """
    Nothing heavy is imported to say which version this is.
    """
    program = "import sys, tertulia_cli; tertulia_cli.main(['--version']); print(*sys.modules)"

    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    heavy = {"aiohttp", "asyncio", "attrs", "click", "pluggy", "rich", "sqlalchemy", "tertulia.client"}
    assert set() == heavy & set(printed.stdout.split())


def test_without_a_command_there_is_help(tertulia_command):
    """
    ``tertulia`` alone says what can be done, and so does a group of commands.
    """
    assert tertulia_command() == tertulia_command("--help")
    for group in ("conversations", "config"):
        assert tertulia_command(group) == tertulia_command(group, "--help")


def test_an_unknown_command_is_refused(tertulia_command):
    """
    A wrong word is exit code 2 and one line.
    """
    error = "No such command 'simulat'. Did you mean 'simulate'? See \"tertulia --help\"."

    assert tertulia_command("simulat") == (2, "", f"error: {error}\n")
