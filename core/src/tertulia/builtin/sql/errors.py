"""What goes wrong in a database, as errors of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import exc

from tertulia.builtin.sql.address import Address
from tertulia.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreReadOnlyError,
    TertuliaError,
)

_UNREADABLE = "holds a row that cannot be read"
_RESTORE = "open it with the tertulia that wrote it, or restore a copy"


def opening(address: Address) -> AbstractContextManager[None]:
    """Make of what fails while a database is opened an error of ours, naming the file and what to do."""
    return _translated(address, StoreError, "could not be opened")


def writing(address: Address) -> AbstractContextManager[None]:
    """The same while it is written: a value that cannot be kept is a StoreError."""
    return _translated(address, StoreError, "could not be written")


def reading(address: Address) -> AbstractContextManager[None]:
    """The same while it is read: a row that makes no value is a StoreCorruptError."""
    return _translated(address, StoreCorruptError, _UNREADABLE, next_step=_RESTORE)


@contextmanager
def _translated(
    address: Address, kind: type[StoreError], what: str, *, next_step: str | None = None
) -> Generator[None]:
    """
    Raise every error as one of ours.

    Args:
        kind: What an error becomes that is neither ours nor the database's.
        what: The same in words.
        next_step: What to do about that.
    """
    try:
        yield
    except TertuliaError:
        raise
    except (exc.StatementError, sqlite3.Error) as error:
        raise _translate(error, address) from error
    except Exception as error:
        words = f"the database {address} {what}: {type(error).__name__}: {error}"
        raise kind(words, location=str(address), next_step=next_step) from error


# In this order: what cannot be decoded is quoted in the error, and may say anything.
_MEANINGS: tuple[tuple[str, type[StoreError], str, str], ...] = (
    (
        "Could not decode to UTF-8",
        StoreCorruptError,
        f"{_UNREADABLE}: a text is not UTF-8",
        _RESTORE,
    ),
    (
        "locked",
        StoreBusyError,
        "is locked by another process",
        "try again, or find the process that holds it",
    ),
    (
        "readonly",
        StoreReadOnlyError,
        "cannot be written",
        "check the file's permissions, or open another database",
    ),
    (
        "not a database",
        StoreCorruptError,
        "is not a SQLite database",
        "name another file; this one was left untouched",
    ),
    ("malformed", StoreCorruptError, "is damaged", 'save what can be read with "sqlite3 FILE .recover"'),
    ("unable to open", StoreError, "cannot be opened", "check that its folder exists and can be written"),
    ("disk is full", StoreError, "cannot grow: the disk is full", "make room and send again"),
    ("disk I/O error", StoreError, "cannot be read or written: the disk fails or is full", "check the disk"),
)


def _translate(error: exc.StatementError | sqlite3.Error, address: Address) -> StoreError:
    words = str(error.orig if isinstance(error, exc.StatementError) else error)
    for sign, kind, what, next_step in _MEANINGS:
        if sign in words:
            return kind(f"the database {address} {what}", location=str(address), next_step=next_step)
    return StoreError(f"the database {address} failed: {words}", location=str(address))
