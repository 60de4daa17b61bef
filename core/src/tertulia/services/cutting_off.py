"""An end to waiting for whoever keeps to no deadline."""

from __future__ import annotations

import asyncio

GRACE = 0.25
"""Seconds after the deadline: drivers end by themselves at it, and know better what they were waiting for."""


_AGAIN = 0.05
_MOST = 5


class CutOff:
    """
    Ends the wait for a driver, or a plugin around it, that has not ended at the deadline.

    One timer for each attempt, which does something only while somebody waits: between two pieces of an
    answer the caller's own code runs, and that is never cancelled.

    Args:
        moment: On the event loop's clock.
    """

    def __init__(self, moment: float) -> None:
        self._count = 0  # how often it has cancelled the task
        self._is_due = False
        self._task: asyncio.Task[object] | None = None
        self._before = 0
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_at(moment, self._ring)

    def arm(self) -> None:
        """The current task begins to wait. It happens for each delta, so the loop is not looked up again."""
        self._task = asyncio.current_task(self._loop)
        if self._is_due:  # what is there already is taken without a wait, and nothing cuts that off
            self._timer.cancel()
            self._timer = self._loop.call_later(0, self._cut_off)

    def move(self, moment: float) -> None:
        """Let it come at another moment, which is not over yet."""
        self._timer.cancel()
        self._is_due = False
        self._timer = self._loop.call_at(moment, self._ring)

    def disarm(self) -> None:
        """It waits no longer."""
        self._task = None

    def close(self) -> None:
        """The attempt is over."""
        self._task = None
        self._timer.cancel()
        self.settle()  # whoever was cut off may have swallowed it

    def settle(self) -> bool:
        """Take the own cancellation back, and say whether it was the only one."""
        count, self._count = self._count, 0
        task = asyncio.current_task() if count else None
        if task is None:
            return False
        return min(task.uncancel() for _ in range(count)) <= self._before

    def _ring(self) -> None:
        self._is_due = True
        if self._task is not None:
            self._cut_off()

    def _cut_off(self) -> None:
        """Cancel, and again for a while: who is cancelled may wait once more while it cleans up."""
        if self._task is None or self._count == _MOST:
            return
        if self._count == 0:
            self._before = self._task.cancelling()
        self._count += 1
        self._task.cancel()
        self._timer = self._loop.call_later(_AGAIN, self._cut_off)
