"""Whether a target is asked at all."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tertulia import BreakerState
from tertulia.services.routing.breaker import Breaker
from tertulia.testing import StandingClock

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


def play(events: str) -> tuple[Breaker, StandingClock]:
    """
    Let things happen to a breaker.

    ``f`` is a call that fails, ``s`` one that is answered, ``a`` one that is cancelled, ``!`` one that would
    fail always, ``q60`` the same for 60 s, ``c20`` one that is turned away for 20 s, ``b`` one that goes on;
    ``k`` claims the place of the next one; ``-f`` is the end of one that began before all of it; ``+30`` lets
    30 s pass.
    """
    clock = StandingClock()
    breaker = Breaker(clock.monotonic)
    for event in events.split():
        if event[0] == "+":
            clock.advance(float(event[1:]))
            continue
        if event == "k":
            breaker.claim()
            continue
        if event[0] != "-":
            breaker.begin()
        end(breaker, event.removeprefix("-"))
    return breaker, clock


def end(breaker: Breaker, event: str) -> None:
    """Let a call end in one way."""
    match event[0]:
        case "f":
            breaker.fail()
        case "s":
            breaker.succeed()
        case "a":
            breaker.abandon()
        case "!":
            breaker.open_at_once()
        case "q":
            breaker.open_at_once(float(event[1:]))
        case "c":
            breaker.cool_down(float(event[1:]))
        case _:
            assert event == "b"


@pytest.mark.parametrize(
    ("events", "state", "reopens_in", "failures"),
    [
        pytest.param("", CLOSED, None, 0, id="new"),
        pytest.param("f f f f", CLOSED, None, 4, id="four failures are not enough"),
        pytest.param("f f f f f", OPEN, 30, 5, id="five in a row are"),
        pytest.param("f f f f s f f f f", CLOSED, None, 4, id="an answer begins a new row"),
        pytest.param("f f f f +600 f", OPEN, 30, 5, id="a row has no end in time"),
        pytest.param("s s s s s f f f f", CLOSED, None, 4, id="four of nine are not enough"),
        pytest.param("s f s f s f s f s f", OPEN, 30, 1, id="five of ten are"),
        pytest.param("s s f s f s f s f s f", CLOSED, None, 1, id="five of eleven are less than half"),
        pytest.param("f s f s f s +60 f s f f", CLOSED, None, 2, id="a minute ago no longer counts"),
        pytest.param("f s f s f s +59 f s f f", OPEN, 30, 2, id="less than a minute ago does"),
        pytest.param("f f f f f +29.9", OPEN, 0.1, 5, id="open for 30 seconds"),
        pytest.param("f f f f f +30", HALF_OPEN, None, 5, id="then half open"),
        pytest.param("f f f f f +30 b", HALF_OPEN, 0, 5, id="for one call at a time"),
        pytest.param("f f f f f +30 a", HALF_OPEN, None, 5, id="a cancelled probe lets the next one try"),
        pytest.param("f f f f f +30 k", HALF_OPEN, 0, 5, id="a claim keeps the place of the probe"),
        pytest.param("f f f f f +30 k +4 b", HALF_OPEN, 0, 5, id="until that begins"),
        pytest.param("f f f f f +30 k a", HALF_OPEN, None, 5, id="and ends"),
        pytest.param("f f f f f +30 k +5", HALF_OPEN, None, 5, id="or does not begin for 5 seconds"),
        pytest.param("f f f f f +29 k", OPEN, 1, 5, id="who is asked although it is open may claim, too"),
        pytest.param("f f f f f +29 k +1", HALF_OPEN, 0, 5, id="and is the probe"),
        pytest.param("k", CLOSED, None, 0, id="closed, there is nothing to claim"),
        pytest.param("f f f f f +30 s", HALF_OPEN, None, 0, id="one answer is not enough"),
        pytest.param("f f f f f +30 s s", CLOSED, None, 0, id="two are"),
        pytest.param("f f f f f +30 s s f f f f", CLOSED, None, 4, id="and the past is forgotten"),
        pytest.param("f f f f f +30 s s s s s s s s f f f f", CLOSED, None, 4, id="also of shares"),
        pytest.param("f f f f f +30 s s f s f s f s f s s f", OPEN, 30, 1, id="which begin anew"),
        pytest.param("f f f f f +30 s f", OPEN, 60, 1, id="a probe that fails opens it for longer"),
        pytest.param("f f f f f +30 f", OPEN, 60, 6, id="doubled once"),
        pytest.param("f f f f f +30 f +60 f", OPEN, 120, 7, id="doubled twice"),
        pytest.param("f f f f f +30 f +60 f +120 f +240 f +300 f", OPEN, 300, 10, id="up to 5 minutes"),
        pytest.param("f f f f f +30 f +60 s s f f f f f", OPEN, 30, 5, id="closed, it begins again with 30"),
        pytest.param("f f f f f +10 -f -f -!", OPEN, 20, 5, id="old calls that fail change nothing"),
        pytest.param("f f f f f +30 -f -f", HALF_OPEN, None, 5, id="nor when it is half open"),
        pytest.param("f f f f f +10 -s", HALF_OPEN, None, 0, id="old calls that are answered do"),
        pytest.param("f f f f f +10 -a", OPEN, 20, 5, id="old calls that are cancelled do not"),
        pytest.param("f f f f f +10 f", OPEN, 20, 5, id="who is asked although it is open is no probe"),
        pytest.param("f f f f f +10 s s", CLOSED, None, 0, id="and may close it"),
        pytest.param("!", OPEN, 30, 1, id="at once"),
        pytest.param("! +30 !", OPEN, 60, 2, id="at once, and doubled"),
        pytest.param("! +10 !", OPEN, 20, 1, id="at once, which is known already"),
        pytest.param("! +30 s s", CLOSED, None, 0, id="at once, and mended"),
        pytest.param("q3600", OPEN, 3600, 1, id="for as long as is said"),
        pytest.param("q3600 +3600 f", OPEN, 60, 2, id="then as ever"),
        pytest.param("f f f f f q100", OPEN, 100, 6, id="for longer, once that is known"),
        pytest.param("c20", CLOSED, 20, 0, id="cooling down is no failure"),
        pytest.param("c20 +20", CLOSED, None, 0, id="and ends"),
        pytest.param("c20 +5 c5", CLOSED, 15, 0, id="the longer wait holds"),
        pytest.param("c20 +5 s", CLOSED, 15, 0, id="whoever is still answered"),
        pytest.param("f f f f f c90 +10", OPEN, 80, 5, id="the longer of two reasons holds"),
        pytest.param("f f f f f +30 c20", HALF_OPEN, 20, 5, id="a probe that is turned away is none"),
        pytest.param("f f f f f +30 c20 +20", HALF_OPEN, None, 5, id="and is tried again"),
    ],
)
def test_what_becomes_of_a_target(events, state, reopens_in, failures):
    """
    Each story ends in a state, with the time until the target may be asked: None where it may be.
    """
    breaker, _ = play(events)

    expected = None if reopens_in is None else pytest.approx(reopens_in)
    assert (state, expected, failures) == (breaker.state, breaker.reopens_in, breaker.failures)
    assert (reopens_in is None) == breaker.may_pass()


def test_a_busy_target_is_remembered_by_its_last_thousand_calls():
    """
    After 2,000 answers within a minute, 500 failures among the next 1,000 calls open it.
    """
    breaker, _ = play("s " * 2000 + "f s " * 499)
    assert CLOSED is breaker.state

    for _ in range(2):
        breaker.fail()

    assert OPEN is breaker.state


@settings(max_examples=50, stateful_step_count=25, deadline=None)
class AnyStory(RuleBasedStateMachine):
    """Calls come, end and are cancelled, in any order and at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = StandingClock()
        self.breaker = Breaker(self.clock.monotonic)
        self.under_way = 0

    @rule(seconds=st.integers(0, 400))
    def time_passes(self, seconds: int) -> None:
        """It gets later."""
        self.clock.advance(seconds)

    @rule()
    def a_call_begins(self) -> None:
        """Somebody is asked, whether it may be or not; when it is not closed, nobody else may be then."""
        self.breaker.begin()
        self.under_way += 1
        assert self.breaker.state is CLOSED or not self.breaker.may_pass()

    @rule()
    def somebody_is_about_to_begin(self) -> None:
        """Its place is kept, unless there is no need to."""
        self.breaker.claim()
        assert self.breaker.state is CLOSED or not self.breaker.may_pass()

    @precondition(lambda self: self.under_way)
    @rule(way=st.sampled_from(["f", "f", "f", "s", "a", "!", "q400", "c50"]))
    def a_call_ends(self, way: str) -> None:
        """A call ends in one way or another."""
        self.under_way -= 1
        was_closed = self.breaker.state is CLOSED
        end(self.breaker, way)
        if way == "s":
            assert 0 == self.breaker.failures
            assert OPEN is not self.breaker.state
        if way in ("a", "c50"):
            assert was_closed == (self.breaker.state is CLOSED)
        if way in ("!", "q400"):
            assert CLOSED is not self.breaker.state

    @invariant()
    def what_it_says_agrees(self) -> None:
        """The state, the time and whether somebody passes are the same thing said three times."""
        reopens_in = self.breaker.reopens_in
        assert self.breaker.may_pass() == (reopens_in is None)
        assert reopens_in is None or 0 <= reopens_in <= 400
        if self.breaker.state is OPEN:
            assert reopens_in is not None
            assert reopens_in > 0
        if self.breaker.state is CLOSED and not self.breaker.cooldown:
            assert self.breaker.may_pass()

    def teardown(self) -> None:
        """However it went, two answers close it after a while."""
        self.clock.advance(401)
        for _ in range(2):
            self.breaker.begin()
            self.breaker.succeed()
        assert CLOSED is self.breaker.state
        assert self.breaker.may_pass()


TestAnyStory = AnyStory.TestCase
