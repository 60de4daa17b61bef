"""
The ``tertulia`` command.

Importing this package is cheap, and so is ``tertulia --version``: a command loads what it needs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["__version__", "main"]

__version__ = "0.1.0"


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    Args:
        arguments: What follows the command's name; None for the process's own.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage or configuration, 3 over a budget, 4 no place in the
            queue, 130 interrupted, 143 terminated.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) == ["--version"]:
        sys.stdout.write(f"{versions()}\n")
        return 0
    from tertulia_cli.exits import run

    return run(arguments)


def versions() -> str:
    """The versions of the framework and of the command, a line each."""
    import tertulia

    return f"tertulia {tertulia.__version__}\ntertulia-cli {__version__}"
