"""One line that shows how far something is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeAlias

from tertulia_cli.terminal import can_rewrite, is_plain

Progress: TypeAlias = Callable[[int, int | None], None]


@contextmanager
def show_progress(label: str, *, quiet: bool, in_bytes: bool = False) -> Generator[Progress, None, None]:
    """
    Show how much is done on the last line of a terminal, beside the results; it is gone in the end.

    Nothing is shown where standard error is no terminal, or one that cannot go back in a line.

    Args:
        label: What is done: ``exporting``.
        quiet: Show nothing.
        in_bytes: Whether bytes are counted.

    Yields:
        What is to be told how much is done, and how much there is; None where that is not known.
    """
    if quiet or not can_rewrite():
        yield _show_nothing
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[count]}"))
    console = Console(file=sys.stderr, color_system=None if is_plain() else "auto")
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(label, total=None, count="")

        def tell(done: int, total: int | None) -> None:
            count = _describe(done, total, in_bytes=in_bytes)
            shown.update(task, completed=done, total=total, count=count)

        yield tell


def _describe(done: int, total: int | None, *, in_bytes: bool) -> str:
    from rich.filesize import decimal

    known = [done] if total is None else [done, total]
    return " of ".join(decimal(number) if in_bytes else f"{number:,}" for number in known)


def _show_nothing(_done: int, _total: int | None) -> None: ...
