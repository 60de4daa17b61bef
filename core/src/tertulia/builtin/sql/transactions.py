"""How jobs become transactions: one for many that write, one for each that reads."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection

from tertulia.builtin.sql.address import Address
from tertulia.builtin.sql.appends import Append, append_together
from tertulia.builtin.sql.database import SQLiteDatabase
from tertulia.builtin.sql.engine import Job
from tertulia.builtin.sql.errors import explain_writing, opening, reading
from tertulia.builtin.sql.lane import Outcome, Perform
from tertulia.builtin.sql.revisions import migrate
from tertulia.builtin.sql.sqlite import begin, driver_connection
from tertulia.errors import TertuliaError

LONGEST_GROUP_SECONDS = 0.025
"""Then a transaction takes no further job: those who wait for what it has done shall not wait much longer."""


def prepare(connection: Connection, address: Address) -> None:
    """Bring the tables to this version, in one transaction."""
    with opening(address), connection.begin():
        migrate(connection, driver_connection(connection), address)


def write_together(address: Address) -> Perform:
    """
    Let jobs write, as many in a transaction as wait for it: together they wait for the disk once.

    What goes wrong with one harms no other. A job that refuses in words of ours, and has changed nothing,
    leaves the transaction as it was. At anything else the group is rolled back, and each of its jobs is
    done again in a transaction of its own, where it meets its own error and no other's.
    """

    def perform(database: SQLiteDatabase, jobs: Sequence[Job[Any]]) -> Iterator[Sequence[Outcome]]:
        while jobs:
            outcomes = _try_together(database, address, jobs)
            if outcomes is None:
                yield from ([_write_alone(database, address, job)] for job in jobs)
                return
            yield outcomes
            jobs = jobs[len(outcomes) :]

    return perform


def _try_together(
    database: SQLiteDatabase, address: Address, jobs: Sequence[Job[Any]]
) -> list[Outcome] | None:
    """Do the first jobs, or all, in one transaction; None when nothing of it was kept."""
    if len(jobs) == 1:
        return [_write_alone(database, address, jobs[0])]
    try:
        begin(database.connection, address, writes=True)
    except BaseException as error:  # noqa: BLE001  # each who waits is told
        return [Outcome(error=explain_writing(error, address)) for _ in jobs]
    try:
        outcomes = _do_some(database, jobs)
        database.connection.execute("COMMIT")
    except BaseException:  # noqa: BLE001  # it comes again where the job is done alone
        _roll_back(database)
        return None
    return outcomes


def _do_some(database: SQLiteDatabase, jobs: Sequence[Job[Any]]) -> list[Outcome]:
    """Do the first of the jobs, one at least; appends that follow one another are one."""
    end = time.monotonic() + LONGEST_GROUP_SECONDS
    outcomes: list[Outcome] = []
    while len(outcomes) < len(jobs):
        appends = list(takewhile(_is_append, jobs[len(outcomes) :]))
        if len(appends) > 1:
            outcomes += _append(database, appends)
        else:
            outcomes.append(_do(database, jobs[len(outcomes)]))
        if time.monotonic() > end:
            break
    return outcomes


def _is_append(job: Job[Any]) -> bool:
    return isinstance(job, Append)


def _append(database: SQLiteDatabase, appends: Sequence[Job[Any]]) -> list[Outcome]:
    """Do what can be done together, and then each of the others alone."""
    placed = append_together(database, [append for append in appends if isinstance(append, Append)])
    return [
        _do(database, append) if message is None else Outcome(message)
        for append, message in zip(appends, placed, strict=True)
    ]


def _do(database: SQLiteDatabase, job: Job[Any]) -> Outcome:
    changed_before = database.connection.total_changes
    try:
        return Outcome(job(database))
    except TertuliaError as error:
        if database.connection.total_changes != changed_before:
            raise
        return Outcome(error=error)


def _write_alone(database: SQLiteDatabase, address: Address, job: Job[Any]) -> Outcome:
    try:
        begin(database.connection, address, writes=True)
        result = job(database)
        database.connection.execute("COMMIT")
    except BaseException as error:  # noqa: BLE001  # it is raised again where the job was asked for
        _roll_back(database)
        return Outcome(error=explain_writing(error, address))
    return Outcome(result)


def _roll_back(database: SQLiteDatabase) -> None:
    if database.connection.in_transaction:  # SQLite itself may have rolled back
        with suppress(sqlite3.Error):  # what went wrong before is what counts
            database.connection.execute("ROLLBACK")


def read_each(address: Address) -> Perform:
    """
    Let each job read in one transaction, so that all it reads is of one moment.

    The job makes values of the rows as well: one that is no value is the database's fault.
    """

    def perform(database: SQLiteDatabase, jobs: Sequence[Job[Any]]) -> Iterator[Sequence[Outcome]]:
        for job in jobs:
            yield [_read(database, address, job)]

    return perform


def _read(database: SQLiteDatabase, address: Address, job: Job[Any]) -> Outcome:
    try:
        with reading(address):
            begin(database.connection, address, writes=False)
            return Outcome(job(database))
    except BaseException as error:  # noqa: BLE001  # it is raised again where the job was asked for
        return Outcome(error=error)
    finally:
        _roll_back(database)
