"""The commands, their arguments and their help. What a command does is loaded when it runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from tertulia_cli import versions


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_examples(
        "tertulia demo", 'tertulia ask "Three days in Lisbon, please."', "tertulia plugins --json"
    ),
)
@click.version_option(message=versions(), version="")
@click.pass_context
def cli(context: click.Context) -> None:
    """Conversations that outlive any one AI provider."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


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
        "git diff | tertulia ask --system 'Write a commit message for this diff.'",
        'tertulia ask --simulator --json "My name is John."',
    )
)
@click.argument("text", required=False)
@click.option("-p", "--provider", metavar="NAME", help="Who answers. Default: the first that has a key.")
@click.option("-m", "--model", metavar="MODEL", help="Which model. Default: the provider's own.")
@click.option("-s", "--system", metavar="TEXT", help="Instructions for whoever answers.")
@click.option(
    "-f",
    "--fallback",
    multiple=True,
    metavar="NAME[/MODEL],…",
    help="Who is asked, in order, when the provider fails. Can be repeated.",
)
@click.option(
    "--simulator",
    is_flag=True,
    help="Ask services simulated on this machine; nothing is kept without --store.",
)
@click.option("--store", metavar="URL", help="sqlite:///PATH or memory:. Default: your own database.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when the answer is complete.")
def ask(
    text: str | None,
    *,
    provider: str | None,
    model: str | None,
    system: str | None,
    fallback: Sequence[str],
    simulator: bool,
    store: str | None,
    as_json: bool,
) -> int:
    """
    Ask one question and print the answer as it comes.

    TEXT is read from standard input when it is "-", or missing and something is piped in. The answer goes
    to standard output; who answered, what it cost and what went wrong go to standard error.
    """
    from tertulia_cli.ask import Question, ask_question

    return ask_question(
        Question(
            text=_read_text(text),
            provider=provider,
            model=model,
            system=system,
            fallback=_split_names(fallback),
            store=store or ("memory:" if simulator else None),
            simulator=simulator,
            as_json=as_json,
        )
    )


@cli.command(
    epilog=_examples(
        "tertulia simulate",
        "tertulia simulate --port 8123",
        "tertulia simulate --fail openai=overloaded --fail xai=rate_limit:3",
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
    help="Let a service (openai, gemini, xai) fail: auth, rate_limit, overloaded or quota; once, TIMES, or "
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


def _read_text(text: str | None) -> str:
    if text == "-" or (text is None and not sys.stdin.isatty()):
        try:
            text = sys.stdin.buffer.read().decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise click.UsageError(f"Standard input is not UTF-8: {error.reason}.") from error
    if text is None or not text.strip():
        raise click.UsageError("There is nothing to ask: give TEXT, or pipe it in.")
    return _check_unicode(text)


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
