"""What the commands of several modules have in common: options, examples, help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

C = TypeVar("C", bound=Callable[..., Any])


def show_examples(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def store_option(command: C) -> C:
    """Add ``--store``."""
    where = "sqlite:///PATH or memory:. Default: your own database."
    return click.option("--store", metavar="URL", help=where)(command)


def json_option(what: str) -> Callable[[C], C]:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help=what)


def help_alone(context: click.Context) -> None:
    """Show what there is to a group of commands that is called without one."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
