"""The faults that were ordered and not yet delivered."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from math import inf
from threading import Lock

OPTIONS = {"slow": ("seconds",), "cut_stream": ("after", "seconds", "reset"), "stall": ("after", "seconds")}
"""The faults that spoil a good answer on its way, and what can be said about each."""

SHORT = 0.05
"""Seconds: what a slow answer takes for each event, and what a reset leaves the text to arrive."""


@dataclass
class Fault:
    """
    A fault to answer with.

    Attributes:
        kind: The name under which each service's ``faults`` knows how to answer, or one of ``OPTIONS``.
        times: How many requests it still takes; None is all of them, until healed.
        retry_after: The seconds after which the service says to try again, where it says so at all.
        after: The pieces of content that still arrive.
        seconds: How long it holds the answer back; None is the fault's own time.
        reset: Whether the connection is torn down rather than closed.
    """

    kind: str
    times: int | None = 1
    retry_after: float = 1.0
    after: int | None = None
    seconds: float | None = None
    reset: bool = False

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError(f"a fault occurs once or more, not {self.times} times; to end one, call heal()")
        said = {"after": self.after is not None, "seconds": self.seconds is not None, "reset": self.reset}
        for name in (name for name, is_said in said.items() if is_said):
            if name not in OPTIONS.get(self.kind, ()):
                raise ValueError(f"the fault {self.kind!r} takes no {name!r}")
        for name, value in (("after", self.after), ("seconds", self.seconds)):
            if value is not None and not 0 <= value < inf:
                raise ValueError(f"{name!r} is a number from 0 on, not {value}")


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
