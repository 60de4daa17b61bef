"""Time and ids, in one place, so that a test can hold them still."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    """Where the time and new ids come from."""

    def now(self) -> datetime:
        """The time of day, in UTC; may jump, so it is information and never order."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow: what durations are measured with."""
        ...

    def new_id(self) -> UUID:
        """A new UUIDv7; later ones of a process sort after earlier ones."""
        ...


class SystemClock:
    """The machine's own time."""

    def __init__(self) -> None:
        self._last_tick = 0

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds on the monotonic clock."""
        return time.monotonic()

    def new_id(self) -> UUID:
        """A new UUIDv7."""
        # 48 bits of milliseconds and 12 of their fraction, which is what RFC 9562 suggests for order
        # within a millisecond; a tick is never used twice, so ids of one process are strictly ordered.
        tick = max(time.time_ns() * 4096 // 1_000_000, self._last_tick + 1)
        self._last_tick = tick
        return make_uuid7(tick, int.from_bytes(os.urandom(8), "big"))


def make_uuid7(tick: int, random_bits: int) -> UUID:
    """
    Build a UUIDv7.

    Args:
        tick: The time in 1/4096 milliseconds since 1970.
        random_bits: Of which 62 are used.
    """
    milliseconds, fraction = divmod(tick, 4096)
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= 0x7000 << 64 | fraction << 64
    value |= 0b10 << 62 | random_bits & (1 << 62) - 1
    return UUID(int=value)
