"""The faults that were ordered and not yet delivered."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import ceil, inf
from threading import Lock

from tertulia_simulator.catalogue import FAULTS, HINTS, FaultKind

EARLY = ("reset_early",)
"""The faults that happen before the body of the request is read."""


@dataclass
class Fault:
    """
    A fault to answer with.

    Attributes:
        kind: Its name in the catalogue.
        times: How many requests it still takes; None is all of them, until healed.
        retry_after: The seconds after which the service says to try again, where it says so at all.
        after: The pieces of content that still arrive.
        seconds: How long it holds the answer back; None is the fault's own time.
        reset: Whether the connection is torn down rather than closed.
        hint: How the service says when to try again; None is in its own way.
    """

    kind: str
    times: int | None = 1
    retry_after: float = 1.0
    after: int | None = None
    seconds: float | None = None
    reset: bool = False
    hint: str | None = None

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError(f"a fault occurs once or more, not {self.times} times; to end one, call heal()")
        said = {
            "after": self.after is not None,
            "seconds": self.seconds is not None,
            "reset": self.reset,
            "hint": self.hint is not None,
        }
        for name in (name for name, is_said in said.items() if is_said):
            if name not in self.about.options:
                raise ValueError(f"the fault {self.kind!r} takes no {name!r}")
        for name, value in (("after", self.after), ("seconds", self.seconds)):
            if value is not None and not 0 <= value < inf:
                raise ValueError(f"{name!r} is a number from 0 on, not {value}")
        if self.hint is not None and self.hint not in HINTS:
            raise ValueError(f"no hint {self.hint!r}; choose one of {', '.join(HINTS)}")

    @property
    def about(self) -> FaultKind:
        """What the catalogue says of it."""
        return FAULTS[self.kind]

    @property
    def pause(self) -> float | None:
        """The seconds that it holds back, each time; None is for good."""
        return self.about.seconds if self.seconds is None else self.seconds

    @property
    def words(self) -> str:
        """When to try again, in words; empty where it is not said so."""
        return f" Please try again in {self.retry_after:g}s." if self.hint in (None, "words") else ""

    @property
    def headers(self) -> dict[str, str]:
        """When to try again, in headers, as it was ordered to be said."""
        moment = datetime.now(UTC) + timedelta(seconds=ceil(self.retry_after))
        said = {
            "seconds": {"retry-after": f"{self.retry_after:g}"},
            "date": {"retry-after": format_datetime(moment, usegmt=True)},
            "milliseconds": {"retry-after-ms": str(round(self.retry_after * 1000))},
            "negative": {"retry-after": "-1"},
            "nan": {"retry-after": "NaN"},
        }
        return said.get(self.hint or "", {})

    def is_for(self, *, is_stream: bool) -> bool:
        """Whether it can happen to a request."""
        return self.about.scope in ("both", "stream" if is_stream else "whole")


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

    def take_early(self, service: str) -> Fault | None:
        """The fault for a request whose body is not read yet, or None if it is to be read."""
        with self._lock:
            waiting = self._waiting[service]
            return self._use(service, waiting[0]) if waiting and waiting[0].kind in EARLY else None

    def take(self, service: str, *, is_stream: bool) -> Fault | None:
        """The fault for one request, or None if the service is well."""
        with self._lock:
            for fault in self._waiting[service]:
                if fault.is_for(is_stream=is_stream):
                    return self._use(service, fault)
        return None

    def _use(self, service: str, fault: Fault) -> Fault:
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._waiting[service].remove(fault)
        return fault
