"""Which conversations a filter means, as conditions of SQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from operator import ge, le, lt
from typing import Any, TypeAlias
from uuid import UUID

import attrs
from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.sql import ColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement

from tertulia.builtin.sql import schema
from tertulia.builtin.sql.binding import bind
from tertulia.builtin.sql.column_types import microseconds_since_1970
from tertulia.builtin.sql.database import LARGEST, Dialect, Row
from tertulia.builtin.sql.search import matching_conversations
from tertulia.domain.library import ConversationFilter

Columns: TypeAlias = ColumnCollection[str, KeyedColumnElement[Any]]

_C = schema.conversation.c
_MESSAGE = schema.message.c
# By other names than those that a statement may begin with.
_TAGGED = schema.tag.alias("tagged").c
_ASKED = schema.conversation_target.alias("asked").c

# An id says when a conversation was begun, to the millisecond; clocks that were set back are off by more.
_GRACE_MICROSECONDS = 24 * 3600 * 1_000_000

_RANGES = {
    "updated_from": (_C.updated_at, ge),
    "updated_until": (_C.updated_at, lt),
    "min_messages": (_C.message_count, ge),
    "max_messages": (_C.message_count, le),
    "min_cost": (_C.cost_pico, ge),
    "max_cost": (_C.cost_pico, le),
}
_CREATED = {"created_from": ge, "created_until": lt}
_ID_BOUND = {"created_from": "lowest_id", "created_until": "highest_id"}
_INDEXED = {
    "created_from": _C.id,
    "created_until": _C.id,
    **{name: column for name, (column, _) in _RANGES.items()},
}


@attrs.frozen
class Shape:
    """
    What a filter asks, without the values: filters of one shape are one statement.

    Attributes:
        names: Of its fields that ask something, in their order.

        tags: How many.

        states: How many; there is always one.

        text: In which language the index of words is asked; None when it is not.
    """

    names: tuple[str, ...]
    tags: int
    states: int
    text: Dialect | None = None

    @classmethod
    def of(cls, where: ConversationFilter, states: int, text: Dialect | None) -> Shape:
        """The shape of a filter."""
        names = (field.name for field in attrs.fields(ConversationFilter))
        asked = [name for name in names if name not in _APART and getattr(where, name) is not None]
        if where.has_unknown_cost is not None:
            asked.append("has_unknown_cost" if where.has_unknown_cost else "has_known_cost")
        if where.metadata:
            asked.append("metadata")
        return cls(tuple(asked), len(where.tags), states, text)

    @property
    def sources(self) -> list[str]:
        """By what its conversations can be found besides by their order: tags, targets, ranges of columns."""
        found = [f"tag{number}" for number in range(self.tags)]
        if self.has_target:
            found.append("target")
        if self.text:
            found.append("text")
        return found + sorted({_INDEXED[name].name for name in self.names if name in _INDEXED})

    @property
    def has_target(self) -> bool:
        """Whether it asks for a provider or a model."""
        return "provider" in self.names or "model" in self.names


_APART = frozenset({"states", "tags", "metadata", "has_unknown_cost", "text"})


def render_filter(where: ConversationFilter) -> Row:
    """The values of a filter, by the names of their parameters."""
    values: Row = {f"tag{number}": tag for number, tag in enumerate(where.tags)}
    for name in ("provider", "model", "created_from", "created_until", "updated_from", "updated_until"):
        values[name] = getattr(where, name)
    values["role"] = None if where.role is None else where.role.value
    for name in ("min_messages", "max_messages"):
        values[name] = _clamp(getattr(where, name))
    for name in ("min_cost", "max_cost"):
        cost = getattr(where, name)
        values[name] = None if cost is None else _clamp(cost.pico)
    values["lowest_id"] = _make_id_bound(where.created_from, -_GRACE_MICROSECONDS)
    values["highest_id"] = _make_id_bound(where.created_until, _GRACE_MICROSECONDS)
    return values


def find_conditions(
    shape: Shape, *, by: ColumnElement[Any] | None, driven_by: str | None = None
) -> Iterator[ColumnElement[bool]]:
    """
    What a conversation has to be.

    Args:
        by: The column whose index the statement goes along; the planner is kept from all others.
        driven_by: The source that the statement begins with, and need not ask for.
    """
    yield from find_ranges(shape, by=by)
    for name in shape.names:
        if name in _RANGES and _RANGES[name][0] is not by:
            column, compare = _RANGES[name]
            yield compare(unindexed(column), bind(column, name))
        elif name in _CREATED:
            yield _CREATED[name](_C.created_at, bind(_C.created_at, name))
        elif name in _OTHERS:
            yield _OTHERS[name]
    for number in range(shape.tags):
        if driven_by != f"tag{number}":
            yield is_there(
                select(_TAGGED.tag).where(
                    _TAGGED.owner_id == _C.owner_id,
                    _TAGGED.conversation_id == _C.id,
                    _TAGGED.tag == bind(_TAGGED.tag, f"tag{number}"),
                )
            )
    if shape.has_target and driven_by != "target":
        yield is_there(
            select(_ASKED.provider).where(
                _ASKED.owner_id == _C.owner_id, _ASKED.conversation_id == _C.id, *is_target(_ASKED, shape)
            )
        )
    if shape.text and driven_by != "text":
        yield unindexed(_C.id).in_(matching_conversations(shape.text))


def find_ranges(shape: Shape, *, by: ColumnElement[Any] | None) -> Iterator[ColumnElement[bool]]:
    """What of it is a range of the index that a statement goes along."""
    for name in shape.names:
        if name in _RANGES and _RANGES[name][0] is by:
            column, compare = _RANGES[name]
            yield compare(column, bind(column, name))
        elif name in _CREATED and by is not None and by.key in ("id", "conversation_id"):
            yield _CREATED[name](by, bind(_C.id, _ID_BOUND[name]))


def is_target(target: Columns, shape: Shape) -> Iterator[ColumnElement[bool]]:
    """The calls to a provider, for a model, or both."""
    for name in ("provider", "model"):
        if name in shape.names:
            yield target[name] == bind(target[name], name)


def unindexed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """A column as the planner knows no index of."""
    return func.coalesce(column, column)


def is_there(rows: Select[Any]) -> ColumnElement[bool]:
    """
    Whether there is such a row, which is looked for again for each conversation.

    PostgreSQL makes a join of an EXISTS, and where it has no statistics yet, it joins all with all.
    """
    return rows.limit(1).scalar_subquery().is_not(None)


_OTHERS: dict[str, ColumnElement[bool]] = {
    "has_unknown_cost": _C.cost_unknown_count > 0,
    "has_known_cost": _C.cost_unknown_count == 0,
    "metadata": _C.metadata.is_not(None),
    "role": is_there(
        select(_MESSAGE.id).where(
            _MESSAGE.owner_id == _C.owner_id,
            _MESSAGE.conversation_id == _C.id,
            _MESSAGE.role == bind(_MESSAGE.role),
        )
    ),
}


def _clamp(number: int | None) -> int | None:
    """No column holds more, so the bound is the same."""
    return None if number is None else max(-LARGEST, min(number, LARGEST))


def _make_id_bound(moment: datetime | None, grace: int) -> UUID | None:
    """The first id of a moment, and some time before or after it."""
    if moment is None:
        return None
    milliseconds = max(0, (microseconds_since_1970(moment) + grace) // 1000)
    return UUID(int=min(milliseconds, 2**48 - 1) << 80)
