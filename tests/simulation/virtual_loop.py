"""An event loop on which minutes pass in microseconds, and the clock that goes by it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from tertulia.runtime.clock import make_uuid7

REAL_SECONDS = 30.0
"""How long work of threads may take in reality."""

_NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class StandstillError(Exception):
    """Nothing would ever happen again: everybody waits for something that has no time."""


class _Jumping(selectors.DefaultSelector):
    """Instead of waiting for a timer, moves its loop to it; work that is really under way is waited for."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if self.loop.working:
            events = super().select(0 if timeout == 0 else REAL_SECONDS)
            if timeout != 0 and not events:
                raise StandstillError(f"a thread has not finished its work after {REAL_SECONDS} s")
            return events
        if timeout != 0:
            self.loop.jump(timeout)
        return []  # nobody is there who could have sent anything


class VirtualLoop(asyncio.SelectorEventLoop):
    """
    When nobody has anything to do, it is at once the time of the next timer.

    Threads take no time on it: whoever waits for one says so with :meth:`real_work`, and time stands still
    until it has answered. A real socket would not be waited for.

    Attributes:
        working: How much work is under way in threads.

        end: The time after which something has gone wrong.
    """

    def __init__(self, end: float = 1e5) -> None:
        selector = _Jumping()
        selector.loop = self
        self._now = 1000.0
        self.working = 0
        self.end = end
        super().__init__(selector)

    def time(self) -> float:
        """Virtual seconds."""
        return self._now

    def jump(self, seconds: float | None) -> None:
        """
        Let so many seconds have passed.

        Raises:
            StandstillError: Nobody waits for any moment, or it is past the end.
        """
        if seconds is None:
            raise StandstillError(f"everybody waits, and nobody for a moment to come: {self._who_waits()}")
        self._now += seconds
        if self._now > self.end:
            raise StandstillError(f"it is past {self.end} s, and still to come are: {self._who_waits()}")

    def _who_waits(self) -> str:
        return ", ".join(_find_place(task.get_coro()) for task in asyncio.all_tasks(self))

    @contextmanager
    def real_work(self) -> Iterator[None]:
        """Let time stand still while threads are at work for whoever waits inside."""
        self.working += 1
        try:
            yield
        finally:
            self.working -= 1


class LoopClock:
    """
    The time of a loop; the time of day may jump.

    Attributes:
        offset: Seconds that the time of day is wrong by.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ids = 0
        self.offset = 0.0

    def now(self) -> datetime:
        """The time of day."""
        return _NOON + timedelta(seconds=self._loop.time() + self.offset)

    def monotonic(self) -> float:
        """The time of the loop."""
        return self._loop.time()

    def new_id(self) -> UUID:
        """The next id; ids count up whatever the time of day does."""
        self._ids += 1
        return make_uuid7(int(_NOON.timestamp() * 1000) * 4096 + self._ids, self._ids)


def _find_place(waiting: Any) -> str:
    """Where a coroutine waits, innermost first."""
    places: list[str] = []
    while waiting is not None:
        kind = next((kind for kind in ("cr", "ag", "gi") if hasattr(waiting, f"{kind}_frame")), None)
        if kind is None:
            break
        frame = getattr(waiting, f"{kind}_frame")
        if frame is not None:
            places.append(f"{waiting.__qualname__}:{frame.f_lineno}")
        waiting = getattr(waiting, f"{kind}_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return " < ".join(reversed(places))
