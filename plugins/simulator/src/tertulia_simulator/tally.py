"""Counts that any thread and any event loop can wait for."""

from __future__ import annotations

import asyncio
from collections import Counter
from concurrent.futures import Future
from threading import Lock


class Tally:
    """
    How often something happened at each service.

    Args:
        event: What happened, for the error of whoever waited in vain: ``stalled``.
    """

    def __init__(self, event: str) -> None:
        self._event = event
        self._counts: Counter[str] = Counter()
        self._waiting: list[tuple[str, int, Future[None]]] = []
        self._lock = Lock()

    def __getitem__(self, service: str) -> int:
        return self._counts[service]

    def add(self, service: str) -> None:
        """Count it once more, and wake whoever waited for that."""
        with self._lock:
            self._counts[service] += 1
            reached = [each for each in self._waiting if self._counts[each[0]] >= each[1]]
            self._waiting = [each for each in self._waiting if each not in reached]
        for _, _, future in reached:
            # One who stopped waiting has cancelled it.
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    async def reach(self, service: str, times: int, timeout_seconds: float) -> int:
        """
        Wait until it has happened that often since the beginning; how often it has by then.

        Raises:
            TimeoutError: It has not, in all that time.
        """
        future: Future[None] = Future()
        with self._lock:
            if self._counts[service] >= times:
                return self._counts[service]
            self._waiting.append((service, times, future))
        try:
            async with asyncio.timeout(timeout_seconds):
                await asyncio.wrap_future(future)
        except TimeoutError:
            raise TimeoutError(
                f"{service} was {self._event} {self._counts[service]} times, not {times}, "
                f"after {timeout_seconds:g} s"
            ) from None
        return self._counts[service]
