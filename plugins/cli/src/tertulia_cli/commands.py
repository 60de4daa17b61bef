"""The commands, their arguments and their help. What a command does is loaded when it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from tertulia_cli import versions
from tertulia_cli.command_parts import help_alone as _help_alone
from tertulia_cli.command_parts import json_option as _json
from tertulia_cli.command_parts import show_examples as _examples
from tertulia_cli.command_parts import store_option as _store
from tertulia_cli.conversation_commands import branches, conversations
from tertulia_cli.ledger_commands import costs
from tertulia_cli.model_commands import models, providers
from tertulia_cli.upkeep_commands import doctor

C = TypeVar("C", bound=Callable[..., Any])


def _asking(command: C) -> C:
    """Add the options that say who answers, and where it is kept."""
    options = (
        click.option(
            "-p", "--provider", metavar="NAME", help="Who answers. Default: the first that has a key."
        ),
        click.option("-m", "--model", metavar="MODEL", help="Which model. Default: the provider's own."),
        click.option("-s", "--system", metavar="TEXT", help="Instructions for whoever answers."),
        click.option(
            "-f",
            "--fallback",
            multiple=True,
            metavar="NAME[/MODEL],…",
            help="Who is asked, in order, when the provider fails. Can be repeated.",
        ),
        _store,
        click.option(
            "--simulator",
            is_flag=True,
            help="Ask services simulated on this machine; nothing is kept without --store.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


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


@cli.command(
    epilog=_examples(
        'tertulia ask "Three days in Lisbon, please."',
        'tertulia ask --provider gemini --system "Be brief." "What is a tertulia?"',
        'tertulia ask --fallback gemini,xai/grok-4.3 "Hello!"',
        "tertulia ask --attach menu.jpg 'What would you order?'",
        "git diff | tertulia ask --system 'Write a commit message for this diff.'",
        'tertulia ask --simulator --json "My name is John."',
    )
)
@click.argument("text", required=False)
@_asking
@click.option(
    "-a",
    "--attach",
    "attached",
    multiple=True,
    metavar="FILE",
    help="Send a file along: an image, a PDF, a text, sound; or an https:// address. Can be repeated.",
)
@_json("Print one JSON object when the answer is complete.")
def ask(
    text: str | None,
    *,
    provider: str | None,
    model: str | None,
    system: str | None,
    fallback: Sequence[str],
    store: str | None,
    simulator: bool,
    attached: Sequence[str],
    as_json: bool,
) -> int:
    """
    Ask one question and print the answer as it comes.

    TEXT is read from standard input when it is "-", or missing and something is piped in. The answer goes
    to standard output; who answered, what it cost and what went wrong go to standard error. Without any key
    the services are simulated, and it says so.
    """
    from tertulia import load_attachment
    from tertulia_cli.access import Access
    from tertulia_cli.ask import Question, ask_question

    said = _read_text(text, may_be_empty=bool(attached))
    return ask_question(
        Question(
            text=said,
            access=Access(provider, model, _split_names(fallback), store, simulator),
            system=system,
            attached=[load_attachment(source) for source in attached],
            as_json=as_json,
        )
    )


@cli.command(
    epilog=_examples(
        "tertulia chat",
        "tertulia chat --provider gemini --system 'Be brief.'",
        "tertulia chat --conversation 0199a3c4-5d6e --branch main",
        "tertulia chat --simulator",
        "tertulia chat < questions.txt",
    )
)
@_asking
@click.option(
    "-c", "--conversation", metavar="ID", help="Go on with a conversation; the beginning of its id will do."
)
@click.option("-b", "--branch", metavar="NAME", help="On which branch of it. Default: where it was last.")
def chat(
    *,
    provider: str | None,
    model: str | None,
    system: str | None,
    fallback: Sequence[str],
    store: str | None,
    simulator: bool,
    conversation: str | None,
    branch: str | None,
) -> int:
    """
    Talk, and read the answers as they come.

    Ctrl-C stops an answer and keeps what you saw of it; Ctrl-D leaves. /help shows what else can be typed.
    What is piped in is said line by line. Without any key the services are simulated, and it says so.
    """
    from tertulia_cli.access import Access
    from tertulia_cli.chat import Wish, talk

    if conversation is None and branch is not None:
        raise click.UsageError("--branch needs --conversation.")
    if conversation is not None and system is not None:
        raise click.UsageError("--system is for a new conversation, and --conversation goes on with another.")
    if conversation is not None and simulator and store is None:
        raise click.UsageError("--conversation with --simulator needs --store: where is it kept?")
    names = _split_names(fallback)
    return talk(Wish(Access(provider, model, names, store, simulator, conversation), system, branch))


cli.add_command(conversations)
cli.add_command(branches)
cli.add_command(costs)
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
        "tertulia simulate --fail openai=overloaded --fail xai=rate_limit:3",
        "tertulia simulate --fail gemini=cut_stream:always:after=3",
    )
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Where to listen. Default: any free port."
)
@click.option(
    "--fail",
    "faults",
    multiple=True,
    metavar="SERVICE=KIND[:TIMES]",
    help="Let a service (openai, gemini, xai, local) fail: auth, rate_limit, overloaded, quota, "
    "slow[:seconds=S], stall[:after=N] or cut_stream[:after=N][:reset]; once, TIMES times or "
    '"always". Can be repeated.',
)
def simulate(port: int, faults: Sequence[str]) -> int:
    """
    Serve simulated OpenAI, Gemini and xAI until Ctrl-C.

    It prints the lines to paste into another terminal, where every tertulia program then talks to it.
    """
    from tertulia_cli.simulate import parse_fault, serve

    return serve(port, [parse_fault(fault) for fault in faults])


@cli.command(
    epilog=_examples("tertulia plugins", "tertulia plugins --json", "TERTULIA_PLUGINS= tertulia plugins")
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def plugins(as_json: bool) -> int:
    """List installed drivers and plugins, and why one was refused."""
    from tertulia_cli.plugins import list_plugins

    return list_plugins(as_json=as_json)


def _read_text(text: str | None, *, may_be_empty: bool) -> str:
    if text == "-" or (text is None and not sys.stdin.isatty()):
        try:
            text = sys.stdin.buffer.read().decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise click.UsageError(f"Standard input is not UTF-8: {error.reason}.") from error
    if (text is None or not text.strip()) and not may_be_empty:
        raise click.UsageError("There is nothing to ask: give TEXT, or pipe it in.")
    return _check_unicode(text or "")


def _check_unicode(text: str) -> str:
    """Refuse what Python could not decode from the command line and holds as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise click.UsageError("TEXT is not valid in your terminal's encoding.") from error
    return text


def _split_names(values: Sequence[str]) -> tuple[str, ...] | None:
    names = tuple(name.strip() for value in values for name in value.split(",") if name.strip())
    return names if values else None
