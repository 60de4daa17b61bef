"""Which attempts are counted, by which days, and how they are added up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    tuple_,
    type_coerce,
)

from tertulia.builtin.sql import schema
from tertulia.builtin.sql.binding import Selection, bind, is_, number
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.rows import TOKEN_COLUMNS, parse_attempt
from tertulia.builtin.sql.schema import PENDING
from tertulia.builtin.sql.tree import MOST_TOKENS
from tertulia.domain.conversation import Attempt
from tertulia.domain.periods import Period
from tertulia.domain.usage import CostTotal, Money, Usage

_ATTEMPT = schema.attempt.c
_CONVERSATION = schema.conversation.c
_TAG = schema.tag.c
_TOKENS: tuple[str, ...] = TOKEN_COLUMNS
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1) // _MICROSECOND
_FIRST_DAY = date(1970, 1, 1).toordinal()
_HALF = 2**32  # of a number of 64 bits
_FIRST_CLOCK, _LAST_CLOCK = datetime(1900, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@attrs.frozen
class Scope:
    """
    What is looked at; None for all.

    Attributes:
        owner_id: Whose.
    """

    owner_id: str | None
    period: Period
    provider: str | None = None
    model: str | None = None
    conversation_id: UUID | None = None
    tag: str | None = None

    @property
    def bounds(self) -> dict[str, Any]:
        """What is given, by the name of its parameter."""
        fields = attrs.asdict(self, recurse=False, filter=lambda field, _: field.name != "period")
        fields |= {"since": self.period.since, "until": self.period.until}
        return {name: value for name, value in fields.items() if value is not None}


def is_within(moment: ColumnElement[datetime], bounds: Collection[str]) -> list[ColumnElement[bool]]:
    """The conditions on a moment that is to be in the period of a scope, by the names of what is given."""
    conditions = {
        "since": moment >= bind(_ATTEMPT.started_at, "since"),
        "until": moment < bind(_ATTEMPT.started_at, "until"),
    }
    return [condition for name, condition in conditions.items() if name in bounds]


def restrict(
    table: FromClause, moment: ColumnElement[datetime], bounds: Collection[str]
) -> list[ColumnElement[bool]]:
    """The conditions of a scope on a table whose rows belong to conversations; purged ones are gone."""
    keys = table.c
    columns = ("owner_id", "conversation_id", "provider", "model")
    conditions: list[ColumnElement[bool]] = [
        keys[name] == bind(keys[name]) for name in columns if name in bounds
    ]
    conversation = tuple_(keys.owner_id, keys.conversation_id)
    purged = select(_CONVERSATION.owner_id, _CONVERSATION.id).where(_CONVERSATION.state == "purged")
    tagged = select(_TAG.owner_id, _TAG.conversation_id).where(is_(_TAG.tag))
    if "owner_id" in bounds:
        purged, tagged = purged.where(is_(_CONVERSATION.owner_id)), tagged.where(is_(_TAG.owner_id))
    if "tag" in bounds:
        conditions.append(conversation.in_(tagged))
    return [*conditions, *is_within(moment, bounds), conversation.not_in(purged)]


def of_same(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    """Rows of the same owner's conversation."""
    return and_(one.c.owner_id == other.c.owner_id, one.c.conversation_id == other.c.conversation_id)


def is_ended(attempt: FromClause) -> ColumnElement[bool]:
    """Attempts that are not under way: by ``now``, the lease of a pending one has run out."""
    lease = attempt.c.lease_until
    return or_(attempt.c.outcome != PENDING, lease.is_(None), lease <= bind(lease, "now"))


def select_attempts(bounds: Collection[str]) -> list[ColumnElement[bool]]:
    """The conditions on attempts of a scope that have ended."""
    return [*restrict(schema.attempt, _ATTEMPT.started_at, bounds), is_ended(schema.attempt)]


def _sum_up_to(column: ColumnElement[int], most: int) -> ColumnElement[int]:
    return func.sum(case((column <= most, column)))


SUMS: Sequence[ColumnElement[Any]] = (
    func.count().label("attempts"),
    # As they are counted in a conversation: what no answer has is nonsense, and would make every sum so.
    *(_sum_up_to(_ATTEMPT[name], MOST_TOKENS).label(name) for name in _TOKENS),
    # A sum of money may be more than a column holds: in two halves it never is.
    func.sum(_ATTEMPT.cost_pico // literal(_HALF, BigInteger)).label("cost_high"),
    func.sum(_ATTEMPT.cost_pico % literal(_HALF, BigInteger)).label("cost_low"),
    func.count(_ATTEMPT.cost_pico).label("cost_known"),
)
"""What is added up of attempts; sums of nothing are null."""


def parse_usage(row: Row) -> Usage:
    """The tokens of a row of :data:`SUMS`, as far as they are known."""
    return Usage(*(int(row[name] or 0) for name in _TOKENS))


def parse_cost(row: Row) -> CostTotal:
    """The cost of a row of :data:`SUMS`."""
    pico = int(row["cost_high"] or 0) * _HALF + int(row["cost_low"] or 0)
    return CostTotal(Money(pico), row["attempts"] - row["cost_known"])


def make_day(spans: int) -> ColumnElement[int]:
    """
    The day an attempt was started on, as an ordinal.

    Args:
        spans: How often, plus one, clocks are changed: the bounds and offsets are parameters.
    """
    started = _ATTEMPT.started_at
    changes = [(started < bind(started, f"until_{number}"), _offset(number)) for number in range(spans - 1)]
    last = _offset(spans - 1)
    offset = case(*changes, else_=last) if changes else last
    return type_coerce((type_coerce(started, BigInteger) + offset) // literal(_DAY, BigInteger), Integer)


def _offset(span: int) -> ColumnElement[int]:
    return bindparam(f"b_offset_{span}", type_=BigInteger())


def find_days(database: Database, scope: Scope) -> tuple[int, Values]:
    """
    Find out when clocks are changed in the time of a scope.

    Returns:
        For :func:`make_day`, how many spans there are, and the parameters of the statement it is in.
    """
    bounds = scope.bounds
    statements = (_make_edge(tuple(bounds), newest) for newest in (False, True))
    first, last = (database.first(statement, bounds) for statement in statements)
    if first is None or last is None:
        return 1, {"offset_0": 0}
    # Where no clock is known any more, a moment that makes no sense does not cost centuries of changes.
    begin, end = (min(max(each["started_at"], _FIRST_CLOCK), _LAST_CLOCK) for each in (first, last))
    spans = scope.period.spans(begin, end)
    values: dict[str, Any] = {f"until_{n}": span.until for n, span in enumerate(spans)}
    # Added to the offset, so that no number is below zero, where databases round as they please.
    values |= {f"offset_{n}": span.offset // _MICROSECOND + _FIRST_DAY * _DAY for n, span in enumerate(spans)}
    return len(spans), values


@cache
def _make_edge(bounds: tuple[str, ...], newest: bool) -> Selection:
    started = _ATTEMPT.started_at
    order = started.desc() if newest else started.asc()
    owned = [is_(_ATTEMPT.owner_id)] if "owner_id" in bounds else []
    # Of this owner, whatever else is asked: that is one step in the index.
    return select(started).where(*owned, *is_within(started, bounds)).order_by(order).limit(1)


def parse_day(ordinal: int) -> date:
    """The day of :func:`make_day`."""
    return date.fromordinal(min(max(int(ordinal), 1), date.max.toordinal()))


def get_recent_attempts(database: Database, scope: Scope, limit: int, now: datetime) -> list[Attempt]:
    """The newest attempts of an owner that have ended, the newest first."""
    rows = database.all(_FIND_RECENT, {**scope.bounds, "now": now, "limit": max(limit, 0)})
    return [parse_attempt(row, now) for row in rows]


_FIND_RECENT = (
    select(schema.attempt)
    .where(*select_attempts(("owner_id", "since")))
    .order_by(_ATTEMPT.started_at.desc(), _ATTEMPT.id.desc())
    .limit(number("limit"))
)
