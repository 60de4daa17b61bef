"""The commands that say what of a conversation is to be sent, whatever is chosen otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from tertulia_cli.command_parts import json_option, show_examples, store_option

C = TypeVar("C", bound=Callable[..., Any])

_branch = click.option(
    "-b", "--branch", metavar="NAME", help="On which branch they are. Default: where it was last."
)


def _places(command: C) -> C:
    """Add which messages are meant."""
    for add in (
        store_option,
        _branch,
        click.argument("places", metavar="N...", nargs=-1, required=True, type=click.IntRange(1)),
        click.argument("conversation", metavar="ID"),
    ):
        command = add(command)
    return command


@click.command(epilog=show_examples("tertulia pin last 3", "tertulia pin 0199a3c4-5d6e 1 4 --branch main-2"))
@_places
def pin(conversation: str, places: Sequence[int], *, branch: str | None, store: str | None) -> int:
    """
    Let every request hold some messages, whatever else is left out.

    N is the number of a message, as "tertulia conversations show" numbers them.
    """
    from tertulia_cli.marking import PIN, Marked, mark_messages

    return mark_messages(Marked(conversation, places, branch, store), PIN)


@click.command(epilog=show_examples("tertulia unpin last 3", "tertulia unpin 0199a3c4-5d6e 1 4"))
@_places
def unpin(conversation: str, places: Sequence[int], *, branch: str | None, store: str | None) -> int:
    """Let some messages be left out again."""
    from tertulia_cli.marking import UNPIN, Marked, mark_messages

    return mark_messages(Marked(conversation, places, branch, store), UNPIN)


@click.command(epilog=show_examples("tertulia hide last 3 4", "tertulia hide 0199a3c4-5d6e 7"))
@_places
def hide(conversation: str, places: Sequence[int], *, branch: str | None, store: str | None) -> int:
    """Let no request hold some messages; they stay in the history."""
    from tertulia_cli.marking import HIDE, Marked, mark_messages

    return mark_messages(Marked(conversation, places, branch, store), HIDE)


@click.command(epilog=show_examples("tertulia unhide last 3 4", "tertulia unhide 0199a3c4-5d6e 7"))
@_places
def unhide(conversation: str, places: Sequence[int], *, branch: str | None, store: str | None) -> int:
    """Let requests hold some messages again."""
    from tertulia_cli.marking import UNHIDE, Marked, mark_messages

    return mark_messages(Marked(conversation, places, branch, store), UNHIDE)


@click.command(
    epilog=show_examples(
        "tertulia mark last 3 --importance 0.8",
        "tertulia mark last 3 --expires 30d",
        "tertulia mark 0199a3c4-5d6e 3 4 --importance none --expires none",
    )
)
@click.option("--importance", metavar="X|none", help='From 0 to 1, for the strategy "important".')
@click.option(
    "--expires",
    metavar="DATE|none",
    help="From when on no request holds it: 2026-12-24, 2026-12-24T18:00, or 12h, 30d or 2w from now.",
)
@_places
def mark(
    conversation: str,
    places: Sequence[int],
    *,
    importance: str | None,
    expires: str | None,
    branch: str | None,
    store: str | None,
) -> int:
    """
    Say how important some messages are, or for how long they are to be sent.

    "none" takes back what was said.
    """
    from tertulia_cli.marking import Marked, mark_messages, read_change

    change = read_change(importance, expires)
    return mark_messages(Marked(conversation, places, branch, store), change)


@click.command(epilog=show_examples("tertulia marks last", "tertulia marks 0199a3c4-5d6e --json"))
@click.argument("conversation", metavar="ID")
@_branch
@store_option
@json_option("Print a JSON list.")
def marks(conversation: str, *, branch: str | None, store: str | None, as_json: bool) -> int:
    """List the messages that are pinned, hidden, important or sent for some time only."""
    from tertulia_cli.marking import list_marks

    return list_marks(conversation, branch=branch, store=store, as_json=as_json)


MARKING = (pin, unpin, hide, unhide, mark, marks)
