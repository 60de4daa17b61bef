"""What others store conversations with, side by side: appending at a length, reading the whole, forking."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from itertools import count
from pathlib import Path

import attrs

from benchmarks.appends import BRANCH, OWNER, make_message, open_seeds
from benchmarks.clients import Seed
from benchmarks.library import CLOCK
from benchmarks.peers_alone import TEXT
from benchmarks.table import Row
from benchmarks.timing import Work, compare
from tertulia import Message, Text

VARIABLE = "TERTULIA_BENCHMARK_PEERS"
"""The environment variable that names a Python in whose environment the others are installed."""

LENGTHS = (100, 1_000)
TIMES = 5


async def measure_peers(_: str, rounds: int) -> list[Row]:
    """Ours beside theirs, each after the other, in CPU; nothing where they are not installed."""
    python = os.environ.get(VARIABLE)
    if python is None:
        print("peers are left out: make bench-full installs them", file=sys.stderr)
        return []
    ours = await _measure_ours(rounds)
    theirs = await _measure_theirs(python)
    return [
        Row(_describe(work, peer), ours[work], took, "bytes" if "bytes" in work else "µs")
        for peer, works in theirs.items()
        for work, took in works.items()
    ]


def _describe(work: str, peer: str) -> str:
    verb, length = work.split()
    name = {
        "append": "append a message behind {:,} (raw: {}), CPU",
        "read": "read all of {:,} messages (raw: {}), CPU",
        "fork": "fork behind {:,} messages (raw: {}), CPU",
        "bytes": "room that a message takes behind {:,} (raw: {})",
    }[verb]
    return name.format(int(length), peer)


async def _measure_ours(rounds: int) -> Mapping[str, float]:
    seeds = {length: Seed([("user", TEXT)] * length, "whole") for length in LENGTHS}
    names = count()
    async with open_seeds([*seeds.values()]) as (store, path):
        works: dict[str, Work] = {}
        for length, seed in seeds.items():
            works |= {
                f"append {length}": lambda seed=seed: store.add_message(
                    OWNER, seed.id, BRANCH, _make_message()
                ),
                f"read {length}": lambda seed=seed: store.get_messages(OWNER, seed.id, BRANCH),
                f"fork {length}": lambda seed=seed: store.add_branch(
                    OWNER, seed.id, f"fork-{next(names)}", source=BRANCH, created_at=CLOCK.now()
                ),
            }
        spent = await compare(works, rounds=rounds, times=TIMES)
        before = _measure_file(path)
        for _ in range(1_000):
            await store.add_message(OWNER, seeds[LENGTHS[-1]].id, BRANCH, _make_message())
        grown = (_measure_file(path) - before) / 1_000
    return {name: each.cpu for name, each in spent.items()} | {f"bytes {each}": grown for each in LENGTHS}


def _make_message() -> Message:
    return attrs.evolve(make_message(), parts=(Text(TEXT),))


def _measure_file(path: Path) -> int:
    """Pages by their number: the file itself grows when the log is copied into it."""
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("PRAGMA page_count").fetchone()[0]) * 4096


async def _measure_theirs(python: str) -> Mapping[str, Mapping[str, float]]:
    script = Path(__file__).with_name("peers_alone.py")
    process = await asyncio.create_subprocess_exec(
        python, script, *map(str, LENGTHS), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    found: Mapping[str, Mapping[str, float]] = json.loads(output)
    return found
