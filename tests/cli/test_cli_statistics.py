"""``tertulia conversations stats``: how much was said, and what became of it."""

from __future__ import annotations

import json

import pytest
from small_library import Library


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


def test_everything_is_counted(tertulia_command, library: Library):
    """
    Messages by role, attempts by outcome, tokens by class; then the same by provider, model and day.
    """
    ended = tertulia_command("conversations", "stats")

    assert (0, "") == (ended.code, ended.err)
    total, providers, models, days = ended.out.split("\n\n")
    assert total == (
        "conversations     3\n"
        "messages          8 (4 user, 4 assistant)\n"
        "questions         4, 0.0% passed on to another provider\n"
        "attempts          4, 75.0% answered\n"
        "of them           0 failed, 1 interrupted, 0 cancelled\n"
        "tokens            39 input, 0 from cache, 0 to cache, 11 output, 0 reasoning\n"
        "cost              at least $0.0001595\n"
        "answer after      0.00 s (p50), 0.00 s (p90), 0.00 s (p99)\n"
        "first word after  0.00 s (p50), 0.00 s (p90), 0.00 s (p99)"
    )
    assert "openai    2         1         50.0%    11      at least $0.000046  0.00 s  0.00 s" in providers
    assert ["model", "gemini/gemini-3.5-flash", "openai/gpt-6.1-sol", "xai/grok-4.7"] == [
        line.split()[0] for line in models.splitlines()
    ]
    assert days.splitlines()[-1].split() == ["2026-11-22", "1", "0", "0.0%", "0", "at", "least", "$0"]


def test_one_conversation_is_counted(tertulia_command, library: Library):
    """
    With --json nothing is rounded, and what is not known is null.
    """
    counted = json.loads(tertulia_command("conversations", "stats", library.count, "--json").out)

    assert {"user": 1, "assistant": 1} == counted["messages"]
    assert (1, 1, 0, 1) == tuple(
        counted[name] for name in ("conversations", "questions", "fallbacks", "interrupted")
    )
    assert ("0", 1) == (counted["cost"], counted["unknown_costs"])
    assert {"count": 0, "p50": None, "p90": None, "p99": None} == counted["latency_seconds"]
    assert ["openai"] == list(counted["by_provider"])
    assert ["2026-11-22"] == list(counted["by_day"])


@pytest.mark.parametrize(
    ("options", "days"),
    [
        (["--since", "2026-11-21"], ["2026-11-21", "2026-11-22"]),
        (["--until", "2026-11-21"], ["2026-11-20"]),
        (["--time-zone", "Pacific/Kiritimati", "--until", "2026-11-22"], ["2026-11-21"]),
    ],
)
def test_a_period_is_counted(tertulia_command, library: Library, options: list[str], days: list[str]):
    """
    Days are those of the time zone.
    """
    counted = json.loads(tertulia_command("conversations", "stats", "--json", *options).out)

    assert days == list(counted["by_day"])


def test_where_nothing_was_said_everything_is_none(tertulia_command):
    """
    A share of nothing is none, and not zero.
    """
    out = tertulia_command("conversations", "stats").out

    assert "questions         0, none passed on to another provider\n" in out
    assert "answer after      unknown\n" in out
    assert "\n\n" not in out


def test_a_conversation_that_is_not_there_is_one_line(tertulia_command, library: Library):
    """
    It fails as everywhere.
    """
    ended = tertulia_command("conversations", "stats", library.trip[:-1] + "f")

    assert (1, "") == ended[:2]
    assert ended.err.startswith("error: there is no conversation ")
