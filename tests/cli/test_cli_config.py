"""``tertulia config show``: what is set, and where; never a key."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

FILE = """\
default_provider = "local"

[conversation]
context_window = 10

[providers.local]
driver = "openai"
base_url = "http://localhost:11434/v1"
api_key = "sk-in-the-file"
fallback = ["openai", "gemini/gemini-3.5-flash"]
"""


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration file, and a key in the environment."""
    path = tmp_path / "config.toml"
    path.write_text(FILE)
    monkeypatch.setenv("TERTULIA_CONFIG", str(path))
    monkeypatch.setenv("OPENAI_API_KEY", "sk-in-the-environment")
    return path


def rows(out: str) -> dict[str, list[str]]:
    """The columns after the first one, by it."""
    lines = [re.split(" {2,}", line) for line in out.splitlines()]
    return {first: rest for first, *rest in lines}


def test_what_is_set_is_shown(tertulia_command):
    """
    A line for each setting that is in effect.
    """
    ended = tertulia_command("config", "show")

    shown = rows(ended.out)
    assert (0, "") == (ended.code, ended.err)
    assert shown["default_provider"] == ["local"]
    assert shown["conversation.context_window"] == ["10"]
    assert shown["providers.local.fallback"] == ["openai, gemini/gemini-3.5-flash"]
    assert shown["providers.local.timeouts.idle"] == ["60.0"]
    assert "conversation.max_context_tokens" not in shown


def test_the_origin_of_each_is_shown(tertulia_command, file: Path):
    """
    With --origin a line says where the setting is set, and those that are not set have one as well.
    """
    shown = rows(tertulia_command("config", "show", "--origin").out)

    assert shown["setting"] == ["value", "origin"]
    assert shown["default_provider"] == ["local", f"{file} line 1"]
    assert shown["providers.local.base_url"] == ["http://localhost:11434/v1", f"{file} line 8"]
    assert shown["store"][1] == "environment variable TERTULIA_STORE"
    assert shown["conversation.max_context_tokens"] == ["not set", "default"]
    assert shown["providers.openai.api_key"] == ["set, and not shown", "environment variable OPENAI_API_KEY"]


@pytest.mark.parametrize("options", [(), ("--origin",), ("--json",)])
def test_no_key_is_ever_shown(tertulia_command, options: tuple[str, ...]):
    """
    Neither one in a file nor one in the environment.
    """
    assert "sk-in-" not in tertulia_command("config", "show", *options).out


def test_json_is_a_list_of_settings(tertulia_command, file: Path):
    """
    With --json each is an object; of a secret there is no value.
    """
    listed = {each["key"]: each for each in json.loads(tertulia_command("config", "show", "--json").out)}

    assert listed["conversation.context_window"] == {
        "key": "conversation.context_window",
        "value": 10,
        "is_secret": False,
        "origin": f"{file} line 4",
    }
    assert listed["providers.local.api_key"] == {
        "key": "providers.local.api_key",
        "value": None,
        "is_secret": True,
        "origin": f"{file} line 9",
    }


def test_a_file_that_cannot_be_used_is_one_line(tertulia_command, file: Path):
    """
    What is wrong is said with its place, and the exit code says that it is a matter of configuration.
    """
    file.write_text("default_provder = 'local'\n")

    assert tertulia_command("config", "show") == (
        2,
        "",
        f"error: {file} line 1: default_provder is no setting; did you mean 'default_provider'?\n",
    )
