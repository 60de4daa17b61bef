"""The commands, their arguments and their help. What a command does is loaded when it runs."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tertulia_cli import versions
from tertulia_cli.asking_commands import ask, chat, compare, resume, retry
from tertulia_cli.command_parts import help_alone as _help_alone
from tertulia_cli.command_parts import json_option as _json
from tertulia_cli.command_parts import show_examples as _examples
from tertulia_cli.context_commands import context as _context
from tertulia_cli.conversation_commands import branches, conversations
from tertulia_cli.ledger_commands import budgets, costs
from tertulia_cli.marking_commands import MARKING
from tertulia_cli.model_commands import models, providers
from tertulia_cli.upkeep_commands import doctor


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_examples("tertulia demo", "tertulia chat", 'tertulia ask "Three days in Lisbon, please."'),
)
@click.version_option(message=versions(), version="")
@click.pass_context
def cli(context: click.Context) -> None:
    """Conversations that outlive any one AI provider."""
    _help_alone(context)


@cli.command(epilog=_examples("tertulia demo", "NO_COLOR=1 tertulia demo", "tertulia demo | less"))
def demo() -> int:
    """
    Show one conversation across three providers.

    Offline: the services are simulated on this machine, so it needs no key and costs nothing.
    """
    from tertulia_cli.demo import show_demo

    return show_demo()


for _command in (ask, chat, resume, retry, compare):
    cli.add_command(_command)
cli.add_command(conversations)
cli.add_command(branches)
for _command in (_context, *MARKING):
    cli.add_command(_command)
cli.add_command(costs)
cli.add_command(budgets)
cli.add_command(models)
cli.add_command(providers)
cli.add_command(doctor)


@cli.group(invoke_without_command=True, epilog=_examples("tertulia config show"))
@click.pass_context
def config(context: click.Context) -> None:
    """Show what is configured."""
    _help_alone(context)


@config.command(
    "show",
    epilog=_examples("tertulia config show", "tertulia config show --origin", "tertulia config show --json"),
)
@click.option("--origin", is_flag=True, help="Say where each one is set, and show those that are not.")
@_json("Print a JSON list, with the origins.")
def show_config(*, origin: bool, as_json: bool) -> int:
    """
    Show the settings that are in effect.

    A key is never shown: only that there is one.
    """
    from tertulia_cli.config import show_settings

    return show_settings(with_origin=origin, as_json=as_json)


@cli.command(
    epilog=_examples(
        "tertulia simulate",
        "tertulia simulate --port 8123",
        "tertulia simulate --fault openai:overloaded --fault xai:rate_limit:3",
        "tertulia simulate --fault gemini:cut_stream:always:after=3",
    )
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Where to listen. Default: any free port."
)
@click.option(
    "--fault",
    "--fail",
    "faults",
    multiple=True,
    metavar="SERVICE:KIND[:TIMES]",
    help="Let a service (openai, gemini, xai, local) fail: overloaded, rate_limit[:retry_after=S], "
    "cut_stream[:after=N][:reset], silence and many more; once, TIMES times or "
    '"always". Can be repeated.',
)
@click.option("--list-faults", "lists", is_flag=True, help="List every KIND, and serve nothing.")
def simulate(port: int, faults: Sequence[str], *, lists: bool) -> int:
    """
    Serve simulated OpenAI, Gemini and xAI until Ctrl-C.

    It prints the lines to paste into another terminal, where every tertulia program then talks to it.
    """
    from tertulia_cli.simulate import list_faults, parse_fault, serve

    if lists:
        return list_faults()
    return serve(port, [parse_fault(fault) for fault in faults])


@cli.command(
    epilog=_examples("tertulia plugins", "tertulia plugins --json", "TERTULIA_PLUGINS= tertulia plugins")
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def plugins(as_json: bool) -> int:
    """List installed drivers and plugins, and why one was refused."""
    from tertulia_cli.plugins import list_plugins

    return list_plugins(as_json=as_json)
