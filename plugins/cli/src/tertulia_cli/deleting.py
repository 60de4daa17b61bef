"""``tertulia conversations delete``, ``restore`` and ``purge``: there and back, and no way back."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import click

import tertulia
from tertulia_cli.changing import change, find_records, name_of, suggest
from tertulia_cli.finding import DELETED, KEPT, States
from tertulia_cli.loop import exit_code, is_echoed, run
from tertulia_cli.moments import read_span
from tertulia_cli.opening import open_existing
from tertulia_cli.progress import Progress, show_progress
from tertulia_cli.terminal import note

EXPIRED_AT_ONCE = 20
"""So few that the line which shows how far it is moves."""


def delete_conversations(conversation_ids: Sequence[str], *, keep_for: str | None, store: str | None) -> int:
    """Delete conversations so that they can be restored, and say how; return the exit code."""
    span = read_span("--keep-for", keep_for)

    async def delete(client: tertulia.Client, identifier: UUID) -> None:
        await client.delete(identifier, keep_for=span)

    kept = "" if span is None else f" until it is purged, {keep_for} from now at the earliest"
    for record in run(change(conversation_ids, delete, store=store)):
        note(f"{name_of(record)} is deleted; {suggest('restore', record.id, store)} takes it back{kept}")
    return 0


def restore_conversations(conversation_ids: Sequence[str], *, store: str | None) -> int:
    """Take deleted conversations back; return the exit code."""
    for record in run(change(conversation_ids, tertulia.Client.restore, states=DELETED, store=store)):
        note(f"{name_of(record)} is back")
    return 0


def purge_conversations(
    conversation_ids: Sequence[str], *, and_delete: bool, is_sure: bool, quiet: bool, store: str | None
) -> int:
    """
    Remove conversations for good; return the exit code.

    Args:
        and_delete: Whether they are deleted first, and not only those that are deleted already meant.
        is_sure: Do not ask.
    """
    records = run(_find(conversation_ids, KEPT if and_delete else DELETED, store))
    if not is_sure:
        _confirm(", ".join(map(name_of, records)))

    async def purge(client: tertulia.Client, tell: Progress) -> None:
        for done, record in enumerate(records):
            tell(done, len(records))
            if and_delete:
                await client.delete(record.id)
            await client.purge(record.id)
            tell(done + 1, len(records))

    return _purge(purge, quiet=quiet, store=store)


def purge_expired(*, is_sure: bool, quiet: bool, store: str | None) -> int:
    """Remove deleted conversations for good whose time has come; return the exit code."""
    if not is_sure:
        _confirm("every deleted conversation whose time has come")

    async def purge(client: tertulia.Client, tell: Progress) -> None:
        done = 0
        while purged := await client.purge_expired(limit=EXPIRED_AT_ONCE):
            done += len(purged)
            tell(done, None)

    return _purge(purge, quiet=quiet, store=store)


def _purge(
    purge: Callable[[tertulia.Client, Progress], Awaitable[None]], *, quiet: bool, store: str | None
) -> int:
    """Run a purge, and say how many conversations went, also where it is interrupted."""
    done = 0

    async def work() -> None:
        async with open_existing(store) as client:
            with show_progress("purging", quiet=quiet) as show:

                def tell(count: int, total: int | None) -> None:
                    nonlocal done
                    done = count
                    show(count, total)

                await purge(client, tell)

    try:
        run(work())
    except KeyboardInterrupt as interruption:
        if is_echoed(interruption):
            click.echo(err=True)
        rest = f"{_count(done)} gone for good; purging again goes on with the rest"
        note(rest, label="interrupted", color="yellow")
        return exit_code(interruption)
    note(f"{_count(done)} gone for good")
    return 0


def _count(number: int) -> str:
    return "1 conversation is" if number == 1 else f"{number:,} conversations are"


async def _find(
    conversation_ids: Sequence[str], states: States, store: str | None
) -> list[tertulia.ConversationRecord]:
    async with open_existing(store) as client:
        return await find_records(client, conversation_ids, states)


def _confirm(what: str) -> None:
    """
    Ask whether something is to go for good.

    Raises:
        click.UsageError: Nobody can be asked.
        click.ClickException: The answer is no.
    """
    if not sys.stdin.isatty():
        raise click.UsageError("Nothing was purged, since nobody can be asked: --yes says that it is meant.")
    note(what)
    if not click.confirm("Remove this for good, with its messages and costs?", err=True):
        raise click.ClickException("nothing was purged")
