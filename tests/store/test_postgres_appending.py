"""Appends to PostgreSQL in one statement, and when they take the long way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import attrs
import pytest
from postgres_server import PostgresServer

from tertulia import BranchMovedError, ConversationBusyError, Image, Message, StoreError, Text
from tertulia.builtin.sql.appends import Append
from tertulia.builtin.sql.postgres import engine
from tertulia.builtin.sql.postgres.appending import Left, append_each
from tertulia.builtin.sql.postgres.connections import Link
from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk


@pytest.fixture
async def store(postgres: str) -> AsyncIterator[SQLStore]:
    store = SQLStore(postgres, StandingClock())
    await store.open()
    yield store
    await store.aclose()


async def begin(store: SQLStore) -> Talk:
    """A conversation in it."""
    clock = store._clock
    assert isinstance(clock, StandingClock)
    return await Talk.begin(store, clock)


@pytest.fixture
async def talk(store: SQLStore) -> Talk:
    return await begin(store)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Message | Left]]:
    """What became of each batch."""
    outcomes: list[Sequence[Message | Left]] = []

    async def watched(link: Link, appends: Sequence[Append]) -> list[Message | Left]:
        outcomes.append(await append_each(link, appends))
        return list(outcomes[-1])

    monkeypatch.setattr(engine, "append_each", watched)
    return outcomes


async def test_an_append_is_one_statement(talk, batches):
    """A message, and a question with its attempt, are written at once, with all there is to write."""
    first = await talk.append("one")
    attempt = await talk.ask("two")

    assert [[first], [(await talk.history())[1]]] == [list(batch) for batch in batches]
    assert [(0, None), (1, first.id)] == [(each.depth, each.parent_id) for each in await talk.history()]
    assert [attrs.evolve(attempt, branch="main")] == await talk.attempts()
    record = await talk.record()
    assert (2, 2, talk.clock.now()) == (record.message_count, record.branch.version, record.updated_at)
    hits = await talk.store.search(OWNER, "one")
    assert [first.id] == [hit.message_id for hit in hits]


async def test_what_waits_is_written_together(store, batches):
    """Appends to many conversations share statements, and each has its own place."""
    talks = [await begin(store) for _ in range(20)]
    await asyncio.gather(*(talk.append(str(number)) for number, talk in enumerate(talks)))
    await asyncio.gather(*(talk.ask("who?") for talk in talks))

    assert 40 == sum(isinstance(each, Message) for batch in batches for each in batch)
    assert len(batches) <= 8
    assert [[str(number), "who?"] for number in range(20)] == [await talk.texts() for talk in talks]
    assert {1} == {len(await talk.attempts()) for talk in talks}


async def test_one_that_is_left_out_harms_no_other(store, batches):
    """In a batch, a busy conversation, a moved branch and one whose place is taken go their own ways."""
    talks = [await begin(store) for _ in range(5)]
    await talks[1].ask("under way")
    await talks[2].append("meanwhile")
    await talks[3].append("root")
    await store.add_branch(
        OWNER, talks[3].id, "other", source="main", at="head", created_at=talks[3].clock.now()
    )
    await talks[3].append("first")  # at the place where the other branch wants to go on
    batches.clear()
    results = await asyncio.gather(
        talks[0].append("a"),
        talks[1].append("b"),
        talks[2].append("c", expected_head=None),
        talks[3].append("d", "other"),
        talks[4].append("e"),
        return_exceptions=True,
    )

    kinds = [type(each) for each in results]
    assert [Message, ConversationBusyError, BranchMovedError, Message, Message] == kinds
    assert 2 == sum(isinstance(each, Message) for batch in batches for each in batch)
    assert ["root", "d"] == await talks[3].texts("other")


async def test_a_conversation_that_somebody_writes_is_waited_for(postgres, talk, batches):
    """Whoever is there already is not pushed aside: the append takes the long way, and waits."""
    async with PostgresServer.connect(postgres) as connection:
        other = connection.transaction()
        await other.start()
        await connection.execute("SELECT 1 FROM conversation FOR UPDATE")
        waiting = asyncio.ensure_future(talk.append("one"))
        while not batches:  # noqa: ASYNC110  # it says nothing more when it is done
            await asyncio.sleep(0)
        assert [[Left.OUT]] == [list(batch) for batch in batches]
        await other.rollback()
        await waiting

    assert ["one"] == await talk.texts()


async def test_an_answer_that_was_lost_is_found(talk, monkeypatch):
    """Where the connection breaks after all was written, the message is there once."""

    async def broken(link: Link, appends: Sequence[Append]) -> list[Message | Left]:
        await append_each(link, appends)
        raise ConnectionResetError

    monkeypatch.setattr(engine, "append_each", broken)
    placed = await talk.append("one")

    assert [placed] == await talk.history()
    assert 1 == (await talk.record()).message_count


async def test_a_statement_that_fails_is_done_again(talk, monkeypatch):
    """Where it breaks before, too."""

    async def broken(link: Link, appends: Sequence[Append]) -> list[Message | Left]:
        raise ConnectionResetError

    monkeypatch.setattr(engine, "append_each", broken)
    placed = await talk.append("one")

    assert [placed] == await talk.history()


async def test_equal_ids_are_told_apart(store, batches):
    """Of messages of one id in two conversations, one that is left out is not taken for the other."""
    talks = [await begin(store) for _ in range(4)]
    await talks[-1].append("somebody was faster")
    message = talks[0].make_message("Hello")
    batches.clear()
    results = await asyncio.gather(
        *(store.add_message(OWNER, talk.id, MAIN, message, expected_head=None) for talk in talks),
        return_exceptions=True,
    )

    assert max(map(len, batches)) > 1
    assert [Message, Message, Message, BranchMovedError] == [type(each) for each in results]
    assert [["Hello"]] * 3 + [["somebody was faster"]] == [await talk.texts() for talk in talks]


async def test_an_error_nobody_foresaw_reaches_everybody(store, monkeypatch):
    """No append waits for a statement that will never come."""
    talks = [await begin(store) for _ in range(3)]

    async def broken(link: Link, appends: Sequence[Append]) -> list[Message | Left]:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(engine, "append_each", broken)
    results = await asyncio.gather(*(talk.append("x") for talk in talks), return_exceptions=True)

    assert {StoreError} == {type(each) for each in results}
    assert "could not be written: ZeroDivisionError: by zero" in str(results[0])


@pytest.mark.parametrize(
    "parts",
    [
        (Text("a\0b"),),
        (Text("a"), Text("\0")),
        (Image(data=b"\x89PNG\r\n\x1a\n\0\1", media_type="image/png"),),
    ],
    ids=["null", "nulls", "bytes"],
)
async def test_a_message_of_any_kind_comes_back(talk, parts):
    """What a text of PostgreSQL cannot hold is kept all the same, and so are bytes."""
    message = attrs.evolve(talk.make_message("x"), parts=parts)
    placed = await talk.store.add_message(OWNER, talk.id, "main", message)

    assert [placed] == await talk.history()
    assert parts == placed.parts


async def test_a_lone_surrogate_becomes_a_question_mark(talk):
    """As in every database, which keeps UTF-8."""
    await talk.append("a\ud800b")

    assert ["a?b"] == await talk.texts()


async def test_an_answer_is_appended_with_its_cost(talk, batches):
    """Money goes the general way, where a sum that no column holds is told from others."""
    message = attrs.evolve((await talk.answer(await talk.ask("Hello"), Text("Hi"))), id=talk.clock.new_id())
    batches.clear()
    placed = await talk.store.add_message(OWNER, talk.id, "main", message)

    assert [[Left.OUT]] == [list(batch) for batch in batches]
    assert placed == (await talk.history())[-1]
