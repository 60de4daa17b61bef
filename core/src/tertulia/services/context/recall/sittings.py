"""Messages that belong together: said one after another, and in one sitting."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from heapq import nlargest
from itertools import pairwise
from statistics import median

from tertulia.domain.message import Message

_LEAST_PAUSE_SECONDS = 1800.0
_USUAL_GAPS = 10  # a pause is so many times as long as what usually lies between two messages
_BEST = 3
_FAR = 5  # messages: so far apart nothing is shared


def find_sittings(messages: Sequence[Message]) -> Sequence[int]:
    """Number the sittings that messages, oldest first, belong to; where no times are known all are one."""
    gaps = [_measure_gap(message, following) for message, following in pairwise(messages)]
    pause = max(_LEAST_PAUSE_SECONDS, _USUAL_GAPS * median(gaps)) if gaps else 0.0
    sittings = [0]
    for gap in gaps:
        sittings.append(sittings[-1] + (gap > pause))
    return sittings


def _measure_gap(message: Message, following: Message) -> float:
    if message.created_at is None or following.created_at is None:
        return 0.0
    return (following.created_at - message.created_at).total_seconds()


def share(
    scores: Sequence[float],
    shares: Sequence[float],
    back: float,
    depths: Sequence[int],
    sittings: Sequence[int],
) -> list[float]:
    """
    Let messages share their scores with what was said before and after them in the same sitting.

    Args:
        scores: Of each message, oldest first.
        shares: What each shares with the next one, which shares as much of that with its own.
        back: What each shares with the one before it.
        depths: The place of each.
        sittings: The sitting of each.
    """
    forwards = _carry(scores, shares, depths, sittings)
    backwards = _carry(scores[::-1], [back] * len(scores), depths[::-1], sittings[::-1])
    return [sum(each) for each in zip(scores, forwards, reversed(backwards), strict=True)]


def _carry(
    scores: Sequence[float], shares: Sequence[float], depths: Sequence[int], sittings: Sequence[int]
) -> Sequence[float]:
    """What each message gets from those before it."""
    carried = [0.0] * len(scores)
    for index in range(1, len(scores)):
        distance = abs(depths[index] - depths[index - 1])
        if sittings[index] == sittings[index - 1] and distance < _FAR:
            given = shares[index - 1] * (scores[index - 1] + carried[index - 1])
            carried[index] = given if distance <= 1 else given * shares[index - 1] ** (distance - 1)
    return carried


def lift(scores: Sequence[float], sittings: Sequence[int], weight: float) -> list[float]:
    """Let the best messages of each sitting lift the rest of it."""
    by_sitting: defaultdict[int, list[float]] = defaultdict(list)
    for score, sitting in zip(scores, sittings, strict=True):
        by_sitting[sitting].append(score)
    if len(by_sitting) == 1:
        return list(scores)
    lifts = {sitting: weight * sum(nlargest(_BEST, of)) / _BEST for sitting, of in by_sitting.items()}
    return [score + lifts[sitting] for score, sitting in zip(scores, sittings, strict=True)]
