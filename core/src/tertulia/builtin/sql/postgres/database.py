"""Statements of SQLAlchemy, run on asyncpg."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, cast
from uuid import UUID

import attrs
from sqlalchemy import ClauseElement, Column
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.dialects.postgresql.base import PGTypeCompiler
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine
from sqlalchemy.util import await_only

from tertulia.builtin.sql.column_types import Moment, UUIDBytes, microseconds_since_1970, moment_of
from tertulia.builtin.sql.database import Database, Dialect, Row, Values, make_storable
from tertulia.builtin.sql.postgres.connections import DriverDataError, Link


class OneMoreError(BaseException):
    """A job that runs outside a transaction asks for a second statement. No error, and nobody catches it."""


class PostgresDatabase(Database):
    """
    A connection to PostgreSQL, for a job that runs in a greenlet of its own.

    Args:
        link: The connection.
        statements: How many statements may be run; None for as many as there are.

    Attributes:
        statements: How many were run.
    """

    dialect = Dialect.POSTGRESQL

    def __init__(self, link: Link, statements: int | None = None) -> None:
        self.link = link
        self.statements = 0
        self._most = statements

    def run(self, statement: ClauseElement, values: Values) -> int:
        """Run a statement that returns nothing, and say how many rows it changed."""
        return self._run(prepare(statement), values)[1]

    def run_many(self, statement: ClauseElement, rows: Sequence[Values]) -> None:
        """Run a statement once for each row of parameters, without waiting for each."""
        if rows:
            self._count_down()
            prepared = prepare(statement)
            bound = [[make_storable(value) for value in prepared.bind(row)] for row in rows]
            await_only(self.link.run_many(prepared.sql, bound))

    def all(self, statement: ClauseElement, values: Values) -> list[Row]:
        """Run a statement and return its rows."""
        prepared = prepare(statement)
        return [prepared.convert(row) for row in self._run(prepared, values)[0]]

    def _run(self, prepared: Prepared, values: Values) -> tuple[Sequence[Sequence[Any]], int]:
        self._count_down()
        bound = prepared.bind(values)
        try:
            return await_only(self.link.run(prepared.sql, bound))
        except DriverDataError:
            # Nothing was run. It is cheaper to look for such values only now than in every statement.
            storable = [make_storable(value) for value in bound]
            if storable == bound:
                raise
            return await_only(self.link.run(prepared.sql, storable))

    def _count_down(self) -> None:
        if self.statements == self._most:
            raise OneMoreError
        self.statements += 1


@attrs.frozen(eq=False)
class Prepared:
    """
    A statement as asyncpg takes it.

    Attributes:
        names: Of its parameters, in their order; None for one that is the statement's own.

        own: The parameters that are the statement's own, in their places.

        columns: Of what it returns.
    """

    sql: str
    names: tuple[str | None, ...]
    own: tuple[object, ...]
    moments: tuple[int, ...]
    columns: tuple[str, ...]
    converters: tuple[tuple[str, Callable[[Any], object]], ...]

    def bind(self, values: Values) -> list[object]:
        """The parameters as PostgreSQL keeps them, whose texts hold no null character."""
        bound: list[Any] = [
            own if name is None else values[name] for name, own in zip(self.names, self.own, strict=True)
        ]
        for position in self.moments:
            if (value := bound[position]) is not None:
                bound[position] = microseconds_since_1970(value)
        for position, value in enumerate(bound):
            if isinstance(value, str) and "\0" in value:
                bound[position] = make_sendable(value)
        return bound

    def convert(self, found: Sequence[Any]) -> Row:
        """A row by its columns' names."""
        row: Row = dict(zip(self.columns, found, strict=True))
        for name, make in self.converters:
            if (value := row[name]) is not None:
                row[name] = make(value)
        return row


def make_sendable(value: object) -> object:
    """A value as PostgreSQL keeps it: its texts hold no null character, which becomes a question mark."""
    if isinstance(value, str):
        return value.replace("\0", "?") if "\0" in value else value
    return microseconds_since_1970(value) if isinstance(value, datetime) else value


@cache
def prepare(statement: ClauseElement) -> Prepared:
    """Compose a statement, once."""
    compiled = statement.compile(dialect=POSTGRES)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101  # it is no DDL
    names = tuple(compiled.positiontup or ())
    own = tuple(compiled.params[name] for name in names)
    returned: Sequence[Column[Any]] = tuple(getattr(statement, "exported_columns", ()))
    return Prepared(
        str(compiled),
        tuple(
            name.removeprefix("b_") if value is None else None for name, value in zip(names, own, strict=True)
        ),
        own,
        tuple(
            position
            for position, name in enumerate(names)
            if type(compiled.binds[name].type) is Moment and own[position] is None
        ),
        tuple(column.name for column in returned),
        tuple(
            (column.name, _CONVERTERS[kind])
            for column in returned
            if (kind := type(column.type)) in _CONVERTERS
        ),
    )


@lru_cache(maxsize=4096)
def _make_uuid(value: UUID) -> UUID:
    """One of Python's own: asyncpg's are of a class of its own, which is not everywhere taken for one."""
    return UUID(int=value.int)


class _Types(PGTypeCompiler):
    """
    What columns and parameters are.

    A text has any length and is compared character by character, as in SQLite; a number is sent with 64 bits.
    """

    def visit_VARCHAR(self, type_: TypeEngine[Any], **settings: Any) -> str:  # noqa: N802  # its name there
        return _make_text(settings)

    def visit_TEXT(self, type_: TypeEngine[Any], **settings: Any) -> str:  # noqa: N802
        return _make_text(settings)

    def visit_INTEGER(self, type_: TypeEngine[Any], **settings: Any) -> str:  # noqa: N802
        return "INTEGER" if _is_column(settings) else "BIGINT"


def _make_text(settings: Mapping[str, Any]) -> str:
    return 'TEXT COLLATE "C"' if _is_column(settings) else "TEXT"


def _is_column(settings: Mapping[str, Any]) -> bool:
    return settings.get("type_expression") is not None


class PostgresDialect(PGDialect_asyncpg):
    """SQLAlchemy's, with our types."""

    supports_statement_cache = False
    type_compiler_cls = _Types


_CONVERTERS: Mapping[type[TypeEngine[Any]], Callable[[Any], object]] = {
    UUIDBytes: _make_uuid,
    Moment: moment_of,
}
POSTGRES: PGDialect_asyncpg = cast(Any, PostgresDialect)()  # SQLAlchemy does not say what it takes
"""How SQLAlchemy writes for PostgreSQL here."""
