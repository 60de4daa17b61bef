"""Whole clients, with a database on disk."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import tertulia
from benchmarks import raw
from tertulia import Branch, Client, Conversation, ConversationRecord, CostTotal, Message, Text
from tertulia.builtin.sql.store import SQLStore
from tertulia.runtime.clock import SystemClock


@asynccontextmanager
async def open_client(
    url: str,
    scenarios: Sequence[str],
    *,
    context_window: int | None = None,
    seeds: Sequence[Seed] = (),
    limits: Mapping[str, int] = MappingProxyType({}),
) -> AsyncIterator[Client]:
    """
    Open a client on a new database, with a provider for each of the peer's scenarios, named like it.

    Args:
        seeds: Conversations that are stored before.
        limits: How much each provider may be asked.
    """
    with TemporaryDirectory(prefix="tertulia-benchmark-") as folder:
        database = f"sqlite:///{Path(folder) / 'conversations.db'}"
        await _plant(database, seeds)
        async with tertulia.open(
            store=database,
            providers={name: _provider(f"{url}/{name}", limits) for name in scenarios},
            context_window=context_window,
            environ={},
        ) as client:
            yield client


class Seed:
    """
    A conversation that has been going on for a while.

    Args:
        turns: What was said.
        provider: Who goes on answering.
    """

    def __init__(self, turns: Sequence[raw.Turn], provider: str) -> None:
        clock = SystemClock()
        self.id = clock.new_id()
        self.messages = [_message(clock, depth, *turn) for depth, turn in enumerate(turns)]
        now = clock.now()
        branch = Branch(
            name="main",
            provider=provider,
            model=raw.MODEL,
            segment=clock.new_id(),
            head_id=self.messages[-1].id,
            head_depth=len(turns) - 1,
        )
        self.record = ConversationRecord(
            id=self.id,
            owner="local",
            title=None,
            branch=branch,
            message_count=len(turns),
            cost=CostTotal(),
            created_at=now,
            updated_at=now,
        )


async def start_conversations(client: Client, provider: str, count: int) -> list[Conversation]:
    """So many new conversations, because a benchmark of the first send must not grow a history."""
    return [await client.start(provider=provider, model=raw.MODEL) for _ in range(count)]


def _provider(url: str, limits: Mapping[str, int]) -> dict[str, object]:
    table = {"driver": "openai", "api": "responses", "api_key": "sk-benchmark", "base_url": url}
    return {**table, "limits": dict(limits)} if limits else dict(table)


def _message(clock: SystemClock, depth: int, role: str, text: str) -> Message:
    return Message(tertulia.Role(role), (Text(text),), id=clock.new_id(), depth=depth, created_at=clock.now())


async def _plant(database: str, seeds: Sequence[Seed]) -> None:
    store = SQLStore(database, SystemClock())
    await store.open()
    for seed in seeds:
        await store.add_conversation(seed.record, seed.messages)
    await store.aclose()
