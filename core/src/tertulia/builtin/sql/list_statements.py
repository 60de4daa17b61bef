"""The statements of lists: an order's index walked, a source of a filter followed."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Select, and_, func, or_, select, tuple_

from tertulia.builtin.sql import schema, statements
from tertulia.builtin.sql.binding import bind, is_, number
from tertulia.builtin.sql.database import Dialect, Row
from tertulia.builtin.sql.filters import Shape, find_conditions, find_ranges, is_target, is_there, unindexed
from tertulia.builtin.sql.joining import InOrder
from tertulia.builtin.sql.search import matching_conversations
from tertulia.domain.library import Order

_C = schema.conversation.c
_BRANCH = schema.branch.c
_TAG = schema.tag.c
_TARGET = schema.conversation_target.c

_IS_ACTIVE = and_(
    _BRANCH.owner_id == _C.owner_id, _BRANCH.conversation_id == _C.id, _BRANCH.name == _C.active_branch
)
KEYS: dict[Order, Column[Any]] = {
    Order.RECENT: _C.updated_at,
    Order.NEWEST: _C.id,
    Order.OLDEST: _C.id,
    Order.TITLE: _C.title,
    Order.MESSAGES: _C.message_count,
    Order.COST: _C.cost_pico,
}
PLACE = ("updated_at", "id", "title", "message_count", "cost_pico")


def render_place(after: Row | None) -> Row:
    """Where a page begins, by the names of the parameters."""
    return {} if after is None else {f"after_{name}": after[name] for name in PLACE}


def render_end(end: Row | None) -> Row:
    """Where a walk ends, by the names of the parameters."""
    return {} if end is None else {f"end_{name}": value for name, value in end.items()}


class Stretch(StrEnum):
    """
    A part of an order that one range of its index is.

    In the order of titles, which goes up where the ids go down, it takes several.
    """

    WHOLE = "whole"
    REST = "rest"
    TITLED = "titled"
    SAME_TITLE = "same title"
    LATER_TITLES = "later titles"
    UNTITLED = "untitled"
    REST_OF_UNTITLED = "rest of untitled"


def find_stretches(order: Order, after: Row | None) -> tuple[Stretch, ...]:
    """The parts that a page may run over, in their order."""
    if order is not Order.TITLE:
        return (Stretch.WHOLE if after is None else Stretch.REST,)
    if after is None:
        return (Stretch.TITLED, Stretch.UNTITLED)
    if after["title"] is None:
        return (Stretch.REST_OF_UNTITLED,)
    return (Stretch.SAME_TITLE, Stretch.LATER_TITLES, Stretch.UNTITLED)


def _find_range(order: Order, stretch: Stretch) -> Iterator[ColumnElement[bool]]:
    title, is_after_id = bind(_C.title, "after_title"), _C.id < bind(_C.id, "after_id")
    match stretch:
        case Stretch.WHOLE:
            pass
        case Stretch.REST:
            yield _follows(order, KEYS[order], _C.id)
        case Stretch.TITLED:
            yield _C.title.is_not(None)
        case Stretch.SAME_TITLE:
            yield from (_C.title == title, is_after_id)
        case Stretch.LATER_TITLES:
            yield _C.title > title
        case Stretch.UNTITLED:
            yield _C.title.is_(None)
        case Stretch.REST_OF_UNTITLED:
            yield from (_C.title.is_(None), is_after_id)


def _follows(order: Order, key: ColumnElement[Any], id_: ColumnElement[Any]) -> ColumnElement[bool]:
    """What comes after the last one of the page before, in any order but that of titles."""
    name, last_id = KEYS[order].key, bind(_C.id, "after_id")
    if name == "id":
        return id_ > last_id if order is Order.OLDEST else id_ < last_id
    return tuple_(key, id_) < tuple_(bind(KEYS[order], f"after_{name}"), last_id)


def _ends(order: Order) -> ColumnElement[bool]:
    """What is not beyond the row a walk ends at."""
    name, last_id = KEYS[order].key, bind(_C.id, "end_id")
    if name == "id":
        return _C.id <= last_id if order is Order.OLDEST else _C.id >= last_id
    if order is Order.TITLE:
        return _C.title <= bind(_C.title, "end_title")
    return tuple_(KEYS[order], _C.id) >= tuple_(bind(KEYS[order], f"end_{name}"), last_id)


def _sorted(order: Order, key: ColumnElement[Any], id_: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    name = KEYS[order].key
    if name == "id":
        return [id_.asc() if order is Order.OLDEST else id_.desc()]
    return [key.asc() if order is Order.TITLE else key.desc(), id_.desc()]


@cache
def make_walk(order: Order, shape: Shape, stretch: Stretch, is_bounded: bool) -> Select[Any]:
    """Go along the index of an order, in one state."""
    key = KEYS[order]
    found = _go_along(statements.CONVERSATIONS, order, stretch).where(*find_conditions(shape, by=key))
    return (found.where(_ends(order)) if is_bounded else found).limit(number("limit"))


@cache
def make_end(order: Order, shape: Shape, stretch: Stretch) -> Select[Any]:
    """The row that is so many rows further along the index, which nothing else is read of."""
    columns = dict.fromkeys((KEYS[order], _C.id))
    ranges = find_ranges(shape, by=KEYS[order])
    return _go_along(select(*columns), order, stretch).where(*ranges).limit(1).offset(number("offset"))


def _go_along(rows: Select[Any], order: Order, stretch: Stretch) -> Select[Any]:
    return rows.where(is_(_C.owner_id), is_(_C.state), *_find_range(order, stretch)).order_by(
        # What is the same for all is no matter of order, and the untitled have but their ids.
        *_sorted(order, KEYS[order], _C.id)
    )


@cache
def make_count(shape: Shape, source: str) -> Select[Any]:
    """How many rows a source leads to, as far as they are counted."""
    if source in PLACE:
        by = _C[source]
        rows = select(_C.id).where(is_(_C.owner_id), _in_states(shape, _C.state), *find_ranges(shape, by=by))
    else:
        table = _find_table(shape, source)
        rows = select(table.c.conversation_id).where(*_find_source(shape, source))
    return select(func.count().label("found")).select_from(rows.limit(number("limit")).subquery())


@cache
def make_drive(order: Order, shape: Shape, source: str, has_after: bool, is_titled: bool) -> Select[Any]:
    """
    Find rows by a source, and put them in order; one that goes by ids gives them in theirs already.

    Only what decides the order is sorted: the rest is read of those that are on the page.
    """
    found = _find_by_source(order, shape, source, has_after, is_titled).subquery("found")
    row = InOrder(found, schema.conversation, and_(_C.owner_id == found.c.owner_id, _C.id == found.c.id))
    rows = select(*statements.CONVERSATIONS.selected_columns)
    return rows.select_from(row.join(schema.branch, _IS_ACTIVE)).order_by(
        *_sorted_anew(order, unindexed(_C.id))
    )


def _find_by_source(order: Order, shape: Shape, source: str, has_after: bool, is_titled: bool) -> Select[Any]:
    by: ColumnElement[Any] = _C[source] if source in PLACE else _C.id
    id_ = unindexed(_C.id)
    keys: list[Column[Any]] = [_C.owner_id, _C.id]
    rows = select(*keys).where(is_(_C.owner_id), _in_states(shape, _C.state))
    if source not in PLACE:
        rows = select(*keys).where(is_(_C.owner_id), _in_states(shape, unindexed(_C.state)))
        table = _find_table(shape, source)
        by = table.c.conversation_id
        id_ = by if KEYS[order] is _C.id else id_
        rows = rows.select_from(InOrder(table, schema.conversation, _C.id == by))
        rows = rows.where(*_find_source(shape, source))
    rows = rows.where(*find_conditions(shape, by=by, driven_by=source))
    if has_after:
        key = unindexed(KEYS[order])
        is_title = order is Order.TITLE
        rows = rows.where(_follows_title(key, id_, is_titled) if is_title else _follows(order, key, id_))
    return rows.order_by(*_sorted_anew(order, id_)).limit(number("limit"))


def _sorted_anew(order: Order, id_: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    untitled_last = [_C.title.is_(None)] if order is Order.TITLE else []
    return untitled_last + _sorted(order, unindexed(KEYS[order]), id_)


def _follows_title(
    title: ColumnElement[Any], id_: ColumnElement[Any], is_titled: bool
) -> ColumnElement[bool]:
    last, is_older = bind(_C.title, "after_title"), id_ < bind(_C.id, "after_id")
    if not is_titled:
        return and_(_C.title.is_(None), is_older)
    return or_(title > last, and_(title == last, is_older), _C.title.is_(None))


def _in_states(shape: Shape, state: ColumnElement[Any]) -> ColumnElement[bool]:
    return state.in_([bind(_C.state, f"state{n}") for n in range(shape.states)])


def _find_table(shape: Shape, source: str) -> FromClause:
    if source == "target":
        return schema.conversation_target
    return schema.tag if shape.text is None or source != "text" else _find_texts(shape.text)


@cache
def _find_texts(dialect: Dialect) -> FromClause:
    return matching_conversations(dialect).distinct().subquery("text")


def _find_source(shape: Shape, source: str) -> Iterator[ColumnElement[bool]]:
    if source == "text":
        return
    if source != "target":
        yield from (is_(_TAG.owner_id), _TAG.tag == bind(_TAG.tag, source))
        return
    yield from (is_(_TARGET.owner_id), *is_target(_TARGET, shape))
    # Of a conversation with several models of the provider the first row stands for all.
    other = schema.conversation_target.alias("other").c
    for asked, free in (("provider", "model"), ("model", "provider")):
        if free not in shape.names:
            yield ~is_there(
                select(other[free]).where(
                    other.owner_id == _TARGET.owner_id,
                    other.conversation_id == _TARGET.conversation_id,
                    other[asked] == _TARGET[asked],
                    other[free] < _TARGET[free],
                )
            )
