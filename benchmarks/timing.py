"""
Comparing by turns.

The machine may be busy with other things, so contenders take turns in many short rounds. CPU time is the
least of the rounds, because what disturbs it only ever adds; wall time is their median.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import attrs

Work = Callable[[], Awaitable[object]]


@attrs.frozen
class Spent:
    """
    What one run of a contender's work takes, in microseconds.

    Attributes:
        cpu: Of the process, all its threads together.

        loop: CPU of the event loop's thread alone: what other tasks of the process wait for.
    """

    cpu: float
    loop: float
    wall: float


async def compare(works: Mapping[str, Work], *, rounds: int, times: int) -> dict[str, Spent]:
    """
    Let contenders work by turns.

    Args:
        works: What each does once.
        rounds: How many turns each has.
        times: How often it works in a turn.
    """
    turns: dict[str, list[Spent]] = {name: [] for name in works}
    gc.collect()
    gc.freeze()  # what is prepared for the contenders is not theirs to look through
    for number in range(rounds):
        # The order changes, so that nobody always comes after the same one.
        for name in sorted(works, reverse=number % 2 == 1):
            turns[name].append(await _take_turn(works[name], times))
    gc.unfreeze()
    return {
        name: Spent(
            cpu=min(each.cpu for each in spent),
            loop=min(each.loop for each in spent),
            wall=statistics.median(each.wall for each in spent),
        )
        for name, spent in turns.items()
    }


async def _take_turn(work: Work, times: int) -> Spent:
    gc.collect()
    before = _read_clocks()
    for _ in range(times):
        await work()
    return Spent(*((end - start) / times * 1e6 for start, end in zip(before, _read_clocks(), strict=True)))


def _read_clocks() -> tuple[float, float, float]:
    return time.process_time(), time.thread_time(), time.perf_counter()


@attrs.frozen
class Quantiles:
    """What half of many different runs take at most, and 99 of 100, in microseconds of CPU."""

    half: float
    most: float


async def sample(works: Sequence[Work]) -> Quantiles:
    """Let each work once: CPU of the process, since a clock on a busy machine also tells of the others."""
    gc.collect()
    spent: list[float] = []
    for work in works:
        before = time.process_time()
        await work()
        spent.append((time.process_time() - before) * 1e6)
    spent.sort()
    return Quantiles(spent[len(spent) // 2], spent[len(spent) * 99 // 100])
