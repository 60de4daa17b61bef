"""``tertulia doctor``: what is set up, what is kept, and what is wrong with it."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest
from small_library import Library


def path_of(library: Library) -> Path:
    return Path(library.url.removeprefix("sqlite:///"))


@pytest.fixture
def miscounted(library: Library) -> Library:
    """A library one of whose counters is wrong."""
    with sqlite3.connect(path_of(library)) as connection:
        connection.execute("UPDATE conversation SET message_count = 99 WHERE title = 'Dinner'")
    connection.close()
    return library


def test_all_is_well(tertulia_command, library: Library):
    """
    What there is has a line each.
    """
    ended = tertulia_command("doctor")

    assert (0, "all is well\n") == (ended.code, ended.err)
    rows = dict(re.split(" {2,}", line, maxsplit=1) for line in ended.out.splitlines())
    assert ["providers", "plugins", "store", "engine", "size", "holds"] == list(rows)
    assert "openai (no key)" in rows["providers"]
    assert str(path_of(library)) == rows["store"]
    assert re.fullmatch(r"SQLite \d+\.\d+\.\d+, tables of version \d+", rows["engine"])
    assert rows["holds"].startswith("3 conversations, 8 messages, 4 attempts, 0 attachments")


def test_a_key_is_told_and_not_shown(tertulia_command, library: Library, monkeypatch: pytest.MonkeyPatch):
    """
    Only that there is one.
    """
    monkeypatch.setenv("XAI_API_KEY", "sk-secret")

    ended = tertulia_command("doctor")

    assert "xai (has a key)" in ended.out
    assert "secret" not in ended.out + ended.err + tertulia_command("doctor", "--json").out


def test_json_is_one_object(tertulia_command, library: Library):
    """
    With the plugins as "tertulia plugins" lists them, and the store's counts.
    """
    found = json.loads(tertulia_command("doctor", "--json").out)

    assert (True, [], None) == (found["ok"], found["problems"], found["repaired"])
    assert json.loads(tertulia_command("plugins", "--json").out) == found["plugins"]
    assert json.loads(tertulia_command("providers", "list", "--json").out) == found["providers"]
    assert (3, 8) == (found["store"]["counts"]["conversations"], found["store"]["counts"]["messages"])
    assert found["store"]["size_bytes"] > 0


def test_a_wrong_counter_is_found_and_repaired(tertulia_command, miscounted: Library):
    """
    Until then the exit code is 1; nothing is changed without --repair.
    """
    for _ in range(2):
        ended = tertulia_command("doctor")
        assert 1 == ended.code
        assert ended.err.startswith("problem: store: ")
        assert "99" in ended.err or miscounted.dinner in ended.err

    repaired = tertulia_command("doctor", "--repair")

    assert (0, "all is well\n") == (repaired.code, repaired.err)
    assert "repaired   counters of 1 conversation" in repaired.out
    assert 0 == tertulia_command("doctor").code


def test_a_problem_in_json_says_whose_it_is(tertulia_command, miscounted: Library):
    """
    What is wrong, what to do, and with which conversation.
    """
    ended = tertulia_command("doctor", "--json")

    [problem] = json.loads(ended.out)["problems"]
    assert (1, "") == (ended.code, ended.err)
    assert ("store", "counters", miscounted.dinner) == (
        problem["area"],
        problem["kind"],
        problem["conversation"],
    )
    assert problem["repair"]


def test_a_damaged_database_is_a_problem(tertulia_command, library: Library):
    """
    It is named in one line, and so is what to do.
    """
    path_of(library).write_bytes(b"this is no database" * 100)

    ended = tertulia_command("doctor")

    assert 1 == ended.code
    assert ended.err.startswith("problem: store: ")
    assert str(path_of(library)) in ended.err
    assert 1 == ended.err.count("\n")
    assert False is json.loads(tertulia_command("doctor", "--json").out)["ok"]


def test_a_setting_that_cannot_be_read_is_a_problem(
    tertulia_command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """
    It says where it is set; the rest cannot be looked at.
    """
    path = tmp_path / "config.toml"
    path.write_text("[conversation]\ncontext_windw = 3\n")
    monkeypatch.setenv("TERTULIA_CONFIG", str(path))

    ended = tertulia_command("doctor")

    assert (1, "") == ended[:2]
    assert ended.err.startswith("problem: configuration: ")
    assert "context_windw" in ended.err
    found = json.loads(tertulia_command("doctor", "--json").out)
    assert (None, None) == (found["plugins"], found["store"])


def test_a_refused_plugin_is_a_problem(tertulia_command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """
    With its reason, which cannot operate the terminal; a store that is not there yet is none.
    """
    information = tmp_path / "evil-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[tertulia.plugins]\nevil = evil_doctor:Plugin\n")
    (tmp_path / "evil_doctor.py").write_text('raise RuntimeError("boom \\x1b[2J")\n')
    monkeypatch.syspath_prepend(str(tmp_path))

    ended = tertulia_command("doctor")

    assert 1 == ended.code
    assert "problem: plugins: plugin 'evil' was refused: RuntimeError: boom ␛[2J\n" in ended.err
    assert re.search(r"^plugins +\d+ well, 1 refused$", ended.out, re.MULTILINE)
    assert re.search(r"^store +nothing is kept yet$", ended.out, re.MULTILINE)
