"""Bars in a terminal, stacked, with a legend."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import attrs
import click

from tertulia_cli.terminal import is_plain, one_line

BLOCKS = "█▓▒░"
SIGNS = "#=+."
COLORS = ("cyan", "yellow", "magenta", "green")
"""Beside the blocks, and not instead of them: not everybody tells colours apart."""
OTHERS = "others"
NARROWEST = 10


@attrs.frozen
class Bar:
    """
    A bar of a chart.

    Attributes:
        label: What it is for.

        amounts: Its parts, by series.

        note: What stands behind it.
    """

    label: str
    amounts: Mapping[str, int]
    note: str

    @property
    def total(self) -> int:
        """All of its parts."""
        return sum(self.amounts.values())


@attrs.frozen
class Ink:
    """What series are drawn with."""

    signs: str
    has_colors: bool

    @classmethod
    def for_output(cls) -> Ink:
        """What standard output can show."""
        encoding = sys.stdout.encoding or "ascii"
        try:
            BLOCKS.encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return cls(SIGNS, has_colors=False)
        return cls(BLOCKS, has_colors=sys.stdout.isatty() and not is_plain())

    def draw(self, series: int, cells: int) -> str:
        """So many cells of one series."""
        text = self.signs[series] * cells
        return click.style(text, fg=COLORS[series]) if self.has_colors and text else text


def draw_chart(bars: Sequence[Bar], *, width: int, ink: Ink) -> list[str]:
    r"""
    Draw bars below one another, the longest as wide as there is room, and what their parts are.

    Args:
        bars: From top to bottom.
        width: The columns there are.
        ink: What they are drawn with; where there are more series, the smallest become one.

    Example:
        >>> bars = [Bar("Mon", {"a": 3, "b": 1}, "$4"), Bar("Tue", {"b": 2}, "$2")]
        >>> print(*draw_chart(bars, width=20, ink=Ink("#=+.", has_colors=False)), sep="\n")
        Mon  #########==  $4
        Tue  ======       $2
        # a  = b
    """
    series = _order(bars)
    scale = max((bar.total for bar in bars), default=0)
    if scale <= 0:
        return []
    names = series[: len(ink.signs)]
    if len(series) > len(ink.signs):
        names = [*series[: len(ink.signs) - 1], OTHERS]
    labels = max(len(bar.label) for bar in bars)
    room = max(NARROWEST, width - labels - max(len(bar.note) for bar in bars) - 4)
    lines = [_draw(bar, _merge(bar, names), labels, room, scale, ink) for bar in bars]
    if names == [""]:
        return lines
    legend = (f"{ink.draw(place, 1)} {one_line(name)}" for place, name in enumerate(names))
    return [*lines, "  ".join(legend)]


def _order(bars: Sequence[Bar]) -> list[str]:
    """The series, the greatest first."""
    totals: dict[str, int] = {}
    for bar in bars:
        for name, amount in bar.amounts.items():
            totals[name] = totals.get(name, 0) + amount
    return sorted(totals, key=lambda name: (-totals[name], name))


def _merge(bar: Bar, names: Sequence[str]) -> list[int]:
    """A bar's amounts by series in their order; what has no name here is among the others."""
    amounts = [bar.amounts.get(name, 0) for name in names]
    if names[-1] == OTHERS:
        amounts[-1] = bar.total - sum(amounts[:-1])
    return amounts


def _draw(bar: Bar, amounts: Sequence[int], labels: int, room: int, scale: int, ink: Ink) -> str:
    pieces, drawn, so_far = "", 0, 0
    for place, amount in enumerate(amounts):
        so_far += amount
        # What is there is seen, however little it is.
        end = max(round(so_far * room / scale), min(1, so_far))
        pieces += ink.draw(place, end - drawn)
        drawn = end
    return f"{bar.label:{labels}}  {pieces}{' ' * (room - drawn)}  {bar.note}".rstrip()
