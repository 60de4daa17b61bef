"""The commands about what was spent, and what may be."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tertulia_cli.command_parts import json_option, show_examples, store_option


@click.command(
    epilog=show_examples(
        "tertulia costs",
        "tertulia costs --since 30d --by day,model",
        "tertulia costs --by conversation --tag travel",
        "tertulia costs --since 2026-11-01 --until 2026-12-01 --time-zone Europe/Madrid --json",
    )
)
@click.option(
    "--by",
    "groups",
    metavar="GROUP,…",
    multiple=True,
    help="Any of day, provider, model, conversation, branch, tag, owner. Default: day,provider.",
)
@click.option("--since", metavar="DATE", help="Only from then on: 2026-11-22, today, or 30d for so long ago.")
@click.option("--until", metavar="DATE", help="Only before.")
@click.option("--time-zone", metavar="NAME", help='As in "Europe/Madrid". Default: this machine\'s.')
@click.option("-p", "--provider", metavar="NAME", help="Only of this one.")
@click.option("-m", "--model", metavar="MODEL", help="Only for this one.")
@click.option("-c", "--conversation", metavar="ID", help="Only of this one.")
@click.option("--tag", metavar="TAG", help="Only of conversations with it.")
@store_option
@json_option("Print one JSON object.")
def costs(
    *,
    groups: Sequence[str],
    since: str | None,
    until: str | None,
    time_zone: str | None,
    provider: str | None,
    model: str | None,
    conversation: str | None,
    tag: str | None,
    store: str | None,
    as_json: bool,
) -> int:
    """
    Add up what was spent, failed attempts included, and draw it by day.

    "at least" means that somebody did not say what something cost. By owner it is
    everybody's, and not only yours.
    """
    from tertulia_cli.costs import Wanted, show_costs
    from tertulia_cli.statistics import Period

    by = [name.strip() for value in groups for name in value.split(",") if name.strip()]
    wanted = Wanted(tuple(by) or ("day", "provider"), provider, model, conversation, tag)
    return show_costs(wanted, Period(since, until, time_zone), store=store, as_json=as_json)


@click.command(
    epilog=show_examples(
        "tertulia budgets", "tertulia budgets --conversation last", "tertulia budgets --json"
    )
)
@click.option("-c", "--conversation", metavar="ID", help="Those of this conversation as well.")
@store_option
@json_option("Print a JSON list.")
def budgets(*, conversation: str | None, store: str | None, as_json: bool) -> int:
    """
    List the budgets that are set: what is spent, what is set aside for calls under way, and what is left.

    They are set in the configuration, under [[budgets]].
    """
    from tertulia_cli.budgets import list_budgets

    return list_budgets(conversation=conversation, store=store, as_json=as_json)
