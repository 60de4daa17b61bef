"""The tables of ``make bench-context``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.context_scores import Score

_FIXED = ("", "frac", "all", "in part", "over", "lost", "ms p50", "p95", "first")


def render_scores(title: str, scores: Mapping[str, Score]) -> str:
    """Lay out how the contenders did at one budget, with a column for each kind of question and each role."""
    some = next(iter(scores.values()))
    kinds, roles = list(some.kinds), list(some.roles)
    rows = [(*_FIXED, *kinds, *(f"of {role}" for role in roles))]
    for name, score in scores.items():
        shares = [score.share, score.whole, score.touched]
        further = [*(score.kinds.get(kind) for kind in kinds), *(score.roles.get(role) for role in roles)]
        times = [score.half_ms, score.most_ms, score.first_ms]
        rows.append(
            (
                name,
                *(f"{each:.1f}" for each in shares),
                str(score.over),
                str(score.lost),
                *(f"{each:.1f}" for each in times),
                *("-" if each is None else f"{each:.1f}" for each in further),
            )
        )
    return f"\n{title}, {some.questions} questions\n{render_columns(rows)}"


def render_columns(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns, the first being the headings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            [
                name.ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)),
            ]
        )
        for name, *rest in rows
    ]
    return "\n".join([lines[0], "─" * len(lines[0]), *lines[1:]])
