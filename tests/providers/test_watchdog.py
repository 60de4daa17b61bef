"""The timers of one attempt, with a clock that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tertulia import Timeouts
from tertulia.runtime.watchdog import Watchdog

TIMEOUTS = Timeouts(connect=1, first_content=10, idle=5, total=100)


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def watchdog(clock) -> Iterator[Watchdog]:
    watchdog = Watchdog(TIMEOUTS, None, now=clock)
    yield watchdog
    watchdog.cancel()


async def test_time_that_the_caller_takes_is_nobodys_stall(clock, watchdog):
    """
    Only waiting is counted: four seconds of it leave six, however long the caller thought in between.
    """
    watchdog.arm()
    clock.time = 4.0
    watchdog.disarm()
    clock.time = 50.0

    assert (56.0, "first_content") == (watchdog.patience, watchdog.name_of(watchdog.patience))


async def test_content_begins_the_idle_timer_anew(clock, watchdog):
    """
    From the first content on, each piece of it gives the next one the whole idle time.
    """
    watchdog.arm()
    clock.time = 4.0
    watchdog.disarm()
    watchdog.content()

    assert (9.0, "idle") == (watchdog.patience, watchdog.name_of(watchdog.patience))


async def test_the_deadline_counts_everything(clock, watchdog):
    """
    Nothing is waited for beyond the deadline.
    """
    clock.time = 97.0

    assert (100.0, "total") == (watchdog.patience, watchdog.name_of(watchdog.patience))


async def test_a_deadline_that_is_given_is_the_one_that_counts(clock):
    """
    A send that asks several times has one deadline for all of them.
    """
    watchdog = Watchdog(TIMEOUTS, 7.0, now=clock)

    assert (7.0, "total") == (watchdog.patience, watchdog.name_of(watchdog.patience))


async def test_what_has_begun_to_come_is_waited_for_until_the_deadline(clock):
    """
    The first byte of an answer ends the waiting for it: what rings then rings for nobody.
    """
    rung: list[str] = []
    watchdog = Watchdog(Timeouts(first_content=10, idle=5, total=30), None, now=clock)
    watchdog.on_timeout = lambda: rung.append("timeout")
    clock.time = -20.0  # its timers are set on the loop's clock, on which all of this is long over
    watchdog.arm()
    watchdog.wait_on()
    clock.time = 29.0
    await _let_it_ring()
    before = (watchdog.expired, list(rung))
    clock.time = 30.0
    await _let_it_ring()
    watchdog.cancel()

    assert ((None, []), "total", ["timeout"]) == (before, watchdog.expired, rung)


async def _let_it_ring() -> None:
    for _ in range(5):
        await asyncio.sleep(0)
