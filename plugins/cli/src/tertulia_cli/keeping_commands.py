"""The commands that put conversations in order."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tertulia_cli.command_parts import json_option, show_examples, store_option

SEVERAL = "ID..."
_quiet = click.option("-q", "--quiet", is_flag=True, help="Do not show how far it is.")
_yes = click.option("-y", "--yes", "is_sure", is_flag=True, help="Do not ask.")


@click.command(
    epilog=show_examples(
        'tertulia conversations rename last "Trip to Lisbon"',
        'tertulia conversations rename 0199a3c4-5d6e ""',
    )
)
@click.argument("conversation", metavar="ID")
@click.argument("title")
@store_option
def rename(conversation: str, title: str, *, store: str | None) -> int:
    """Give a conversation another TITLE; an empty one takes it away."""
    from tertulia_cli.changing import rename_conversation

    return rename_conversation(conversation, title, store=store)


@click.command(
    epilog=show_examples(
        "tertulia conversations tag last --add travel --add 2026",
        "tertulia conversations tag 0199a3c4-5d6e --remove draft",
        "tertulia conversations tag last --json",
    )
)
@click.argument("conversation", metavar="ID")
@click.option("-a", "--add", metavar="TAG", multiple=True, help="Add this one. Can be repeated.")
@click.option("-r", "--remove", metavar="TAG", multiple=True, help="Take this one away. Can be repeated.")
@store_option
@json_option("Print a JSON list.")
def tag(
    conversation: str, *, add: Sequence[str], remove: Sequence[str], store: str | None, as_json: bool
) -> int:
    """Change the tags of a conversation, and print those it has then."""
    from tertulia_cli.changing import tag_conversation

    return tag_conversation(conversation, add=add, remove=remove, store=store, as_json=as_json)


@click.command(
    epilog=show_examples(
        "tertulia conversations archive last", "tertulia conversations archive 0199a3c4-5d6e"
    )
)
@click.argument("chosen", metavar=SEVERAL, nargs=-1, required=True)
@store_option
def archive(chosen: Sequence[str], *, store: str | None) -> int:
    """Put conversations out of the way; they can still be read and gone on with."""
    from tertulia_cli.changing import archive_conversations

    return archive_conversations(chosen, store=store)


@click.command(
    epilog=show_examples(
        "tertulia conversations unarchive last", "tertulia conversations unarchive 0199a3c4-5d6e"
    )
)
@click.argument("chosen", metavar=SEVERAL, nargs=-1, required=True)
@store_option
def unarchive(chosen: Sequence[str], *, store: str | None) -> int:
    """Take conversations back out of the archive."""
    from tertulia_cli.changing import unarchive_conversations

    return unarchive_conversations(chosen, store=store)


@click.command(
    epilog=show_examples(
        "tertulia conversations delete last",
        "tertulia conversations delete 0199a3c4-5d6e --keep-for 30d",
        "tertulia conversations delete 0199a3c4-5d6e --purge --yes",
    )
)
@click.argument("chosen", metavar=SEVERAL, nargs=-1, required=True)
@click.option(
    "--keep-for", metavar="TIME", help='After that, as in 30d, "purge --expired" removes it. Default: never.'
)
@click.option("--purge", "and_purge", is_flag=True, help="Remove it for good.")
@_yes
@_quiet
@store_option
def delete(
    chosen: Sequence[str],
    *,
    keep_for: str | None,
    and_purge: bool,
    is_sure: bool,
    quiet: bool,
    store: str | None,
) -> int:
    """Delete conversations so that they can be restored, unless --purge says otherwise."""
    from tertulia_cli.deleting import delete_conversations, purge_conversations

    if not and_purge:
        return delete_conversations(chosen, keep_for=keep_for, store=store)
    if keep_for is not None:
        raise click.UsageError("--keep-for and --purge are two ways, and one is meant.")
    return purge_conversations(chosen, and_delete=True, is_sure=is_sure, quiet=quiet, store=store)


@click.command(
    epilog=show_examples(
        "tertulia conversations restore last", "tertulia conversations restore 0199a3c4-5d6e"
    )
)
@click.argument("chosen", metavar=SEVERAL, nargs=-1, required=True)
@store_option
def restore(chosen: Sequence[str], *, store: str | None) -> int:
    """Take deleted conversations back to where they were."""
    from tertulia_cli.deleting import restore_conversations

    return restore_conversations(chosen, store=store)


@click.command(
    epilog=show_examples(
        "tertulia conversations purge 0199a3c4-5d6e", "tertulia conversations purge --expired --yes"
    )
)
@click.argument("chosen", metavar=f"[{SEVERAL}]", nargs=-1)
@click.option("--expired", is_flag=True, help="All whose time has come, as --keep-for said.")
@_yes
@_quiet
@store_option
def purge(chosen: Sequence[str], *, expired: bool, is_sure: bool, quiet: bool, store: str | None) -> int:
    """Remove deleted conversations for good, with their messages, costs and attachments."""
    from tertulia_cli.deleting import purge_conversations, purge_expired

    if bool(chosen) is expired:
        raise click.UsageError("Say which: either an ID, or --expired.")
    if expired:
        return purge_expired(is_sure=is_sure, quiet=quiet, store=store)
    return purge_conversations(chosen, and_delete=False, is_sure=is_sure, quiet=quiet, store=store)


@click.command(
    epilog=show_examples(
        "tertulia conversations fork last without-museums", "tertulia conversations fork 0199a3c4-5d6e --at 4"
    )
)
@click.argument("conversation", metavar="ID")
@click.argument("name", required=False)
@click.option("-b", "--branch", metavar="NAME", help="From which branch. Default: where it was last.")
@click.option(
    "--at",
    metavar="N",
    type=click.IntRange(1),
    help='The newest message that is shared, as "show" numbers them. Default: the newest of all.',
)
@store_option
def fork(
    conversation: str, name: str | None, *, branch: str | None, at: int | None, store: str | None
) -> int:
    """Begin a branch of that NAME, and print it; nothing is copied."""
    from tertulia_cli.changing import fork_conversation

    return fork_conversation(conversation, name, branch=branch, at=at, store=store)


KEEPING = (rename, tag, archive, unarchive, delete, restore, purge, fork)
