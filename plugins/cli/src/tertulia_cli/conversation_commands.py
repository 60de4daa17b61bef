"""The commands that show what is kept."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import click

from tertulia_cli.command_parts import help_alone, json_option, show_examples, store_option
from tertulia_cli.filters import ROLES, filter_options
from tertulia_cli.keeping_commands import KEEPING
from tertulia_cli.transfer_commands import TRANSFER

if TYPE_CHECKING:
    import tertulia

ORDERS = ("recent", "newest", "oldest", "title", "messages", "cost")


@click.group(
    invoke_without_command=True,
    epilog=show_examples(
        "tertulia conversations list",
        "tertulia conversations show last",
        'tertulia conversations search "hotel near the river"',
    ),
)
@click.pass_context
def conversations(context: click.Context) -> None:
    """
    Find what was said, and keep it in order.

    An ID may be the beginning of one, 6 characters or more, where only one conversation begins so; "last" is
    the one that was used last.
    """
    help_alone(context)


@conversations.command(
    "list",
    epilog=show_examples(
        "tertulia conversations list",
        "tertulia conversations list --tag travel --provider gemini --order cost",
        "tertulia conversations list --state any --updated-from 30d",
        "tertulia conversations list --limit 5 --after 0199a3c4-5d6e",
        "tertulia conversations list --metadata customer.plan=pro --json",
    ),
)
@filter_options
@click.option(
    "--order", type=click.Choice(ORDERS), default="recent", help="Which come first. Default: recent."
)
@click.option(
    "-n",
    "--limit",
    metavar="N",
    type=click.IntRange(1, 9_999),
    default=20,
    help="At most so many. Default: 20.",
)
@click.option("--after", metavar="ID", help="Go on after the last one of the page before, in the same order.")
@store_option
@json_option("Print one JSON object a line.")
def list_(
    *,
    where: tertulia.ConversationFilter,
    order: str,
    limit: int,
    after: str | None,
    store: str | None,
    as_json: bool,
) -> int:
    """
    List conversations to which all of the options apply.

    DATE is 2026-11-22, 2026-11-22T14:30, today, yesterday, or 12h, 30d or 2w for so long ago.
    """
    from tertulia_cli.listing import Page, list_conversations

    return list_conversations(Page(where, order, limit, after), store=store, as_json=as_json)


@conversations.command(
    epilog=show_examples(
        "tertulia conversations show last",
        "tertulia conversations show 0199a3c4-5d6e --branch main-2 --limit 4",
        "tertulia conversations show 0199a3c4-5d6e --json",
    )
)
@click.argument("conversation", metavar="ID")
@click.option("-b", "--branch", metavar="NAME", help="Which branch. Default: where it was last gone on with.")
@click.option(
    "-n", "--limit", metavar="N", type=click.IntRange(1), help="The newest so many messages. Default: all."
)
@store_option
@json_option("Print one JSON object.")
def show(
    conversation: str, *, branch: str | None, limit: int | None, store: str | None, as_json: bool
) -> int:
    """Show what was said, by whom, and what it cost."""
    from tertulia_cli.conversations import show_conversation

    return show_conversation(conversation, branch=branch, store=store, limit=limit, as_json=as_json)


@conversations.command(
    epilog=show_examples(
        'tertulia conversations search "hotel near the river"',
        "tertulia conversations search hotel --role assistant --since 30d",
        "tertulia conversations search hotel --conversation last --json",
    )
)
@click.argument("words", nargs=-1, required=True)
@click.option("-n", "--limit", metavar="N", type=click.IntRange(1, 10_000), default=20, help="Default: 20.")
@click.option("-c", "--conversation", metavar="ID", help="Only there.")
@click.option("--role", type=click.Choice(ROLES), help="Only what was said by it.")
@click.option("--since", metavar="DATE", help="Only from then on: 2026-11-22, today, or 30d for so long ago.")
@click.option("--until", metavar="DATE", help="Only before.")
@store_option
@json_option("Print one JSON object a line.")
def search(
    *,
    words: tuple[str, ...],
    limit: int,
    conversation: str | None,
    role: str | None,
    since: str | None,
    until: str | None,
    store: str | None,
    as_json: bool,
) -> int:
    """
    Find messages and titles that hold all of WORDS, the best first.

    Any text will do. A word also finds longer ones that begin with it; case and accents do not matter.
    """
    from tertulia_cli.searching import Wanted, search_conversations

    wanted = Wanted(" ".join(words), limit, conversation, role, since, until)
    return search_conversations(wanted, store=store, as_json=as_json)


@conversations.command(
    epilog=show_examples("tertulia conversations tags", "tertulia conversations tags --json")
)
@store_option
@json_option("Print one JSON object.")
def tags(*, store: str | None, as_json: bool) -> int:
    """List every tag, with how many conversations have it."""
    from tertulia_cli.listing import list_tags

    return list_tags(store=store, as_json=as_json)


@conversations.command(
    epilog=show_examples(
        "tertulia conversations stats",
        "tertulia conversations stats last",
        "tertulia conversations stats --since 30d --json",
    )
)
@click.argument("conversation", metavar="[ID]", required=False)
@click.option("--since", metavar="DATE", help="Only from then on: 2026-11-22, today, or 30d for so long ago.")
@click.option("--until", metavar="DATE", help="Only before.")
@click.option("--time-zone", metavar="NAME", help='As in "Europe/Madrid". Default: this machine\'s.')
@store_option
@json_option("Print one JSON object.")
def stats(
    conversation: str | None,
    *,
    since: str | None,
    until: str | None,
    time_zone: str | None,
    store: str | None,
    as_json: bool,
) -> int:
    """Count messages, answers, failures, tokens and costs, of one conversation or of all."""
    from tertulia_cli.statistics import Period, show_statistics

    period = Period(since, until, time_zone)
    return show_statistics(conversation, period, store=store, as_json=as_json)


@click.command(epilog=show_examples("tertulia branches 0199a3c4-5d6e", "tertulia branches last --json"))
@click.argument("conversation", metavar="ID")
@store_option
@json_option("Print a JSON list.")
def branches(conversation: str, *, store: str | None, as_json: bool) -> int:
    """
    Show the branches of a conversation as a tree.

    A star marks the branch that the conversation goes on on. Each branch has the number of its own messages
    and of the message after which it left the one above it, who answers on it, and its newest words.
    """
    from tertulia_cli.conversations import show_branches

    return show_branches(conversation, store=store, as_json=as_json)


_branches = copy(branches)
_branches.epilog = show_examples("tertulia conversations branches 0199a3c4-5d6e")
for _command in (*KEEPING, *TRANSFER, _branches):
    conversations.add_command(_command)
