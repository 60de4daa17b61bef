"""Which messages are looked at beside those that were found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_NEAR = (1, -1, 2, -2)


def add_neighbours(best: Sequence[int], length: int, limit: int) -> list[int]:
    """
    Choose places of a path: what was found, and what stands right before and after it.

    Args:
        best: The places found, the best first: a third of the limit is for them, and what is left over.
        length: Of the path.
        limit: At most so many.

    Returns:
        In the order of the path.

    Example:
        >>> add_neighbours([7, 1], length=9, limit=6)
        [0, 1, 2, 6, 7, 8]
    """
    found = best[: max(1, limit // 3)]
    chosen = dict.fromkeys(found)
    for place in (*_find_near(found), *best):
        if len(chosen) >= limit:
            break
        if 0 <= place < length:
            chosen[place] = None
    return sorted(list(chosen)[: max(limit, 0)])


def _find_near(found: Sequence[int]) -> Iterator[int]:
    """The nearest of each first."""
    for steps in (_NEAR[:2], _NEAR[2:]):
        for place in found:
            yield from (place + step for step in steps)
