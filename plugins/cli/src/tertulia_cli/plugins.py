"""``tertulia plugins``: what is installed, and what was refused."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

import tertulia
from tertulia_cli.loop import run
from tertulia_cli.terminal import make_console, one_line, write_json


def list_plugins(*, as_json: bool) -> int:
    """Print drivers and plugins; return the exit code."""
    reports = run(_report())
    if as_json:
        write_json([attrs.asdict(report) for report in reports])
    else:
        _print_table(reports)
    return 0


async def _report() -> Sequence[tertulia.PluginReport]:
    # Nothing is said in this client, so nothing needs a database.
    async with tertulia.open(store="memory:") as client:
        return client.plugins()


def _print_table(reports: Sequence[tertulia.PluginReport]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "kind", "distribution", "status"):
        table.add_column(column, no_wrap=True)
    table.add_column("reason", overflow="fold")
    for report in reports:
        texts = (report.name, report.kind, report.distribution or "", report.status, report.reason or "")
        style = "red" if report.status == "refused" else ""
        table.add_row(*(Text(one_line(text)) for text in texts), style=style)
    make_console().print(table)
