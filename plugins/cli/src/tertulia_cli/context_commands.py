"""The command that shows what a model gets to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from tertulia_cli.command_parts import json_option, show_examples, store_option

RECALL = ("auto", "always", "never")


@click.command(
    epilog=show_examples(
        "tertulia context last",
        'tertulia context last --message "What was the name of the hotel?"',
        'tertulia context 0199a3c4-5d6e --strategy recent --max-tokens 4000 --message "And why?"',
        "tertulia context last --provider gemini --json",
        "tertulia context last --set strategy=summary --set max_tokens=8000",
        "tertulia context last --set max_tokens=none",
    )
)
@click.argument("conversation", metavar="ID")
@click.option(
    "--message", metavar="TEXT", help="What would be said next. Default: your newest message, asked again."
)
@click.option(
    "-a",
    "--attach",
    "attached",
    multiple=True,
    metavar="FILE",
    help="What would go with it: a file, or an https:// address. Can be repeated.",
)
@click.option("-b", "--branch", metavar="NAME", help="On which branch. Default: where it was last.")
@click.option("-p", "--provider", metavar="NAME", help="Who would be asked. Default: whoever it is with.")
@click.option("-m", "--model", metavar="MODEL", help="Which model. Default: the provider's own.")
@click.option(
    "--strategy", metavar="NAME", help="How it is chosen: recall, recent, important, summary, or a plugin's."
)
@click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="At most so many tokens.")
@click.option("--max-messages", type=click.IntRange(1), metavar="N", help="At most so many recent messages.")
@click.option("--recall", type=click.Choice(RECALL), help="When earlier messages are quoted.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Keep an option with the conversation; the value none takes it back. Can be repeated.",
)
@store_option
@json_option("Print one JSON object, with the messages.")
def context(
    conversation: str,
    *,
    message: str | None,
    attached: Sequence[str],
    settings: Sequence[str],
    store: str | None,
    as_json: bool,
    **chosen: Any,
) -> int:
    """
    Show what a model would get to see next, and why.

    Nothing is stored, and no provider is asked. What is left out of a request stays in the
    conversation.
    """
    from tertulia_cli.context import Preview, preview_context, set_options

    if settings:
        if message is not None or attached or any(chosen.values()):
            raise click.UsageError("--set keeps options, and shows no context: do one after the other.")
        return set_options(conversation, settings, store=store, as_json=as_json)
    preview = Preview(conversation, message, attached, **chosen)
    return preview_context(preview, store=store, as_json=as_json)
