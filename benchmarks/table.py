"""Results, what they are held against, and the table they are printed in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import attrs


@attrs.frozen
class Goal:
    """
    A limit.

    Attributes:
        limit: The number itself; it is a worst value, still good enough.

        of: Whether it limits the ratio to the raw figure, or our own figure.

        at_least: Whether more is better.
    """

    limit: float
    of: Literal["ratio", "ours"] = "ratio"
    at_least: bool = False


@attrs.frozen
class Row:
    """
    One measurement.

    Attributes:
        raw: The same work without Tertulia; None where there is no such thing.

        unit: Of both figures.

        goals: All are to be met; none: the row is for information.
    """

    name: str
    ours: float
    raw: float | None
    unit: str
    goals: tuple[Goal, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Ours to raw."""
        return None if not self.raw else self.ours / self.raw

    @property
    def met(self) -> bool | None:
        """Whether all goals are met; None without any."""
        return all(map(self._meets, self.goals)) if self.goals else None

    def _meets(self, goal: Goal) -> bool:
        value = self.ours if goal.of == "ours" else self.ratio
        assert value is not None
        return value >= goal.limit if goal.at_least else value <= goal.limit


HEADINGS = ("", "ours", "raw", "unit", "ratio", "goal", "met?")


def render_table(rows: Iterable[Row]) -> str:
    """Lay rows out in columns."""
    cells = [HEADINGS, *map(_render_row, rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(
            [
                name.ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)),
            ]
        )
        for name, *rest in cells
    ]
    return "\n".join([lines[0], "─" * len(lines[0]), *lines[1:]])


def _render_row(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        _render_number(row.ours),
        _render_number(row.raw),
        row.unit,
        "-" if row.ratio is None else f"{row.ratio:.2f}",
        ", ".join(_render_goal(goal, row.unit) for goal in row.goals) or "-",
        {True: "yes", False: "NO", None: "-"}[row.met],
    )


def _render_goal(goal: Goal, unit: str) -> str:
    return f"{'≥' if goal.at_least else '≤'} {goal.limit:g} {'x' if goal.of == 'ratio' else unit}"


def _render_number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
