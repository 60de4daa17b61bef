"""The pieces that statements about conversations have in common, with parameters named like their columns."""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import Column, ColumnElement, FromClause, Integer, Select, and_, bindparam
from sqlalchemy.sql.elements import KeyedColumnElement

from tertulia.builtin.sql import schema

Selection: TypeAlias = Select[*tuple[Any, ...]]
"""A SELECT of any columns."""


def bind(column: KeyedColumnElement[Any], name: str | None = None) -> ColumnElement[Any]:
    """A parameter with a column's type, called as the column is unless it has a name of its own."""
    return bindparam(f"b_{name or column.key}", type_=column.type)


def number(name: str) -> ColumnElement[int]:
    """A parameter that is a whole number and no column's."""
    return bindparam(f"b_{name}", type_=Integer())


def is_(column: Column[Any], name: str | None = None) -> ColumnElement[bool]:
    """Whether a column is what its parameter is."""
    return column == bind(column, name)


def of(table: FromClause) -> ColumnElement[bool]:
    """Rows of one owner's conversation: the owner is in every WHERE."""
    keys = table.c
    return and_(keys.owner_id == bind(keys.owner_id), keys.conversation_id == bind(keys.conversation_id))


def of_conversation() -> ColumnElement[bool]:
    """The row of one owner's conversation."""
    keys = schema.conversation.c
    return and_(is_(keys.owner_id), keys.id == bind(keys.id, "conversation_id"))
