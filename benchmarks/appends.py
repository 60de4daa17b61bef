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
from benchmarks.sizes import chosen
from benchmarks.table import Goal, Row
from benchmarks.timing import Work, compare
from tertulia import Message
from tertulia.builtin.sql.store import SQLStore
from tertulia.runtime.clock import SystemClock

TASKS = 64
APPENDS = 16
TIMES = 4
NEWEST = 50
SHORT = 100
SHALLOW = 10

_CLOCK = SystemClock()
_RAW_NUMBERS = count(10_000_000, 1_000)


async def measure_appends(_: str, rounds: int) -> list[Row]:
    """64 tasks with a conversation each, or all with the same, and one task, against ``executemany``."""
    ours, theirs = ([Seed(make_turns(1), "whole") for _ in range(TASKS + 2)] for _ in range(2))
    async with open_seeds(ours) as (store, _), open_seeds(theirs) as (_, path):
        with open_plain(path) as plain:
            times = rounds * APPENDS
            messages = [make_message() for _ in range(times * (2 * TASKS + 1))]
            many = _make_batches(theirs[2:], times)
            same = _make_batches([theirs[1]] * TASKS, times, deepens_by=TASKS)
            one = _make_batches(theirs[:1], times)
            works: dict[str, Work] = {
                "many, ours": lambda: _append_in_tasks(store, ours[2:], messages),
                "many, raw": lambda: plain.append([next(many) for _ in range(APPENDS)]),
                "same, ours": lambda: _append_in_tasks(store, [ours[1]] * TASKS, messages),
                "same, raw": lambda: plain.append([next(same) for _ in range(APPENDS)]),
                "one, ours": lambda: _append(store, ours[0], messages),
                "one, raw": lambda: plain.append([next(one) for _ in range(APPENDS)]),
            }
            spent = await compare(works, rounds=rounds, times=1)
    wall = {name: each.wall / APPENDS for name, each in spent.items()}
    cpu = {name: each.cpu / APPENDS / TASKS for name, each in spent.items()}
    fast = (Goal(0.7, at_least=True),)
    return [
        Row(
            f"append, {TASKS} tasks (raw: executemany)",
            *(TASKS * 1e6 / wall[name] for name in ("many, ours", "many, raw")),
            "appends/s",
            fast,
        ),
        Row(f"append, {TASKS} tasks, CPU", cpu["many, ours"], cpu["many, raw"], "µs", (Goal(1 / 0.7),)),
        Row(
            f"append, {TASKS} tasks, one conversation",
            *(TASKS * 1e6 / wall[name] for name in ("same, ours", "same, raw")),
            "appends/s",
            fast,
        ),
        Row("append, one task, wall", wall["one, ours"], wall["one, raw"], "µs", (Goal(3),)),
    ]


async def measure_paths(_: str, rounds: int) -> list[Row]:
    """What is appended to a branch, read of it, and forked from it, does not depend on what is above."""
    deep = chosen().deep
    long = deep // 10
    seeds = {length: Seed(make_turns(length), "whole") for length in (SHALLOW, SHORT, long, deep)}
    names = count()
    messages = [make_message() for _ in range(2 * rounds * TIMES)]
    async with open_seeds([*seeds.values()]) as (store, path):
        with open_plain(path) as plain:
            works: dict[str, Work] = {
                "raw": lambda: plain.read_newest(seeds[long], NEWEST),
                "raw values": lambda: plain.read_newest_values(seeds[long], NEWEST),
                "whole": lambda: store.get_messages(OWNER, seeds[long].id, BRANCH),
                "whole, raw": lambda: plain.read_newest(seeds[long], long),
                "whole, raw values": lambda: plain.read_newest_values(seeds[long], long),
                "fork, deep": lambda: _fork(store, seeds[long], next(names)),
                "fork, shallow": lambda: _fork(store, seeds[SHALLOW], next(names)),
            }
            for length in (SHORT, long, deep):
                works[f"read {length}"] = _make_reading(store, seeds[length])
            spent = await compare(works, rounds=rounds, times=TIMES)
            works = {str(length): _make_append(store, seeds[length], messages) for length in (SHORT, deep)}
            appended = await compare(works, rounds=rounds, times=TIMES)
    cpu = {name: each.cpu for name, each in spent.items()}
    flat = (Goal(1.3),)
    return [
        Row(
            f"append at depth {deep:,} (raw: at depth {SHORT}), CPU",
            appended[str(deep)].cpu,
            appended[str(SHORT)].cpu,
            "µs",
            flat,
        ),
        Row(
            f"newest {NEWEST} of {long:,} messages, CPU",
            cpu[f"read {long}"],
            cpu["raw"],
            "µs",
            (Goal(2.5),),
        ),
        Row(
            f"newest {NEWEST} of {long:,} messages (raw: with values), CPU",
            cpu[f"read {long}"],
            cpu["raw values"],
            "µs",
        ),
        *(
            Row(
                f"newest {NEWEST} of {length:,} (raw: of {SHORT}), CPU",
                cpu[f"read {length}"],
                cpu[f"read {SHORT}"],
                "µs",
                flat,
            )
            for length in (long, deep)
        ),
        Row(f"all of {long:,} messages, CPU", cpu["whole"], cpu["whole, raw"], "µs", (Goal(3),)),
        Row(
            f"all of {long:,} messages (raw: with values), CPU",
            cpu["whole"],
            cpu["whole, raw values"],
            "µs",
        ),
        Row(
            f"fork at depth {long:,} (raw: at depth {SHALLOW}), CPU",
            cpu["fork, deep"],
            cpu["fork, shallow"],
            "µs",
            (Goal(3),),
        ),
    ]


@asynccontextmanager
async def open_seeds(seeds: Sequence[Seed]) -> AsyncIterator[tuple[SQLStore, Path]]:
    """A new store with some conversations."""
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


def _make_append(store: SQLStore, seed: Seed, messages: list[Message]) -> Work:
    return lambda: store.add_message(OWNER, seed.id, BRANCH, messages.pop())


def _make_reading(store: SQLStore, seed: Seed) -> Work:
    return lambda: store.get_messages(OWNER, seed.id, BRANCH, limit=NEWEST)


async def _fork(store: SQLStore, seed: Seed, number: int) -> None:
    await store.add_branch(OWNER, seed.id, f"fork-{number}", source=BRANCH, created_at=_CLOCK.now())


def make_message() -> Message:
    """A question that is not stored yet."""
    return attrs.evolve(Message.of("user", raw.QUESTION), id=_CLOCK.new_id(), created_at=_CLOCK.now())


def _make_batches(seeds: Sequence[Seed], times: int, deepens_by: int = 1) -> Iterator[Batch]:
    return iter(
        [
            make_batch(
                seeds,
                1 + turn * deepens_by,
                [_CLOCK.new_id() for _ in seeds],
                raw.QUESTION,
                next(_RAW_NUMBERS),
            )
            for turn in range(times)
        ]
    )
