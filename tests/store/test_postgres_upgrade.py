"""PostgreSQL databases that earlier versions wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from postgres_server import PostgresServer

from tertulia import Money
from tertulia.builtin.sql.schema import REVISION, VERSION_TABLE
from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock
from tertulia.testing.contracts.budgets import DAY, Purse
from tertulia.testing.contracts.talk import OWNER, Talk

_TO_0004 = f"""
    DROP TABLE summary; DROP TABLE calibration; DROP INDEX message_system;
    ALTER TABLE message DROP COLUMN tokens; ALTER TABLE message DROP COLUMN path_tokens;
    ALTER TABLE conversation DROP COLUMN context;
    ALTER INDEX search_entry_words RESET (gin_pending_list_limit);
    DROP TABLE budget_account; DROP TABLE budget_reservation; DROP TABLE budget_warning;
    ALTER TABLE message DROP COLUMN client_id;
    ALTER TABLE attempt DROP COLUMN queued_us; ALTER TABLE attempt DROP COLUMN is_fallback;
    UPDATE {VERSION_TABLE} SET version_num = '0004'
"""  # noqa: S608  # a constant
_COLUMNS = """
    SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default
    FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2
"""
_INDEXES = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
_CONSTRAINTS = """
    SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, 2
"""


@pytest.fixture
async def talk(new_postgres: str, postgres_server: PostgresServer) -> AsyncIterator[Talk]:
    """A conversation in a database of revision 0004, opened by who knows a later one."""
    clock = StandingClock()
    before = SQLStore(new_postgres, clock)
    await before.open()
    written = await Talk.begin(before, clock)
    await written.answer(await written.ask("Hello"))
    await before.aclose()
    await postgres_server.arun(_TO_0004, url=new_postgres)
    store = SQLStore(new_postgres, clock)
    await store.open()
    yield Talk(store, clock, written.id)
    await store.aclose()


async def test_the_tables_are_those_of_a_new_database(talk, new_postgres, postgres, postgres_server):
    """Types, keys and indexes are the same, whichever way a database came to be."""
    made = SQLStore(postgres, talk.clock)
    await made.open()
    await made.aclose()

    assert await read_tables(postgres_server, postgres) == await read_tables(postgres_server, new_postgres)
    versions = await postgres_server.arun(f"SELECT version_num FROM {VERSION_TABLE}", url=new_postgres)  # noqa: S608
    assert [REVISION] == [row[0] for row in versions]


async def test_what_was_there_can_be_gone_on_with(talk):
    """Earlier messages have no name, earlier calls did not wait, and accounts begin with the ledger."""
    (question, _), (attempt,) = await talk.history(), await talk.attempts()
    assert ("Hello", None, None) == (question.text, question.client_id, attempt.queued_seconds)

    named = attrs.evolve(talk.make_message("And now?"), client_id="a")
    await talk.store.add_user_message(OWNER, talk.id, "main", named, talk.make_attempt(named.id))
    purse = Purse(talk.store, talk.clock)
    await purse.reserve(5, (DAY, 2 * 10**10))

    found = await talk.store.find_message(OWNER, talk.id, "a")
    assert ("And now?", Money(10**10)) == (found.text, attempt.cost.money)
    assert (10**10, 5) == await purse.read()


async def read_tables(server: PostgresServer, url: str) -> list[Any]:
    """What is known of the tables of a database."""
    return [await server.arun(query, url=url) for query in (_COLUMNS, _INDEXES, _CONSTRAINTS)]
