"""A value to store, and a way behind the store's back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from postgres_server import PostgresServer

from tertulia.domain.conversation import Branch, ConversationRecord
from tertulia.domain.usage import CostTotal


@pytest.fixture
def record() -> ConversationRecord:
    """An empty conversation."""
    return ConversationRecord(
        id=UUID(int=1),
        owner="local",
        title="Trip",
        branch=Branch(
            "main",
            "openai",
            "gpt-6.1-sol",
            UUID(int=2),
            created_at=datetime(2026, 11, 22, tzinfo=UTC),
        ),
        message_count=0,
        cost=CostTotal(),
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
        updated_at=datetime(2026, 11, 22, tzinfo=UTC),
    )


@pytest.fixture
def meddle(tmp_path: Path) -> Callable[..., None]:
    """Change the database's file as another program would."""

    def meddle(statement: str, *values: object) -> None:
        with closing(sqlite3.connect(tmp_path / "conversations.db")) as connection, connection:
            connection.execute(statement, values)

    return meddle


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server: one of this process's own, or that of TERTULIA_TEST_POSTGRES_URL."""
    with PostgresServer.find() as server:
        yield server


@pytest.fixture(scope="session")
def _shared_database(postgres_server: PostgresServer) -> Iterator[str]:
    with postgres_server.make_database() as url:
        yield url


@pytest.fixture
def postgres(postgres_server: PostgresServer, _shared_database: str) -> str:
    """The URL of a database that holds nothing, or only our empty tables."""
    postgres_server.empty(_shared_database)
    return _shared_database


@pytest.fixture
def new_postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a database that was made just now."""
    with postgres_server.make_database() as url:
        yield url
