"""What goes wrong in a database, as errors of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from sqlalchemy import exc

from tertulia.builtin.sql.address import Address
from tertulia.errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreReadOnlyError,
    TertuliaError,
)

UNREADABLE = "holds a row that cannot be read"
RESTORE = "open it with the tertulia that wrote it, or restore a copy"


@contextmanager
def opening(address: Address) -> Generator[None]:
    """Make of what fails while a database is opened an error of ours, naming the file and what to do."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # explained and raised
        raise explain(error, address, StoreError, "could not be opened") from cause_of(error)


@contextmanager
def reading(address: Address) -> Generator[None]:
    """The same while it is read: a row that makes no value is a StoreCorruptError."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # explained and raised
        raise explain(error, address, StoreCorruptError, UNREADABLE, RESTORE) from cause_of(error)


def explain_writing(error: BaseException, address: Address) -> BaseException:
    """The same of what failed while it was written: a value that cannot be kept is a StoreError."""
    explained = explain(error, address, StoreError, "could not be written")
    explained.__cause__ = cause_of(error)
    return explained


def cause_of(error: BaseException) -> BaseException | None:
    """What an error of ours was made of."""
    return None if isinstance(error, TertuliaError) else error


def explain(
    error: BaseException,
    address: object,
    kind: type[StoreError],
    what: str,
    next_step: str | None = None,
) -> BaseException:
    """
    Make of any error one of ours.

    Args:
        kind: What an error becomes that is neither ours nor the database's.
        what: The same in words.
        next_step: What to do about that.
    """
    match error:
        case StoreError():
            error.location = error.location or str(address)
            return error
        case TertuliaError():
            return error
        case exc.StatementError() | sqlite3.Error():
            return _translate(error, address)
        case Exception():
            words = f"the database {address} {what}: {type(error).__name__}: {error}"
            return kind(words, location=str(address), next_step=next_step)
        case _:
            return error


# In this order: what cannot be decoded is quoted in the error, and may say anything.
_MEANINGS: tuple[tuple[str, type[StoreError], str, str], ...] = (
    (
        "Could not decode to UTF-8",
        StoreCorruptError,
        f"{UNREADABLE}: a text is not UTF-8",
        RESTORE,
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


def _translate(error: exc.StatementError | sqlite3.Error, address: object) -> StoreError:
    words = str(error.orig if isinstance(error, exc.StatementError) else error)
    for sign, kind, what, next_step in _MEANINGS:
        if sign in words:
            return kind(f"the database {address} {what}", location=str(address), next_step=next_step)
    return StoreError(f"the database {address} failed: {words}", location=str(address))
