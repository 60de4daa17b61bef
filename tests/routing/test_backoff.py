"""How long to wait before a retry."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tertulia.services.routing.backoff import find_wait


@pytest.mark.parametrize(
    ("retry", "longest"), [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (100_000, 8.0)]
)
def test_the_longest_wait_doubles_up_to_eight_seconds(retry, longest):
    """
    A draw of 1 gives the longest wait, a draw of 0 none, one of a quarter a quarter.
    """
    waits = [find_wait(retry, None, lambda share=share: share) for share in (0.0, 0.25, 1.0)]

    assert [0.0, longest / 4, longest] == waits


@pytest.mark.parametrize(
    ("hint", "least", "most"),
    [(0.0, 0.0, 0.0), (0.5, 0.5, 0.55), (5.0, 5.0, 5.5), (10.0, 10.0, 11.0), (3600.0, 3600.0, 3601.0)],
)
def test_what_the_service_asks_for_is_waited_for_and_a_little_more(hint, least, most):
    """
    A hint replaces the jitter, whichever retry it is, with up to a tenth more, and up to a second.
    """
    assert [least, most] == [find_wait(3, hint, lambda share=share: share) for share in (0.0, 1.0)]


@pytest.mark.parametrize("hint", [-1.0, -math.inf, math.nan])
def test_a_hint_that_is_nonsense_is_none(hint):
    """
    The past, and what is no number, are waited for as if the service had said nothing.
    """
    assert 0.5 == find_wait(0, hint, lambda: 1.0)


@given(
    st.integers(0, 10_000),
    st.none() | st.floats(allow_nan=True, allow_infinity=False),
    st.floats(0, 1, exclude_max=True),
)
def test_a_wait_is_never_shorter_than_the_hint_nor_negative(retry, hint, share):
    """
    Whatever the service says, the wait is a number of seconds from 0 on.
    """
    wait = find_wait(retry, hint, lambda: share)

    assert wait >= max(0.0, hint) if hint is not None and hint >= 0 else 0.0 <= wait <= 8.0
