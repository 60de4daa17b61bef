"""What was said and asked, what came of it, and how long it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from functools import cache
from itertools import chain
from typing import TypeVar
from uuid import UUID

import attrs
from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from tertulia.builtin.sql import schema, statements
from tertulia.builtin.sql.binding import Selection
from tertulia.builtin.sql.database import Database, Dialect, Row
from tertulia.builtin.sql.ledger import (
    SUMS,
    Scope,
    find_days,
    is_ended,
    is_within,
    make_day,
    of_same,
    parse_cost,
    parse_day,
    parse_usage,
    restrict,
    select_attempts,
)
from tertulia.builtin.sql.tree import explain_no_conversation, make_keys
from tertulia.domain.conversation import AttemptOutcome, AttemptPurpose
from tertulia.domain.message import Role
from tertulia.domain.statistics import Activity, Percentiles, Statistics, rank
from tertulia.domain.usage import CostTotal, Usage

_ATTEMPT = schema.attempt.c
_MESSAGE = schema.message.c
_PREVIOUS, _BEFORE, _EARLIER = map(schema.attempt.alias, ("previous", "before", "earlier"))
_ANSWER = AttemptPurpose.ANSWER.value
_BROKEN = frozenset(
    {AttemptOutcome.FAILED.value, AttemptOutcome.INTERRUPTED.value, AttemptOutcome.PENDING.value}
)
"""What another target may be asked after; an attempt that is pending although it has ended broke off."""

G = TypeVar("G")
K = TypeVar("K", str, date)


def get_statistics(database: Database, scope: Scope, now: datetime) -> Statistics:
    """Count messages and attempts of a scope."""
    if scope.owner_id is not None and scope.conversation_id is not None:
        keys = make_keys(scope.owner_id, scope.conversation_id)
        if database.first(statements.GET_STATE, keys) is None:
            raise explain_no_conversation(scope.conversation_id)
    conversations, messages = _count_messages(database, scope)
    cells = _find_cells(database, scope, now)
    kinds = _join_days(cells)
    asked_again, fallbacks = _count_followers(database, scope, now)
    return Statistics(
        conversations=conversations,
        messages=messages,
        questions=sum(kind.questions for kind in kinds) + asked_again,
        fallbacks=fallbacks,
        activity=_make_activity(kinds),
        by_provider=_make_activities(kinds, lambda kind: kind.provider),
        by_model=_make_activities(kinds, lambda kind: f"{kind.provider}/{kind.model}"),
        by_day=_make_activities(cells, lambda cell: cell.day),
    )


def _count_messages(database: Database, scope: Scope) -> tuple[int, dict[Role, int]]:
    """How many conversations anything was said in, and how many messages were said by whom."""
    (row,) = database.all(_select_messages(tuple(scope.bounds)), scope.bounds)
    return row["conversations"], {role: count for role in Role if (count := row[role.value])}


@cache
def _select_messages(bounds: tuple[str, ...]) -> Selection:
    # Counted side by side: grouping would sort all messages.
    conversations = func.count(_MESSAGE.conversation_id.distinct()).label("conversations")
    statement: Selection = select(
        conversations,
        *(func.count(case((_MESSAGE.role == role.value, 1))).label(role.value) for role in Role),
    )
    return statement.where(*restrict(schema.message, _MESSAGE.created_at, bounds))


@attrs.frozen
class _Cell:
    """
    The attempts of one day, one model and one outcome.

    Attributes:
        outcome: None of titles, which are in the costs and tokens only.

        questions: How many of them were the first for their message.

        latency_us: Of those that answered, in ascending order.

        first_content_us: The same of their first words.
    """

    day: date
    provider: str
    model: str
    outcome: AttemptOutcome | None
    attempts: int
    questions: int
    usage: Usage
    cost: CostTotal
    latency_us: Sequence[int]
    first_content_us: Sequence[int]


def _find_cells(database: Database, scope: Scope, now: datetime) -> list[_Cell]:
    spans, days = find_days(database, scope)
    statement = _select_cells(tuple(scope.bounds), spans, database.dialect)
    rows = database.all(statement, {**scope.bounds, **days, "now": now})
    return [_parse_cell(row) for row in rows]


@cache
def _select_cells(bounds: tuple[str, ...], spans: int, dialect: Dialect) -> Selection:
    groups = (_ATTEMPT.provider, _ATTEMPT.model, _ATTEMPT.outcome, _ATTEMPT.purpose)
    return (
        select(
            make_day(spans).label("day"),
            *groups,
            *SUMS,
            func.count(case((_ATTEMPT.number == 1, 1))).label("firsts"),
            # As one text each: a row for each of them would take longer than all the rest.
            _join(_ATTEMPT.latency_us, dialect).label("latency_us"),
            _join(_ATTEMPT.first_content_us, dialect).label("first_content_us"),
        )
        .where(*select_attempts(bounds))
        .group_by("day", *groups)
    )


def _join(column: ColumnElement[int], dialect: Dialect) -> ColumnElement[str]:
    """All of them in one text, with commas between; SQLAlchemy's own name for it is not compiled for good."""
    if dialect is Dialect.SQLITE:
        return func.group_concat(column, type_=Text())
    return func.string_agg(cast(column, Text), literal_column("','"), type_=Text())


def _parse_cell(row: Row) -> _Cell:
    outcome = None if row["purpose"] != _ANSWER else AttemptOutcome(row["outcome"])
    answered = outcome is AttemptOutcome.SUCCEEDED
    return _Cell(
        parse_day(row["day"]),
        row["provider"],
        row["model"],
        AttemptOutcome.INTERRUPTED if outcome is AttemptOutcome.PENDING else outcome,
        row["attempts"],
        0 if outcome is None else row["firsts"],
        parse_usage(row),
        parse_cost(row),
        _parse_numbers(row["latency_us"]) if answered else (),
        _parse_numbers(row["first_content_us"]) if answered else (),
    )


def _parse_numbers(joined: str | None) -> list[int]:
    return sorted(map(int, joined.split(","))) if joined else []


def _join_days(cells: Iterable[_Cell]) -> list[_Cell]:
    """Cells without regard to their day: they are few, so that the rest of the sums is quick."""
    groups = _group(cells, lambda cell: (cell.provider, cell.model, cell.outcome))
    return [
        attrs.evolve(
            group[0],
            attempts=sum(cell.attempts for cell in group),
            questions=sum(cell.questions for cell in group),
            usage=_add_usage(group),
            cost=_add_cost(group),
            latency_us=_merge(cell.latency_us for cell in group),
            first_content_us=_merge(cell.first_content_us for cell in group),
        )
        for group in groups.values()
    ]


def _make_activities(cells: Iterable[_Cell], key: Callable[[_Cell], K]) -> dict[K, Activity]:
    """What became of attempts, by a key, in the order of the keys."""
    groups = _group(cells, key)
    return {name: _make_activity(groups[name]) for name in sorted(groups)}


def _group(cells: Iterable[_Cell], key: Callable[[_Cell], G]) -> dict[G, list[_Cell]]:
    groups: dict[G, list[_Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return groups


def _make_activity(cells: Sequence[_Cell]) -> Activity:
    outcomes = Counter[AttemptOutcome | None]()
    for cell in cells:
        outcomes[cell.outcome] += cell.attempts
    return Activity(
        attempts=outcomes.total() - outcomes[None],
        succeeded=outcomes[AttemptOutcome.SUCCEEDED],
        failed=outcomes[AttemptOutcome.FAILED],
        interrupted=outcomes[AttemptOutcome.INTERRUPTED],
        cancelled=outcomes[AttemptOutcome.CANCELLED],
        usage=_add_usage(cells),
        cost=_add_cost(cells),
        latency=_make_percentiles(_merge(cell.latency_us for cell in cells)),
        first_content=_make_percentiles(_merge(cell.first_content_us for cell in cells)),
    )


def _add_usage(cells: Iterable[_Cell]) -> Usage:
    return sum((cell.usage for cell in cells), Usage(0, 0, 0, 0, 0))


def _add_cost(cells: Iterable[_Cell]) -> CostTotal:
    return sum((cell.cost for cell in cells), CostTotal())


def _merge(runs: Iterable[Sequence[int]]) -> list[int]:
    """All numbers of ascending runs in their order; sorting finds the runs and is quick about it."""
    return sorted(chain.from_iterable(runs))


def _make_percentiles(ordered: Sequence[int]) -> Percentiles:
    """Of microseconds in ascending order."""
    if not ordered:
        return Percentiles()
    ranks = (rank(len(ordered), percent) for percent in (50, 90, 99))
    return Percentiles(len(ordered), *(ordered[each] / 1_000_000 for each in ranks))


def _count_followers(database: Database, scope: Scope, now: datetime) -> tuple[int, int]:
    """
    Count the questions among attempts that are not the first for their message.

    Returns:
        How many there are whose earlier attempts are out of the scope, and how many were passed on to
        another target after one had failed.
    """
    rows = database.all(_select_followers(tuple(scope.bounds)), {**scope.bounds, "now": now})
    asked_again = {_question(row) for row in rows if row["earlier"] is None}
    passed_on = {_question(row) for row in rows if row["previous"] in _BROKEN and row["is_elsewhere"]}
    return len(asked_again), len(passed_on)


def _question(row: Row) -> tuple[UUID, UUID]:
    return row["conversation_id"], row["message_id"]


@cache
def _select_followers(bounds: tuple[str, ...]) -> Selection:
    before = _make_before(_BEFORE).scalar_subquery()
    in_scope = _make_before(_EARLIER).where(*is_within(_EARLIER.c.started_at, bounds), is_ended(_EARLIER))
    elsewhere = or_(_PREVIOUS.c.provider != _ATTEMPT.provider, _PREVIOUS.c.model != _ATTEMPT.model)
    return (
        select(
            _ATTEMPT.conversation_id,
            _ATTEMPT.message_id,
            in_scope.scalar_subquery().label("earlier"),
            _PREVIOUS.c.outcome.label("previous"),
            elsewhere.label("is_elsewhere"),
        )
        .select_from(schema.attempt)
        .outerjoin(_PREVIOUS, and_(of_same(_PREVIOUS, schema.attempt), _PREVIOUS.c.sequence == before))
        .where(*select_attempts(bounds), _ATTEMPT.number > 1, _ATTEMPT.purpose == _ANSWER)
    )


def _make_before(earlier: FromClause) -> Selection:
    """
    The newest attempt before one for the same message.

    It is mostly the one just before; asked so, the database looks at no other.
    """
    return (
        select(earlier.c.sequence)
        .where(
            of_same(earlier, schema.attempt),
            earlier.c.message_id == _ATTEMPT.message_id,
            earlier.c.purpose == _ANSWER,
            earlier.c.sequence < _ATTEMPT.sequence,
        )
        .order_by(earlier.c.sequence.desc())
        .limit(1)
        .correlate(schema.attempt)
    )
