"""The commands that write conversations to files, and read them from there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import click

from tertulia_cli.command_parts import json_option, show_examples, store_option

_quiet = click.option("-q", "--quiet", is_flag=True, help="Do not show how far it is.")


@click.command(
    "export",
    epilog=show_examples(
        "tertulia conversations export all.jsonl",
        "tertulia conversations export trip.md --conversation last",
        "tertulia conversations export - --conversation 0199a3c4-5d6e | gzip > trip.jsonl.gz",
    ),
)
@click.argument("target", metavar="FILE")
@click.option(
    "-c",
    "--conversation",
    "chosen",
    metavar="ID",
    multiple=True,
    help="Only this one. Can be repeated. Default: all, archived ones included.",
)
@click.option(
    "--format",
    "as_format",
    type=click.Choice(("jsonl", "markdown")),
    help="Default: markdown for a file that ends with .md, else jsonl.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@_quiet
@store_option
def export(
    target: str,
    *,
    chosen: Sequence[str],
    as_format: str | None,
    force: bool,
    quiet: bool,
    store: str | None,
) -> int:
    """
    Write conversations to FILE, or to standard output where it is "-".

    JSON lines lose nothing, and "import" reads them; Markdown is for people. The file is there once it is
    whole.
    """
    from tertulia_cli.transferring import Export, export_conversations

    return export_conversations(Export(target, as_format, chosen, force, quiet), store=store)


@click.command(
    "import",
    epilog=show_examples(
        "tertulia conversations import all.jsonl",
        "tertulia conversations import conversations.json --format chatgpt",
        "tertulia conversations import logs.db --format llm --on-error refuse",
    ),
)
@click.argument("source", metavar="FILE")
@click.option(
    "--format",
    "as_format",
    type=click.Choice(("auto", "jsonl", "chatgpt", "llm")),
    default="auto",
    help="What it is. Default: auto, to find out.",
)
@click.option(
    "--on-error",
    type=click.Choice(("skip", "refuse")),
    default="skip",
    help="Leave out what cannot be read, or the whole file. Default: skip.",
)
@_quiet
@store_option
@json_option("Print one JSON object.")
def import_(
    source: str,
    *,
    as_format: Literal["auto", "jsonl", "chatgpt", "llm"],
    on_error: Literal["skip", "refuse"],
    quiet: bool,
    store: str | None,
    as_json: bool,
) -> int:
    """
    Take over conversations from FILE, or from standard input where it is "-".

    It is an export of ours, an export of ChatGPT (its conversations.json), or the database of the command
    "llm". What is there already is left as it is, so that the same file can be imported again. The exit code
    is 1 when something in it could not be imported.
    """
    from tertulia_cli.transferring import Import, import_conversations

    return import_conversations(Import(source, as_format, on_error, quiet), store=store, as_json=as_json)


TRANSFER = (export, import_)
