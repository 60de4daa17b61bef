"""How often PostgreSQL is asked for what is read most."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from tertulia import Mark
from tertulia.builtin.sql.postgres.connections import Link
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.library import MarkChange
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import OWNER, Talk


@pytest.fixture
async def talk(postgres: str) -> AsyncIterator[Talk]:
    """A conversation in a store of its own."""
    clock = StandingClock()
    store = SQLStore(postgres, clock)
    await store.open()
    yield await Talk.begin(store, clock)
    await store.aclose()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the server, by its first word."""
    asked: list[str] = []
    run, command = Link.run, Link.command

    async def watched_run(link: Link, sql: str, values: Sequence[object]) -> Any:
        asked.append(sql.split(maxsplit=1)[0])
        return await run(link, sql, values)

    async def watched_command(link: Link, words: str) -> None:
        asked.append(words.split(maxsplit=1)[0])
        await command(link, words)

    monkeypatch.setattr(Link, "run", watched_run)
    monkeypatch.setattr(Link, "command", watched_command)
    return asked


async def test_a_history_is_read_in_one_statement(talk, asked):
    """Where nothing is said of any message, nothing is asked about it, and no transaction is needed."""
    await talk.append("one")
    await talk.append("two")
    asked.clear()
    texts = await talk.texts()

    assert ["one", "two"] == texts
    assert ["WITH"] == asked


async def test_marks_are_read_at_the_same_moment(talk, asked):
    """Where anything is said of a message, it is read in one transaction with the messages."""
    message = await talk.append("one")
    await talk.store.update_mark(OWNER, talk.id, message.id, MarkChange(pinned=True))
    asked.clear()
    history = await talk.history()

    assert [Mark(pinned=True)] == [each.mark for each in history]
    assert ["BEGIN", "WITH", "SELECT", "COMMIT"] == asked[-4:]
