"""Whatever is wrong with a database, an examination names it; and what can be set right, is."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import attrs
import pytest
from sqlalchemy import ClauseElement, delete, update

from tertulia import Image, StoreError, StoreProblem, StoreReport, Text
from tertulia.builtin.sql import examination, findings, recount, schema, verify
from tertulia.builtin.sql.database import LARGEST, Database
from tertulia.builtin.sql.search_schema import entry
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.conversation import AttemptOutcome
from tertulia.domain.model import ModelInfo
from tertulia.domain.usage import Cost, Money, Usage
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, STRANGER, Talk, end

PICTURE = b"a picture"
DIGEST = hashlib.sha256(PICTURE).hexdigest()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, UUID, datetime]:
    """
    A database, made once, with two conversations; of one of them, the id, and the time when it was made.
    """
    path = tmp_path_factory.mktemp("template") / "conversations.db"

    async def make() -> tuple[Path, UUID, datetime]:
        store = SQLStore(f"sqlite:///{path}", clock := StandingClock())
        await store.open()
        await (await Talk.begin(store, clock)).append("beside")
        talk = await begin_talk(store, clock)
        await store.aclose()
        return path, talk.id, clock.now()

    return asyncio.run(make())


async def begin_talk(store: SQLStore, clock: StandingClock) -> Talk:
    """
    Begin a conversation with two branches, and with an answer that holds a picture.

    one ─ ONE ─ two        main
      └── other ─ more     fork
    """
    talk = await Talk.begin(store, clock)
    attempt = await talk.ask("one")
    await talk.answer(attempt, Text("ONE"), Image(PICTURE, "image/png"))
    await talk.append("two")
    await talk.fork("fork", at=attempt.message_id)
    await talk.append("other", "fork")
    await talk.append("more", "fork")
    await store.replace_models(OWNER, "openai", [ModelInfo("openai", "gpt-6.1-sol")], clock.now())
    return talk


@pytest.fixture
async def store(template: tuple[Path, UUID, datetime], tmp_path: Path) -> AsyncIterator[SQLStore]:
    """A copy of that database, opened an hour later."""
    path, _, then = template
    shutil.copy(path, tmp_path / "conversations.db")
    store = SQLStore(f"sqlite:///{tmp_path / 'conversations.db'}", StandingClock(then + timedelta(hours=1)))
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
def talk(store: SQLStore, template: tuple[Path, UUID, datetime]) -> Talk:
    """The conversation with two branches in it."""
    return Talk(store, store._clock, template[1])


async def find(store: SQLStore) -> list[tuple[str, UUID | None, str]]:
    """What an examination finds, and where."""
    return [(each.kind, each.conversation_id, each.description) for each in (await store.verify()).problems]


COUNTERS = {
    "messages": ("UPDATE conversation SET message_count = 9", "message_count is 9 and should be 5"),
    "cost": ("UPDATE conversation SET cost_pico = 1", "cost_pico is 1 and should be 10000000000"),
    "unknown": ("UPDATE conversation SET cost_unknown_count = 3", "cost_unknown_count is 3 and should be 0"),
    **{
        name: (f"UPDATE conversation SET {name} = 77", f"{name} is 77 and should be {should}")  # noqa: S608
        for name, should in zip(recount.COUNTERS[1:6], (10, 0, 0, 5, 0), strict=True)
    },
    "path": (
        "UPDATE message SET path_cost_pico = 5 WHERE text = 'two'",
        "what the path to message {two} costs is wrong",
    ),
    "path unknown": (
        "UPDATE message SET path_cost_unknown_count = 5 WHERE text = 'more'",
        "what the path to message {more} costs is wrong",
    ),
    "branch": (
        "UPDATE branch SET path_cost_pico = 5 WHERE name = 'fork'",
        "what branch 'fork' costs is wrong",
    ),
    "target": (
        "DELETE FROM conversation_target",
        "it is not found by openai/gpt-6.1-sol, which was asked in it",
    ),
}


@pytest.mark.parametrize("damage", COUNTERS)
async def test_what_is_counted_wrong_is_named_and_counted_again(store, talk, meddle, damage):
    """Every sum is held against what it is the sum of, and rebuilding sets it right."""
    statement, words = COUNTERS[damage]
    ids = {message.text: message.id for name in (MAIN, "fork") for message in await talk.history(name)}
    before = await talk.record(), await talk.history(), await talk.branch("fork")
    where = " AND " if " WHERE " in statement else " WHERE "
    key = "id" if " conversation SET" in statement else "conversation_id"
    meddle(f"{statement}{where}{key} = ?", talk.id.bytes)

    assert (talk.id, words.format_map(ids)) in [found[1:] for found in await find(store)]
    assert all(each.repair == findings.RECOUNT for each in (await store.verify()).problems)
    assert (0, 1, 0) == (
        await store.rebuild_statistics(STRANGER),
        await store.rebuild_statistics(),
        await store.rebuild_statistics(),
    )
    assert [] == await find(store)
    assert before == (await talk.record(), await talk.history(), await talk.branch("fork"))


TREES = {
    "parent": (
        "UPDATE message SET parent_id = x'00' WHERE text = 'two'",
        "damaged",
        "message {two} cannot be read: ValueError",
    ),
    "wrong parent": (
        "UPDATE message SET parent_id = (SELECT id FROM message WHERE text = 'one') WHERE text = 'two'",
        "tree",
        "message {two} does not follow the one above it",
    ),
    "gap": (
        "UPDATE message SET depth = 7 WHERE text = 'more'",
        "tree",
        "message {more} does not follow the one above it",
    ),
    "missing parent": (
        "DELETE FROM message WHERE text = 'one'",
        "tree",
        "message {other} does not stand below its parent|the parent of message {other} is not there",
    ),
    "no parent": (
        "UPDATE message SET parent_id = NULL WHERE text = 'other'",
        "tree",
        "message {other} has no parent and stands at depth 1",
    ),
    "elsewhere": (
        "UPDATE message SET parent_id = (SELECT id FROM message WHERE text = 'two') WHERE text = 'other'",
        "tree",
        "message {other} does not stand below its parent",
    ),
    "fork depth": (
        "UPDATE segment SET fork_depth = 5 WHERE fork_depth IS NOT NULL",
        "tree",
        "message {other} does not stand below its parent",
    ),
    "segment": (
        "DELETE FROM segment WHERE fork_depth IS NOT NULL",
        "tree",
        "message {other} stands on a segment that is not there",
    ),
    "parent segment": (
        "UPDATE segment SET parent_segment = id WHERE fork_depth IS NOT NULL",
        "tree",
        "message {other} does not stand below its parent",
    ),
    "no parent segment": (
        "UPDATE segment SET parent_segment = randomblob(16) WHERE fork_depth IS NOT NULL",
        "tree",
        "goes on from one that is not there",
    ),
    "head": (
        "UPDATE branch SET head_id = x'00000000000000000000000000000001' WHERE name = 'fork'",
        "tree",
        "branch 'fork' ends with message 00000000-0000-0000-0000-000000000001, which is not there",
    ),
    "head depth": (
        "UPDATE branch SET head_depth = 1 WHERE name = 'fork'",
        "tree",
        "branch 'fork' ends with message {more}, which stands elsewhere",
    ),
    "no head": ("UPDATE branch SET head_id = NULL WHERE name = 'fork'", "tree", "branch 'fork' has no head"),
    "active branch": ("UPDATE conversation SET active_branch = 'gone'", "tree", "the active branch is not"),
    "question": (
        "UPDATE attempt SET message_id = x'00000000000000000000000000000001'",
        "references",
        "is to answer message 00000000-0000-0000-0000-000000000001, which is not there",
    ),
    "orphans": ("DELETE FROM conversation", "references", "a row of message belongs to no conversation"),
    "tag": ("INSERT INTO tag VALUES ('ann', 'x', zeroblob(16))", "references", "a row of tag belongs to no"),
    "status": ("UPDATE message SET status = 'half' WHERE text = 'two'", "damaged", "message {two} cannot be"),
    "parts": (
        "UPDATE message SET parts = '[{' WHERE text = 'two'",
        "damaged",
        "message {two} cannot be read",
    ),
    "text": (
        "UPDATE message SET text = CAST(x'ff' AS TEXT) WHERE text = 'two'",
        "damaged",
        "message {two} can",
    ),
    "moment": (
        "UPDATE message SET created_at = 1 << 62 WHERE text = 'two'",
        "damaged",
        "message {two} cannot",
    ),
    "cost": (
        "UPDATE message SET cost_pico = 'much' WHERE text = 'ONE'",
        "damaged",
        "message {ONE} cannot be",
    ),
    "attempt": ("UPDATE attempt SET outcome = 'lost'", "damaged", "cannot be read: ValueError: 'lost'"),
    "tokens": ("UPDATE attempt SET input_tokens = 'few'", "damaged", "what it counts cannot be read"),
    "metadata": ("UPDATE conversation SET metadata = '{'", "damaged", "the conversation cannot be read"),
    "state": ("UPDATE conversation SET state = 'odd'", "damaged", "the conversation cannot be read"),
    "branch moment": ("UPDATE branch SET created_at = 1 << 62", "damaged", "its branches cannot be read"),
    "link": ("DELETE FROM message_blob", "attachments", "of message {ONE} is missing"),
    "bytes": ("DELETE FROM blob", "attachments", "of message {ONE} is missing"),
    "flipped": ("UPDATE blob SET bytes = x'00'", "attachments", f"the bytes of the attachment {DIGEST} are"),
    "unused": (
        "INSERT INTO blob VALUES ('ann', zeroblob(32), 1, NULL, x'00')",
        "attachments",
        f"the attachment {'00' * 32} belongs to no message, and takes 1 bytes",
    ),
    "model": ("UPDATE model SET facts = 'none'", "damaged", "the list of models of 'openai' cannot be read"),
}


@pytest.mark.parametrize("damage", TREES)
async def test_what_is_broken_is_named(store, talk, meddle, damage):
    """Each kind of damage is a problem that says where it is and what to do, and never an exception."""
    statement, kind, words = TREES[damage]
    ids = {message.text: message.id for name in (MAIN, "fork") for message in await talk.history(name)}
    meddle(statement)

    report = await store.verify()
    named = [each for each in report.problems if each.kind == kind]
    expected = words.format_map(ids).split("|")
    assert [each for each in named if any(word in each.description for word in expected)], report.problems
    assert all(each.repair for each in report.problems)
    everywhere = ("orphans", "tag", "unused", "model")
    assert damage in everywhere or talk.id in {each.conversation_id for each in named}


async def test_what_is_not_found_is_named_and_found_again(store, talk, meddle):
    """A message that the index has not, and one that it has no more right to, are named and set right."""
    meddle("DELETE FROM search_entry WHERE message_id = (SELECT id FROM message WHERE text = 'two')")
    meddle("UPDATE message SET text = '' WHERE text = 'more'")

    assert [
        ("search", talk.id, "1 texts are not found by their words"),
        ("search", talk.id, "1 texts are found that are not there"),
    ] == await find(store)
    assert 6 - 1 == await store.rebuild_search()
    assert [] == await find(store)
    assert ["two"] == [hit.snippet.text for hit in await store.search(OWNER, "two")]


async def test_the_rest_is_examined_beside_what_is_broken(store, talk, meddle):
    """One message that cannot be read hides no other problem, and every other message is counted."""
    meddle("UPDATE message SET created_at = 1 << 62 WHERE text = 'one'")
    meddle("UPDATE branch SET path_cost_pico = 5 WHERE name = 'fork'")
    report = await store.verify()

    assert [("damaged", "message"), ("counters", "what")] == [
        (each.kind, each.description.split()[0]) for each in report.problems
    ]
    assert {"conversations": 2, "messages": 6, "attempts": 1, "attachments": 1} == report.counts


async def test_a_report_says_what_is_wrong_with_what_and_what_to_do(store, talk, meddle, tmp_path):
    """It reads as a sentence, and says what the store is."""
    meddle("UPDATE conversation SET message_count = 9 WHERE id = ?", talk.id.bytes)
    report = await store.verify()

    problem = StoreProblem(
        "counters", "message_count is 9 and should be 5", "rebuild the statistics", OWNER, talk.id
    )
    size = sum(path.stat().st_size for path in tmp_path.glob("conversations.db*") if path.suffix != ".db-shm")
    assert (
        StoreReport(
            str(tmp_path / "conversations.db"),
            f"SQLite {sqlite3.sqlite_version}",
            "0006",
            report.size_bytes,
            {"conversations": 2, "messages": 6, "attempts": 1, "attachments": 1},
            (problem,),
        )
        == report
    )
    assert size - 32_768 == report.size_bytes or size == report.size_bytes
    assert "message_count is 9 and should be 5: rebuild the statistics" == str(problem)


async def test_of_very_many_problems_the_first_are_named(store, talk, meddle, monkeypatch):
    """A conversation that is broken throughout does not fill the memory; nor do many of them."""
    for number in range(30):
        await talk.append(str(number))
    meddle("UPDATE message SET status = 'half'")

    first = [each for each in await find(store) if each[1] == talk.id]
    assert findings.MOST_OF_A_KIND + 1 == len(first)
    assert first[-1][2].startswith("more than 10 such problems (message ")

    monkeypatch.setattr(findings, "MOST", 5)
    problems = (await store.verify()).problems
    assert (6, True) == (len(problems), problems[-1].description.endswith("problems more were found"))


async def test_a_conversation_longer_than_a_page_is_examined_throughout(store, talk, meddle, monkeypatch):
    """Pages and steps leave nothing out."""
    for module in (examination, recount):
        monkeypatch.setattr(module, "PAGE", 2)
    monkeypatch.setattr(verify, "MESSAGES_AT_A_TIME", 1)
    monkeypatch.setattr(verify, "BYTES_AT_A_TIME", 1)
    for number in range(7):
        await talk.answer(await talk.ask(str(number)), Text("!"), Image(bytes([number]), "image/png"))
    report = await store.verify()

    assert ((), {"conversations": 2, "messages": 20, "attempts": 8, "attachments": 8}) == (
        report.problems,
        report.counts,
    )
    meddle("UPDATE message SET path_cost_pico = 5 WHERE text = '6'")
    assert (1, []) == (await store.rebuild_statistics(), await find(store))


async def test_rebuilding_goes_on_beside_what_is_broken(store, talk, meddle):
    """What can be counted is; then what cannot be is an error."""
    meddle("UPDATE attempt SET input_tokens = 'few'")
    beside = await Talk.begin(store, talk.clock)
    meddle("UPDATE conversation SET message_count = 9 WHERE id = ?", beside.id.bytes)

    with pytest.raises(StoreError):
        await store.rebuild_statistics()
    assert 0 == (await beside.record()).message_count


async def test_a_half_purged_conversation_is_left_alone(store, talk, meddle):
    """What the next purge removes is no problem, and nothing of it is counted again."""
    meddle("UPDATE conversation SET state = 'purged', message_count = 9 WHERE id = ?", talk.id.bytes)

    report = await store.verify()
    assert ((), 1) == (report.problems, report.counts["conversations"])
    assert 0 == await store.rebuild_statistics()


async def test_sums_that_no_column_holds_are_right(store, talk):
    """Costs that are too large together count as unknown, wherever they are added up."""
    huge = Cost(Money(LARGEST - 1))
    for _ in range(3):
        await talk.answer(await talk.ask("dear"), Text("!"), cost=huge)
    nonsense = attrs.evolve(end(await talk.ask("many"), AttemptOutcome.FAILED), usage=Usage(10**13))
    await store.record_attempt(OWNER, talk.id, MAIN, attrs.evolve(nonsense, id=talk.clock.new_id()))

    assert ([], 0) == (await find(store), await store.rebuild_statistics())


async def test_a_credit_is_counted_as_it_is(store, talk):
    """A cost below zero, as a file may hold it, is in the sums and no problem."""
    attempt = attrs.evolve(end(await talk.ask("cheap"), AttemptOutcome.FAILED), cost=Cost(Money(-(10**12))))
    await store.record_attempt(OWNER, talk.id, MAIN, attrs.evolve(attempt, id=talk.clock.new_id()))

    assert ([], 0) == (await find(store), await store.rebuild_statistics())


async def test_a_damaged_page_is_a_problem(store, talk, database, tmp_path):
    """Where SQLite itself finds its file damaged, that is named, and the rest is examined."""
    for number in range(200):
        await talk.append(f"{number} " * 100)
    await store.aclose()
    path = tmp_path / "conversations.db"
    content = bytearray(path.read_bytes())
    place = content.index(b"150 150 150") // 4096 * 4096
    content[place : place + 100] = b"\xff" * 100
    path.write_bytes(content)
    damaged = SQLStore(database, StandingClock())
    await damaged.open()

    report = await damaged.verify()
    assert {"damaged"} <= {each.kind for each in report.problems}
    assert "the database is damaged" in report.problems[0].description
    assert ".recover" in report.problems[0].repair
    assert talk.id in {each.conversation_id for each in report.problems}
    await damaged.aclose()


async def test_a_store_is_examined_while_it_is_written(store, talk):
    """What is added meanwhile is no problem: each conversation is looked at as of one moment."""
    writing = asyncio.ensure_future(_write(talk, 60))
    reports = [await store.verify() for _ in range(5)]
    await writing

    assert [()] * 5 == [report.problems for report in reports]


async def _write(talk: Talk, times: int) -> None:
    for number in range(times):
        await talk.answer(await talk.ask(str(number)), Text("!"))


_MESSAGE, _BRANCH, _ATTEMPT = schema.message.c, schema.branch.c, schema.attempt.c
ON_A_SERVER = {
    "counters": (
        update(schema.conversation).values(message_count=9, cost_pico=LARGEST, reasoning_tokens=7),
        "counters",
    ),
    "path": (update(schema.message).where(_MESSAGE.depth > 0).values(path_cost_pico=5), "counters"),
    "branch": (update(schema.branch).values(path_cost_unknown_count=5), "counters"),
    "target": (delete(schema.conversation_target), "references"),
    "index": (delete(entry), "search"),
    "gap": (update(schema.message).where(_MESSAGE.text == "more").values(depth=7), "tree"),
    "parent": (update(schema.message).where(_MESSAGE.text == "two").values(parent_id=UUID(int=1)), "tree"),
    "head": (update(schema.branch).values(head_id=UUID(int=1)), "tree"),
    "question": (update(schema.attempt).values(message_id=UUID(int=1)), "references"),
    "status": (update(schema.message).where(_MESSAGE.text == "two").values(status="half"), "damaged"),
    "parts": (update(schema.message).where(_MESSAGE.text == "two").values(parts="[{"), "damaged"),
    "outcome": (update(schema.attempt).values(outcome="lost"), "damaged"),
    "link": (delete(schema.message_blob), "attachments"),
    "bytes": (update(schema.blob).values(bytes=b"other"), "attachments"),
    "model": (update(schema.model).values(facts="none"), "damaged"),
}
"""What is done to a database that a server keeps, and what kind of problem it is."""


async def test_a_server_is_examined_as_well(postgres):
    """What PostgreSQL lets anybody break is named, and what can be set right is."""
    store = SQLStore(postgres, clock := StandingClock())
    await store.open()
    for damage, (statement, kind) in ON_A_SERVER.items():
        await begin_talk(store, clock)
        assert () == (await store.verify()).problems, damage
        await store._engine.write(_make_damage(statement))

        report = await store.verify()
        assert kind in {each.kind for each in report.problems}, damage
        assert all(each.repair and each.owner == OWNER for each in report.problems)
        if kind in ("counters", "search") or damage == "target":
            rebuilt = await store.rebuild_statistics(), await store.rebuild_search()
            assert (int(kind != "search"), 5) == rebuilt
            assert () == (await store.verify()).problems, damage
        await store._engine.write(_empty)
    assert report.engine.startswith("PostgreSQL 1")
    assert report.size_bytes > 2**20
    await store.aclose()


def _make_damage(statement: ClauseElement) -> Callable[[Database], int]:
    return lambda database: database.run(statement, {})


def _empty(database: Database) -> None:
    for table in (schema.conversation, entry, schema.blob, schema.model):
        database.run(delete(table), {})
