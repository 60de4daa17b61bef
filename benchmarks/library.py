"""Large libraries of conversations, made once and opened often."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from benchmarks import library_data
from benchmarks.library_data import OWNER, TARGETS
from benchmarks.sizes import chosen, find_folder
from tertulia import (
    Attempt,
    AttemptOutcome,
    Branch,
    ConversationRecord,
    Cost,
    CostSource,
    CostTotal,
    FinishReason,
    Message,
    Money,
    Role,
    Text,
    Usage,
)
from tertulia.builtin.sql.schema import REVISION
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.transfer import ConversationTree
from tertulia.errors import ErrorKind
from tertulia.runtime.clock import SystemClock, make_uuid7

CLOCK = SystemClock()
BRANCH = "main"
TREE_MESSAGES = 100
WORDS_OF_A_MESSAGE = 60
VOCABULARY = 20_000
_STREAM = 400_000
_BATCH = 20
_BEGUN = datetime(2025, 1, 1, tzinfo=UTC)
_SPAN_MINUTES = 2 * 365 * 24 * 60

Make = Callable[[Path], Coroutine[Any, Any, None]]


def word(rank: int) -> str:
    """A word of the vocabulary, the most common being 0."""
    return f"{'abcdefghij'[rank % 10]}{'aeiou'[rank // 10 % 5]}{rank:x}w"


@cache
def _stream() -> list[str]:
    """Words as often as in a language: each about as often as the number of more common ones is small."""
    chance = random.Random(1)  # noqa: S311  # the same for everybody
    weights = list(accumulate(1 / (rank + 2) for rank in range(VOCABULARY)))
    return chance.choices([word(rank) for rank in range(VOCABULARY)], cum_weights=weights, k=_STREAM)


def write_text(chance: random.Random, words: int = WORDS_OF_A_MESSAGE) -> str:
    """A message's words, of about 5 letters each."""
    start = chance.randrange(_STREAM - words)
    return " ".join(_stream()[start : start + words])


def rare_word(number: int) -> str:
    """A word that ten messages have, which stand in one conversation."""
    return f"rare{number // 10}"


def make_tree(number: int, chance: random.Random, messages: int = TREE_MESSAGES) -> ConversationTree:
    """A conversation with an answer to each question, every twentieth at the second attempt."""
    begun = _BEGUN + timedelta(minutes=number * 97 % _SPAN_MINUTES)
    tick = int(begun.timestamp() * 1000) * 4096
    ids = [make_uuid7(tick + place, chance.getrandbits(62)) for place in range(4 * messages + 2)]
    provider, model = TARGETS[number % 3]
    said, attempts = [], []
    for depth in range(messages):
        at = begun + timedelta(seconds=30 * depth)
        text = f"{write_text(chance)} {rare_word(number * messages + depth)}"
        parent = ids[depth - 1] if depth else None
        if depth % 2 == 0:
            said.append(
                Message(Role.USER, (Text(text),), id=ids[depth], parent_id=parent, depth=depth, created_at=at)
            )
            continue
        answer, tried = _make_answer(text, ids, messages, depth, at, provider, model, chance)
        said.append(answer)
        attempts += tried
    branch = Branch(BRANCH, provider, model, ids[-1], ids[messages - 1], messages - 1, created_at=begun)
    record = ConversationRecord(
        id=ids[-2],
        owner=OWNER,
        title=f"About {write_text(chance, 3)}",
        branch=branch,
        message_count=messages,
        cost=CostTotal(),
        created_at=begun,
        updated_at=begun + timedelta(seconds=30 * messages),
        tags=("common",) if number % 3 == 0 else (),
    )
    return ConversationTree(record, (branch,), tuple(said), tuple(attempts))


def _make_answer(
    text: str,
    ids: list[UUID],
    messages: int,
    depth: int,
    at: datetime,
    provider: str,
    model: str,
    chance: random.Random,
) -> tuple[Message, list[Attempt]]:
    usage = Usage(chance.randrange(1000, 5000), 0, 0, chance.randrange(10, 900), 0)
    cost = Cost(Money(chance.randrange(10**8, 10**11)), CostSource.COMPUTED, f"{provider}/{model}/2026")
    answer = Message(
        Role.ASSISTANT,
        (Text(text),),
        id=ids[depth],
        parent_id=ids[depth - 1],
        depth=depth,
        provider=provider,
        model=model,
        resolved_model=model,
        finish_reason=FinishReason.STOP,
        raw_finish_reason="stop",
        usage=usage,
        cost=cost,
        latency_seconds=1.5,
        created_at=at,
    )
    asked = ids[depth - 1]
    tried: list[Attempt] = []
    if depth % 40 == 1:
        failed = AttemptOutcome.FAILED
        kind = ErrorKind.OVERLOADED
        first = Attempt(ids[messages + 2 * depth], asked, 1, provider, model, at, None, failed, kind, "busy")
        tried.append(first)
    tried.append(
        Attempt(
            id=ids[messages + 2 * depth + 1],
            message_id=asked,
            number=len(tried) + 1,
            provider=provider,
            model=model,
            started_at=at,
            outcome=AttemptOutcome.SUCCEEDED,
            usage=usage,
            cost=cost,
            latency_seconds=1.5,
            branch=BRANCH,
        )
    )
    return answer, tried


def make_trees(count: int, messages: int = TREE_MESSAGES, first: int = 0) -> Iterator[ConversationTree]:
    """So many conversations, always the same."""
    chance = random.Random(first + 7)  # noqa: S311  # the same for everybody
    return (make_tree(number, chance, messages) for number in range(first, first + count))


@asynccontextmanager
async def open_library(messages: int) -> AsyncIterator[tuple[SQLStore, Path]]:
    """A store with so many messages, in conversations of 100 each, and the attempts to answer."""

    async def make(path: Path) -> None:
        store = await open_store(f"sqlite:///{path}")
        trees = list[ConversationTree]()
        for tree in make_trees(max(1, messages // TREE_MESSAGES)):
            trees.append(tree)
            if len(trees) == _BATCH:
                await store.add_trees(OWNER, trees)
                trees.clear()
        await store.add_trees(OWNER, trees)
        await store.aclose()

    async with _open(f"messages-{messages}", make) as opened:
        yield opened


@asynccontextmanager
async def open_conversations(count: int) -> AsyncIterator[tuple[SQLStore, Path]]:
    """A store with so many conversations, in which nothing was said."""

    async def make(path: Path) -> None:
        store = await open_store(f"sqlite:///{path}")
        await store.aclose()
        await asyncio.to_thread(library_data.fill, path, count)

    async with _open(f"conversations-{count}", make) as opened:
        yield opened


async def open_store(url: str) -> SQLStore:
    """A store, opened."""
    store = SQLStore(url, CLOCK)
    await store.open()
    return store


@asynccontextmanager
async def _open(name: str, make: Make) -> AsyncIterator[tuple[SQLStore, Path]]:
    with TemporaryDirectory(prefix="tertulia-benchmark-") as temporary:
        folder = find_folder() if chosen().is_kept else Path(temporary)
        path = folder / f"{name}-{REVISION}.db"
        if not path.exists():
            unfinished = path.with_suffix(f".{os.getpid()}")
            await make(unfinished)
            unfinished.replace(path)
        store = await open_store(f"sqlite:///{path}")
        try:
            yield store, path
        finally:
            await store.aclose()
