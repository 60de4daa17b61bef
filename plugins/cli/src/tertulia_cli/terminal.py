"""
The terminal's edge: what models, providers and plugins say is made harmless here.

A terminal obeys control characters. Text from elsewhere could clear the screen, write the clipboard, type
an answer, or show words in another order than they have; here it only shows.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

_HARMLESS = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: "\N{SYMBOL FOR DELETE}",
    **{code: f"\\x{code:02x}" for code in range(0x80, 0xA0)},
    **{code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}


def sanitise(text: str) -> str:
    r"""
    Replace every character that a terminal would obey by one that it shows.

    That is all of C0 but line feed and tab, DEL, C1, and the overrides of writing direction. Each
    character is replaced on its own, so a sequence cut in two by a stream is as harmless as a whole one.

    Example:
        >>> sanitise("a\x1b[2Jb")
        'a␛[2Jb'
    """
    return text.translate(_HARMLESS)


def one_line(text: str) -> str:
    """The same for a place that has one line: white space of any kind becomes one space."""
    return sanitise(" ".join(text.split()))


def is_plain() -> bool:
    """Whether no colours are wanted, as https://no-color.org says, or understood."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def note(text: str, *, label: str = "", color: str | None = None) -> None:
    """Say something beside the answer: one line on standard error, dim unless it has a label."""
    STATUS.clear()
    head = click.style(f"{label}: ", fg=color, bold=True) if label else ""
    body = click.style(one_line(text), dim=None if label else True)
    click.echo(head + body, err=True, color=False if is_plain() else None)


class StatusLine:
    """
    What is waited for: a line on standard error that the next one is written over, and that is gone then.

    Where standard error is no terminal, or one that cannot go back in a line, each is a line that stays.
    """

    def __init__(self) -> None:
        self._is_shown = False

    def show(self, text: str, *, label: str, color: str | None = None) -> None:
        """Show something in the place of what is shown."""
        if not can_rewrite():
            note(text, label=label, color=color)
            return
        head = f"{label}: "
        # A line that wraps could not be taken back as a whole.
        [body] = align([[one_line(text)]], width=_error_width() - len(head) - 1)
        line = click.style(head, fg=color, bold=True) + body
        sys.stderr.write(f"{_REWRITE}{click.unstyle(line) if is_plain() else line}")
        sys.stderr.flush()
        self._is_shown = True

    def clear(self) -> bool:
        """Take away what is shown; return whether there was anything."""
        was_shown, self._is_shown = self._is_shown, False
        if was_shown:
            sys.stderr.write(_REWRITE)
            sys.stderr.flush()
        return was_shown


STATUS = StatusLine()
"""A process has one terminal, so whatever writes there takes this away first."""

_REWRITE = "\r\x1b[K"


def can_rewrite() -> bool:
    """Whether standard error is a terminal that can go back in its line."""
    return sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", None)


def _error_width() -> int:
    try:
        columns = os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):  # it only says that it is a terminal
        columns = 0
    return max(columns or shutil.get_terminal_size().columns, 20)


def write_json(value: Any) -> None:
    """Write one JSON value on standard output, in ASCII, which needs no further care on a terminal."""
    click.echo(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))


def write_json_line(value: Any) -> None:
    """The same on one line, for results that are many."""
    click.echo(json.dumps(value).replace("\x7f", "\\u007f"))


def make_console() -> Console:
    """A console on standard output that takes text as it is: no markup, no emoji codes, no highlighting."""
    from rich.console import Console

    return Console(
        file=sys.stdout,
        color_system=None if is_plain() else "auto",
        markup=False,
        emoji=False,
        highlight=False,
    )


def shorten(text: str, length: int) -> str:
    r"""
    The first words of a text on one line.

    Example:
        >>> shorten("Three days in\nLisbon, please.", 14)
        'Three days in…'
    """
    line = one_line(text)
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def align(rows: Sequence[Sequence[str]], *, width: int | None = None) -> list[str]:
    """
    Put cells under one another, two spaces apart; each row is one line.

    Args:
        rows: Cells as they are; they are made harmless here.
        width: The columns there are, beyond which a line is cut; None for no limit.
    """
    from rich.cells import cell_len, set_cell_size

    table = [[sanitise(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    lines = (
        "  ".join(set_cell_size(cell, size) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in table
    )
    if width is None:
        return list(lines)
    return [line if cell_len(line) <= width else f"{set_cell_size(line, width - 1)}…" for line in lines]


def output_width() -> int | None:
    """The columns of the terminal that standard output is; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def write(text: str) -> None:
    """Write lines on standard output: harmless on a terminal, unchanged anywhere else."""
    sys.stdout.write(f"{sanitise(text) if sys.stdout.isatty() else text}\n")
