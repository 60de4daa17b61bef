"""Points and spans of time as people type them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import click
import pytest

from tertulia_cli.moments import read_moment, read_span, read_zone

MADRID = ZoneInfo("Europe/Madrid")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22", datetime(2026, 11, 21, 23, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-11-22T14:30", datetime(2026, 11, 22, 13, 30, tzinfo=UTC)),
        ("2026-11-22 14:30:15", datetime(2026, 11, 22, 13, 30, 15, tzinfo=UTC)),
        ("2026-11-22T14:30Z", datetime(2026, 11, 22, 14, 30, tzinfo=UTC)),
        ("2026-11-22t14:30+05:00", datetime(2026, 11, 22, 9, 30, tzinfo=UTC)),
    ],
)
def test_a_date_is_one_of_its_time_zone(text: str, moment: datetime):
    """
    Unless it says another one itself.
    """
    assert moment == read_moment("--since", text, MADRID)


def test_without_a_time_zone_it_is_one_of_here():
    """
    A date is the midnight that the clock on the wall shows.
    """
    moment = read_moment("--since", "2026-11-22")

    assert (date(2026, 11, 22), 0) == (moment.astimezone().date(), moment.astimezone().hour)


def test_a_day_can_be_named():
    """
    Yesterday begins a day before today, by the calendar.
    """
    today, yesterday = (read_moment("--since", word, ZoneInfo("UTC")) for word in ("today", "Yesterday"))

    assert timedelta(days=1) == today - yesterday
    assert timedelta() <= datetime.now(UTC) - today < timedelta(days=1, seconds=1)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("90m", timedelta(minutes=90)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        (" 2W ", timedelta(weeks=2)),
        ("0d", timedelta()),
    ],
)
def test_a_span_is_so_long_and_so_long_ago(text: str, span: timedelta):
    """
    The same words are a time to keep something, and a point in the past.
    """
    assert span == read_span("--keep-for", text)
    before = datetime.now(UTC) - span
    assert before <= read_moment("--since", text, MADRID) <= before + timedelta(minutes=1)


@pytest.mark.parametrize(
    "text", ["", "soon", "30", "d", "-1d", "1y", "2026", "2026-02-30", "22.11.2026", "999999w"]
)
def test_what_is_no_date_is_refused(text: str):
    """
    The line says what was typed where, and what could be.
    """
    with pytest.raises(click.UsageError, match=r"--since .* is no date: write 2026-11-22, "):
        read_moment("--since", text)


@pytest.mark.parametrize("text", ["", "30", "2026-11-22", "-1d", "1.5h"])
def test_what_is_no_span_is_refused(text: str):
    """
    A date is none.
    """
    with pytest.raises(click.UsageError, match=r"--keep-for .* is no span of time: write 12h, 30d or 2w"):
        read_span("--keep-for", text)


def test_nothing_is_nothing():
    """
    What was not typed is no bound.
    """
    assert (None, None) == (read_moment("--since", None), read_span("--keep-for", None))


@pytest.mark.parametrize(
    ("name", "variable", "zone"),
    [
        ("Asia/Tokyo", "Europe/Madrid", "Asia/Tokyo"),
        (None, "Europe/Madrid", "Europe/Madrid"),
        (None, ":Europe/Madrid", "Europe/Madrid"),
        (None, "nonsense", "UTC"),
        (None, "../passwd", "UTC"),
    ],
)
def test_the_time_zone_is_the_named_one_or_that_of_here(
    monkeypatch: pytest.MonkeyPatch, name: str | None, variable: str, zone: str
):
    """
    And UTC where the machine does not say which.
    """
    monkeypatch.setenv("TZ", variable)

    assert zone == read_zone(name).key


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "/etc/passwd", "", "Europe"])
def test_a_time_zone_that_nobody_knows_is_refused(name: str):
    """
    Also one that is a file.
    """
    with pytest.raises(click.UsageError, match="There is no time zone"):
        read_zone(name)


def test_the_machine_says_its_time_zone(monkeypatch: pytest.MonkeyPatch):
    """
    Without the variable it is what the system's own link says.
    """
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr("os.path.realpath", lambda path: f"/usr/share/zoneinfo/Asia/Tokyo{path!s:.0}")

    assert "Asia/Tokyo" == read_zone(None).key
