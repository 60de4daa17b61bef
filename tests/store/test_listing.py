"""How SQL finds lists: the same whichever way it goes, and never by looking through a table."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select

from tertulia import ConversationState, Money, Role, Store
from tertulia.builtin.sql import listing
from tertulia.builtin.sql.database import Dialect, SQLiteDatabase, _prepare
from tertulia.builtin.sql.filters import Shape
from tertulia.builtin.sql.list_statements import (
    Stretch,
    _find_by_source,
    make_count,
    make_drive,
    make_end,
    make_walk,
)
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.library import ConversationFilter, Order
from tertulia.testing import StandingClock
from tertulia.testing.contracts.listing import ListContract

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path, clock: StandingClock) -> AsyncIterator[Store]:
    store = SQLStore(f"sqlite:///{tmp_path / 'conversations.db'}", clock)
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


class TestSmallBudget(ListContract):
    """Every list is the same where each way is taken: walks that give up, sources that are few."""

    @pytest.fixture(autouse=True)
    def budget(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(listing, "FIRST_BUDGET", 2)
        monkeypatch.setattr(listing, "LARGEST_CHUNK", 3)
        monkeypatch.setattr(listing, "MOST_HITS", 6)


FILTERS = {
    "nothing": ConversationFilter(),
    "two states": ConversationFilter(states=(ConversationState.ACTIVE, ConversationState.ARCHIVED)),
    "a tag": ConversationFilter(tags=("a",)),
    "two tags": ConversationFilter(tags=("a", "b")),
    "a provider": ConversationFilter(provider="a"),
    "a model": ConversationFilter(model="a"),
    "both": ConversationFilter(provider="a", model="b"),
    "a role": ConversationFilter(role=Role.USER),
    "a time": ConversationFilter(created_from=NOW, created_until=NOW),
    "last used": ConversationFilter(updated_from=NOW, updated_until=NOW),
    "length": ConversationFilter(min_messages=1, max_messages=2),
    "cost": ConversationFilter(min_cost=Money(1), max_cost=Money(2)),
    "words": ConversationFilter(text="a"),
    "metadata": ConversationFilter(metadata={"a": 1}),
    "unknown cost": ConversationFilter(has_unknown_cost=True, tags=("a",), provider="b"),
}


def find_plan(database: SQLiteDatabase, statement: Select[Any]) -> list[str]:
    """How SQLite goes about it."""
    prepared = _prepare(statement)
    plan = database.connection.execute(f"EXPLAIN QUERY PLAN {prepared.sql}", [None] * len(prepared.names))
    return [step for *_, step in plan]


def make_statements(where: ConversationFilter) -> Iterator[tuple[str, Select[Any]]]:
    """Every statement that a list may be found by, and the way it goes."""
    text = Dialect.SQLITE if where.text else None
    shape = Shape.of(where, len(where.states), text)
    for source in shape.sources:
        yield f"count {source}", make_count(shape, source)
        for order, has_after, is_titled in product(Order, (True, False), (True, False)):
            yield f"drive {source}", make_drive(order, shape, source, has_after, is_titled)
    for order, stretch in product(Order, Stretch):
        if (order is Order.TITLE) == (stretch not in (Stretch.WHOLE, Stretch.REST)):
            yield f"walk {order}", make_end(order, shape, stretch)
            yield f"walk {order}", make_walk(order, shape, stretch, is_bounded=False)
            yield f"walk {order}", make_walk(order, shape, stretch, is_bounded=True)


@pytest.mark.parametrize("name", FILTERS)
async def test_no_list_is_found_by_looking_through_a_table(store: SQLStore, name: str) -> None:
    """Every statement finds its rows by an index and their owner; a walk is in order already."""

    def explain(database: SQLiteDatabase) -> list[tuple[str, list[str]]]:
        return [(way, find_plan(database, statement)) for way, statement in make_statements(FILTERS[name])]

    for way, steps in await store._engine._writer.run(explain):
        tables = [step for step in steps if step.startswith(("SCAN", "SEARCH"))]
        known = (
            "SCAN found",
            "SCAN anon_1",
            "SCAN text",
            "SCAN search_words",
            "SEARCH search_entry USING INTEGER",
        )
        assert [] == [step for step in tables if "owner_id=?" not in step and not step.startswith(known)]
        if way.startswith("walk"):
            # Where ids are bounded, the primary key is as good as the index of a state.
            order = way.removeprefix("walk ").replace("oldest", "newest")
            index = f"conversation_{order} (owner_id=? AND state=?"
            by_key = "sqlite_autoindex_conversation_1 (owner_id=? AND id"
            assert index in tables[0] or (by_key in tables[0] and "newest" in index), (way, steps)
            assert "USE TEMP B-TREE FOR ORDER BY" not in steps
        if way.startswith("drive"):
            first = {"tag": "tag ", "tar": "conversation_target ", "tex": "text"}.get(
                way[6:9], "conversation "
            )
            assert tables[0].split(" ", 1)[1].startswith(first) or first == "text", (way, steps)
            assert not any("conversation" in step and "(owner_id=?)" in step for step in tables), (way, steps)


async def test_a_page_in_order_of_a_tag_is_not_sorted(store: SQLStore) -> None:
    """The newest with a tag, or of a provider, are a range of its rows: all before them need not be read."""
    for where, source in (
        (FILTERS["a tag"], "tag0"),
        (FILTERS["a provider"], "target"),
        (FILTERS["a model"], "target"),
    ):
        for order, has_after in product((Order.NEWEST, Order.OLDEST), (True, False)):
            statement = _find_by_source(order, Shape.of(where, 1, None), source, has_after, False)
            plan = await store._engine._writer.run(
                lambda database, statement=statement: find_plan(database, statement)
            )
            assert not [step for step in plan if "TEMP B-TREE" in step]
