"""Metadata as values, and how SQL removes what is long."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import attrs
import pytest
from sqlalchemy import ClauseElement

from tertulia.builtin.sql import library, marks
from tertulia.builtin.sql.database import _prepare
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.library import ConversationFilter, MarkChange
from tertulia.domain.media import Image
from tertulia.domain.message import Text
from tertulia.domain.metadata import MISSING, equals, find_path, merge_patch
from tertulia.errors import ConversationNotFoundError
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
async def store(tmp_path: Path, clock: StandingClock) -> AsyncIterator[SQLStore]:
    store = SQLStore(f"sqlite:///{tmp_path / 'conversations.db'}", clock)
    await store.open()
    yield store
    await store.aclose()


# Appendix A of RFC 7396, and what is left alone.
@pytest.mark.parametrize(
    ("target", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, {}, {"a": 1}),
    ],
)
def test_a_merge_patch_does_what_its_specification_says(target, patch, expected):
    """Each example of the specification comes out as it says."""
    assert expected == merge_patch(target, patch)


def test_a_merge_patch_leaves_its_target():
    """What is patched is not changed itself."""
    target = {"a": {"b": 1}}
    merge_patch(target, {"a": {"b": None, "c": 2}})

    assert {"a": {"b": 1}} == target


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        (None, False, False),
        ("1", 1, False),
        ([1, {"a": 2}], [1.0, {"a": 2.0}], True),
        ([1], [True], False),
        ([1, 2], [1], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ({"a": 0}, {"a": False}, False),
        ([], {}, False),
        (10**30, 1e30, False),
    ],
)
def test_json_is_compared_by_what_it_is_worth(one, other, are_equal):
    """Both ways round."""
    assert [are_equal, are_equal] == [equals(one, other), equals(other, one)]


@pytest.mark.parametrize("path", ["b", "a.b.c", "a.b.", "a.list.0", ".a", "", "a..b"])
def test_a_path_that_leads_nowhere_is_missing(path):
    """It goes through objects only; what is not there is not null."""
    assert find_path({"a": {"b": 1, "list": [1], "null": None}}, path) is MISSING
    assert find_path({"a": {"b": 1, "list": [1], "null": None}}, "a.null") is None


async def fill(store, clock, *, words: int = 20) -> Talk:
    """A conversation with a picture, marks, a fork and a ledger."""
    talk = await Talk.begin(store, clock, "Trip to Lisbon")
    for number in range(words):
        await talk.answer(await talk.ask(f"question {number}"), Text(f"answer {number}"))
    picture = Image(b"\x89PNG\r\n\x1a\n" + bytes(talk.id.bytes), "image/png")
    message = attrs.evolve(talk.make_message(""), parts=(picture, Text("look")))
    placed = await store.add_message(OWNER, talk.id, MAIN, message)
    await store.update_mark(OWNER, talk.id, placed.id, MarkChange(pinned=True))
    await talk.fork("other", at="root")
    await talk.append("aside", "other")
    await store.update_tags(OWNER, talk.id, add=["work"], at=clock.now())
    return talk


def count_rows(tmp_path: Path) -> dict[str, int]:
    """How many rows each table has."""
    with closing(sqlite3.connect(tmp_path / "conversations.db")) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
            if not name.startswith("search_words_") and name != "tertulia_version"
        ]
        count = "SELECT count(*) FROM {}".format
        return {name: connection.execute(count(name)).fetchone()[0] for name in names}


async def test_a_purge_leaves_no_row(store, clock, tmp_path, monkeypatch):
    """In pieces, and of every table: bytes and entries of the index included."""
    monkeypatch.setattr(library, "PIECE", 3)
    talk = await fill(store, clock)
    await store.remove_conversation(OWNER, talk.id, clock.now())
    assert count_rows(tmp_path)["message"] == 42
    await store.purge_conversation(OWNER, talk.id)

    assert {} == {name: count for name, count in count_rows(tmp_path).items() if count}


async def test_no_piece_of_a_purge_is_long(store, clock, tmp_path, monkeypatch):
    """No transaction removes more of a kind than so many, so that others need not wait for all."""
    monkeypatch.setattr(library, "PIECE", 3)
    talk = await fill(store, clock)
    await store.remove_conversation(OWNER, talk.id, clock.now())
    keys = {"owner_id": OWNER, "conversation_id": talk.id}
    await store._engine.write(lambda database: library.begin_purge(database, keys))
    counts = [count_rows(tmp_path)]
    while not await store._engine.write(lambda database: library.purge_piece(database, keys)):
        counts.append(count_rows(tmp_path))

    for name in ("message", "attempt", "search_entry"):
        assert 3 == max(before[name] - after[name] for before, after in pairwise(counts))


async def test_an_interrupted_purge_is_found_by_nobody_and_finished_by_the_next(
    store, clock, tmp_path, monkeypatch
):
    """What is half gone is in no list, and goes with the next purge of anything."""
    talk, next_one = await fill(store, clock), await Talk.begin(store, clock)
    for each in (talk, next_one):
        await store.remove_conversation(OWNER, each.id, clock.now(), purge_after=clock.now())
    keys = {"owner_id": OWNER, "conversation_id": talk.id}
    await store._engine.write(lambda database: library.begin_purge(database, keys))
    monkeypatch.setattr(library, "PIECE", 3)
    await store._engine.write(lambda database: library.purge_piece(database, keys))

    listed = await store.find_conversations(OWNER, where=ConversationFilter(states=()))
    assert [next_one.id] == [record.id for record in listed]
    with pytest.raises(ConversationNotFoundError):
        await store.get_conversation(OWNER, talk.id, deleted=True)
    with pytest.raises(ConversationNotFoundError):
        await store.restore_conversation(OWNER, talk.id, clock.now())
    assert [next_one.id] == await store.purge_expired(OWNER, clock.now())
    assert {} == {name: count for name, count in count_rows(tmp_path).items() if count}


async def test_nothing_is_stored_in_what_is_half_gone(store, clock, monkeypatch):
    """Neither its branches nor its messages are found, and an answer that comes too late is left out."""
    monkeypatch.setattr(library, "PIECE", 3)
    talk = await Talk.begin(store, clock)
    messages = [await talk.append(str(number)) for number in range(9)]
    attempt = await talk.ask("Hello")
    await store.remove_conversation(OWNER, talk.id, clock.now())
    keys = {"owner_id": OWNER, "conversation_id": talk.id}
    await store._engine.write(lambda database: library.begin_purge(database, keys))

    for reading in (
        talk.history(),
        talk.branch(),
        talk.branch_names(),
        store.get_message(OWNER, talk.id, messages[-1].id),
        store.find_messages(OWNER, talk.id),
        talk.append("more"),
        store.record_attempt(OWNER, talk.id, MAIN, attempt),
    ):
        with pytest.raises(ConversationNotFoundError, match="there is no conversation"):
            await reading
    await talk.show(attempt, clock.new_id(), "Good ")
    assert (None, []) == (await talk.answer(attempt, Text("Good morning")), await talk.attempts())


async def test_a_purge_leaves_alone_what_came_back(store, clock):
    """Who finds it gone, and stored anew by then, removes nothing of it."""
    talk = await Talk.begin(store, clock)
    await talk.append("precious")
    keys = {"owner_id": OWNER, "conversation_id": talk.id}

    assert await store._engine.write(lambda database: library.purge_piece(database, keys))
    assert ["precious"] == await talk.texts()


async def test_what_is_restored_before_its_purge_begins_stays(store, clock):
    """Between being found expired and being purged it may have been taken back, or be kept for longer."""
    talk = await Talk.begin(store, clock)
    keys = {"owner_id": OWNER, "conversation_id": talk.id}

    async def begin() -> bool:
        now = clock.now()
        return await store._engine.write(lambda database: library.begin_purge_of_expired(database, keys, now))

    assert not await begin()
    for purge_after in (None, clock.now() + timedelta(hours=1)):
        await store.remove_conversation(OWNER, talk.id, clock.now(), purge_after=purge_after)
        assert not await begin()
        await store.restore_conversation(OWNER, talk.id, clock.now())
    keys = {"owner_id": OWNER, "conversation_id": UUID(int=7)}
    assert not await begin()


async def test_the_same_picture_twice_in_a_purged_conversation_goes(store, clock, tmp_path):
    """Bytes that two of its messages hold are no one else's."""
    talk = await Talk.begin(store, clock)
    for _ in range(2):
        picture = Image(b"\x89PNG\r\n\x1a\n" + bytes(8), "image/png")
        message = attrs.evolve(talk.make_message(""), parts=(picture, picture))
        await store.add_message(OWNER, talk.id, MAIN, message)
    await store.remove_conversation(OWNER, talk.id, clock.now())
    await store.purge_conversation(OWNER, talk.id)

    assert 0 == count_rows(tmp_path)["blob"]


def find_statements() -> dict[str, ClauseElement]:
    """Every statement of the modules here, by name."""
    found: dict[str, ClauseElement] = {}
    for module in (library, marks):
        for name, value in vars(module).items():
            named = value.items() if isinstance(value, dict) else [("", value)]
            if name.isupper() and not name.startswith(("_", "GET_STATE", "GET_TAGS")):
                found |= {f"{name} {key}": each for key, each in named if isinstance(each, ClauseElement)}
    return found


@pytest.mark.parametrize("name", sorted(find_statements()))
async def test_a_statement_finds_its_rows_by_an_index_and_their_owner(store, name):
    """No statement looks through a table, and none finds another owner's rows."""
    prepared = _prepare(find_statements()[name])
    plan = await store._engine._writer.run(
        lambda database: database.connection.execute(
            f"EXPLAIN QUERY PLAN {prepared.sql}", [None] * len(prepared.names)
        ).fetchall()
    )
    steps = [step for *_, step in plan if step.startswith(("SCAN", "SEARCH"))]

    assert [] == [step for step in steps if "owner_id=?" not in step]
