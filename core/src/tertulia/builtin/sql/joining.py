"""Joins whose order is known better than a planner can guess it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Join
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


class InOrder(Join):
    """
    A join that SQLite begins with its left side.

    Without statistics it takes every owner for somebody with ten conversations, and would rather look through
    them all than follow the few rows of a tag. PostgreSQL has statistics, and decides for itself.
    """

    inherit_cache = True


@compiles(InOrder)
def _join(join: InOrder, compiler: SQLCompiler, **how: Any) -> str:
    return str(compiler.visit_join(join, **how))  # type: ignore[no-untyped-call]  # SQLAlchemy's own


@compiles(InOrder, "sqlite")
def _cross_join(join: InOrder, compiler: SQLCompiler, **how: Any) -> str:
    how |= {"asfrom": True, "from_linter": None}
    left, right, condition = (
        compiler.process(each, **how) for each in (join.left, join.right, join.onclause) if each is not None
    )
    return f"{left} CROSS JOIN {right} ON {condition}"
