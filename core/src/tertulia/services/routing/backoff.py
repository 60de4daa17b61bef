"""How long to wait before the same target is asked again."""

from __future__ import annotations

from collections.abc import Callable

BASE_SECONDS = 0.5
MOST_SECONDS = 8.0
_MOST_DOUBLINGS = 4  # more of them are beyond the cap, and far more beyond any float


def find_wait(retry: int, hint: float | None, draw: Callable[[], float]) -> float:
    """
    Say how long to wait before a retry.

    Args:
        retry: Which one, from 0.
        hint: Seconds the service asked to wait; None, or nonsense, when it did not say.
        draw: Draws a number from 0 to 1.

    Returns:
        Seconds: any from 0 to twice as many as before ("full jitter"), or the hint and a little more, so that
        clients which were told the same do not all come back at once.

    Example:
        >>> find_wait(1, None, lambda: 0.5), find_wait(1, 20.0, lambda: 0.5)
        (0.5, 20.5)
    """
    if hint is not None and hint >= 0:  # nor is NaN
        return hint + min(1.0, hint / 10) * draw()
    longest = BASE_SECONDS * 2.0 ** min(retry, _MOST_DOUBLINGS)
    return min(MOST_SECONDS, longest) * draw()
