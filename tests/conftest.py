"""Fixtures that several folders share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import tertulia


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'conversations.db'}"


@pytest.fixture
async def client(simulator, database: str) -> AsyncIterator[tertulia.Client]:
    """A client of the three simulated services, with a database of its own."""
    async with tertulia.open(store=database, providers=simulator.providers(), environ={}) as client:
        yield client
