"""How long an attempt waits for its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tertulia.domain.options import Timeouts


class Watchdog:
    """
    The timers of one attempt: one callback on the loop, armed only while waiting for the socket.

    It never stands around a ``yield``: when a timer runs out it calls ``on_timeout``, which cancels the call
    or closes the connection, and whoever wakes up finds ``expired`` set. Time in which the caller holds on
    to a delta is nobody's stall and is not counted, except for the deadline.

    Attributes:
        expired: The name of the timer that ran out; None while none has.
    """

    def __init__(self, timeouts: Timeouts, deadline: float | None, *, now: Callable[[], float]) -> None:
        self.expired: str | None = None
        self.on_timeout: Callable[[], object] | None = None
        self._timeouts = timeouts
        self._now = now
        self._deadline = now() + timeouts.total if deadline is None else deadline
        self._timer = "first_content"
        self._first_allowance = timeouts.total if timeouts.first_content is None else timeouts.first_content
        self._allowance = self._first_allowance
        self._armed_at = 0.0
        self._until: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def arm(self) -> None:
        """Waiting begins."""
        self._armed_at = self._now()
        self._until = self.patience
        if self._handle is None or self._handle.when() > self._until:
            self._schedule(self._until)

    def disarm(self) -> None:
        """Waiting is over."""
        self._until = None
        self._allowance -= self._now() - self._armed_at

    def content(self) -> None:
        """Content arrived: from here on the idle timer counts."""
        self._timer = "idle"
        self._allowance = self._timeouts.idle

    def start_over(self) -> None:
        """The first timer has its whole time again."""
        self._allowance = self._first_allowance

    def wait_on(self) -> None:
        """Something came: of the waiting that is under way, only the deadline makes an end."""
        if self._until is not None:
            self._until = self._deadline

    @property
    def patience(self) -> float:
        """The moment until which something may come."""
        return min(self._deadline, self._now() + self._allowance)

    def name_of(self, moment: float) -> str:
        """Which timer a moment belongs to."""
        return "total" if moment >= self._deadline else self._timer

    def cancel(self) -> None:
        """End all timers."""
        self._until = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _schedule(self, moment: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = asyncio.get_running_loop().call_at(moment, self._ring)

    def _ring(self) -> None:
        self._handle = None
        if self._until is None:
            return
        if self._now() < self._until:
            self._schedule(self._until)
            return
        # Where the loop was blocked, what came meanwhile is in this very turn: its reader has it in the next.
        asyncio.get_running_loop().call_soon(self._expire, self._until)

    def _expire(self, until: float) -> None:
        if self._until != until:
            return
        self.expired = self.name_of(until)
        if self.on_timeout is not None:
            self.on_timeout()
