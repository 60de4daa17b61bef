"""How many calls a provider gets at a time: a queue before it, first come, first served."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Callable

import attrs

from tertulia.domain.limits import Limits, RateLimits
from tertulia.errors import QueueFullError

WINDOW_SECONDS = 60.0
LONGEST_PAUSE = 60.0
_SHORTEST_TIMER = 0.001  # a clock that lags behind the loop's would be asked again and again


# Compared by identity: two calls may begin at the same moment.
@attrs.define(eq=False)
class _Call:
    """A call that was let in within the last minute."""

    began_at: float
    tokens: int


@attrs.frozen
class _Waiter:
    tokens: int
    arrived_at: float


@attrs.define(eq=False)
class Guard:
    """
    What stands before one provider. Who waits is let in by whoever makes room; nobody polls.

    Attributes:
        limits: How much the provider may be asked.

        in_flight: Calls that were let in and have not left.
    """

    limits: Limits
    _now: Callable[[], float]
    in_flight: int = attrs.field(default=0, init=False)
    _queue: OrderedDict[asyncio.Future[_Call | None], _Waiter] = attrs.field(
        factory=OrderedDict[asyncio.Future[_Call | None], _Waiter], init=False
    )
    _calls: deque[_Call] = attrs.field(factory=deque[_Call], init=False)
    _tokens: int = attrs.field(default=0, init=False)
    _paused_until: float = attrs.field(default=-math.inf, init=False)
    _timer: asyncio.TimerHandle | None = attrs.field(default=None, init=False)

    @property
    def queued(self) -> int:
        """Calls that wait for their place."""
        return len(self._queue)

    @property
    def position(self) -> int:
        """How many calls a newcomer lets go first; 0 where only time has to pass."""
        return self.queued + self._is_full()

    def try_enter(self, tokens: int) -> bool:
        """Let a call in at once, if there is a place and nobody waits for it."""
        if self._queue or self._is_full() or self._find_wait(tokens):
            return False
        self._enter(tokens)
        return True

    async def wait(self, tokens: int) -> None:
        """
        Wait for a place behind those who wait already, and take it.

        Args:
            tokens: What the call sends, as it is estimated. More than a minute's worth goes when nothing
                else was sent within the last minute.

        Raises:
            QueueFullError: No place became free in time, or none can; the provider is for the caller to name.
        """
        if self.try_enter(tokens):
            return
        self._refuse_hopeless(tokens)
        place = asyncio.get_running_loop().create_future()
        arrived_at = self._now()
        self._queue[place] = _Waiter(tokens, arrived_at)
        if self.queued == 1:
            self._set_timer()
        try:
            call = await place
        except asyncio.CancelledError:
            self._withdraw(place)
            raise
        if call is None:
            raise self._refuse(self._now() - arrived_at)

    def estimate_wait(self, tokens: int) -> float | None:
        """Say how many seconds a newcomer waits at least; None where calls must end first."""
        wait = self._find_wait(tokens)
        return None if self._is_full() or (self._queue and not wait) else wait

    def leave(self) -> None:
        """A call that was let in is over."""
        self.in_flight -= 1
        if self._queue:
            self._advance()

    def learn(self, rate_limits: RateLimits) -> None:
        """Let nobody in before the service takes calls again, if it says that nothing is left."""
        for left, reset in (
            (rate_limits.requests, rate_limits.requests_reset),
            (rate_limits.tokens, rate_limits.tokens_reset),
        ):
            if left is not None and left <= 0 and reset is not None and reset > 0:
                self._paused_until = max(self._paused_until, self._now() + min(reset, LONGEST_PAUSE))
        self._advance()

    def resume(self) -> None:
        """Forget what the service said."""
        self._paused_until = -math.inf
        self._advance()

    def _is_full(self) -> bool:
        return self.limits.concurrent is not None and self.in_flight >= self.limits.concurrent

    def _find_wait(self, tokens: int) -> float:
        """How many seconds must pass before such a call may go, whoever else is under way; 0 for none."""
        if not self._calls and self._paused_until == -math.inf:
            return 0.0  # as wherever nothing is limited by the minute
        now = self._now()
        # As below, to the last digit: what is over must be the same moment to both.
        while self._calls and self._calls[0].began_at + WINDOW_SECONDS <= now:
            self._tokens -= self._calls.popleft().tokens
        ready_at = max(self._paused_until, self._requests_ready_at(), self._tokens_ready_at(tokens))
        return max(0.0, ready_at - now)

    def _requests_ready_at(self) -> float:
        most = self.limits.requests_per_minute
        if most is None or len(self._calls) < most:
            return -math.inf
        return self._calls[0].began_at + WINDOW_SECONDS

    def _tokens_ready_at(self, tokens: int) -> float:
        most = self.limits.tokens_per_minute
        ready_at = -math.inf
        if most is None:
            return ready_at
        too_many = self._tokens + tokens - most
        for call in self._calls:
            if too_many <= 0:
                break
            too_many -= call.tokens
            ready_at = call.began_at + WINDOW_SECONDS
        return ready_at

    def _enter(self, tokens: int) -> _Call:
        call = _Call(self._now(), tokens)
        self.in_flight += 1
        if self.limits.requests_per_minute is not None or self.limits.tokens_per_minute is not None:
            self._calls.append(call)
            self._tokens += tokens
        return call

    def _advance(self) -> None:
        """Let in everybody who may go now, and turn away who has waited too long."""
        while self._queue:
            place, waiter = next(iter(self._queue.items()))
            if place.cancelled():
                pass  # its task has not come round to saying so
            elif not self._is_full() and not self._find_wait(waiter.tokens):
                place.set_result(self._enter(waiter.tokens))
            elif self._now() - waiter.arrived_at >= self._longest_wait():
                place.set_result(None)
            else:
                break
            del self._queue[place]
        self._set_timer()

    def _set_timer(self) -> None:
        """Come back when time alone lets in the first of the queue, or turns it away."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._queue:
            return
        place, waiter = next(iter(self._queue.items()))
        ready_in = math.inf if self._is_full() else self._find_wait(waiter.tokens)
        # All wait equally long at most, so nobody behind the first is turned away before it.
        delay = min(ready_in, waiter.arrived_at + self._longest_wait() - self._now())
        if delay < math.inf:
            self._timer = place.get_loop().call_later(max(delay, _SHORTEST_TIMER), self._advance)

    def _withdraw(self, place: asyncio.Future[_Call | None]) -> None:
        """Leave the queue; a place that was just given goes to the next one, as if nobody had had it."""
        self._queue.pop(place, None)
        call = None if place.cancelled() or not place.done() else place.result()
        if call is not None:
            self.in_flight -= 1
            if call in self._calls:
                self._calls.remove(call)
                self._tokens -= call.tokens
        self._advance()

    def _longest_wait(self) -> float:
        return math.inf if self.limits.max_wait is None else self.limits.max_wait

    def _refuse_hopeless(self, tokens: int) -> None:
        """Refuse at once what could not go in time."""
        longest = self._longest_wait()
        wait = self._find_wait(tokens)
        if wait > longest or not longest:
            raise self._refuse(0.0, wait or None)

    def _refuse(self, queued_seconds: float, retry_after: float | None = None) -> QueueFullError:
        when = "" if retry_after is None else f", the next one in {retry_after:.1f} s"
        return QueueFullError(
            f"no place became free within {self._longest_wait():g} s{when}; of this client's calls "
            f"{self.in_flight} are under way, and {self.queued} more wait",
            queued_seconds=queued_seconds,
            retry_after=retry_after,
            next_step="try again later, or raise max_wait or the limits of the provider",
        )
