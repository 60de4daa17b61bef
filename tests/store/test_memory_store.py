"""The store in plain dictionaries keeps the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import attrs
import pytest

from tertulia import Store, StoreError, Text
from tertulia.testing import MemoryStore, StandingClock
from tertulia.testing.contracts import StoreContract
from tertulia.testing.contracts.talk import OWNER, Talk, make_record


class TestMemoryStore(StoreContract):
    @pytest.fixture
    async def store(self, clock: StandingClock) -> AsyncIterator[Store]:
        store = MemoryStore(clock)
        await store.open()
        yield store
        await store.aclose()


async def test_a_conversation_is_begun_once() -> None:
    """Another one of its id is refused, and the first stays as it was."""
    clock, store = StandingClock(), MemoryStore()
    record = make_record(clock, "first")
    await store.add_conversation(record)

    with pytest.raises(StoreError, match="there is a conversation"):
        await store.add_conversation(attrs.evolve(record, title="second"))
    assert "first" == (await store.get_conversation(OWNER, record.id)).title


async def test_a_tree_that_is_broken_is_told() -> None:
    """A message behind nothing, a branch that ends nowhere and an attempt for no message are each named."""
    clock = StandingClock()
    store = MemoryStore(clock)
    talk = await Talk.begin(store, clock)
    attempt = await talk.ask("one")
    await talk.answer(attempt, Text("ONE"))
    await talk.fork("other", at=attempt.message_id)
    del store._owners[OWNER][talk.id].messages[attempt.message_id]

    problems = (await store.verify()).problems
    assert ["tree", "tree", "references"] == [problem.kind for problem in problems]
    assert {(OWNER, talk.id)} == {(problem.owner, problem.conversation_id) for problem in problems}
