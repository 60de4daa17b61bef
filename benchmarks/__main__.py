"""
Measure everything and print the table: ``python -m benchmarks``.

With words behind it, only what has one of them in its name: ``python -m benchmarks estimator``. With
``--full``, libraries of a million messages and a million conversations instead of small ones: they are made
once, in a folder that TERTULIA_BENCHMARK_DATA names.
"""

from __future__ import annotations

import asyncio
import sys

from benchmarks.peer import running_peer
from benchmarks.sizes import FULL, SHORT, choose
from benchmarks.suite import SUITE
from benchmarks.table import Row, render_table


async def main(words: list[str]) -> None:
    rows: list[Row] = []
    with running_peer() as url:
        for benchmark, rounds in SUITE.items():
            if not words or any(word in benchmark.__name__ for word in words):
                rows += await benchmark(url, rounds)
    print(render_table(rows))


if __name__ == "__main__":
    choose(FULL if "--full" in sys.argv else SHORT)
    asyncio.run(main([argument for argument in sys.argv[1:] if argument != "--full"]))
