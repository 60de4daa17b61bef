"""A clock that moves only when told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from tertulia.runtime.clock import make_uuid7


class StandingClock:
    """
    Time as a test wants it, and ids that count up.

    Example:
        >>> clock = StandingClock()
        >>> clock.advance(90)
        >>> clock.now().isoformat()
        '2026-11-22T12:01:30+00:00'
    """

    def __init__(self, now: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)) -> None:
        self._now = now
        self._elapsed = 0.0
        self._ids = 0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)
        self._elapsed += seconds

    def now(self) -> datetime:
        """The time of day."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    def new_id(self) -> UUID:
        """The next id: a UUIDv7 of the current moment."""
        self._ids += 1
        milliseconds = int(self._now.timestamp() * 1000)
        return make_uuid7(milliseconds * 4096, self._ids)
