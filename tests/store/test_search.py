"""The index of words: what becomes of it in a file, in a server, and in what was written before it."""

from __future__ import annotations

import json
import os
import random
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tertulia.builtin.sql import search, search_sqlite
from tertulia.builtin.sql.database import _prepare
from tertulia.builtin.sql.store import SQLStore
from tertulia.builtin.sql.tree import make_keys
from tertulia.domain.terms import find_terms, matches
from tertulia.testing import StandingClock
from tertulia.testing.contracts.search import HOSTILE, SENTENCES, render
from tertulia.testing.contracts.talk import MAIN, OWNER, STRANGER, Talk
from torture import scale

DATA = os.environ.get("TERTULIA_TEST_DATA")


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
async def store(database: str, clock: StandingClock) -> AsyncIterator[SQLStore]:
    store = SQLStore(database, clock)
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
async def server(postgres: str, clock: StandingClock) -> AsyncIterator[SQLStore]:
    store = SQLStore(postgres, clock)
    await store.open()
    yield store
    await store.aclose()


def make_queries(number: int) -> list[str]:
    """Pieces of what was said, of what is hostile, and of nothing in particular, one after the other."""
    chance = random.Random(7)  # noqa: S311  # no secret
    characters = "".join((*SENTENCES, *(text for text in HOSTILE if len(text) < 100)))
    queries: list[str] = []
    for _ in range(number):
        sentence = chance.choice(SENTENCES)
        start = chance.randrange(len(sentence))
        queries.append(sentence[start : start + chance.randrange(1, 12)] if chance.random() < 0.6 else "")
        queries[-1] += "".join(chance.choices(characters, k=chance.randrange(4)))
    return queries


async def check(store: SQLStore, clock: StandingClock, queries: list[str]) -> int:
    """Compare what is found with what matches, and say how often there was something."""
    talk = await Talk.begin(store, clock)
    said = (*SENTENCES, *(query for query in queries[:50] if query))
    for text in said:
        await talk.append(text)
    hits = 0
    for query in queries:
        found = {hit.depth for hit in await store.search(OWNER, query, limit=1000)}
        assert found == {depth for depth, text in enumerate(said) if matches(query, text)}, query
        hits += bool(found)
    return hits


async def test_random_queries_find_what_matches_in_a_file(store, clock):
    """Whatever is typed finds what the matcher says, no more and no less."""
    number = scale(2000)
    assert await check(store, clock, make_queries(number)) > number / 10


async def test_random_queries_find_what_matches_in_a_server(server, clock):
    """PostgreSQL finds the same."""
    number = scale(200)
    assert await check(server, clock, make_queries(number)) > number / 10


def read_hostile() -> list[str]:
    """Queries that are known to break searches."""
    cases = json.loads(Path(str(DATA), "security_cases.json").read_text())["search_queries"]
    return [each["q"] if isinstance(each["q"], str) else "x" * 100_000 for each in cases]


@pytest.mark.skipif(DATA is None, reason="no recorded data")
async def test_hostile_queries_are_only_words(store, clock):
    """What is known to break searches breaks nothing here, and finds itself where it has a word."""
    queries = read_hostile()
    talk = await Talk.begin(store, clock)
    for query in filter(None, queries):
        await talk.append(query)

    for query in queries:
        assert bool(find_terms(query)) == bool(await store.search(OWNER, query))


async def test_a_vacuum_harms_no_search(store, clock, meddle, database):
    """After rows were removed and the file was packed, the index leads to the same messages."""
    gone = await Talk.begin(store, clock, title="Porto")
    await gone.append("To Porto")
    talk = await Talk.begin(store, clock, title="Lisbon")
    await talk.append("To Lisbon")
    await store.remove_conversation(OWNER, gone.id, clock.now())
    await store.purge_conversation(OWNER, gone.id)
    await store.aclose()
    with closing(sqlite3.connect(database.removeprefix("sqlite:///"))) as connection:
        connection.execute("VACUUM")

    again = SQLStore(database, clock)
    await again.open()
    assert {"To [Lisbon]", "[Lisbon]"} == set(render(await again.search(OWNER, "lisbon")))
    assert [] == await again.search(OWNER, "porto")
    await again.aclose()


async def test_what_is_purged_leaves_nothing_in_the_index(store, clock):
    """Neither entries nor words are left of a conversation that was renamed, answered and purged."""
    talk = await Talk.begin(store, clock, title="Porto")
    for number in range(7):
        await talk.append(f"To Pórto {number} \ud83d")
    await store.update_title(OWNER, talk.id, "Pôrto", clock.now())
    await store.remove_conversation(OWNER, talk.id, clock.now())
    await store.purge_conversation(OWNER, talk.id)

    def count(database: Any) -> list[int]:
        read = database.connection.execute
        read("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, search_words, row)")
        return [
            read("SELECT count(*) FROM search_entry").fetchone()[0],
            read("SELECT count(*) FROM search_words").fetchone()[0],
            read("SELECT count(*) FROM temp.terms").fetchone()[0],
        ]

    assert [0, 0, 0] == await store._engine._writer.run(count)


STATEMENTS = {
    name: getattr(search_sqlite, name)
    for name in ("FIND_ENTRIES", "FIND_CANDIDATES", "GET_HIT", "MATCHING", "REMOVE_ENTRY", "GET_LAST_NUMBER")
}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_search_looks_through_no_table(store, name):
    """Each hit is looked up by its number, and its conversation and message by their keys."""
    prepared = _prepare(STATEMENTS[name])
    plan = await store._engine._writer.run(
        lambda database: database.connection.execute(
            f"EXPLAIN QUERY PLAN {prepared.sql}", [None] * len(prepared.names)
        ).fetchall()
    )

    by_key = ("INTEGER PRIMARY KEY", "(owner_id=? AND id=?)", "(owner_id=? AND conversation_id=? AND id=?)")
    steps = [step for *_, step in plan if step.startswith(("SCAN", "SEARCH", "USE TEMP"))]
    assert (
        []
        == [step for step in steps if "VIRTUAL TABLE" not in step and not any(key in step for key in by_key)]
        or name == "GET_LAST_NUMBER"
    )


async def test_of_very_many_hits_the_newest_are_ranked(store, clock, monkeypatch):
    """What is older than the newest so many hits is left out, however good it is."""
    monkeypatch.setattr(search, "MOST_RANKED", 3)
    talk = await Talk.begin(store, clock)
    for text in ("river river river", "a river 1", "a river 2", "river river"):
        await talk.append(text)

    assert [3, 2, 1] == [hit.depth for hit in await store.search(OWNER, "river")]
    assert [3, 2, 1] == [hit.depth for hit in await store.search(OWNER, "riv")]


async def test_whole_words_keep_others_from_being_looked_for(store, clock):
    """Where there are as many whole words as are wanted, the beginnings of others are not among the hits."""
    talk = await Talk.begin(store, clock)
    for text in ("port", "porter", "port", "porters", "port"):
        await talk.append(text)

    assert [[4, 2], [4, 2, 0, 1]] == [
        [hit.depth for hit in await store.search(OWNER, "port", limit=limit)] for limit in (2, 4)
    ]


def count_wrong(talk: Talk, owner: str = OWNER) -> Callable[[Any], tuple[int, int]]:
    return lambda database: search.count_wrong(database, make_keys(owner, talk.id))


async def test_what_is_missing_in_the_index_is_noticed(store, clock):
    """Texts without an entry, and entries without a text, are counted; a new index has neither."""
    await find_wrong(store, clock)


async def test_what_is_missing_in_the_index_of_a_server_is_noticed(server, clock):
    """PostgreSQL notices the same."""
    await find_wrong(server, clock)


async def find_wrong(store: SQLStore, clock: StandingClock) -> None:
    """Make an index wrong in both ways, and right again."""
    talk = await Talk.begin(store, clock, title="Lisbon")
    first = await talk.append("To Lisbon")
    await talk.append("")
    pending = await talk.ask("Where?")
    await talk.show(pending, clock.new_id(), "half")
    engine, keys = store._engine, make_keys(OWNER, talk.id)
    well = await engine.read(count_wrong(talk))

    await engine.write(lambda database: search.forget(database, keys, limit=2), keys)
    some_missing = await engine.read(count_wrong(talk))
    await store.rebuild_search()
    rebuilt = await engine.read(count_wrong(talk))
    await engine.write(lambda database: search.index_messages(database, [(keys, talk.make_message("?!"))]))
    one_needless = await engine.read(count_wrong(talk))

    assert ((0, 0), (2, 0), (0, 0), (0, 1)) == (well, some_missing, rebuilt, one_needless)
    assert first.id in {hit.message_id for hit in await store.search(OWNER, "lisbon")}


async def test_old_messages_are_found_after_the_upgrade(tmp_path, clock):
    """What was written before there was an index is in it once the database is opened."""
    with closing(sqlite3.connect(tmp_path / "conversations.db")) as connection:
        connection.executescript(Path(__file__).with_name("database_0001.sql").read_text())
    store = SQLStore(f"sqlite:///{tmp_path / 'conversations.db'}", clock)
    await store.open()

    assert ["Is [anybody] there?"] == render(await store.search("bob", "anybody"))
    assert {"[TWO], late", "[two]"} == set(render(await store.search("ann", "two")))
    assert [] == await store.search("ann", "anybody")
    await store.aclose()


async def test_more_words_than_a_server_takes_are_cut(server, clock):
    """A text with more words than PostgreSQL indexes is stored whole, and found by what comes first."""
    talk = await Talk.begin(server, clock)
    words = [f"{number:x}wort" for number in range(150_000)]
    await talk.append(" ".join(["Lisbon", "y" * 5000, *words]))

    (hit,) = await server.search(OWNER, "lisbon 5wort")
    assert "…[Lisbon]" != hit.snippet.render()[:9]
    assert 1 == len(await server.search(OWNER, "y" * 4000))
    assert [] == await server.search(OWNER, words[-1])
    assert words[-1] in (await talk.texts())[0]


async def test_owners_of_any_name_have_an_index(store, clock):
    """The name of an owner is hidden in the index, and may be any text."""
    talk = await Talk.begin(store, clock, title="Lisbon")
    await talk.append("To Lisbon", MAIN)
    for owner in ("", "a b", '"', "\ud83d", "é" * 200, STRANGER):
        assert [] == await store.search(owner, "lisbon")
