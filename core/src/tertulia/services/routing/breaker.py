"""Whether a target is asked at all: a circuit breaker."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import attrs

from tertulia.domain.health import BreakerState

MOST_CONSECUTIVE = 5
WINDOW_SECONDS = 60.0
LEAST_CALLS = 10
MOST_FAILED = 0.5
OPEN_SECONDS = 30.0
MOST_OPEN_SECONDS = 300.0
SUCCESSES_TO_CLOSE = 2
CLAIM_SECONDS = 5.0
_REMEMBERED_CALLS = 1000  # of the window, so that a busy target takes no more room than this


@attrs.define(eq=False)
class Breaker:
    """
    The state of one target.

    Closed, it opens after 5 failures in a row, or when half of at least 10 calls within a minute failed. Then
    nobody passes for 30 seconds, doubled to 5 minutes each time it opens again. Half open, one call at a time
    passes; two answers close it.

    Calls that began before it opened may end at any time: an answer is welcome, a failure is old news.

    Attributes:
        failures: Since the last success.
    """

    _now: Callable[[], float]
    failures: int = attrs.field(default=0, init=False)
    _calls: deque[tuple[float, bool]] = attrs.field(factory=deque[tuple[float, bool]], init=False)
    _failed_calls: int = attrs.field(default=0, init=False)
    _open_until: float | None = attrs.field(default=None, init=False)
    _open_seconds: float = attrs.field(default=OPEN_SECONDS, init=False)
    _successes: int = attrs.field(default=0, init=False)
    _is_probed: bool = attrs.field(default=False, init=False)
    _claimed_until: float = attrs.field(default=-math.inf, init=False)
    _cool_until: float = attrs.field(default=-math.inf, init=False)

    @property
    def state(self) -> BreakerState:
        """Its state by the clock; who only cools down is closed."""
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._now() < self._open_until else BreakerState.HALF_OPEN

    @property
    def cooldown(self) -> float:
        """Seconds it is left alone because the service said so; 0 when it is not."""
        return max(0.0, self._cool_until - self._now())

    @property
    def reopens_in(self) -> float | None:
        """Seconds until it may be asked, 0 while somebody finds that out; None when it may be."""
        if self.may_pass():
            return None
        return max(0.0, self.cooldown, (self._open_until or 0.0) - self._now())

    def may_pass(self) -> bool:
        """Whether a call may begin."""
        if self.cooldown or self.state is BreakerState.OPEN:
            return False
        return self._open_until is None or not (self._is_probed or self._now() < self._claimed_until)

    def claim(self) -> None:
        """
        Keep the place of the probe for who has just been let pass, and begins in a moment.

        Much happens between the two; without it everybody who asks meanwhile would pass. A claim that comes
        to nothing ends by itself after 5 seconds.
        """
        if self._open_until is not None:
            self._claimed_until = self._now() + CLAIM_SECONDS

    def begin(self) -> None:
        """A call begins; half open, it is the probe. Whoever is asked while it is open tells nothing new."""
        if self.state is BreakerState.HALF_OPEN:
            self._claimed_until = -math.inf
            self._is_probed = True

    def succeed(self) -> None:
        """A call was answered."""
        self.failures = 0
        self._is_probed = False
        if self._open_until is None:
            self._remember(failed=False)
            return
        self._open_until = min(self._open_until, self._now())
        self._successes += 1
        if self._successes == SUCCESSES_TO_CLOSE:
            self._close()

    def fail(self) -> None:
        """A call failed in a way that may be the target's own."""
        if self._open_until is None:
            self.failures += 1
            self._remember(failed=True)
            if self._is_too_much():
                self._open(OPEN_SECONDS)
        elif self._is_probed:
            self.failures += 1
            self._open(min(2 * self._open_seconds, MOST_OPEN_SECONDS))

    def open_at_once(self, seconds: float | None = None) -> None:
        """
        A call failed in a way that the next one would, too.

        Args:
            seconds: How long nobody passes; None for as long as after other failures.
        """
        was_closed = self._open_until is None
        if not was_closed and not self._is_probed and seconds is None:
            return
        self.failures += 1
        usual = OPEN_SECONDS if was_closed else min(2 * self._open_seconds, MOST_OPEN_SECONDS)
        self._open(usual, for_seconds=seconds)

    def cool_down(self, seconds: float) -> None:
        """A call was turned away for a while, which is no failure."""
        self._is_probed = False
        self._cool_until = max(self._cool_until, self._now() + seconds)

    def abandon(self) -> None:
        """A call ended in a way that says nothing about the target."""
        self._is_probed = False

    def _open(self, usual: float, for_seconds: float | None = None) -> None:
        self._open_seconds = usual
        self._open_until = self._now() + (usual if for_seconds is None else for_seconds)
        self._successes = 0
        self._is_probed = False

    def _close(self) -> None:
        self._open_until = None
        self._successes = 0
        self._calls.clear()  # what led to its opening must not open it again
        self._failed_calls = 0

    def _remember(self, *, failed: bool) -> None:
        now = self._now()
        self._calls.append((now, failed))
        self._failed_calls += failed
        while len(self._calls) > _REMEMBERED_CALLS or self._calls[0][0] <= now - WINDOW_SECONDS:
            self._failed_calls -= self._calls.popleft()[1]

    def _is_too_much(self) -> bool:
        calls = len(self._calls)
        return self.failures >= MOST_CONSECUTIVE or (
            calls >= LEAST_CALLS and self._failed_calls >= calls * MOST_FAILED
        )
