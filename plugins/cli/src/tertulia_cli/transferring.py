"""``tertulia conversations export`` and ``import``: to files, and from files."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TextIO
from uuid import UUID

import attrs
import click

import tertulia
from tertulia_cli.finding import KEPT, PAGE, find_conversation
from tertulia_cli.loop import exit_code, is_echoed, run
from tertulia_cli.opening import open_existing
from tertulia_cli.progress import Progress, show_progress
from tertulia_cli.terminal import note, sanitise, write_json

STANDARD_OUTPUT = "-"
MARKDOWN = (".md", ".markdown")
MOST_SHOWN = 20


@attrs.frozen
class Export:
    """
    What to write, and where.

    Attributes:
        target: A file's name, or ``-``.

        format: ``jsonl`` or ``markdown``; None for what the file's name says.

        conversations: Ids; nothing for all but the deleted ones.

        force: Whether a file that is there is replaced.
    """

    target: str
    format: str | None = None
    conversations: Sequence[str] = ()
    force: bool = False
    quiet: bool = False

    @property
    def is_markdown(self) -> bool:
        """Whether it is to be read by people."""
        if self.format is not None:
            return self.format == "markdown"
        return Path(self.target).suffix.lower() in MARKDOWN


@attrs.frozen
class Import:
    """Where to read, and how."""

    source: str
    format: Literal["auto", "jsonl", "chatgpt", "llm"] = "auto"
    on_error: Literal["skip", "refuse"] = "skip"
    quiet: bool = False


def export_conversations(export: Export, *, store: str | None) -> int:
    """Write conversations to a file or to standard output; return the exit code."""
    target = Path(export.target)
    is_file = export.target != STANDARD_OUTPUT
    if is_file and not export.force and target.exists():
        raise click.UsageError(f"{str(target)!r} is there already, and stays as it is: --force replaces it.")
    with tempfile.TemporaryDirectory() as folder:
        place = target if is_file else Path(folder) / "export"
        try:
            count = run(_export(export, place, store))
        except KeyboardInterrupt as interruption:
            state = "is as it was" if target.exists() else "was not written"
            return _end(interruption, f"{str(target)!r} {state}" if is_file else "nothing was written")
        if not is_file:
            _copy_out(place)
    note(f"{_count(count)} exported{f' to {target}' if is_file else ''}")
    return 0


def import_conversations(wanted: Import, *, store: str | None, as_json: bool) -> int:
    """Take over conversations from a file; return the exit code, which is 1 where something could not be."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(wanted.source)
        if wanted.source == STANDARD_OUTPUT:
            place = Path(folder) / "import"
            _copy_in(place)
        try:
            report = run(_import(wanted, place, store, quiet=wanted.quiet or as_json))
        except tertulia.TransferError as error:
            if wanted.source == STANDARD_OUTPUT:  # nobody knows the copy by its name
                error.message = error.message.replace(str(place), "standard input")
            raise
        except KeyboardInterrupt as interruption:
            return _end(
                interruption,
                "what was imported until then is kept; importing the file again goes on with the rest",
            )
    if as_json:
        write_json(_render(report))
    else:
        _tell(report)
    return 1 if report.problems else 0


async def _export(export: Export, place: Path, store: str | None) -> int:
    async with open_existing(store) as client:
        chosen = [await find_conversation(client, each) for each in export.conversations] or None
        with show_progress("exporting", quiet=export.quiet) as progress:
            if export.is_markdown:
                return await _write_markdown(client, place, chosen, progress)
            return await client.export(place, conversations=chosen, progress=progress)


async def _write_markdown(
    client: tertulia.Client, place: Path, chosen: Sequence[UUID] | None, progress: Progress
) -> int:
    """Write one conversation after the other; the file is there once it is whole."""
    count, total = 0, None if chosen is None else len(chosen)
    try:
        with _replace(place) as file:
            async for identifier in _all(client, chosen):
                text = await (await client.get(identifier)).to_markdown()
                file.write(f"{text.rstrip()}\n" if count == 0 else f"\n{text.rstrip()}\n")
                count += 1
                progress(count, total)
    except OSError as error:
        raise click.ClickException(f"{str(place)!r} cannot be written: {error.strerror or error}") from error
    return count


@contextmanager
def _replace(place: Path) -> Generator[TextIO, None, None]:
    """Open a file that takes a place once it is whole; what people said is nobody else's to read."""
    place = Path(os.path.realpath(place))
    if place.exists() and not place.is_file():
        raise OSError(errno.EINVAL, "it is no file")
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=place.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
        Path(name).replace(place)
    finally:
        Path(name).unlink(missing_ok=True)


async def _all(client: tertulia.Client, chosen: Sequence[UUID] | None) -> AsyncIterator[UUID]:
    """What is chosen, or everything that is not deleted, in the order it was begun."""
    for identifier in dict.fromkeys(chosen or ()):
        yield identifier
    if chosen is not None:
        return
    where, last = tertulia.ConversationFilter(states=KEPT), None
    while page := await client.list(where=where, order=tertulia.Order.OLDEST, limit=PAGE, after=last):
        for record in page:
            yield record.id
        last = page[-1]


async def _import(wanted: Import, place: Path, store: str | None, *, quiet: bool) -> tertulia.ImportReport:
    # Not only an existing one: this is how a database begins that comes from elsewhere.
    async with tertulia.open(store=store) as client:
        with show_progress("importing", quiet=quiet, in_bytes=True) as progress:
            return await client.import_conversations(
                place, format=wanted.format, on_error=wanted.on_error, progress=progress
            )


def _end(interruption: KeyboardInterrupt, kept: str) -> int:
    if is_echoed(interruption):
        click.echo(err=True)
    note(kept, label="interrupted", color="yellow")
    return exit_code(interruption)


def _copy_out(place: Path) -> None:
    """Write a file on standard output: unchanged, unless a terminal would obey what is in it."""
    if not sys.stdout.isatty():
        with place.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.flush()
        return
    with place.open(encoding="utf-8") as file:
        for line in file:
            sys.stdout.write(sanitise(line))


def _copy_in(place: Path) -> None:
    """Keep standard input, which can be read only once, where it can be read as often as it takes."""
    with place.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)


def _tell(report: tertulia.ImportReport) -> None:
    messages = "1 message" if report.message_count == 1 else f"{report.message_count:,} messages"
    note(f"{_count(len(report.imported))} imported, with {messages}")
    if report.skipped:
        was = "was there already, and left as it is"
        were = "were there already, and left as they are"
        note(f"{_count(len(report.skipped))} {was if len(report.skipped) == 1 else were}")
    for problem in report.problems[:MOST_SHOWN]:
        note(str(problem), label="not imported", color="yellow")
    if len(report.problems) > MOST_SHOWN:
        note(f"and {len(report.problems) - MOST_SHOWN:,} more; --json prints all", label="not imported")


def _count(number: int) -> str:
    return "1 conversation" if number == 1 else f"{number:,} conversations"


def _render(report: tertulia.ImportReport) -> dict[str, Any]:
    return {
        "imported": [str(each) for each in report.imported],
        "skipped": [str(each) for each in report.skipped],
        "messages": report.message_count,
        "problems": [
            {
                "place": problem.place,
                "reason": problem.reason,
                "conversation": None if problem.conversation_id is None else str(problem.conversation_id),
            }
            for problem in report.problems
        ],
    }
