"""What the command says that answers cost is what the library says."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from pseudo_terminal import Terminal
from small_library import Library

import tertulia.sync


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


@pytest.mark.parametrize("provider", ["openai", "gemini", "xai"])
def test_the_command_names_the_cost_that_is_stored(tertulia_command, simulated, provider):
    """One answer, asked by the command: every place of its JSON has the amount of the stored attempt."""
    asked = json.loads(tertulia_command("ask", "--json", "--provider", provider, "My name is John.").out)
    with tertulia.sync.open() as client:
        (record,) = client.list()
        (attempt,) = client.get(record.id).attempts()
    listed = json.loads(tertulia_command("conversations", "list", "--json").out)
    shown = json.loads(tertulia_command("conversations", "show", str(record.id), "--json").out)
    spent = json.loads(tertulia_command("costs", "--json").out)

    amount = f"{attempt.cost.usd:f}"
    assert Decimal(amount) > 0
    assert [amount] * 6 == [
        asked["cost"],
        asked["attempts"][0]["cost"],
        listed["cost"],
        shown["cost"],
        shown["messages"][-1]["cost"],
        spent["total"]["cost"],
    ]
    assert (0, 0) == (listed["unknown_costs"], shown["unknown_costs"])


def test_costs_are_a_table_and_bars(tertulia_command, library: Library):
    """
    By day and provider; what nobody said the price of makes it "at least", in each line and in all.
    """
    assert tertulia_command("costs") == (
        0,
        (
            "day         provider  attempts  tokens in  tokens out  cost\n"
            "2026-11-20  gemini    1         23         5           $0.0000795\n"
            "2026-11-20  openai    1         8          3           $0.000046\n"
            "2026-11-21  xai       1         8          3           $0.000034\n"
            "2026-11-22  openai    1         0          0           at least $0\n"
            "total                 4         39         11          at least $0.0001595\n"
            "\n"
            "2026-11-20  ███████████████████████████████████▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓  $0.0001255\n"
            "2026-11-21  ▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒                                          $0.000034\n"
            "2026-11-22                                                           at least $0\n"
            "█ gemini  ▓ openai  ▒ xai\n"
        ),
        "",
    )


@pytest.mark.parametrize(
    ("groups", "head", "keys"),
    [
        (["provider"], "provider", ["gemini", "openai", "xai"]),
        (["model"], "model", ["gemini/gemini-3.5-flash", "openai/gpt-6.1-sol", "xai/grok-4.7"]),
        (["tag"], "tag", ["2026", "food", "travel", "none"]),
        (["owner"], "owner", ["local"]),
        (["conversation"], "conversation", ["{trip}", "{dinner}", "{count}"]),
    ],
)
def test_costs_can_be_added_up_otherwise(
    tertulia_command, library: Library, groups: list[str], head: str, keys: list[str]
):
    """
    There are no bars where it is not by day.
    """
    options = [part for group in groups for part in ("--by", group)]

    lines = tertulia_command("costs", *options).out.splitlines()

    assert head == lines[0].split()[0]
    assert [key.format(**library._asdict()) for key in keys] == [line.split()[0] for line in lines[1:-1]]
    assert lines[-1].startswith("total ")
    assert lines[-1].endswith("at least $0.0001595")


def test_bars_can_be_of_one_kind(tertulia_command, library: Library):
    """
    By day alone nothing is stacked, and there is no legend.
    """
    *_, last = tertulia_command("costs", "--by", "day").out.splitlines()

    assert last.startswith("2026-11-22  ")
    assert last.endswith("at least $0")


@pytest.mark.parametrize(
    ("options", "attempts"),
    [
        (["--provider", "openai"], 2),
        (["--model", "grok-4.7"], 1),
        (["--tag", "travel"], 3),
        (["--conversation", "{dinner}"], 1),
        (["--since", "2026-11-21"], 2),
        (["--until", "2026-11-21"], 2),
        (["--since", "2026-11-21T12:00", "--until", "2026-11-22T12:00"], 1),
        (["--since", "2026-11-21T12:00", "--time-zone", "Asia/Tokyo"], 2),
        (["--until", "2026-11-20T21:00", "--time-zone", "Asia/Tokyo"], 0),
        (["--until", "2026-11-20T21:01", "--time-zone", "Asia/Tokyo"], 2),
    ],
)
def test_costs_have_bounds(tertulia_command, library: Library, options: list[str], attempts: int):
    """
    Each option leaves what it speaks of; a date is one of the time zone.
    """
    options = [option.format(**library._asdict()) for option in options]

    assert attempts == json.loads(tertulia_command("costs", "--json", *options).out)["total"]["attempts"]


def test_json_is_one_analysis(tertulia_command, library: Library):
    """
    Amounts are texts and moments have their zone.
    """
    ended = tertulia_command(
        "costs",
        "--json",
        "--by",
        "day,tag",
        "--tag",
        "food",
        "--since",
        "2026-11-01",
        "--time-zone",
        "Asia/Tokyo",
    )

    figures = {
        "attempts": 1,
        "input_tokens": 8,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "output_tokens": 3,
        "reasoning_tokens": 0,
        "cost": "0.000034",
        "unknown_costs": 0,
    }
    assert {
        "by": ["day", "tag"],
        "since": "2026-11-01T00:00:00+09:00",
        "until": None,
        "time_zone": "Asia/Tokyo",
        "rows": [
            {"day": "2026-11-21", "tag": "food", **figures},
            {"day": "2026-11-21", "tag": "travel", **figures},
        ],
        "total": figures,
    } == json.loads(ended.out)


def test_where_nothing_was_spent_there_is_a_note(tertulia_command):
    """
    The JSON object has an empty list of rows.
    """
    assert (0, "", "nothing was spent\n") == tertulia_command("costs")
    assert [] == json.loads(tertulia_command("costs", "--json").out)["rows"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--by", "day,weather"], "'weather' is not a valid CostGroup; "),
        (["--since", "soon"], "--since 'soon' is no date: "),
        (["--time-zone", "Mars/Olympus"], "There is no time zone 'Mars/Olympus': "),
    ],
)
def test_what_cannot_be_added_up_is_refused(
    tertulia_command, library: Library, options: list[str], error: str
):
    """
    It is one line and exit code 2.
    """
    ended = tertulia_command("costs", *options)

    assert (2, "") == ended[:2]
    assert ended.err.startswith(f"error: {error}")


def test_bars_have_colours_and_the_width_of_the_terminal(library: Library):
    """
    Each series has its own, and nothing is wider than the terminal.
    """
    with Terminal("costs", columns=60) as terminal:
        terminal.end()

    assert "\x1b[36m█\x1b[0m gemini  \x1b[33m▓\x1b[0m openai".encode() in terminal.written
    assert {60} == {max(map(len, terminal.shown.splitlines()))}


def test_a_terminal_without_colours_and_blocks_gets_signs(at_terminal, library: Library):
    """
    What cannot be shown is not written.
    """
    ended = at_terminal("costs", encoding="ascii")

    assert ended.out.endswith("# gemini  = openai  + xai\n")
    assert "\x1b" not in ended.out


def test_no_color_leaves_the_blocks(at_terminal, library: Library, monkeypatch: pytest.MonkeyPatch):
    """
    They tell the series apart without it.
    """
    monkeypatch.setenv("NO_COLOR", "1")

    assert at_terminal("costs").out.endswith("█ gemini  ▓ openai  ▒ xai\n")
