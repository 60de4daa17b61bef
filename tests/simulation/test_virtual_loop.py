"""The loop that the simulated worlds run on."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .virtual_loop import LoopClock, StandstillError, VirtualLoop


def run(main, **settings):
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(**settings)) as runner:
        return runner.run(main())


def test_an_hour_passes_at_once_and_in_order():
    """Sleepers wake in the order of their moments, each at its moment, without anybody waiting for it."""
    woken = []

    async def sleep(seconds):
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
        woken.append((seconds, round(asyncio.get_running_loop().time() - began, 6)))

    async def main():
        await asyncio.gather(sleep(3600), sleep(0.5), sleep(60))

    began = time.monotonic()
    run(main)

    assert [(0.5, 0.5), (60, 60), (3600, 3600)] == woken
    assert time.monotonic() - began < 5


def test_time_stands_still_while_a_thread_works():
    """A timeout of a microsecond does not run out while a thread works for a hundredth of a second."""

    async def main():
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        began = loop.time()
        with loop.real_work(), ThreadPoolExecutor() as threads:
            async with asyncio.timeout(1e-6):
                await loop.run_in_executor(threads, time.sleep, 0.01)
        return loop.time() - began

    assert 0.0 == run(main)


def test_waiting_for_nothing_is_an_error_and_no_hang():
    """Where no timer is set and nothing is under way, the loop says so."""

    async def main():
        await asyncio.Event().wait()

    with pytest.raises(StandstillError, match="nobody for a moment"):
        run(main)


def test_going_on_for_ever_is_an_error_and_no_hang():
    """Past its end the loop stops."""

    async def main():
        for _ in range(1_000_000):
            await asyncio.sleep(10)

    with pytest.raises(StandstillError, match="past 2000"):
        run(main, end=2000)


async def test_the_clock_goes_by_the_loop_except_where_the_time_of_day_is_wrong():
    """The time of day may jump back; what is measured, and ids, only grow."""
    clock = LoopClock(asyncio.get_running_loop())
    before = clock.now(), clock.monotonic(), clock.new_id()

    clock.offset = -3600

    assert clock.now() < before[0]
    assert clock.monotonic() >= before[1]
    assert clock.new_id() > before[2]
