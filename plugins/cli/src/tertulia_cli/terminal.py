"""
The terminal's edge: what models, providers and plugins say is made harmless here.

A terminal obeys control characters. Text from elsewhere could clear the screen, write the clipboard, type
an answer, or show words in another order than they have; here it only shows.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import Coroutine
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

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
    head = click.style(f"{label}: ", fg=color, bold=True) if label else ""
    body = click.style(one_line(text), dim=None if label else True)
    click.echo(head + body, err=True, color=False if is_plain() else None)


def write_json(value: Any) -> None:
    """Write one JSON value on standard output, in ASCII, which needs no further care on a terminal."""
    click.echo(json.dumps(value, indent=2).replace("\x7f", "\\u007f"))


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


def run(work: Coroutine[Any, Any, T]) -> T:
    """
    Run a command's coroutine.

    Standard output belongs to the command's result: what a plugin prints meanwhile goes to standard
    error, and so does what the framework logs, a line each.
    """
    handler = _OneLine(logging.DEBUG if os.environ.get("TERTULIA_DEBUG") else logging.WARNING)
    logger = logging.getLogger("tertulia")
    logger.addHandler(handler)
    try:
        with redirect_stdout(sys.stderr):
            return asyncio.run(work)
    finally:
        logger.removeHandler(handler)


class _OneLine(logging.Handler):
    """Shows a log record as a line, without its traceback."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage(), label=record.levelname.lower(), color="yellow")
