"""How a command ends: an exit code, and one line when it did not go well."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import cast

import click

from tertulia.errors import (
    AllProvidersFailed,
    BudgetExceededError,
    ConfigurationError,
    MissingKeyError,
    QueueFullError,
    TertuliaError,
)
from tertulia_cli.commands import cli
from tertulia_cli.explaining import explain
from tertulia_cli.loop import INTERRUPTED, exit_code
from tertulia_cli.terminal import note

FAILED = 1
USAGE = 2
OVER_BUDGET = 3
QUEUE_FULL = 4


def run(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; TERTULIA_DEBUG=1 lets errors through, with their traceback."""
    if cast("object", sys.stdout) is None:
        _say("the result cannot be written: standard output is closed")
        return FAILED
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its number instead of an error.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        return int(cli.main(list(arguments), prog_name="tertulia", standalone_mode=False) or 0)
    except click.Abort as abort:
        cause = abort.__cause__
        return exit_code(cause) if isinstance(cause, KeyboardInterrupt) else INTERRUPTED
    except Exception as error:
        if os.environ.get("TERTULIA_DEBUG"):
            raise
        return _report(error)


def _report(error: Exception) -> int:
    match error:
        case click.UsageError():
            command = error.ctx.command_path if error.ctx else "tertulia"
            _say(f'{error.format_message()} See "{command} --help".')
            return error.exit_code
        case click.ClickException():
            _say(error.format_message())
            return error.exit_code
        case TertuliaError():
            _say(explain(error))
            return _code_of(error)
        case OSError():
            _say(f"the result cannot be written: {error.strerror or error}")
            return FAILED
        case _:
            _say(f"{type(error).__name__}: {error}; this is a bug, and TERTULIA_DEBUG=1 shows where")
            return FAILED


def _code_of(error: TertuliaError) -> int:
    match error:
        case ConfigurationError() | MissingKeyError():
            return USAGE
        case BudgetExceededError():
            return OVER_BUDGET
        case QueueFullError():
            return QUEUE_FULL
        case AllProvidersFailed() if {_code_of(failure) for failure in error.errors} == {QUEUE_FULL}:
            return QUEUE_FULL
        case _:
            return FAILED


def _say(text: str) -> None:
    note(text, label="error", color="red")
