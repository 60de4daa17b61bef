"""How PostgreSQL finds lists while its planner does not know yet how large the tables are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tertulia import ConversationFilter
from tertulia.builtin.sql.filters import Shape
from tertulia.builtin.sql.list_statements import make_drive
from tertulia.builtin.sql.postgres.database import prepare
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.library import Order
from tertulia.testing import StandingClock

FILL = (
    """INSERT INTO conversation
        (owner_id, id, active_branch, created_at, updated_at, message_count, cost_pico, cost_unknown_count)
    SELECT 'ann', gen_random_uuid(), 'main', 0, 0, 1, 0, 0 FROM generate_series(1, 2000)""",
    "INSERT INTO tag SELECT owner_id, tag, id FROM conversation, (VALUES ('a'), ('b')) AS tags (tag)",
    """INSERT INTO conversation_target
    SELECT owner_id, 'openai', model, id FROM conversation, (VALUES ('a'), ('b')) AS models (model)""",
)


@pytest.mark.parametrize(
    ("where", "source"),
    [
        (ConversationFilter(tags=("a",)), "tag0"),
        (ConversationFilter(tags=("a", "b")), "tag0"),
        (ConversationFilter(provider="openai"), "target"),
        (ConversationFilter(model="a"), "target"),
    ],
    ids=["a tag", "two tags", "a provider", "a model"],
)
async def test_a_conversation_is_looked_up_by_its_key(new_postgres, postgres_server, where, source):
    """What a tag or a provider leads to is not compared with all conversations of an owner."""
    store = SQLStore(new_postgres, StandingClock())
    await store.open()
    await store.aclose()
    statement = prepare(make_drive(Order.RECENT, Shape.of(where, 1, None), source, False, False))
    values = {"owner_id": "ann", "state0": "active", "tag0": "a", "tag1": "b", "limit": 50}
    async with postgres_server.connect(new_postgres) as connection:
        for table in ("conversation", "tag", "conversation_target"):
            await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        for command in FILL:
            await connection.execute(command)
        bound = statement.bind({**values, "provider": where.provider, "model": where.model})
        rows = await connection.fetch(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", *bound)

    steps = list(flatten(json.loads(rows[0][0])[0]["Plan"]))
    assert {"conversation_pkey"} == {
        step["Index Name"] for step in steps if step.get("Relation Name") == "conversation"
    }
    assert 0 == sum(step.get("Rows Removed by Join Filter", 0) for step in steps)


def flatten(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A step and those below it."""
    yield step
    for each in step.get("Plans", ()):
        yield from flatten(each)
