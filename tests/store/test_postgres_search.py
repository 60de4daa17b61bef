"""How PostgreSQL searches: what is frequent among the newest texts, what is rare by its index."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, literal_column, select

from tertulia.builtin.sql import search_postgres
from tertulia.builtin.sql.database import Database, Row
from tertulia.builtin.sql.postgres.database import prepare
from tertulia.builtin.sql.search_scope import render_wanted
from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import OWNER, Talk


@pytest.fixture
async def store(postgres: str) -> AsyncIterator[SQLStore]:
    """A store in a database that nobody else uses, with one connection."""
    store = SQLStore(f"{postgres}{'&' if '?' in postgres else '?'}pool_size=1", StandingClock())
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
async def talk(store: SQLStore) -> Talk:
    """A conversation in it."""
    clock = store._clock
    assert isinstance(clock, StandingClock)
    return await Talk.begin(store, clock)


async def say(talk: Talk, *texts: str) -> None:
    """Add messages, one after the other."""
    assert isinstance(talk.clock, StandingClock)
    for text in texts:
        talk.clock.advance(1)
        await talk.append(text)


async def find(talk: Talk, query: str, limit: int = 20) -> list[int | None]:
    """How deep the hits are."""
    return [hit.depth for hit in await talk.store.search(OWNER, query, limit=limit)]


@pytest.fixture
def short_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two texts are looked at, eight at most, for two hits."""
    for name, value in (("ENOUGH", 2), ("FIRST_LOOK", 2), ("LONGEST_LOOK", 8)):
        monkeypatch.setattr(search_postgres, name, value)


@pytest.mark.usefixtures("short_looks")
async def test_of_a_frequent_word_the_newest_hits_are_ranked(talk):
    """Where the newest texts hold enough, older ones are left out, however good they are."""
    await say(talk, "river river river", "a river 1", "river river", "a river 3")

    assert [2] == await find(talk, "river", limit=1)
    assert [0, 2, 3, 1] == await find(talk, "river", limit=4)


@pytest.mark.usefixtures("short_looks")
@pytest.mark.parametrize("texts", [2, 3, 5, 9, 20])
async def test_a_rare_word_is_found_however_old_it_is(talk, texts):
    """What the newest texts do not hold is looked for farther, and then in the index."""
    await say(talk, "heron", *("river" for _ in range(texts)))

    assert [0] == await find(talk, "heron", limit=1)
    assert [0] == await find(talk, "her", limit=1)
    assert [] == await find(talk, "otter", limit=1)


@pytest.mark.usefixtures("short_looks")
async def test_the_longer_look_goes_on_where_the_first_one_found_something(talk, monkeypatch):
    """What is found among the newest eight is not asked of the index."""
    monkeypatch.delattr(search_postgres, "FIND_INDEXED_HITS")
    await say(talk, *("river", "heron") * 6)

    assert [10, 8] == await find(talk, "river", limit=2)


async def test_a_search_leaves_nothing_behind_in_its_session(talk):
    """What a search tells the planner is forgotten when it is done."""
    await say(talk, "river")
    await find(talk, "river")
    asked = select(func.current_setting(literal_column("'enable_sort'")).label("enable_sort"))

    def ask(database: Database) -> Row | None:
        return database.first(asked, {})

    assert {"enable_sort": "on"} == await talk.store._engine.read(ask)  # type: ignore[attr-defined]


FILL = (
    """INSERT INTO conversation
        (owner_id, id, active_branch, created_at, updated_at, message_count, cost_pico, cost_unknown_count)
    SELECT 'ann', gen_random_uuid(), 'main', 0, 0, 1, 0, 0 FROM generate_series(1, 2000)""",
    """INSERT INTO message (owner_id, conversation_id, id, segment, depth, role, status, text, created_at)
    SELECT owner_id, id, id, id, 0, 'user', 'complete', repeat('river ', 50), 0 FROM conversation""",
    """INSERT INTO search_entry
    SELECT owner_id, conversation_id, id, id, 0, (
        SELECT string_agg('w' || n, ' ') || ' ' || '{scope}' FROM generate_series(1, 50) AS n
    )::tsvector FROM message""",
    "SELECT gin_clean_pending_list('search_entry_words')",
)
TABLES = "conversation", "message", "search_entry"


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize(
    ("name", "indexes"),
    [
        ("FIND_NEWEST", {"search_entry_newest", "conversation_pkey"}),
        ("FIND_OLDER", {"search_entry_newest"}),
        ("FIND_INDEXED_HITS", {"search_entry_words", "conversation_pkey"}),
        ("GET_HITS", {"search_entry_pkey", "conversation_pkey"}),
    ],
)
async def test_a_search_reads_no_table_whole(new_postgres, postgres_server, name, indexes, is_known):
    """It goes along its indexes, also while the planner does not know yet how large the tables are."""
    store = SQLStore(new_postgres, StandingClock())
    await store.open()
    await store.aclose()
    async with postgres_server.connect(new_postgres) as connection:
        await fill(connection, is_known)
        plan = await explain(connection, name)

    assert indexes == {
        step["Index Name"]
        for step in plan
        if "Index Name" in step
        and step.get("Relation Name") != "message"  # one of its keys is as good as the other
    }
    assert [] == [step["Node Type"] for step in plan if step["Node Type"] == "Seq Scan"]


async def fill(connection: Any, is_known: bool) -> None:
    """Two thousand messages of one owner."""
    for table in TABLES:
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    for statement in FILL:
        await connection.execute(statement.format(scope=render_wanted(OWNER)[0]))
    if is_known:
        await connection.execute(f"ANALYZE {', '.join(TABLES)}")


async def explain(connection: Any, name: str) -> list[dict[str, Any]]:
    """The steps of a statement, outermost first."""
    at = datetime(2026, 11, 22, tzinfo=UTC)
    ids = await connection.fetchrow(
        "SELECT array_agg(id) AS ids FROM (SELECT id FROM conversation LIMIT 3) AS x"
    )
    values = {
        "owner_id": OWNER,
        "match": search_postgres.render_match((*render_wanted(OWNER), "heron")),
        "since": datetime.min.replace(tzinfo=UTC),
        "until": at,
        "limit": 500,
        "looked": 5000,
        "conversation_ids": ids["ids"],
        "ids": ids["ids"],
    }
    statement, settings = prepare(getattr(search_postgres, name)), prepare(search_postgres.FOLLOW_INDEXES)
    async with connection.transaction():
        await connection.fetch(settings.sql, *settings.bind({}))
        rows = await connection.fetch(f"EXPLAIN (FORMAT JSON) {statement.sql}", *statement.bind(values))
    return list(flatten(json.loads(rows[0][0])[0]["Plan"]))


def flatten(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A step and those below it."""
    yield step
    for each in step.get("Plans", ()):
        yield from flatten(each)
