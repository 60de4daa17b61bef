"""Every store of ours keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tertulia import Store
from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock
from tertulia.testing.contracts import StoreContract


class TestSQLite(StoreContract):
    @pytest.fixture
    async def store(self, tmp_path: Path, clock: StandingClock) -> AsyncIterator[Store]:
        store = SQLStore(f"sqlite:///{tmp_path / 'conversations.db'}", clock)
        await store.open()
        yield store
        await store.aclose()


class TestSQLiteInMemory(StoreContract):
    @pytest.fixture
    async def store(self, clock: StandingClock) -> AsyncIterator[Store]:
        store = SQLStore("memory:", clock)
        await store.open()
        yield store
        await store.aclose()


class TestPostgreSQL(StoreContract):
    @pytest.fixture
    async def store(self, postgres: str, clock: StandingClock) -> AsyncIterator[Store]:
        store = SQLStore(postgres, clock)
        await store.open()
        yield store
        await store.aclose()
