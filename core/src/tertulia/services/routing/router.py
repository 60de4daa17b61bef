"""
How one send finds its answer: whom it asks, whom it asks again, and after which time.

Nothing here waits or speaks to anybody: a decision is a value, and the send carries it out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeAlias

import attrs

from tertulia.domain.exchange import Target
from tertulia.domain.routing import Routing
from tertulia.errors import ContextLengthError, ErrorKind, QueueFullError, TertuliaError
from tertulia.runtime.plugins import Plugins
from tertulia.services.routing.backoff import find_wait
from tertulia.services.routing.policy import Retry, find_policy, targets_after

LONGEST_WAIT = 60.0
"""Seconds that a send waits for a provider which says when to come again, where nobody else is left."""

SHORTEST_DETOUR = 1.0
"""Seconds: who asks for no more than this is waited for, even where somebody else could be asked."""


class Conditions(Protocol):
    """What a route has to know of how providers are doing; see :class:`Health`."""

    def may_ask(self, target: Target) -> bool:
        """Whether it is not passed over."""
        ...

    def reopens_in(self, target: Target) -> float | None:
        """Seconds until it may be asked."""
        ...

    def was_failing(self, target: Target) -> bool:
        """Whether it has failed since it last answered."""
        ...

    def claim(self, target: Target) -> None:
        """It is about to be asked: where it is tried with one call, this is the one."""
        ...

    def take_retry(self, target: Target, kind: ErrorKind) -> bool:
        """Whether its provider's allowance holds one more retry, which is then taken."""
        ...


@attrs.frozen
class Again:
    """The same target is asked again, after so many seconds."""

    wait_seconds: float


@attrs.frozen
class Others:
    """These targets are left, to be asked in this order."""

    targets: Sequence[Target]


Decision: TypeAlias = Again | Others | None
"""What comes after a failure; None when nothing does."""


class Route:
    """
    The way of one answer through its targets.

    Args:
        routing: What the caller decides, or the configuration, or nobody: it says everything.
        health: How the providers are doing.
        plugins: The providers.
        draw: A random number from 0 to 1.

    Attributes:
        attempts: Calls made so far.
    """

    def __init__(
        self, routing: Routing, health: Conditions, plugins: Plugins, draw: Callable[[], float]
    ) -> None:
        self.routing = routing
        self.attempts = 0
        self._health = health
        self._plugins = plugins
        self._draw = draw
        # Made for each send, which takes five times as long with a Counter.
        self._retries = defaultdict[Target, int](int)
        self._kinds = defaultdict[tuple[Target, ErrorKind], int](int)
        self._was_failing: dict[Target, bool] = {}

    def begin(self, target: Target) -> None:
        """A call is about to be made."""
        self.attempts += 1
        # What it fails at from now on is this send's own trouble, and no reason not to try again.
        self._was_failing.setdefault(target, self._health.was_failing(target))

    def line_up(self, targets: Sequence[Target]) -> Sequence[Target]:
        """
        Put those that are passed over for now behind the others, who reopens first going first.

        They are the last resort, and when nobody else is there the first one of them is asked all the same.
        """
        if len(targets) == 1:
            return targets
        ready = [target for target in targets if self._health.may_ask(target)]
        closed = [target for target in targets if target not in ready]
        return [*ready, *sorted(closed, key=lambda target: self._health.reopens_in(target) or 0.0)]

    def decide(
        self,
        error: TertuliaError,
        failed: Target,
        others: Sequence[Target],
        time_left: float,
        *,
        prefers_others: bool = False,
    ) -> Decision:
        """
        Say what comes after a failure.

        Args:
            error: What happened.
            failed: To whom.
            others: Whom this send has not asked yet, in order.
            time_left: Seconds until its deadline.
            prefers_others: Whether the same target is asked again only where nobody else is left.
        """
        if time_left <= 0 or self.attempts >= _known(self.routing.max_attempts):
            return None
        on_demand: Collection[ErrorKind] = self.routing.fall_back_on or ()
        left = self.line_up(targets_after(error, failed, others, self._plugins, on_demand))
        has_other = any(map(self._health.may_ask, left))
        is_last = not (prefers_others and has_other)
        wait = self._find_retry(error, failed, has_other=has_other, time_left=time_left) if is_last else None
        if wait is not None:
            self._retries[failed] += 1
            self._kinds[failed, error.kind] += 1
            return Again(wait)
        if not left:
            return None
        self._health.claim(left[0])
        return Others(left)

    def _find_retry(
        self, error: TertuliaError, failed: Target, *, has_other: bool, time_left: float
    ) -> float | None:
        """After which time the same target is asked again; None where it is not."""
        # What is too long is asked again with less of the history, so it is not the same call.
        is_cut = isinstance(error, ContextLengthError)
        if not (error.retryable or is_cut) or isinstance(error, QueueFullError):
            return None
        allowed = {Retry.NO: 0, Retry.ONCE: 1}.get(find_policy(error).retry, LIMIT)
        done = self._retries[failed]
        if done >= _known(self.routing.max_retries) or self._kinds[failed, error.kind] >= allowed:
            return None
        if is_cut:
            return 0.0
        if has_other and not self._is_worth_it(error, failed):
            return None
        hint = error.retry_after
        wait = find_wait(done, hint, self._draw)
        if (wait if hint is None else hint) > (SHORTEST_DETOUR if has_other else LONGEST_WAIT):
            return None
        if wait >= time_left or not self._health.take_retry(failed, error.kind):
            return None
        return wait

    def _is_worth_it(self, error: TertuliaError, failed: Target) -> bool:
        """
        Whether to ask again although somebody else could be asked.

        Not whoever has been failing before this send; not after a timeout, which has cost time enough; and
        not after a rate limit that does not say how long it lasts.
        """
        if self._was_failing.get(failed) or error.kind is ErrorKind.TIMEOUT:
            return False
        return error.kind is not ErrorKind.RATE_LIMITED or error.retry_after is not None


LIMIT = 1_000_000  # as many as the routing allows


def _known(number: int | None) -> int:
    assert number is not None  # noqa: S101  # the usual routing has one
    return number
