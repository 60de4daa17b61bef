"""What goes wrong between us and PostgreSQL, as errors of ours."""

from __future__ import annotations

from collections.abc import Mapping

from tertulia.builtin.sql.errors import RESTORE, UNREADABLE, cause_of, explain
from tertulia.builtin.sql.postgres.address import PostgresAddress
from tertulia.builtin.sql.postgres.connections import (
    DRIVER_ERRORS,
    NotBegunError,
    UnknownOutcomeError,
)
from tertulia.errors import StoreBusyError, StoreCorruptError, StoreError, StoreReadOnlyError

_LOST = "the connection was lost"
_TRY_AGAIN = "try again"

COLLISIONS = frozenset({"40001", "40P01", "23505", "23503", "42P07", "0A000"})
"""What befalls a transaction because of another one, and not again when it is done once more."""

# https://www.postgresql.org/docs/current/errcodes-appendix.html; a whole class is named by its two letters.
_MEANINGS: Mapping[str, tuple[type[StoreError], str, str]] = {
    "08": (StoreError, f"cannot be asked: {_LOST}", "check that the server runs, and try again"),
    "25006": (
        StoreReadOnlyError,
        "cannot be written",
        "connect to the primary server, or open it without mode=ro",
    ),
    "28": (StoreError, "refuses the user or the password", "check both in the store's URL"),
    "3D000": (StoreError, "does not exist", 'make it with "createdb"'),
    "3F000": (StoreError, "has no schema to make tables in", "give the user a schema"),
    "40": (StoreBusyError, "is being written by too many at once", _TRY_AGAIN),
    "42501": (
        StoreReadOnlyError,
        "does not let this user do that",
        "grant the user the right to use the tables, and to make them the first time",
    ),
    "53100": (StoreError, "cannot grow: the disk is full", "make room and send again"),
    "53300": (
        StoreBusyError,
        "takes no further connection",
        "lower pool_size in the store's URL, or put a pooler before the server",
    ),
    "55P03": (
        StoreBusyError,
        "is locked by another process",
        "try again, or find the process that holds it",
    ),
    "57014": (StoreBusyError, "was too slow, and the server gave up", _TRY_AGAIN),
    "57P": (StoreError, "cannot be asked: the server stops or starts", _TRY_AGAIN),
    "XX001": (StoreCorruptError, "is damaged", "restore a copy"),
    "XX002": (StoreCorruptError, "is damaged: an index does not fit its table", 'run "REINDEX DATABASE"'),
}


_UNKNOWN = (
    f"may have written this or not: {_LOST} while it did",
    "look whether it is there before you try again",
)


def get_state(error: BaseException) -> str:
    """PostgreSQL's code of what went wrong; empty when it has not said anything."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else ""


def may_try_again(error: BaseException) -> bool:
    """Whether nothing was done, and the same may succeed now."""
    return isinstance(error, NotBegunError) or get_state(error) in COLLISIONS


def explain_opening(error: BaseException, address: PostgresAddress) -> BaseException:
    """Make of what failed while a database is opened an error of ours."""
    return _explain(error, address, StoreError, "could not be opened", None)


def explain_reading(error: BaseException, address: PostgresAddress) -> BaseException:
    """The same while it is read: a row that makes no value is a StoreCorruptError."""
    return _explain(error, address, StoreCorruptError, UNREADABLE, RESTORE)


def explain_writing(error: BaseException, address: PostgresAddress) -> BaseException:
    """The same of what failed while it was written."""
    return _explain(error, address, StoreError, "could not be written", None)


def _explain(
    error: BaseException,
    address: PostgresAddress,
    kind: type[StoreError],
    what: str,
    next_step: str | None,
) -> BaseException:
    if isinstance(error, NotBegunError) and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, UnknownOutcomeError):
        explained: BaseException = _make(StoreError, address, *_UNKNOWN)
    elif isinstance(error, DRIVER_ERRORS):
        explained = _translate(error, address)
    elif isinstance(error, OSError):  # a TimeoutError is one, too
        explained = _make(
            StoreError, address, _say_unreachable(error), "check the host, the port and the server"
        )
    else:
        explained = explain(error, address, kind, what, next_step)
    if explained is not error:
        explained.__cause__ = cause_of(error)
    return explained


def _translate(error: BaseException, address: PostgresAddress) -> StoreError:
    state = get_state(error)
    for code in (state, state[:3], state[:2]):
        if code in _MEANINGS:
            return _make(_MEANINGS[code][0], address, *_MEANINGS[code][1:])
    words = str(error.args[0]) if error.args else type(error).__name__  # without details, which quote values
    if not state and ("connection" in words or "in progress" in words):
        return _make(StoreError, address, *_MEANINGS["08"][1:])
    return _make(StoreError, address, f"failed: {words}", None)


def _say_unreachable(error: OSError) -> str:
    reason = (
        "it does not answer" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
    )
    return f"cannot be reached: {reason}"


def _make(kind: type[StoreError], address: PostgresAddress, what: str, next_step: str | None) -> StoreError:
    return kind(f"the database {address} {what}", location=str(address), next_step=next_step)
