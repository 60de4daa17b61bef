"""What is said again and again in the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import sqrt

from tertulia.services.context.recall.profile import Profile


def weigh_repeated(profiles: Sequence[Profile]) -> list[float]:
    """
    Say how much the words of each message count: less, the more often the same is said later on.

    The newest of equal messages counts in full. None of them counts for nothing: each may be an answer of
    its own, as "Yes" is, and what stands beside it finds it all the same.

    Args:
        profiles: The messages, oldest first.
    """
    said: Counter[int] = Counter()
    weights = [1.0] * len(profiles)
    for place in range(len(profiles) - 1, -1, -1):
        digest = profiles[place].digest
        said[digest] += 1
        if said[digest] > 1:
            weights[place] = 1 / sqrt(said[digest])
    return weights
