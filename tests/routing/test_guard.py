"""The queue before a provider."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tertulia import Limits, QueueFullError, RateLimits
from tertulia.services.routing.guard import Guard


def make_guard(**limits: float | None) -> Guard:
    """A guard by the clock of the running loop."""
    return Guard(Limits(**limits), asyncio.get_running_loop().time)


@attrs.define
class Callers:
    """Calls that come to a guard, and what became of them."""

    guard: Guard
    began_at: float = attrs.field(factory=lambda: asyncio.get_running_loop().time())
    entered: list[tuple[int, float]] = attrs.field(factory=list)
    refused: list[tuple[int, float, QueueFullError]] = attrs.field(factory=list)
    tasks: dict[int, asyncio.Task[None]] = attrs.field(factory=dict)
    releases: dict[int, asyncio.Event] = attrs.field(factory=dict)

    async def come(self, number: int, tokens: int = 1) -> None:
        """Let one more come, and see it wait or begin."""
        self.releases[number] = asyncio.Event()
        self.tasks[number] = asyncio.create_task(self._call(number, tokens))
        await settle()

    async def leave(self, number: int) -> None:
        """Let one that began end, and whoever follows begin."""
        self.releases[number].set()
        await settle()

    async def cancel(self, number: int) -> None:
        """Cancel one, wherever it is."""
        self.tasks[number].cancel()
        await settle()

    @property
    def elapsed(self) -> float:
        """Seconds since the story began."""
        return asyncio.get_running_loop().time() - self.began_at

    @property
    def order(self) -> list[int]:
        """Who began, in order."""
        return [number for number, _ in self.entered]

    @property
    def under_way(self) -> list[int]:
        """Who began and has not left."""
        return [number for number in self.order if not self.tasks[number].done()]

    async def _call(self, number: int, tokens: int) -> None:
        try:
            await self.guard.wait(tokens)
        except QueueFullError as error:
            self.refused.append((number, self.elapsed, error))
            return
        self.entered.append((number, self.elapsed))
        try:
            await self.releases[number].wait()
        finally:
            self.guard.leave()


async def settle() -> None:
    """Let everybody come as far as they can without time passing."""
    for _ in range(5):
        await asyncio.sleep(0)


@pytest.fixture
def guarded(run):
    """Run a story of callers at a guard with some limits, and end those that are left."""

    def run_story(story, **limits):
        async def tell():
            callers = Callers(make_guard(**limits))
            await story(callers)
            for task in callers.tasks.values():
                task.cancel()
            await asyncio.gather(*callers.tasks.values(), return_exceptions=True)
            assert (0, 0) == (callers.guard.in_flight, callers.guard.queued)

        run(tell())

    return run_story


def test_as_many_as_allowed_are_in_flight_and_the_others_follow_in_order(guarded):
    """
    Of five calls with two places, two begin, and each that leaves lets in the one that came first.
    """

    async def story(callers):
        for number in range(5):
            await callers.come(number)
        assert [0, 1] == callers.order
        assert (2, 3) == (callers.guard.in_flight, callers.guard.queued)

        await callers.leave(1)
        assert [0, 1, 2] == callers.order

        await callers.leave(0)
        await callers.leave(2)
        assert [0, 1, 2, 3, 4] == callers.order
        assert (2, 0) == (callers.guard.in_flight, callers.guard.queued)

    guarded(story, concurrent=2)


def test_without_limits_nobody_waits(guarded):
    """
    A hundred calls begin at once.
    """

    async def story(callers):
        for _ in range(100):
            assert callers.guard.try_enter(1_000_000)
        assert 100 == callers.guard.in_flight
        for _ in range(100):
            callers.guard.leave()

    guarded(story)


def test_requests_wait_until_a_minute_has_passed_since_one_before(guarded):
    """
    With two requests a minute, of those that come at 0, 10, 59.5 and 59.5 s the third begins at 60 and the
    fourth at 70 s.
    """

    async def story(callers):
        await callers.come(0)
        await asyncio.sleep(10)
        await callers.come(1)
        await asyncio.sleep(49.5)
        await callers.come(2)
        await callers.come(3)
        await asyncio.sleep(60)
        assert [(0, 0), (1, 10), (2, 60), (3, 70)] == rounded(callers.entered)

    guarded(story, requests_per_minute=2)


def test_tokens_wait_until_enough_were_sent_more_than_a_minute_ago(guarded):
    """
    With 100 tokens a minute, 60 at 0 s and 40 at 10 s, the next 50 go at 60 s and 70 more at 120 s.
    """

    async def story(callers):
        await callers.come(0, 60)
        await asyncio.sleep(10)
        await callers.come(1, 40)
        assert [50, 60] == [round(callers.guard.estimate_wait(tokens), 3) for tokens in (60, 61)]
        await callers.come(2, 50)
        await callers.come(3, 70)
        await asyncio.sleep(150)
        assert [(0, 0), (1, 10), (2, 60), (3, 120)] == rounded(callers.entered)

    guarded(story, tokens_per_minute=100)


def test_more_than_a_minutes_worth_of_tokens_goes_alone(guarded):
    """
    A call that is larger than the limit waits until nothing was sent for a minute, and not for ever.
    """

    async def story(callers):
        await callers.come(0, 1)
        await asyncio.sleep(5)
        await callers.come(1, 1000)
        await callers.come(2, 1)
        await asyncio.sleep(200)
        assert [(0, 0), (1, 60), (2, 120)] == rounded(callers.entered)

    guarded(story, tokens_per_minute=100)


def test_a_small_call_does_not_overtake_a_large_one(guarded):
    """
    While one waits for its tokens, one that would fit neither enters at once nor goes first.
    """

    async def story(callers):
        await callers.come(0, 90)
        await callers.come(1, 50)
        assert not callers.guard.try_enter(1)
        await callers.come(2, 1)
        assert [0] == callers.order
        await asyncio.sleep(60)
        await settle()
        assert [0, 1, 2] == callers.order

    guarded(story, tokens_per_minute=100)


def test_who_waits_too_long_is_refused_in_time(guarded):
    """
    With one place and a longest wait of 5 s, who came at 1 s is refused at 6 s, and is out of the queue.
    """

    async def story(callers):
        await callers.come(0)
        await asyncio.sleep(1)
        await callers.come(1)
        await asyncio.sleep(2)
        await callers.come(2)
        await asyncio.sleep(10)
        (first, second) = callers.refused
        assert [(1, 6), (2, 8)] == rounded([first[:2], second[:2]])
        assert 5 == pytest.approx(first[2].queued_seconds)
        assert (True, False, None) == (first[2].retryable, first[2].sent, first[2].provider)
        assert first[2].message == (
            "no place became free within 5 s; of this client's calls 1 are under way, and 1 more wait"
        )
        assert 0 == callers.guard.queued

    guarded(story, concurrent=1, max_wait=5)


def test_who_need_not_wait_is_refused_at_once(guarded):
    """
    With a longest wait of 0 s nobody waits.
    """

    async def story(callers):
        await callers.come(0)
        await callers.come(1)
        assert [1] == [number for number, _, _ in callers.refused]
        assert 0.0 == callers.refused[0][2].queued_seconds

    guarded(story, concurrent=1, max_wait=0)


def test_who_cannot_go_in_time_is_refused_without_waiting(guarded):
    """
    When the minute has 50 s left and the longest wait is 20 s, the refusal comes at once and names the 50 s.
    """

    async def story(callers):
        await callers.come(0)
        await asyncio.sleep(10)
        await callers.come(1)
        ((number, at, error),) = callers.refused
        assert (1, pytest.approx(10), pytest.approx(50)) == (number, at, error.retry_after)

    guarded(story, requests_per_minute=1, max_wait=20)


def test_a_place_that_becomes_free_at_the_last_moment_is_taken(guarded):
    """
    Who waited exactly as long as allowed for a minute to pass is let in, not refused.
    """

    async def story(callers):
        await callers.come(0)
        await asyncio.sleep(10)
        await callers.come(1)
        await asyncio.sleep(60)
        assert [(0, 0), (1, 60)] == rounded(callers.entered)
        assert [] == callers.refused

    guarded(story, requests_per_minute=1, max_wait=50)


def test_who_gives_up_waiting_leaves_the_queue_and_lets_the_next_one_on(guarded):
    """
    When a large call that is first in the queue is cancelled, the small one behind it begins at once.
    """

    async def story(callers):
        await callers.come(0, 90)
        await callers.come(1, 50)
        await callers.come(2, 10)
        await callers.cancel(1)
        assert [0, 2] == callers.order
        assert 0 == callers.guard.queued

    guarded(story, tokens_per_minute=100)


@pytest.mark.parametrize("limits", [{}, {"requests_per_minute": 2, "tokens_per_minute": 2}])
def test_a_place_given_to_somebody_who_is_just_cancelled_goes_to_the_next(guarded, limits):
    """
    Who is cancelled between being let in and going on leaves its place, its request and its tokens to others.
    """

    async def story(callers):
        await callers.come(0)
        await callers.come(1)
        await callers.come(2)
        callers.releases[0].set()
        await asyncio.sleep(0)  # 0 has left, so the place is 1's, whose task has not run since
        assert (1, 1) == (callers.guard.in_flight, callers.guard.queued)
        await callers.cancel(1)
        assert [0, 2] == callers.order
        assert (1, 0) == (callers.guard.in_flight, callers.guard.queued)

    guarded(story, concurrent=1, **limits)


def test_a_place_is_not_given_to_somebody_who_has_been_cancelled(guarded):
    """
    When a place becomes free in the moment in which the first of the queue is cancelled, the next one has it.
    """

    async def story(callers):
        await callers.come(0)
        await callers.come(1)
        await callers.come(2)
        callers.releases[0].set()
        await callers.cancel(1)  # which runs after 0, and has not left the queue by then
        assert [0, 2] == callers.order
        assert (1, 0) == (callers.guard.in_flight, callers.guard.queued)

    guarded(story, concurrent=1)


@pytest.mark.parametrize(
    ("left", "seconds"),
    [
        (RateLimits(requests=0, requests_reset=3.5), 3.5),
        (RateLimits(tokens=0, tokens_reset=2.0), 2.0),
        (RateLimits(requests=0, requests_reset=1.0, tokens=0, tokens_reset=2.0), 2.0),
        (RateLimits(requests=-1, requests_reset=1.0), 1.0),
        (RateLimits(requests=0, requests_reset=86_400.0), 60.0),
        (RateLimits(requests=0, requests_reset=float("inf")), 60.0),
        (RateLimits(requests=0), 0.0),
        (RateLimits(requests=1, requests_reset=50.0), 0.0),
        (RateLimits(requests=0, requests_reset=float("nan")), 0.0),
        (RateLimits(requests=0, requests_reset=-5.0), 0.0),
        (RateLimits(), 0.0),
    ],
)
def test_nobody_goes_before_a_service_takes_calls_again(guarded, left, seconds):
    """
    Where the service says that nothing is left, calls wait for its reset, a minute at most; nonsense is none.
    """

    async def story(callers):
        callers.guard.learn(left)
        assert seconds == pytest.approx(callers.guard.estimate_wait(1))
        await callers.come(0)
        await asyncio.sleep(100)
        assert [(0, seconds)] == rounded(callers.entered)

    guarded(story)


def test_what_a_service_says_later_holds_for_who_waits_already(guarded):
    """
    A pause that becomes longer while somebody waits for its end is waited for.
    """

    async def story(callers):
        callers.guard.learn(RateLimits(requests=0, requests_reset=5))
        await callers.come(0)
        await asyncio.sleep(4)
        callers.guard.learn(RateLimits(requests=0, requests_reset=5))
        callers.guard.learn(RateLimits(requests=0, requests_reset=1))
        await asyncio.sleep(10)
        assert [(0, 9)] == rounded(callers.entered)

    guarded(story)


def test_a_pause_that_is_forgotten_lets_everybody_on(guarded):
    """
    Who waits for a service begins as soon as what it said is forgotten.
    """

    async def story(callers):
        callers.guard.learn(RateLimits(requests=0, requests_reset=50))
        await callers.come(0)
        callers.guard.resume()
        await settle()
        assert [0] == callers.order

    guarded(story)


def test_a_newcomer_is_told_how_many_go_first(guarded):
    """
    The position counts who waits and the call that must end; where only time has to pass it is 0.
    """

    async def story(callers):
        assert (0, 0.0) == (callers.guard.position, callers.guard.estimate_wait(1))
        await callers.come(0)
        await callers.come(1)
        assert (1, None) == (callers.guard.position, callers.guard.estimate_wait(1))
        await callers.come(2)
        assert (2, None) == (callers.guard.position, callers.guard.estimate_wait(1))
        await callers.leave(0)
        await callers.leave(1)
        await callers.leave(2)
        assert (0, 60.0) == pytest.approx((callers.guard.position, callers.guard.estimate_wait(1)))

    guarded(story, concurrent=2, requests_per_minute=3)


def test_a_thousand_who_wait_cost_a_few_looks_each(run):
    """
    The clock is read a handful of times for each of 1,000 calls with 8 places, however many wait.
    """

    async def story():
        loop = asyncio.get_running_loop()
        looks = 0

        def look() -> float:
            nonlocal looks
            looks += 1
            return loop.time()

        callers = Callers(Guard(Limits(concurrent=8, requests_per_minute=5000, max_wait=900), look))
        for number in range(1000):
            callers.releases[number] = asyncio.Event()
            callers.releases[number].set()
            callers.tasks[number] = asyncio.create_task(callers._call(number, 10))
        await asyncio.gather(*callers.tasks.values())

        assert list(range(1000)) == callers.order
        assert looks < 15 * 1000

    run(story())


ACTIONS = st.one_of(
    st.tuples(st.just("come"), st.integers(1, 12)),
    st.tuples(st.just("leave"), st.integers(0, 30)),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("leave and cancel"), st.integers(0, 30)),
    st.tuples(st.just("pass"), st.integers(1, 70)),
    st.tuples(st.just("learn"), st.integers(1, 70)),
)
SOME = st.none() | st.integers(1, 5)


@settings(max_examples=150, deadline=None)
@given(
    concurrent=SOME,
    requests=SOME,
    tokens=st.none() | st.integers(5, 20),
    actions=st.lists(ACTIONS, max_size=30),
)
def test_a_guard_keeps_its_limits_and_its_order_and_forgets_nobody(
    run, concurrent, requests, tokens, actions
):
    """
    Whatever comes, leaves and is cancelled when: never more than allowed, first come first served, and in the
    end everybody who was not cancelled has begun.
    """

    async def story():
        callers = Callers(
            make_guard(concurrent=concurrent, requests_per_minute=requests, tokens_per_minute=tokens)
        )
        sizes: dict[int, int] = {}
        cancelled: set[int] = set()
        for action, amount in actions:
            if action == "come":
                sizes[len(sizes)] = amount
            await play(callers, action, amount, cancelled)
            assert concurrent is None or callers.guard.in_flight <= concurrent
            assert len(callers.under_way) == callers.guard.in_flight
        for release in callers.releases.values():
            release.set()
        await asyncio.gather(*callers.tasks.values(), return_exceptions=True)

        assert sorted(callers.order) == callers.order
        assert set(sizes) - cancelled <= set(callers.order)
        assert (0, 0) == (callers.guard.in_flight, callers.guard.queued)
        for window in minutes([(at, sizes[number]) for number, at in callers.entered]):
            assert requests is None or len(window) <= requests
            assert tokens is None or len(window) == 1 or sum(window) <= tokens

    run(story())


async def play(callers: Callers, action: str, amount: int, cancelled: set[int]) -> None:
    """Do one thing that happens to callers; the amount picks to whom, or says how much."""
    begun, everybody = callers.under_way, list(callers.tasks)
    if action == "come":
        await callers.come(len(everybody), amount)
    elif action == "pass":
        await asyncio.sleep(amount)
    elif action == "learn":
        callers.guard.learn(RateLimits(requests=0, requests_reset=amount))
    if action.startswith("leave") and begun:
        callers.releases[begun[amount % len(begun)]].set()
        await asyncio.sleep(0)  # its place is given away, and the new owner has not run yet
    if action.endswith("cancel") and everybody:
        cancelled.add(everybody[amount % len(everybody)])
        callers.tasks[everybody[amount % len(everybody)]].cancel()
    await settle()


def minutes(entered: list[tuple[float, int]]) -> Iterator[list[int]]:
    """The tokens of each minute that begins with a call."""
    for start, _ in entered:
        yield [tokens for at, tokens in entered if start <= at < start + 60 - 1e-6]


def rounded(entered):
    """What happened when, to the millisecond."""
    return [(number, round(at, 3)) for number, at in entered]


def test_a_minute_is_over_at_one_moment():
    """However a clock rounds, who left the window and who may enter is the same question."""
    now = 1000.6999999999999
    guard = Guard(Limits(requests_per_minute=1), lambda: now)
    first = guard.try_enter(1)
    now = 1060.6999999999998

    assert [True, True, False] == [first, guard.try_enter(1), guard.try_enter(1)]
