"""Counters and sums, counted again from messages and attempts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import Column, ColumnElement, func, select, tuple_, update

from tertulia.builtin.sql import schema, statements, tree
from tertulia.builtin.sql.binding import Selection, bind, is_, number, of, of_conversation
from tertulia.builtin.sql.database import LARGEST, Database, Row, Values
from tertulia.builtin.sql.path_tokens import ROOT, PathEnd, end_of
from tertulia.builtin.sql.rows import TOKEN_COLUMNS
from tertulia.builtin.sql.schema import PENDING
from tertulia.domain.usage import CostTotal, Money

PAGE = 500
"""Rows that are read at a time: as many as are in memory at once."""

_CONVERSATION = schema.conversation.c
_SEGMENT = schema.segment.c
_MESSAGE = schema.message.c
_BRANCH = schema.branch.c
_ATTEMPT = schema.attempt.c
_CONVERSATION_TARGET = schema.conversation_target.c
_COST_COLUMNS = ("cost_pico", "cost_unknown_count")
COUNTERS = ("message_count", *TOKEN_COLUMNS, *_COST_COLUMNS)
"""The columns of a conversation that are sums."""

_GET_COUNTERS = select(*(_CONVERSATION[name] for name in COUNTERS)).where(
    of_conversation(), _CONVERSATION.state != "purged"
)
_SET_COUNTERS = (
    update(schema.conversation)
    .where(of_conversation())
    .values(
        version=_CONVERSATION.version + 1,
        **{name: bind(_CONVERSATION[name]) for name in COUNTERS},
    )
)
_COUNT_MESSAGES = select(func.count().label("number")).select_from(schema.message).where(of(schema.message))
_ENDED: tuple[ColumnElement[Any], ...] = (
    _ATTEMPT.sequence,
    _ATTEMPT.cost_pico,
    *(column for column in schema.attempt.c if column.name in TOKEN_COLUMNS),
)
_FIND_ENDED: Selection = (
    select(*_ENDED)
    .where(
        of(schema.attempt),
        _ATTEMPT.sequence > bind(_ATTEMPT.sequence),
        _ATTEMPT.outcome != PENDING,
    )
    .order_by(_ATTEMPT.sequence)
    .limit(number("limit"))
)
# A segment begins deeper than the one it goes on from, so here each comes after that one.
_FIND_SEGMENTS = (
    select(_SEGMENT.id).where(of(schema.segment)).order_by(func.coalesce(_SEGMENT.fork_depth, -1))
)
_PATH_COLUMNS: tuple[Column[Any], ...] = (
    _MESSAGE.id,
    _MESSAGE.parent_id,
    _MESSAGE.depth,
    _MESSAGE.provider,
    _MESSAGE.cost_pico,
    _MESSAGE.path_cost_pico,
    _MESSAGE.path_cost_unknown_count,
    _MESSAGE.role,
    _MESSAGE.status,
    _MESSAGE.tokens,
    _MESSAGE.path_tokens,
)
_FIND_ON_SEGMENT = (
    select(*_PATH_COLUMNS)
    .where(
        of(schema.message),
        is_(_MESSAGE.segment),
        _MESSAGE.depth > bind(_MESSAGE.depth),
    )
    .order_by(_MESSAGE.depth)
    .limit(number("limit"))
)
_SET_PATH_SUMS = (
    update(schema.message)
    .where(of(schema.message), is_(_MESSAGE.id, "message_id"))
    .values(
        path_tokens=bind(_MESSAGE.path_tokens),
        path_cost_pico=bind(_MESSAGE.path_cost_pico),
        path_cost_unknown_count=bind(_MESSAGE.path_cost_unknown_count),
    )
)
_SET_BRANCH_COST = (
    update(schema.branch)
    .where(of(schema.branch), is_(_BRANCH.name, "branch"))
    .values(
        path_cost_pico=bind(_BRANCH.path_cost_pico),
        path_cost_unknown_count=bind(_BRANCH.path_cost_unknown_count),
    )
)
_MISSING_TARGETS = (
    select(_ATTEMPT.provider, _ATTEMPT.model)
    .where(
        of(schema.attempt),
        tuple_(_ATTEMPT.provider, _ATTEMPT.model).not_in(
            select(_CONVERSATION_TARGET.provider, _CONVERSATION_TARGET.model).where(
                of(schema.conversation_target)
            )
        ),
    )
    .distinct()
    .order_by(_ATTEMPT.provider, _ATTEMPT.model)
)


@attrs.frozen
class Recount:
    """
    What a conversation's counters ought to be.

    Attributes:
        counters: By column.

        unknown_count: Costs that are not known.

        fits: Whether every cost that is known is in the sum: one that no column would hold is not, and
            which ones are depends on the order in which they came.
    """

    counters: Row
    unknown_count: int
    fits: bool

    def agrees(self, stored: Row) -> bool:
        """Whether counters are what they ought to be."""
        others = COUNTERS if self.fits else COUNTERS[: -len(_COST_COLUMNS)]
        if any(stored[name] != self.counters[name] for name in others):
            return False
        in_bounds = 0 <= stored["cost_pico"] <= LARGEST
        return self.fits or bool(in_bounds and stored["cost_unknown_count"] >= self.unknown_count)


def recount(database: Database, keys: Values) -> Recount:
    """Count a conversation's messages, and add up what its attempts took that have ended."""
    counted = database.first(_COUNT_MESSAGES, keys)
    counters: Row = {"message_count": 0 if counted is None else counted["number"]}
    counters |= dict.fromkeys(TOKEN_COLUMNS, 0) | dict.fromkeys(_COST_COLUMNS, 0)
    unknown_count, fits = 0, True
    for row in _find_ended(database, keys):
        for name in TOKEN_COLUMNS:
            counters[name] += tree.countable(row[name])
        cost = row["cost_pico"]
        unknown_count += cost is None
        fits_in = cost is not None and counters["cost_pico"] + cost <= LARGEST
        fits = fits and (cost is None or fits_in)
        counters["cost_pico"] += cost if fits_in else 0
        counters["cost_unknown_count"] += not fits_in
    return Recount(counters, unknown_count, fits)


def rebuild(database: Database, keys: Values) -> bool:
    """Set right whatever can be counted again in a conversation, and say whether anything was wrong."""
    stored = database.first(_GET_COUNTERS, keys)
    if stored is None:
        return False  # removed meanwhile
    counted = recount(database, keys)
    wrong = [
        not counted.agrees(stored),
        rebuild_paths(database, keys),
        _rebuild_branches(database, keys),
        _rebuild_targets(database, keys),
    ]
    if any(wrong):
        counters = stored if counted.agrees(stored) else counted.counters
        database.run(_SET_COUNTERS, {**keys, **counters})
    return any(wrong)


def find_missing_targets(database: Database, keys: Values) -> list[Row]:
    """The providers and models that were asked, and by which the conversation would not be found."""
    return database.all(_MISSING_TARGETS, keys)


@attrs.frozen
class PathSums:
    """What a path costs, and what it holds."""

    cost: CostTotal = CostTotal()
    end: PathEnd = ROOT

    def add(self, row: Row) -> PathSums:
        """The same with one message more; one that no provider was asked for costs nothing."""
        end = self.end.follow_row(row)
        if row["provider"] is None:
            return PathSums(self.cost, end)
        pico = row["cost_pico"]
        own = CostTotal(unknown_count=1) if pico is None else CostTotal(Money(pico))
        return PathSums(tree.add_costs(self.cost, own), end)

    def render(self) -> Row:
        """The columns that say it of a path's newest message."""
        return {**tree.render_path_cost(self.cost), "path_tokens": self.end.tokens}


def sums_of(row: Row | None) -> PathSums:
    """What the row of a path's newest message says of the path; None where there is none."""
    return PathSums() if row is None else PathSums(tree.path_cost(row), end_of(row))


def _find_ended(database: Database, keys: Values) -> Iterator[Row]:
    sequence = -1
    while rows := database.all(_FIND_ENDED, {**keys, "sequence": sequence, "limit": PAGE}):
        yield from rows
        sequence = rows[-1]["sequence"]


def rebuild_paths(database: Database, keys: Values) -> bool:
    """Add up again what the paths of a conversation cost and hold, and say whether anything was wrong."""
    segments = database.all(_FIND_SEGMENTS, keys)
    return sum(_rebuild_segment(database, keys, segment["id"]) for segment in segments) > 0


def _rebuild_segment(database: Database, keys: Values, segment: UUID) -> bool:
    wrong: list[Row] = []
    sums: PathSums | None = None
    for row in _find_on_segment(database, keys, segment):
        before = _get_sums(database, keys, row["parent_id"]) if sums is None else sums
        sums = before.add(row)
        if sums != sums_of(row):
            wrong.append({**keys, "message_id": row["id"], **sums.render()})
    if wrong:
        database.run_many(_SET_PATH_SUMS, wrong)
    return bool(wrong)


def _find_on_segment(database: Database, keys: Values, segment: UUID) -> Iterator[Row]:
    depth = -1
    place = {**keys, "segment": segment, "limit": PAGE}
    while rows := database.all(_FIND_ON_SEGMENT, {**place, "depth": depth}):
        yield from rows
        depth = rows[-1]["depth"]


def _rebuild_branches(database: Database, keys: Values) -> bool:
    wrong: list[Row] = []
    for branch in database.all(statements.FIND_BRANCHES, keys):
        cost = _get_sums(database, keys, branch["head_id"]).cost
        if cost != tree.path_cost(branch):
            wrong.append({**keys, "branch": branch["name"], **tree.render_path_cost(cost)})
    if wrong:
        database.run_many(_SET_BRANCH_COST, wrong)
    return bool(wrong)


def _get_sums(database: Database, keys: Values, message_id: UUID | None) -> PathSums:
    return sums_of(database.first(statements.GET_PLACE, {**keys, "message_id": message_id}))


def _rebuild_targets(database: Database, keys: Values) -> bool:
    missing = find_missing_targets(database, keys)
    for target in missing:
        database.run(statements.ADD_CONVERSATION_TARGET, {**keys, **target})
    return bool(missing)
