"""Measure everything and print the table: ``python -m benchmarks``."""

from __future__ import annotations

import asyncio

from benchmarks.peer import running_peer
from benchmarks.suite import SUITE
from benchmarks.table import Row, render_table


async def main() -> None:
    rows: list[Row] = []
    with running_peer() as url:
        for benchmark, rounds in SUITE.items():
            rows += await benchmark(url, rounds)
    print(render_table(rows))


if __name__ == "__main__":
    asyncio.run(main())
