"""The store by itself: appending, reading and forking, against sqlite3 on the same tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from benchmarks import raw
from benchmarks.clients import Seed
from benchmarks.driver import make_turns
from benchmarks.plain import BRANCH, OWNER, Batch, make_batch, open_plain
from benchmarks.table import Goal, Row
from benchmarks.timing import Work, compare
from tertulia import Message
from tertulia.builtin.sql.store import SQLStore
from tertulia.runtime.clock import SystemClock

TASKS = 64
APPENDS = 16
TIMES = 4
NEWEST = 50
SHORT, LONG = 100, 10_000
SHALLOW = 10

_CLOCK = SystemClock()


async def measure_appends(_: str, rounds: int) -> list[Row]:
    """64 tasks with a conversation each, and one task, against ``executemany`` of the same rows."""
    ours, theirs = ([Seed(make_turns(1), "whole") for _ in range(TASKS + 1)] for _ in range(2))
    async with _open_store(ours) as (store, _), _open_store(theirs) as (_, path):
        with open_plain(path) as plain:
            times = rounds * APPENDS
            messages = [_make_message() for _ in range(times * (TASKS + 1))]
            many, one = _make_batches(theirs[1:], times), _make_batches(theirs[:1], times)
            works: dict[str, Work] = {
                "many, ours": lambda: _append_in_tasks(store, ours[1:], messages),
                "many, raw": lambda: plain.append([next(many) for _ in range(APPENDS)]),
                "one, ours": lambda: _append(store, ours[0], messages),
                "one, raw": lambda: plain.append([next(one) for _ in range(APPENDS)]),
            }
            spent = await compare(works, rounds=rounds, times=1)
    wall = {name: each.wall / APPENDS for name, each in spent.items()}
    speed = [TASKS * 1e6 / wall[name] for name in ("many, ours", "many, raw")]
    fast = (Goal(0.7, at_least=True),)
    return [
        Row(f"append, {TASKS} tasks (raw: executemany)", *speed, "appends/s", fast),
        Row("append, one task, wall", wall["one, ours"], wall["one, raw"], "µs", (Goal(3),)),
    ]


async def measure_paths(_: str, rounds: int) -> list[Row]:
    """What is read of a branch, and forked from it, does not depend on what is above."""
    seeds = [Seed(make_turns(length), "whole") for length in (SHALLOW, SHORT, LONG)]
    shallow, short, long = seeds
    names = count()
    async with _open_store(seeds) as (store, path):
        with open_plain(path) as plain:
            works: dict[str, Work] = {
                "long": lambda: store.get_messages(OWNER, long.id, BRANCH, limit=NEWEST),
                "short": lambda: store.get_messages(OWNER, short.id, BRANCH, limit=NEWEST),
                "raw": lambda: plain.read_newest(long, NEWEST),
                "fork, deep": lambda: _fork(store, long, next(names)),
                "fork, shallow": lambda: _fork(store, shallow, next(names)),
            }
            spent = await compare(works, rounds=rounds, times=TIMES)
    read, wall = spent["long"], {name: each.wall for name, each in spent.items()}
    return [
        Row(f"newest {NEWEST} of {LONG:,} messages, wall", read.wall, wall["raw"], "µs", (Goal(2.5),)),
        Row(
            f"newest {NEWEST} of {LONG:,} (raw: of {SHORT}), wall",
            read.wall,
            wall["short"],
            "µs",
            (Goal(1.3),),
        ),
        Row(
            f"fork at depth {LONG:,} (raw: at depth {SHALLOW}), wall",
            wall["fork, deep"],
            wall["fork, shallow"],
            "µs",
            (Goal(3),),
        ),
    ]


@asynccontextmanager
async def _open_store(seeds: Sequence[Seed]) -> AsyncIterator[tuple[SQLStore, Path]]:
    with TemporaryDirectory(prefix="tertulia-benchmark-") as folder:
        path = Path(folder) / "conversations.db"
        store = SQLStore(f"sqlite:///{path}", _CLOCK)
        await store.open()
        for seed in seeds:
            await store.add_conversation(seed.record, seed.messages)
        yield store, path
        await store.aclose()


async def _append_in_tasks(store: SQLStore, seeds: Sequence[Seed], messages: list[Message]) -> None:
    await asyncio.gather(*(_append(store, seed, messages) for seed in seeds))


async def _append(store: SQLStore, seed: Seed, messages: list[Message]) -> None:
    for _ in range(APPENDS):
        await store.add_message(OWNER, seed.id, BRANCH, messages.pop())


async def _fork(store: SQLStore, seed: Seed, number: int) -> None:
    await store.add_branch(OWNER, seed.id, f"fork-{number}", source=BRANCH, created_at=_CLOCK.now())


def _make_message() -> Message:
    return attrs.evolve(Message.of("user", raw.QUESTION), id=_CLOCK.new_id(), created_at=_CLOCK.now())


def _make_batches(seeds: Sequence[Seed], times: int) -> Iterator[Batch]:
    return iter(
        [
            make_batch(seeds, depth, [_CLOCK.new_id() for _ in seeds], raw.QUESTION)
            for depth in range(1, times + 1)
        ]
    )
