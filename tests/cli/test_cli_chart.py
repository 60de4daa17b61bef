"""Bars in a terminal."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tertulia
from tertulia_cli.chart import Bar, Ink, draw_chart
from tertulia_cli.costs import gather_days

PLAIN = Ink("#=+.", has_colors=False)


def draw(*bars: Bar, width: int = 30) -> list[str]:
    return draw_chart(bars, width=width, ink=PLAIN)


def test_the_longest_bar_has_all_the_room():
    """
    The others are as long as they are to it, and notes stand below one another.
    """
    assert [
        "Mon  ######################  8",
        "Tue  ###########             4",
        "Wed                          0",
    ] == draw(Bar("Mon", {"": 8}, "8"), Bar("Tue", {"": 4}, "4"), Bar("Wed", {}, "0"))


def test_parts_are_stacked_the_greatest_first():
    """
    A series has the same sign in every bar, and its name below.
    """
    assert [
        "Mon  #####             3",
        "Tue  #######=========  9",
        "# b  = a",
    ] == draw(Bar("Mon", {"b": 3}, "3"), Bar("Tue", {"b": 4, "a": 5}, "9"), width=24)


def test_where_there_are_many_the_smallest_are_one():
    """
    There are as many series as signs.
    """
    *_, legend = draw(Bar("Mon", {"a": 5, "b": 4, "c": 3, "d": 2, "e": 1}, "15"))

    assert "# a  = b  + c  . others" == legend


def test_what_is_little_is_seen():
    """
    A hundredth of a cell is one cell, and nothing is none.
    """
    lines = draw(Bar("Mon", {"a": 10_000}, "1"), Bar("Tue", {"a": 1}, "2"), Bar("Wed", {"a": 0}, "3"))

    assert ["Tue  #", "Wed  "] == [line[:6].rstrip() if "#" in line else line[:5] for line in lines[1:3]]


def test_nothing_is_no_chart():
    """
    Without an amount there is nothing to compare.
    """
    assert [] == draw()
    assert [] == draw(Bar("Mon", {"a": 0}, "$0"))


def test_a_narrow_terminal_still_has_bars():
    """
    Ten cells at least, whatever stands beside them.
    """
    (line, _) = draw(Bar("2026-11-22", {"a": 1}, "at least $0.000034"), width=5)

    assert f"2026-11-22  {'#' * 10}  at least $0.000034" == line


def test_a_name_cannot_operate_the_terminal():
    """
    Names come from configurations and from others.
    """
    assert "# ␛[2Jx y" == draw(Bar("Mon", {"\x1b[2Jx\ny": 1}, "1"))[-1]


@given(
    st.lists(
        st.lists(st.integers(0, 2**62), max_size=6).map(
            lambda parts: dict(zip("abcdef", parts, strict=False))
        ),
        min_size=1,
        max_size=4,
    ),
    st.integers(20, 200),
)
def test_no_line_is_wider_than_the_terminal(amounts: list[dict[str, int]], width: int):
    """
    However much there is of whatever.
    """
    bars = [Bar(str(place), parts, "$") for place, parts in enumerate(amounts)]

    lines = draw(*bars, width=width)[: len(bars)]

    assert all(len(line) <= width for line in lines)
    if lines:
        assert width == max(map(len, lines))


@pytest.mark.parametrize(
    ("days", "first", "last", "count"),
    [
        (1, "2026-01-01", "2026-01-01", 1),
        (40, "2026-01-01", "2026-02-09", 40),
        (41, "2026-W01", "2026-W07", 7),
        (365, "2026-01", "2026-12", 12),
        (365 * 10, "2026", "2035", 10),
    ],
)
def test_days_become_weeks_months_and_years(days: int, first: str, last: str, count: int):
    """
    So that there are forty bars at most; those without anything are among them.
    """
    begin, cost = date(2026, 1, 1), tertulia.CostTotal(tertulia.Money(1))
    spent = {begin: [("a", cost)], begin + timedelta(days=days - 1): [("a", cost)]}

    gathered = gather_days(spent)

    assert (first, last, count) == (next(iter(gathered)), list(gathered)[-1], len(gathered))
    assert len(spent) <= sum(map(len, gathered.values())) <= 2
