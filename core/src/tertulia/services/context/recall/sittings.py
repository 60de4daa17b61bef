"""Messages that belong together: said one after another, and in one sitting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def find_runs(sittings: Sequence[int]) -> Sequence[slice]:
    """Return the places of each sitting's messages."""
    changes = (place for place, (one, other) in enumerate(pairwise(sittings), 1) if one != other)
    return [slice(start, end) for start, end in pairwise((0, *changes, len(sittings)))]


def find_factors(shares: Sequence[float], depths: Sequence[int], sittings: Sequence[int]) -> Sequence[float]:
    """
    Say which share of what the one before it has each message gets: none of another sitting's.

    Args:
        shares: What each shares with the next one; what lies farther away gets a share of the share.
        depths: The place of each.
        sittings: The sitting of each.
    """
    pairs = zip(shares, pairwise(depths), pairwise(sittings), strict=False)
    return [
        0.0,
        *(_find_factor(given, abs(at - to), one == other) for given, (at, to), (one, other) in pairs),
    ]


def _find_factor(given: float, distance: int, is_one_sitting: bool) -> float:
    return given ** max(1, distance) if is_one_sitting and distance < _FAR else 0.0


def share(scores: Sequence[float], forwards: Sequence[float], backwards: Sequence[float]) -> Sequence[float]:
    """
    Let messages share their scores with what was said before and after them in the same sitting.

    Args:
        scores: Of each message, oldest first.
        forwards: What share each gets of the one before it.
        backwards: What share each gets of the one after it, newest first.
    """
    after = list(_carry(scores[::-1], backwards))
    after.reverse()
    return list(map(sum, zip(scores, _carry(scores, forwards), after, strict=True)))


def _carry(scores: Sequence[float], factors: Sequence[float]) -> Iterator[float]:
    """What each message gets from those before it."""
    before = 0.0
    for score, factor in zip(scores, factors, strict=True):
        carried = factor * before
        before = score + carried
        yield carried


def lift(scores: Sequence[float], runs: Sequence[slice], weight: float) -> Sequence[float]:
    """Let the best messages of each sitting lift the rest of it."""
    return scores if len(runs) == 1 else [score for run in runs for score in _lift(scores[run], weight)]


def _lift(scores: Sequence[float], weight: float) -> Sequence[float]:
    given = weight * sum(nlargest(_BEST, scores)) / _BEST
    return [score + given for score in scores]
