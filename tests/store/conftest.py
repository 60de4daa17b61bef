"""A value to store, and a way behind the store's back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

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
