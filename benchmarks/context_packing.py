"""Which of what was found there is room for, where whole messages are all that counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from tertulia.domain.context import Candidate


def pack(
    found: Iterable[Candidate], *, budget: int, count: Callable[[Candidate], int]
) -> Sequence[Candidate]:
    """
    Take the best first, as long as there is room, and leave out what does not fit.

    Args:
        found: The best first; what has a score of 0 or less is never taken.
        budget: Tokens for all of it together.
        count: The tokens that one takes as it is quoted.

    Returns:
        What fits, in the order it was said.
    """
    taken: list[Candidate] = []
    for candidate in found:
        if candidate.score <= 0:
            continue
        tokens = count(candidate)
        if tokens <= budget:
            budget -= tokens
            taken.append(candidate)
    return sorted(taken, key=lambda each: each.message.depth or 0)
