"""What ranking needs to know of its candidates, whatever is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from tertulia.domain.message import Message
from tertulia.services.context.recall.profile import Profile
from tertulia.services.context.recall.repeats import weigh_repeated
from tertulia.services.context.recall.sittings import find_factors, find_runs, find_sittings
from tertulia.services.context.recall.speakers import find_names
from tertulia.services.context.recall.weights import Weights

_DENSITY_TOKENS = 100  # that a message takes beside its own, so that the shortest do not win for being short


@attrs.frozen(eq=False)
class Prepared:
    """
    Candidates, ready to be ranked.

    Attributes:
        messages: Themselves, oldest first.

        profiles: Theirs.

        names: The names of those who speak, where messages open with them.

        repeated: What each counts that was said in the same words later on.

        runs: The places of each sitting's messages.

        forwards: What share each gets of what the one before it has.

        backwards: What share each gets of what the one after it has, newest first.
    """

    messages: Sequence[Message]
    profiles: Sequence[Profile]
    names: frozenset[str]
    repeated: Sequence[float]
    runs: Sequence[slice]
    forwards: Sequence[float]
    backwards: Sequence[float]
    _divisors: Sequence[float]

    def divide(self, scores: Sequence[float]) -> Sequence[float]:
        """What is said in few words leaves room for more."""
        return [score / divisor for score, divisor in zip(scores, self._divisors, strict=True)]


def prepare(messages: Sequence[Message], profiles: Sequence[Profile], weights: Weights) -> Prepared:
    """Find out what does not depend on what is asked; the messages are there oldest first."""
    sittings = find_sittings(messages)
    depths = [message.depth or 0 for message in messages]
    shares = [weights.answer if profile.asks else weights.neighbour for profile in profiles]
    return Prepared(
        messages,
        profiles,
        find_names(profiles),
        weigh_repeated(profiles),
        find_runs(sittings),
        find_factors(shares, depths, sittings),
        find_factors([weights.neighbour] * len(messages), depths[::-1], sittings[::-1]),
        [math.pow(profile.tokens + _DENSITY_TOKENS, weights.density) for profile in profiles],
    )
