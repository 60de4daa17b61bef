"""The faults that were ordered and not yet delivered."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from threading import Lock


@dataclass
class Fault:
    """
    A fault to answer with.

    Attributes:
        kind: The name under which each service's ``faults`` knows how to answer.
        times: How many requests it still takes; None is all of them, until healed.
        retry_after: The seconds after which the service says to try again, where it says so at all.
    """

    kind: str
    times: int | None = 1
    retry_after: float = 1.0


class Faults:
    """The faults of every service in the order they were ordered; safe to use from any thread."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._lock = Lock()

    def add(self, service: str, fault: Fault) -> None:
        """Let a fault follow those already waiting."""
        with self._lock:
            self._waiting[service].append(fault)

    def remove(self, service: str) -> None:
        """Forget every fault of a service."""
        with self._lock:
            self._waiting[service].clear()

    def take(self, service: str) -> Fault | None:
        """The fault for one request, or None if the service is well."""
        with self._lock:
            waiting = self._waiting[service]
            if not waiting:
                return None
            fault = waiting[0]
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    waiting.popleft()
            return fault
