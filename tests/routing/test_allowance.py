"""What a provider is allowed in retries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia import ErrorKind
from tertulia.services.routing.allowance import RetryAllowance


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        (ErrorKind.CONNECTION, 486),
        (ErrorKind.TIMEOUT, 486),
        (ErrorKind.SERVER, 486),
        (ErrorKind.PROTOCOL, 486),
        (ErrorKind.RATE_LIMITED, 495),
        (ErrorKind.OVERLOADED, 495),
    ],
)
def test_a_retry_costs_less_where_the_service_was_too_busy(kind, left):
    """
    A retry takes 14 of 500, and 5 after a failure that says there is no room now.
    """
    allowance = RetryAllowance()

    assert (True, left) == (allowance.take(kind), allowance.tokens)


def test_an_outage_ends_retries_after_as_many_as_the_allowance_pays():
    """
    Of 100 retries that all fail 35 are made; the 10 tokens that are left pay two of the cheap kind.
    """
    allowance = RetryAllowance()

    made = 0
    for _ in range(100):
        made += allowance.take(ErrorKind.SERVER)
        allowance.keep()

    assert (35, 10) == (made, allowance.tokens)
    assert [True, True, False] == [allowance.take(ErrorKind.OVERLOADED) for _ in range(3)]


def test_an_answer_gives_back_what_its_retry_took():
    """
    Of two retries the second is answered: 14 come back, and 14 stay taken.
    """
    allowance = RetryAllowance()

    allowance.take(ErrorKind.SERVER)
    allowance.keep()
    allowance.take(ErrorKind.SERVER)
    allowance.give_back()

    assert 486 == allowance.tokens


def test_answers_at_once_fill_the_allowance_one_by_one():
    """
    After an outage, each answer without a retry gives 1, up to the full 500.
    """
    allowance = RetryAllowance()
    allowance.take(ErrorKind.SERVER)
    allowance.keep()

    for _ in range(3):
        allowance.give_back()
    assert 489 == allowance.tokens

    for _ in range(100):
        allowance.give_back()
    assert 500 == allowance.tokens


@given(st.lists(st.sampled_from(["take", "take cheap", "give_back", "keep"])))
def test_an_allowance_is_never_overdrawn_nor_overfull(events):
    """
    Whatever happens, 0 to 500 are left.
    """
    allowance = RetryAllowance()

    for event in events * 20:
        if event.startswith("take"):
            allowance.take(ErrorKind.OVERLOADED if event == "take cheap" else ErrorKind.SERVER)
        else:
            getattr(allowance, event)()
        assert 0 <= allowance.tokens <= 500
