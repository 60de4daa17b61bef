"""How all targets of one client have been doing."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import attrs
import pytest

from tertulia import (
    Attempt,
    AttemptOutcome,
    AuthenticationError,
    BreakerState,
    ConnectionFailedError,
    ContentFilteredError,
    ErrorKind,
    Limits,
    ModelNotFoundError,
    ProviderConfig,
    QueueFullError,
    QuotaExhaustedError,
    RateLimitError,
    RateLimits,
    Secret,
    ServerError,
    StreamInterruptedError,
    Target,
    TooLargeError,
    UnknownProviderError,
)
from tertulia.services.routing.health import Health
from tertulia.testing import StandingClock

SMALL, LARGE = Target("openai", "small"), Target("openai", "large")
OTHER = Target("gemini", "flash")


@attrs.define
class House:
    """A client's health with its providers, on a clock that stands."""

    clock: StandingClock = attrs.field(factory=StandingClock)
    configs: dict[str, ProviderConfig] = attrs.field(
        factory=lambda: {
            "openai": ProviderConfig(
                "openai", "openai", api_key=Secret("sk-one"), limits=Limits(concurrent=2)
            ),
            "gemini": ProviderConfig("gemini", "gemini"),
        }
    )
    health: Health = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.health = Health(self.clock, self.find_config)

    def find_config(self, name: str) -> ProviderConfig:
        """As a client's plugins do."""
        if name not in self.configs:
            raise UnknownProviderError(f"no provider {name!r}", provider=name, value=name)
        return self.configs[name]

    def ask(self, target: Target, *errors: Exception | None) -> list[BreakerState | None]:
        """Let calls fail in some ways, or be answered after 1 s where that is None; return what was news."""
        news: list[BreakerState | None] = []
        for error in errors:
            self.health.begin(target)
            news.append(
                self.health.succeed(target, 1.0) if error is None else self.health.fail(target, error)
            )
        return news


@pytest.fixture
def house() -> House:
    """A client that has asked nobody yet."""
    return House()


def failure(error: type[Exception] = ServerError, **common: object) -> Exception:
    """An error of a provider."""
    return error("it failed", **common)


def test_a_target_that_was_never_asked_may_be(house):
    """
    Nothing is known of it, and nothing is in its way.
    """
    health = house.health

    assert (True, 0.0, 0.0, False, None) == (
        health.may_ask(SMALL),
        health.reopens_in(SMALL),
        health.cooldown(SMALL),
        health.was_failing(SMALL),
        health.latency(SMALL),
    )


def test_only_the_model_that_fails_is_passed_over(house):
    """
    Five failures of one model say nothing about another one, or another provider.
    """
    house.ask(SMALL, *[failure()] * 5)

    assert [False, True, True] == [house.health.may_ask(target) for target in (SMALL, LARGE, OTHER)]
    assert 30.0 == house.health.reopens_in(SMALL)
    assert house.health.was_failing(SMALL)


def test_what_changes_is_news_once(house):
    """
    The fifth failure opens; after 30 s the first answer is the probe, and the second closes.
    """
    assert [None] * 4 + [BreakerState.OPEN] == house.ask(SMALL, *[failure()] * 5)
    house.clock.advance(30)
    assert [BreakerState.HALF_OPEN, BreakerState.CLOSED, None] == house.ask(SMALL, None, None, None)


def test_a_probe_that_fails_is_news(house):
    """
    Who was half open and fails is open again.
    """
    house.ask(SMALL, *[failure()] * 5)
    house.clock.advance(30)

    assert [BreakerState.OPEN] == house.ask(SMALL, failure())
    assert 60.0 == house.health.reopens_in(SMALL)


@pytest.mark.parametrize(
    ("error", "reopens_in"),
    [
        (failure(AuthenticationError), 30.0),
        (failure(ModelNotFoundError), 30.0),
        (failure(QuotaExhaustedError), 300.0),
        (failure(QuotaExhaustedError, retry_after=0.0), 300.0),
        (failure(QuotaExhaustedError, retry_after=3600.0), 3600.0),
        (failure(QuotaExhaustedError, retry_after=float("inf")), 86_400.0),
        (failure(QuotaExhaustedError, retry_after=float("nan")), 300.0),
        (failure(RateLimitError, retry_after=20.0), 20.0),
        (failure(RateLimitError, retry_after=-1.0), 0.0),
        (failure(RateLimitError), 0.0),
        (failure(ServerError, retry_after=20.0), 0.0),
        (failure(ContentFilteredError), 0.0),
    ],
)
def test_one_failure_is_enough_for_some_kinds(house, error, reopens_in):
    """
    Where the next call would fail too, the target is passed over at once, for as long as its kind says.
    """
    house.ask(SMALL, error)

    assert reopens_in == house.health.reopens_in(SMALL)
    assert (reopens_in == 0.0) == house.health.may_ask(SMALL)


def test_who_is_turned_away_is_not_failing(house):
    """
    A rate limit is a cooldown of the service's wait, and no failure.
    """
    assert [None] == house.ask(SMALL, failure(RateLimitError, retry_after=20.0))

    assert (20.0, False) == (house.health.cooldown(SMALL), house.health.was_failing(SMALL))
    house.clock.advance(20)
    assert (0.0, True) == (house.health.cooldown(SMALL), house.health.may_ask(SMALL))


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (failure(StreamInterruptedError, kind=ErrorKind.TIMEOUT), True),
        (failure(StreamInterruptedError), True),
        (failure(TooLargeError, side="response"), True),
        (failure(TooLargeError, side="request"), False),
        (failure(ContentFilteredError), False),
        (failure(QueueFullError, retry_after=9.0), False),
    ],
)
def test_only_what_may_be_the_targets_own_fault_counts(house, error, counts):
    """
    Five answers that break off are passed over like five failures; five requests that nobody takes are not.
    """
    house.ask(SMALL, *[error] * 5)

    assert counts == (not house.health.may_ask(SMALL))
    assert counts == house.health.was_failing(SMALL)


def test_a_call_that_is_cancelled_gives_its_probe_back(house):
    """
    After a cancelled probe the next call may be one.
    """
    house.ask(SMALL, *[failure()] * 5)
    house.clock.advance(30)
    house.health.begin(SMALL)
    assert (False, 0.0) == (house.health.may_ask(SMALL), house.health.reopens_in(SMALL))

    house.health.abandon(SMALL)

    assert house.health.may_ask(SMALL)


def test_who_is_chosen_keeps_others_from_being_the_probe(house):
    """
    From the choice of a target to the end of its call, nobody else may ask it.
    """
    house.ask(SMALL, *[failure()] * 5)
    house.clock.advance(30)
    may_ask = [house.health.may_ask(SMALL)]
    house.health.claim(SMALL)
    may_ask.append(house.health.may_ask(SMALL))
    house.health.begin(SMALL)
    may_ask.append(house.health.may_ask(SMALL))
    house.health.succeed(SMALL, 1.0)
    may_ask.append(house.health.may_ask(SMALL))

    assert [True, False, False, True] == may_ask


def test_a_new_key_is_another_target(house):
    """
    What a wrong key did is not held against the right one, and is remembered should it return.
    """
    wrong = house.configs["openai"]
    house.ask(SMALL, failure(AuthenticationError))
    house.configs["openai"] = attrs.evolve(wrong, api_key=Secret("sk-two"))
    assert house.health.may_ask(SMALL)
    assert () == house.health.report()[0].targets

    house.configs["openai"] = wrong
    assert not house.health.may_ask(SMALL)


def test_no_key_shows(house):
    """
    Neither the report nor the representation holds one.
    """
    house.ask(SMALL, failure(AuthenticationError))

    assert "sk-one" not in repr(house.health) + repr(house.health.report())


def test_recent_answers_count_most_in_the_latency(house):
    """
    1 s, then 2 s, then 2 s: 1, 1.3 and 1.51 seconds; an answer without a time changes nothing.
    """
    latencies = []
    for seconds in (1.0, 2.0, None, 2.0):
        house.health.begin(SMALL)
        house.health.succeed(SMALL, seconds)
        latencies.append(house.health.latency(SMALL))

    assert pytest.approx([1.0, 1.3, 1.3, 1.51]) == latencies


def test_models_of_a_provider_share_its_retries(house):
    """
    35 retries of one model that all fail leave none to another one, but all to another provider.
    """
    for _ in range(35):
        house.ask(SMALL, failure())
        assert house.health.take_retry(SMALL, ErrorKind.SERVER)

    assert not house.health.take_retry(LARGE, ErrorKind.SERVER)
    assert house.health.take_retry(OTHER, ErrorKind.SERVER)


@pytest.mark.parametrize(("last", "left"), [([None], 500), ([failure()], 486), ([failure(), None], 487)])
def test_a_retry_that_is_answered_is_given_back(house, last, left):
    """
    A failure, a retry and an answer leave the allowance full; a retry that fails is paid for, whoever is
    answered later.
    """
    house.ask(SMALL, failure())
    house.health.take_retry(SMALL, ErrorKind.SERVER)
    house.ask(SMALL, *last)

    assert left == house.health.report()[0].retry_tokens


def test_a_retry_that_is_cancelled_is_paid_for(house):
    """
    Nobody knows whether it helped, and the next answer gives back 1.
    """
    house.ask(SMALL, failure())
    house.health.take_retry(SMALL, ErrorKind.SERVER)
    house.health.begin(SMALL)
    house.health.abandon(SMALL)
    house.ask(SMALL, None)

    assert 487 == house.health.report()[0].retry_tokens


def test_the_report_says_what_happened(house):
    """
    Every provider that was asked, with its limits, what is under way, and its models with their last failure.
    """
    house.health.guard("openai").try_enter(10)
    house.ask(SMALL, None, failure(ConnectionFailedError))
    house.ask(LARGE, None)
    house.ask(OTHER, *[failure()] * 5)
    house.clock.advance(10)

    openai, gemini = house.health.report()

    assert ("openai", Limits(concurrent=2), 1, 0, 500) == (
        openai.provider,
        openai.limits,
        openai.in_flight,
        openai.queued,
        openai.retry_tokens,
    )
    small, large = openai.targets
    assert (SMALL, BreakerState.CLOSED, 1, None, 1.0) == (
        small.target,
        small.state,
        small.failures,
        small.reopens_in,
        small.latency_seconds,
    )
    assert (ErrorKind.CONNECTION, "it failed") == (small.last_kind, small.last_error)
    assert house.clock.now() - timedelta(seconds=10) == small.last_failed_at
    assert (LARGE, 0, None) == (large.target, large.failures, large.last_kind)
    (flash,) = gemini.targets
    assert (BreakerState.OPEN, 5, 20.0) == (flash.state, flash.failures, flash.reopens_in)


@pytest.mark.parametrize(("provider", "may_ask"), [(None, [True, True]), ("openai", [True, False])])
def test_a_reset_forgets_what_is_known(house, provider, may_ask):
    """
    Of one provider, or of all: their breakers, their retries, and what they said about their limits.
    """
    for target in (SMALL, OTHER):
        house.ask(target, *[failure()] * 5)
        house.health.take_retry(target, ErrorKind.SERVER)
        house.health.guard(target.provider).learn(RateLimits(requests=0, requests_reset=50.0))
    house.health.guard("openai").in_flight = 1

    house.health.reset(provider)

    assert may_ask == [house.health.may_ask(target) for target in (SMALL, OTHER)]
    paused = [house.health.guard(name).estimate_wait(1) > 0 for name in ("openai", "gemini")]
    assert [not may for may in may_ask] == paused
    left = {health.provider: health.retry_tokens for health in house.health.report()}
    assert {"openai": 500, "gemini": 500 if may_ask[1] else 486} == left
    assert 1 == house.health.guard("openai").in_flight


def attempt(house: House, seconds_ago: float, kind: ErrorKind | None = None, **fields: object) -> Attempt:
    """What the ledger has of a call of some time ago, with the error kind of its failure."""
    values: dict[str, object] = {
        "provider": "openai",
        "model": "small",
        "outcome": AttemptOutcome.FAILED if kind else AttemptOutcome.SUCCEEDED,
        "started_at": house.clock.now() - timedelta(seconds=seconds_ago),
        "latency_seconds": 0.0,
        "error_kind": kind,
        "error_message": "it failed" if kind else None,
    }
    return Attempt(id=UUID(int=1), message_id=UUID(int=2), number=1, **{**values, **fields})


def test_a_new_process_does_not_ask_a_dead_provider_again(house):
    """
    Five failures, the last 10 s ago, leave 20 of the 30 seconds; the time is that of their end.
    """
    house.health.replay(
        [attempt(house, 40 + number, ErrorKind.TIMEOUT, latency_seconds=30.0) for number in (4, 3, 2, 1, 0)]
    )

    (openai,) = house.health.report()
    (small,) = openai.targets
    assert (BreakerState.OPEN, 20.0, 5) == (small.state, small.reopens_in, small.failures)
    assert (ErrorKind.TIMEOUT, "it failed") == (small.last_kind, small.last_error)
    assert house.clock.now() - timedelta(seconds=10) == small.last_failed_at
    assert 500 == openai.retry_tokens


def test_what_was_replayed_goes_on_by_the_clock(house):
    """
    A replayed breaker is half open when its time has come, and two answers close it.
    """
    house.health.replay([attempt(house, 10, ErrorKind.SERVER)] * 5)
    house.clock.advance(19.9)
    assert not house.health.may_ask(SMALL)
    house.clock.advance(0.1)
    assert house.health.may_ask(SMALL)

    assert [BreakerState.HALF_OPEN, BreakerState.CLOSED] == house.ask(SMALL, None, None)


def test_an_answer_among_them_counts(house):
    """
    Four failures, an answer and four failures leave the target alone, with the answer's latency.
    """
    failures = [attempt(house, 10, ErrorKind.SERVER)] * 4
    house.health.replay([*failures, attempt(house, 10, first_content_seconds=0.4), *failures])

    assert (True, True, 0.4) == (
        house.health.may_ask(SMALL),
        house.health.was_failing(SMALL),
        house.health.latency(SMALL),
    )


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"error_kind": ErrorKind.AUTHENTICATION}, id="another key may be set now"),
        pytest.param({"error_kind": ErrorKind.QUOTA_EXHAUSTED}, id="credit may have been bought"),
        pytest.param({"error_kind": ErrorKind.RATE_LIMITED}, id="the wait is not known"),
        pytest.param({"error_kind": ErrorKind.CONTENT_FILTER}, id="no fault of the target"),
        pytest.param({"outcome": AttemptOutcome.CANCELLED, "error_kind": None}, id="cancelled"),
        pytest.param({"outcome": AttemptOutcome.INTERRUPTED, "error_kind": None}, id="its process ended"),
        pytest.param({"outcome": AttemptOutcome.PENDING, "error_kind": None}, id="under way"),
        pytest.param({"provider": "gone"}, id="no longer configured"),
    ],
)
def test_what_says_nothing_about_now_is_not_replayed(house, fields):
    """
    Five calls that ended in some ways leave the target as if it had never been asked.
    """
    house.health.replay([attempt(house, 10, ErrorKind.SERVER, **fields)] * 5)

    assert (True, False) == (house.health.may_ask(SMALL), house.health.was_failing(SMALL))


def test_what_the_client_knows_itself_is_not_replayed(house):
    """
    A target that was asked already is judged by that alone: its own calls are in the ledger, too.
    """
    house.ask(SMALL, failure())
    recent = [attempt(house, 0, ErrorKind.SERVER)]
    house.health.replay([*recent * 5, *[attempt(house, 0, ErrorKind.SERVER, model="large")] * 5])

    assert [True, False] == [house.health.may_ask(target) for target in (SMALL, LARGE)]
    assert 1 == house.health.describe(SMALL).failures


def test_what_happened_long_ago_is_not_replayed(house):
    """
    After more than 10 minutes nobody holds a failure against a target, not even as a first call at a time.
    """
    house.health.replay([attempt(house, 601, ErrorKind.SERVER)] * 5)

    assert (True, False) == (house.health.may_ask(SMALL), house.health.was_failing(SMALL))


def test_a_call_of_the_future_ended_now(house):
    """
    Another machine's clock, or one that was set back, keeps nobody away for longer than the 30 seconds.
    """
    house.health.replay([attempt(house, -7200, ErrorKind.SERVER)] * 5)

    assert 30.0 == house.health.reopens_in(SMALL)
