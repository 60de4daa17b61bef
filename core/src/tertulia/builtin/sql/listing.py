"""
Lists of conversations: filters, orders, pages.

A page is found in one of two ways. Either the index of its order is walked, and what the filter leaves out
is passed over: short when much is meant. Or what is meant is found by one of its own indexes, a tag's say,
and put in order: short when little is. Nobody knows beforehand which it is, so both get a budget that grows,
and the one that gets along with it has been at most a few times as long as the better of the two.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeAlias

import attrs
from sqlalchemy import Select, select

from tertulia.builtin.sql import schema
from tertulia.builtin.sql.binding import bind, is_, number
from tertulia.builtin.sql.database import Database, Dialect, Row, Values
from tertulia.builtin.sql.filters import Shape, render_filter
from tertulia.builtin.sql.list_statements import (
    KEYS,
    PLACE,
    find_stretches,
    make_count,
    make_drive,
    make_end,
    make_walk,
    render_end,
    render_place,
)
from tertulia.builtin.sql.rows import parse_conversation
from tertulia.builtin.sql.search import matching_conversations, render_match
from tertulia.domain.conversation import ConversationRecord, ConversationState
from tertulia.domain.library import ConversationFilter, Order
from tertulia.domain.metadata import has_all

_TAG = schema.tag.c

FIRST_BUDGET = 500
"""Rows that are looked at before it is asked whether there is a shorter way."""

LARGEST_CHUNK = 5000
"""Conversations that are read together, at most, where SQL does not decide whether they are meant."""

MOST_HITS = 5000
"""Texts that hold the words of a filter, at most, for a list to be found by them."""

Test: TypeAlias = Callable[[Row], bool]
"""Decides whether a row is meant."""


def find_conversations(
    database: Database,
    owner: str,
    where: ConversationFilter,
    order: Order,
    limit: int,
    after: ConversationRecord | None,
) -> list[ConversationRecord]:
    """
    A page of conversations.

    What no index knows is asked of one conversation after another: a role, a metadata's value, how many costs
    are unknown. Where few are meant and nothing else is asked, that is all of them.
    """
    if limit <= 0:
        return []
    states = [state.value for state in dict.fromkeys(where.states or ConversationState)]
    values = {
        "owner_id": owner,
        **render_filter(where),
        **{f"state{n}": each for n, each in enumerate(states)},
    }
    tests = [_make_metadata_test(where.metadata)] if where.metadata else []
    indexed: Dialect | None = None
    if where.text is not None:
        values["match"] = render_match(database.dialect, owner, where.text)
        if values["match"] is None:
            return []
        if _is_common(database, values):
            tests.append(_make_text_test(database, owner, where.text))
        else:
            indexed = database.dialect
    listing = _Listing(database, order, Shape.of(where, len(states), indexed), states, values)
    rows = listing.find(limit, None if after is None else _place_of_record(after), tests)
    return _parse(database, owner, rows)


def _make_metadata_test(wanted: Mapping[str, Any]) -> Test:
    return lambda row: row["metadata"] is not None and has_all(json.loads(row["metadata"]), wanted)


def _make_text_test(database: Database, owner: str, text: str) -> Test:
    def holds(row: Row) -> bool:
        match = render_match(database.dialect, owner, text, row["id"])
        values = {"owner_id": owner, "match": match, "limit": 1}
        return bool(database.all(_make_matching(database.dialect), values))

    return holds


def _is_common(database: Database, values: Values) -> bool:
    """Whether so many hold the words that it is quicker to ask each conversation."""
    rows = database.all(_make_matching(database.dialect), {**values, "limit": MOST_HITS})
    return len(rows) == MOST_HITS


@cache
def _make_matching(dialect: Dialect) -> Select[Any]:
    return matching_conversations(dialect).limit(number("limit"))


def _place_of_record(record: ConversationRecord) -> Row:
    return {
        "id": record.id,
        "updated_at": record.updated_at,
        "title": record.title,
        "message_count": record.message_count,
        "cost_pico": record.cost.money.pico,
    }


def _parse(database: Database, owner: str, rows: Sequence[Row]) -> list[ConversationRecord]:
    tags: dict[Any, list[str]] = {}
    for start in range(0, len(rows), _TAGS_AT_ONCE):
        ids = [row["id"] for row in rows[start : start + _TAGS_AT_ONCE]]
        ids += ids[-1:] * (_TAGS_AT_ONCE - len(ids))
        values = {"owner_id": owner, **{f"id{n}": each for n, each in enumerate(ids)}}
        for tag in database.all(_TAGS, values):
            tags.setdefault(tag["conversation_id"], []).append(tag["tag"])
    return [parse_conversation(row, tuple(sorted(tags.get(row["id"], ())))) for row in rows]


_TAGS_AT_ONCE = 50
_TAGS = select(_TAG.conversation_id, _TAG.tag).where(
    is_(_TAG.owner_id),
    _TAG.conversation_id.in_([bind(_TAG.conversation_id, f"id{n}") for n in range(_TAGS_AT_ONCE)]),
)


@attrs.frozen(eq=False)
class _Listing:
    """
    A list that was asked for.

    Attributes:
        states: Where its conversations are kept.

        values: Of the filter.
    """

    database: Database
    order: Order
    shape: Shape
    states: Sequence[str]
    values: Values

    def find(self, limit: int, after: Row | None, tests: Sequence[Test]) -> list[Row]:
        """A page; what is better not decided by SQL is decided here, piece by piece."""
        if not tests:
            return self._find(limit, after)
        found: list[Row] = []
        size = limit
        while len(found) < limit:
            size = min(4 * size, LARGEST_CHUNK)
            rows = self._find(size, after)
            meant = (row for row in rows if all(test(row) for test in tests))
            found += islice(meant, limit - len(found))
            if len(rows) < size:
                break
            after = rows[-1]
        return found

    def _find(self, limit: int, after: Row | None) -> list[Row]:
        key = KEYS[self.order].key
        sources = [source for source in self.shape.sources if source != key]
        keyed = [source for source in sources if source not in PLACE and source != "text"]
        if key == "id" and keyed:
            return self._drive(self._choose(keyed), limit, after)
        budget = FIRST_BUDGET
        while sources:
            for source in sources:
                if self._count(source, budget) < budget:
                    return self._drive(source, limit, after)
            rows, is_whole = self._walk(limit, after, budget)
            if is_whole:
                return rows
            budget *= 4
        return self._walk(limit, after)[0]

    def _choose(self, sources: Sequence[str]) -> str:
        """The source that leads to the fewest, as far as that is quickly known."""
        if len(sources) == 1:
            return sources[0]
        return min(sources, key=lambda source: self._count(source, FIRST_BUDGET))

    def _count(self, source: str, budget: int) -> int:
        row = self.database.first(make_count(self.shape, source), {**self.values, "limit": budget})
        assert row is not None  # noqa: S101  # it is a count
        found: int = row["found"]
        return found

    def _drive(self, source: str, limit: int, after: Row | None) -> list[Row]:
        """Find what is meant by one of its own indexes, and put it in order."""
        is_titled = after is not None and after["title"] is not None
        statement = make_drive(self.order, self.shape, source, after is not None, is_titled)
        return self.database.all(statement, {**self.values, **render_place(after), "limit": limit})

    def _walk(self, limit: int, after: Row | None, budget: int | None = None) -> tuple[list[Row], bool]:
        """
        Go along the index of the order, in each state by itself.

        Args:
            budget: Look at so many rows of a stretch at most; None for all.

        Returns:
            The first rows, and whether they are the page.
        """
        found: list[Row] = []
        is_whole = True
        for state in self.states:
            rows, is_done = self._walk_state(state, limit, after, budget)
            found += rows
            is_whole = is_whole and is_done
        if len(self.states) > 1:
            _sort(found, self.order)
        return found[:limit], is_whole

    def _walk_state(
        self, state: str, limit: int, after: Row | None, budget: int | None
    ) -> tuple[list[Row], bool]:
        found: list[Row] = []
        values = {**self.values, **render_place(after), "state": state}
        for stretch in find_stretches(self.order, after):
            end = None
            if budget is not None:
                statement = make_end(self.order, self.shape, stretch)
                end = self.database.first(statement, {**values, "offset": budget})
            statement = make_walk(self.order, self.shape, stretch, end is not None)
            bounds = {"limit": limit - len(found), **render_end(end)}
            found += self.database.all(statement, {**values, **bounds})
            if len(found) >= limit:
                break
            if end is not None:
                return found, False
        return found, True


def _sort(rows: list[Row], order: Order) -> None:
    rows.sort(key=lambda row: row["id"], reverse=order is not Order.OLDEST)
    if order is Order.TITLE:
        rows.sort(key=lambda row: (row["title"] is None, row["title"] or ""))
    elif (name := KEYS[order].key) != "id":
        rows.sort(key=lambda row: row[name], reverse=True)
