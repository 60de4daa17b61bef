"""How all targets of one client have been doing, and so who may be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import attrs

from tertulia.domain.config import ProviderConfig, Secret
from tertulia.domain.conversation import Attempt, AttemptOutcome
from tertulia.domain.exchange import Target
from tertulia.domain.health import BreakerState, ProviderHealth, TargetHealth
from tertulia.errors import ErrorKind, QueueFullError, TertuliaError
from tertulia.runtime.clock import Clock
from tertulia.services.routing.allowance import RetryAllowance
from tertulia.services.routing.breaker import MOST_OPEN_SECONDS, Breaker
from tertulia.services.routing.guard import Guard
from tertulia.services.routing.policy import POLICIES, Breaking, find_policy

NEWEST_SHARE = 0.3
"""What the newest answer counts for in the latency."""

_LONGEST_REST = 24 * 3600.0  # nobody is left alone for longer, whatever a service says
_REPLAYED_SECONDS = 2 * MOST_OPEN_SECONDS


# Compared by identity: there is one for each target.
@attrs.define(eq=False)
class _Record:
    """
    What is known of one target.

    Attributes:
        told: The state of its breaker that was last returned as news.
    """

    target: Target
    breaker: Breaker
    latency_seconds: float | None = None
    last_kind: ErrorKind | None = None
    last_error: str | None = None
    last_failed_at: datetime | None = None
    told: BreakerState = BreakerState.CLOSED

    def note_failure(self, kind: ErrorKind, error: str | None, at: datetime) -> None:
        self.last_kind, self.last_error, self.last_failed_at = kind, error, at

    def note_latency(self, seconds: float | None) -> None:
        if seconds is not None:
            before = self.latency_seconds
            self.latency_seconds = seconds if before is None else before + NEWEST_SHARE * (seconds - before)

    def find_news(self, before: BreakerState) -> BreakerState | None:
        """The breaker's state where it changed with the last call, or by the clock and nobody was told."""
        state = self.breaker.state
        if state is before and state is self.told:
            return None
        self.told = state
        return state


@attrs.define(eq=False)
class Health:
    """
    The breakers, guards and allowances of one client.

    A target is a provider's model with the key it is asked with, so that what a wrong key did is forgotten
    with it. Each call that began ends with exactly one of ``succeed``, ``fail`` and ``abandon``.
    """

    _clock: Clock
    _find_config: Callable[[str], ProviderConfig]
    # Looked up ten times for each send, so by texts: the hash of a Target is computed anew each time.
    _records: dict[tuple[str, str, Secret | None], _Record] = attrs.field(
        factory=dict[tuple[str, str, Secret | None], _Record], init=False
    )
    _guards: dict[str, Guard] = attrs.field(factory=dict[str, Guard], init=False)
    _allowances: dict[str, RetryAllowance] = attrs.field(factory=dict[str, RetryAllowance], init=False)
    _replayed_at: float | None = attrs.field(default=None, init=False)
    _unknown: _Record = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._unknown = self._make_record(Target("", ""))

    def may_ask(self, target: Target) -> bool:
        """Whether a target is asked; one that is not may still be, when there is no other."""
        return self._find(target).breaker.may_pass()

    def reopens_in(self, target: Target) -> float:
        """Seconds until a target may be asked; 0 where it may be, or where somebody is finding that out."""
        return self._find(target).breaker.reopens_in or 0.0

    def cooldown(self, target: Target) -> float:
        """Seconds to wait because the service said so; 0 for none."""
        return self._find(target).breaker.cooldown

    def was_failing(self, target: Target) -> bool:
        """Whether a target failed since its last success."""
        return self._find(target).breaker.failures > 0

    def latency(self, target: Target) -> float | None:
        """Seconds to the first content, recent answers counting most; None before the first."""
        return self._find(target).latency_seconds

    def describe(self, target: Target) -> TargetHealth:
        """Say how one target has been doing."""
        return attrs.evolve(_report_target(self._find(target)), target=target)

    def claim(self, target: Target) -> None:
        """A target is chosen, and its call begins in a moment: nobody else is to be its probe."""
        self._find(target).breaker.claim()

    def begin(self, target: Target) -> None:
        """A call begins."""
        self._record(target).breaker.begin()

    def succeed(self, target: Target, first_content_seconds: float | None) -> BreakerState | None:
        """A call was answered; return the breaker's state where that is news."""
        record = self._record(target)
        before = record.breaker.state
        record.note_latency(first_content_seconds)
        record.breaker.succeed()
        self._allowance(target.provider).give_back()
        return record.find_news(before)

    def fail(self, target: Target, error: TertuliaError) -> BreakerState | None:
        """A call failed, whatever with; return the breaker's state where that is news."""
        record = self._record(target)
        before = record.breaker.state
        self._allowance(target.provider).keep()
        if isinstance(error, QueueFullError):  # never left this client, so it says nothing about the target
            record.breaker.abandon()
            return None
        record.note_failure(error.kind, error.message, self._clock.now())
        _break(record.breaker, find_policy(error).breaker, error.retry_after)
        return record.find_news(before)

    def abandon(self, target: Target) -> None:
        """A call was cancelled."""
        self._record(target).breaker.abandon()
        self._allowance(target.provider).keep()

    def take_retry(self, target: Target, kind: ErrorKind) -> bool:
        """Pay for a retry after such a failure; False when too many retries did not help lately."""
        return self._allowance(target.provider).take(kind)

    def guard(self, provider: str) -> Guard:
        """What stands before a provider."""
        if provider not in self._guards:
            self._guards[provider] = Guard(self._find_config(provider).limits, self._clock.monotonic)
        return self._guards[provider]

    def report(self) -> tuple[ProviderHealth, ...]:
        """Say how every provider has been doing that was asked, in the order they were."""
        names = dict.fromkeys(
            (*(provider for provider, _, _ in self._records), *self._guards, *self._allowances)
        )
        return tuple(self._report_provider(name) for name in names)

    def reset(self, provider: str | None = None) -> None:
        """Forget what is known of a provider, or of all; calls under way and waiting stay so."""
        self._records = {
            key: record
            for key, record in self._records.items()
            if provider not in (None, record.target.provider)
        }
        for name in [name for name in self._allowances if provider in (None, name)]:
            del self._allowances[name]
        for name, guard in self._guards.items():
            if provider in (None, name):
                guard.resume()

    def replay(self, attempts: Sequence[Attempt]) -> None:
        """
        Learn from calls of earlier processes, so that a new one does not ask a dead provider again.

        Only of the last 10 minutes, and of targets that this client has not asked itself. What a key, a quota
        or a name was refused for may have been mended since.

        Args:
            attempts: As the ledger has them, the oldest first.
        """
        asked = {record.target for record in self._records.values()}
        try:
            for attempt in attempts:
                if Target(attempt.provider, attempt.model) not in asked:
                    self._replay(attempt)
        finally:
            self._replayed_at = None

    def _replay(self, attempt: Attempt) -> None:
        ended_at = attempt.started_at + timedelta(seconds=attempt.latency_seconds or 0.0)
        age = max(0.0, (self._clock.now() - ended_at).total_seconds())  # wall clocks jump
        if age > _REPLAYED_SECONDS or not self._is_configured(attempt.provider):
            return
        record = self._record(Target(attempt.provider, attempt.model))
        self._replayed_at = self._clock.monotonic() - age
        if attempt.outcome is AttemptOutcome.SUCCEEDED:
            record.note_latency(attempt.first_content_seconds)
            record.breaker.begin()
            record.breaker.succeed()
        elif kind := attempt.error_kind:
            if kind is not ErrorKind.CANCELLED:
                record.note_failure(kind, attempt.error_message, ended_at)
            if POLICIES[kind].breaker is Breaking.FAILURE:
                record.breaker.begin()
                record.breaker.fail()

    def _is_configured(self, provider: str) -> bool:
        try:
            self._find_config(provider)
        except TertuliaError:
            return False
        return True

    def _now(self) -> float:
        return self._clock.monotonic() if self._replayed_at is None else self._replayed_at

    def _find(self, target: Target) -> _Record:
        """What is known of a target, to be read; where that is nothing, one record stands for all of them."""
        key = (target.provider, target.model, self._find_config(target.provider).api_key)
        return self._records.get(key, self._unknown)

    def _record(self, target: Target) -> _Record:
        key = (target.provider, target.model, self._find_config(target.provider).api_key)
        record = self._records.get(key)
        if record is None:
            record = self._records[key] = self._make_record(target)
        return record

    def _make_record(self, target: Target) -> _Record:
        return _Record(target, Breaker(self._now))

    def _allowance(self, provider: str) -> RetryAllowance:
        allowance = self._allowances.get(provider)
        if allowance is None:
            allowance = self._allowances[provider] = RetryAllowance()
        return allowance

    def _report_provider(self, name: str) -> ProviderHealth:
        guard = self.guard(name)
        return ProviderHealth(
            name,
            guard.limits,
            in_flight=guard.in_flight,
            queued=guard.queued,
            retry_tokens=self._allowance(name).tokens,
            targets=tuple(self._report_targets(name)),
        )

    def _report_targets(self, provider: str) -> Iterator[TargetHealth]:
        api_key = self._find_config(provider).api_key
        for (used_provider, _, used_key), record in self._records.items():
            if used_provider == provider and used_key == api_key:
                yield _report_target(record)


def _break(breaker: Breaker, breaking: Breaking, retry_after: float | None) -> None:
    wait = min(retry_after, _LONGEST_REST) if retry_after is not None and retry_after >= 0 else None
    match breaking:
        case Breaking.FAILURE:
            breaker.fail()
        case Breaking.AT_ONCE:
            breaker.open_at_once()
        case Breaking.UNTIL_RESET:
            breaker.open_at_once(wait or MOST_OPEN_SECONDS)
        case Breaking.COOLDOWN:
            breaker.cool_down(wait or 0.0)
        case Breaking.NO:
            breaker.abandon()


def _report_target(record: _Record) -> TargetHealth:
    breaker = record.breaker
    return TargetHealth(
        record.target,
        state=breaker.state,
        failures=breaker.failures,
        reopens_in=breaker.reopens_in,
        latency_seconds=record.latency_seconds,
        last_kind=record.last_kind,
        last_error=record.last_error,
        last_failed_at=record.last_failed_at,
    )
