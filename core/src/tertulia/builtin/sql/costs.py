"""What attempts cost, by whatever one asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import attrs
from sqlalchemy import ColumnElement, select

from tertulia.builtin.sql import schema
from tertulia.builtin.sql.binding import Selection
from tertulia.builtin.sql.database import Database, Row
from tertulia.builtin.sql.ledger import (
    SUMS,
    Scope,
    find_days,
    make_day,
    of_same,
    parse_cost,
    parse_day,
    parse_usage,
    select_attempts,
)
from tertulia.domain.statistics import CostAnalysis, CostGroup, CostKey, CostRow
from tertulia.domain.usage import CostTotal, Usage

_ATTEMPT = schema.attempt.c
_COLUMNS: Mapping[CostGroup, Sequence[ColumnElement[Any]]] = {
    CostGroup.PROVIDER: (_ATTEMPT.provider,),
    CostGroup.MODEL: (_ATTEMPT.provider, _ATTEMPT.model),
    CostGroup.CONVERSATION: (_ATTEMPT.conversation_id,),
    CostGroup.BRANCH: (_ATTEMPT.branch,),
    CostGroup.TAG: (schema.tag.c.tag,),
    CostGroup.OWNER: (_ATTEMPT.owner_id,),
}
_KEYS: Mapping[CostGroup, Callable[[Row], CostKey]] = {
    CostGroup.PROVIDER: lambda row: row["provider"],
    CostGroup.MODEL: lambda row: f"{row['provider']}/{row['model']}",
    CostGroup.CONVERSATION: lambda row: row["conversation_id"],
    CostGroup.BRANCH: lambda row: row["branch"],
    CostGroup.TAG: lambda row: row["tag"],
    CostGroup.DAY: lambda row: parse_day(row["day"]),
    CostGroup.OWNER: lambda row: row["owner_id"],
}


def get_costs(database: Database, scope: Scope, by: Sequence[CostGroup], now: datetime) -> CostAnalysis:
    """Add up what attempts of a scope cost that have ended."""
    groups, period = tuple(dict.fromkeys(by)), scope.period
    rows = _find_rows(database, scope, groups, now) if groups else []
    if CostGroup.TAG in groups or not groups:  # what has two tags is in two rows
        (total,) = _find_rows(database, scope, (), now)
    else:
        total = _add((), rows)
    ordered = tuple(sorted(rows, key=_order))
    return CostAnalysis(groups, ordered, total, period.since, period.until, period.time_zone)


def _find_rows(
    database: Database, scope: Scope, groups: tuple[CostGroup, ...], now: datetime
) -> list[CostRow]:
    values, spans = {**scope.bounds, "now": now}, 0
    if CostGroup.DAY in groups:
        spans, days = find_days(database, scope)
        values |= days
    statement = _make_statement(groups, tuple(scope.bounds), spans)
    return [_parse_row(row, groups) for row in database.all(statement, values)]


@cache
def _make_statement(groups: tuple[CostGroup, ...], bounds: tuple[str, ...], spans: int) -> Selection:
    columns = list(dict.fromkeys(column for group in groups for column in _COLUMNS.get(group, ())))
    days = [make_day(spans).label("day")] if CostGroup.DAY in groups else []
    statement = select(*days, *columns, *SUMS).select_from(schema.attempt)
    if CostGroup.TAG in groups:
        statement = statement.outerjoin(schema.tag, of_same(schema.tag, schema.attempt))
    names = [day.name for day in days]  # by name: the parameters in it would be others for PostgreSQL
    return statement.where(*select_attempts(bounds)).group_by(*names, *columns)


def _parse_row(row: Row, groups: Sequence[CostGroup]) -> CostRow:
    key = tuple(_KEYS[group](row) for group in groups)
    return CostRow(key, row["attempts"], parse_usage(row), parse_cost(row))


def _add(key: tuple[CostKey, ...], rows: Iterable[CostRow]) -> CostRow:
    total = CostRow(key, 0, Usage(0, 0, 0, 0, 0), CostTotal())
    for row in rows:
        total = attrs.evolve(
            total,
            attempts=total.attempts + row.attempts,
            usage=total.usage + row.usage,
            cost=total.cost + row.cost,
        )
    return total


def _order(row: CostRow) -> list[tuple[bool, Any]]:
    """By the keys, None last; those of one place are of one type."""
    return [(key is None, "" if key is None else key) for key in row.key]
