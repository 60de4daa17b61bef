"""The command that looks after the rest."""

from __future__ import annotations

import click

from tertulia_cli.command_parts import json_option, show_examples, store_option


@click.command(epilog=show_examples("tertulia doctor", "tertulia doctor --repair", "tertulia doctor --json"))
@click.option("--repair", is_flag=True, help="Count the counters again, and make the search index anew.")
@store_option
@json_option("Print one JSON object.")
def doctor(*, repair: bool, store: str | None, as_json: bool) -> int:
    """
    Examine the configuration, the plugins, and the whole store.

    It reads every message, counts every counter again, and asks the search index what it holds; nothing is
    changed without --repair. The exit code is 1 when something is wrong.
    """
    from tertulia_cli.doctor import examine

    return examine(repair=repair, store=store, as_json=as_json)
