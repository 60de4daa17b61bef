"""Statements of SQLAlchemy, run on the driver's own connection."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import cache, lru_cache
from operator import itemgetter
from typing import Any, ClassVar, TypeAlias
from uuid import UUID

import attrs
from sqlalchemy import ClauseElement, Column
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite as SQLiteDialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from tertulia.builtin.sql.column_types import Moment, UUIDBytes, microseconds_since_1970, moment_of
from tertulia.errors import StoreError

Row: TypeAlias = dict[str, Any]
"""The columns of a row by name, ids and moments being values already."""

Values: TypeAlias = Mapping[str, Any]
"""The parameters of a statement by name; it takes those it knows, and needs all of them."""

LARGEST = 2**63 - 1
"""The largest number a column holds."""


class Dialect(StrEnum):
    """The database's kind."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class Database(ABC):
    """
    One connection, inside a transaction, as the operations use it.

    Attributes:
        dialect: What it speaks: the few statements that differ are chosen by it.
    """

    dialect: ClassVar[Dialect]

    @abstractmethod
    def run(self, statement: ClauseElement, values: Values) -> int:
        """Run a statement that returns nothing, and say how many rows it changed."""

    @abstractmethod
    def run_many(self, statement: ClauseElement, rows: Sequence[Values]) -> None:
        """Run a statement once for each row of parameters."""

    @abstractmethod
    def all(self, statement: ClauseElement, values: Values) -> list[Row]:
        """Run a statement and return its rows."""

    def first(self, statement: ClauseElement, values: Values) -> Row | None:
        """Run a statement that returns one row or none."""
        rows = self.all(statement, values)
        return rows[0] if rows else None


class SQLiteDatabase(Database):
    """
    A connection to SQLite. Statements are composed once by SQLAlchemy and run compiled.

    Composing for every call takes five times as long as running, and SQLAlchemy's rows twice as long as
    SQLite's; what a write waits for is to be the disk.
    """

    dialect = Dialect.SQLITE

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def run(self, statement: ClauseElement, values: Values) -> int:
        """Run a statement that returns nothing, and say how many rows it changed."""
        return self._execute(_prepare(statement), values).rowcount

    def run_many(self, statement: ClauseElement, rows: Sequence[Values]) -> None:
        """Run a statement once for each row of parameters, in one call of SQLite's."""
        prepared = _prepare(statement)
        bound = prepared.bind_many(rows)
        self.connection.execute("SAVEPOINT many")
        try:
            self.connection.executemany(prepared.sql, bound)
        except (UnicodeEncodeError, OverflowError):
            self.connection.execute("ROLLBACK TO many")  # the rows before the one that cannot be kept are in
            bound = [[make_storable(value) for value in row] for row in bound]
            self.connection.executemany(prepared.sql, bound)
        self.connection.execute("RELEASE many")

    def all(self, statement: ClauseElement, values: Values) -> list[Row]:
        """Run a statement and return its rows: only with the last one is an UPDATE … RETURNING finished."""
        prepared = _prepare(statement)
        return prepared.convert(self._execute(prepared, values).fetchall())

    def _execute(self, prepared: _Prepared, values: Values) -> sqlite3.Cursor:
        parameters = prepared.bind(values)
        try:
            return self.connection.execute(prepared.sql, parameters)
        except (UnicodeEncodeError, OverflowError):
            # Nothing was run. It is cheaper to look for such values only now than in every statement.
            return self.connection.execute(prepared.sql, [make_storable(value) for value in parameters])


_Pick: TypeAlias = Callable[[Values], tuple[object, ...]]


def _make_pick(prepared: _Prepared) -> _Pick:
    names = prepared.names
    return itemgetter(*names) if len(names) > 1 else lambda values: tuple(values[name] for name in names)


@attrs.frozen(eq=False)
class _Prepared:
    """
    A statement as SQLite takes it.

    Attributes:
        names: Of its parameters, in their order.

        columns: Of what it returns.
    """

    sql: str
    names: tuple[str, ...]
    binders: tuple[tuple[int, Callable[[Any], object]], ...]
    columns: tuple[str, ...]
    converters: tuple[tuple[str, Callable[[Any], object]], ...]
    _pick: _Pick = attrs.field(init=False, default=attrs.Factory(_make_pick, takes_self=True))

    def bind(self, values: Values) -> list[object]:
        """The parameters, ids and moments as SQLite keeps them."""
        return self.bind_many((values,))[0]

    def bind_many(self, rows: Sequence[Values]) -> list[list[object]]:
        """The same of many rows, made column by column."""
        bound = [list(row) for row in map(self._pick, rows)]
        for position, make in self.binders:
            for row in bound:
                if (value := row[position]) is not None:
                    row[position] = make(value)
        return bound

    def convert(self, found: Sequence[tuple[object, ...]]) -> list[Row]:
        """Rows by their columns' names, made column by column: a call for each takes as long again."""
        columns = self.columns
        rows: list[Row] = [dict(zip(columns, row)) for row in found]  # noqa: B905  # it takes a third longer
        for name, make in self.converters:
            for row in rows:
                if (value := row[name]) is not None:
                    row[name] = make(value)
        return rows


@cache
def _prepare(statement: ClauseElement) -> _Prepared:
    compiled = statement.compile(dialect=_SQLITE)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101  # it is no DDL
    names = [name for name in compiled.positiontup or () if compiled.params[name] is None]
    returned: Sequence[Column[Any]] = tuple(getattr(statement, "exported_columns", ()))
    return _Prepared(
        _write_constants(compiled),
        tuple(name.removeprefix("b_") for name in names),
        tuple(
            (position, _BINDERS[kind])
            for position, name in enumerate(names)
            if (kind := type(compiled.binds[name].type)) in _BINDERS
        ),
        tuple(column.name for column in returned),
        tuple(
            (column.name, _CONVERTERS[kind])
            for column in returned
            if (kind := type(column.type)) in _CONVERTERS
        ),
    )


def _write_constants(compiled: SQLCompiler) -> str:
    """The SQL with the numbers and words of the statement itself in their places, which are names of ours."""
    first, *rest = str(compiled).split("?")
    values = [compiled.params[name] for name in compiled.positiontup or ()]
    return first + "".join(
        ("?" if value is None else repr(value)) + piece for value, piece in zip(values, rest, strict=True)
    )


def make_storable(value: object) -> object:
    """
    Make a value one that a database can hold: UTF-8 has no lone surrogates, so they become question marks.

    Raises:
        StoreError: It is a number that 64 bits do not hold.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise StoreError(f"a number of {value.bit_length()} bits is more than a database can hold")
    return value


def _get_bytes(value: UUID) -> bytes:
    return value.int.to_bytes(16, "big")  # as its property does, with one call less


@lru_cache(maxsize=4096)
def _make_uuid(value: bytes) -> UUID:
    """Making one takes as long as fetching its row, and the parent of a message was made just before."""
    return UUID(bytes=value)


_BINDERS: Mapping[type[TypeEngine[Any]], Callable[[Any], object]] = {
    UUIDBytes: _get_bytes,
    Moment: microseconds_since_1970,
}
_CONVERTERS: Mapping[type[TypeEngine[Any]], Callable[[Any], object]] = {
    UUIDBytes: _make_uuid,
    Moment: moment_of,
}
_SQLITE = SQLiteDialect(paramstyle="qmark")
