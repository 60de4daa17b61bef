"""Stores that are only looked into: what is not there is not created."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import click

import tertulia

IN_MEMORY = "memory:"
_FILE = "sqlite:///"


def open_existing(store: str | None) -> tertulia.Client:
    """
    Configure a client for a command that makes no database.

    Where nothing was ever said, the user's own is an empty one in memory.

    Args:
        store: None for the configured one.

    Raises:
        click.UsageError: The store is named, and its file is not there.
    """
    if store is not None:
        refuse_missing(store)
        return tertulia.open(store=store)
    return tertulia.open(store=None if find_missing(configured_store()) is None else IN_MEMORY)


def refuse_missing(store: str) -> None:
    """Refuse a file that is not there: a mistyped name would become an empty database."""
    if (missing := find_missing(store)) is not None:
        raise click.UsageError(f"There is no database {str(missing)!r}, and none was created.")


def find_missing(url: str) -> Path | None:
    """The file that a URL names, where it is not there; None where it is, and for what is no file."""
    if not url.startswith(_FILE) or url == "sqlite:///:memory:":
        return None
    path = Path(unquote(url.removeprefix(_FILE).partition("?")[0], errors="surrogateescape"))
    try:
        path = path.expanduser()
        return None if path.exists() else path
    except (OSError, RuntimeError, ValueError):  # no place for a file: the store says why
        return None


def configured_store() -> str:
    """The URL of the store that is set, or of the user's own database."""
    return next(str(setting.value) for setting in tertulia.read_settings() if setting.key == "store")
