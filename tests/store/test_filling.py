"""What is counted of databases that were written before anybody counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest

from tertulia.builtin.sql.schema import VERSION_TABLE
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.media import Document, Image
from tertulia.domain.message import Role, Text, ToolCall, ToolResult
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk

Meddle = Callable[[str], Awaitable[Any]]

# As an earlier version kept it: what was said, and nothing of results and documents.
_STALE = """
    UPDATE message SET text = CASE role WHEN 'tool' THEN '' ELSE 'Read this.' END WHERE parts LIKE '%output%'
    OR parts LIKE '%text/plain%'
"""
_TO_0005 = (
    "DROP TABLE summary",
    "DROP TABLE calibration",
    "DROP INDEX message_system",
    "ALTER TABLE message DROP COLUMN tokens",
    "ALTER TABLE message DROP COLUMN path_tokens",
    "ALTER TABLE conversation DROP COLUMN context",
    f"UPDATE {VERSION_TABLE} SET version_num = '0005'",  # noqa: S608  # a constant
)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Meddle]:
    """The URL of a new database, and a way behind the store's back."""
    if request.param == "postgres":
        url, server = request.getfixturevalue("new_postgres"), request.getfixturevalue("postgres_server")

        async def ask(statement: str) -> Any:
            return await server.arun(statement, url=url)

        return url, ask
    path = tmp_path / "conversations.db"

    async def run(statement: str) -> Any:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement).fetchall()

    return f"sqlite:///{path}", run


async def write(url: str, clock: StandingClock) -> Talk:
    """A conversation of every kind of message, on two branches."""
    store = SQLStore(url, clock)
    await store.open()
    talk = await Talk.begin(store, clock)
    await talk.append("Be brief.", role=Role.SYSTEM)
    await talk.fail(await talk.ask("This fails."))
    attempt = await talk.ask("What is the weather?")
    await talk.answer(attempt, Text("Let me see."), ToolCall("c", "weather", {"city": "Lisbon"}))
    result = talk.make_message("", Role.TOOL)
    result = attrs.evolve(result, parts=(ToolResult("c", "weather", "Drizzle, 12 degrees"),))
    placed = await store.add_message(OWNER, talk.id, MAIN, result)
    documents = (Document(b"The reservoir is full.", "text/plain"), Document(b"%PDF-1.7", "application/pdf"))
    read = talk.make_message("")
    read = attrs.evolve(read, parts=(Text("Read this."), *documents, Image(b"\x89PNG", "image/png")))
    await store.add_message(OWNER, talk.id, MAIN, read)
    await talk.fork("aside", at=placed.id)
    await talk.append("On another branch.", "aside")
    return talk


async def make_old(talk: Talk, url: str, meddle: Meddle) -> None:
    """Let a database be one that an earlier version wrote."""
    await talk.store.aclose()
    await meddle(_STALE)
    store = SQLStore(url, talk.clock)
    await store.open()
    await store.rebuild_search()
    await store.aclose()
    for statement in _TO_0005:
        await meddle(statement)


async def test_what_was_stored_is_counted(database):
    """Messages and paths have the tokens they would have if they were stored today."""
    url, meddle = database
    talk = await write(url, StandingClock())
    columns = "SELECT depth, tokens, path_tokens, text FROM message ORDER BY id"
    expected = [tuple(row) for row in await meddle(columns)]
    await make_old(talk, url, meddle)
    store = SQLStore(url, talk.clock)
    await store.open()

    assert expected == [tuple(row) for row in await meddle(columns)]
    assert (7, 7 + 7) == (expected[0][1], expected[1][2])
    assert () == (await store.verify()).problems
    await store.aclose()


async def test_results_and_documents_are_found_from_then_on(database):
    """What was found before still is."""
    url, meddle = database
    talk = await write(url, StandingClock())
    await make_old(talk, url, meddle)
    store = SQLStore(url, talk.clock)
    await store.open()

    found = {word: len(await store.search(OWNER, word)) for word in ("drizzle", "reservoir", "read", "fails")}
    assert {"drizzle": 1, "reservoir": 1, "read": 1, "fails": 1} == found
    await store.aclose()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_message_that_cannot_be_read_stops_nothing(database):
    """It counts as its words do; that it is damaged is found by an examination, as before."""
    url, meddle = database
    talk = await write(url, StandingClock())
    await make_old(talk, url, meddle)
    await meddle("UPDATE message SET parts = '[{\"type\": \"nonsense\"' WHERE role = 'tool'")
    store = SQLStore(url, talk.clock)
    await store.open()

    counted = await meddle("SELECT tokens FROM message WHERE role = 'tool'")
    assert [4] == [row[0] for row in counted]
    assert ["damaged"] == [problem.kind for problem in (await store.verify()).problems]
    await store.aclose()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_nothing_is_counted_of_what_is_half_gone(database):
    """A conversation whose purge was begun is left to the purge."""
    url, meddle = database
    talk = await write(url, StandingClock())
    await make_old(talk, url, meddle)
    await meddle("UPDATE conversation SET state = 'purged'")
    store = SQLStore(url, talk.clock)
    await store.open()

    assert [0] == [row[0] for row in await meddle("SELECT max(tokens) FROM message")]
    await store.aclose()
