"""What is known of the messages of a conversation that were ranked before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import log
from uuid import UUID

from tertulia.domain.message import Message
from tertulia.services.context.recall.likeness import Vocabulary
from tertulia.services.context.recall.profile import Profile, describe

MOST_TERMS = 200_000
"""Terms of messages that are remembered; where there are more, all is forgotten and begun anew."""


class Memory:
    """
    Remembers by their ids what messages consist of, so that the next turn is cheap.

    Attributes:
        times_forgotten: How often all was forgotten.
    """

    def __init__(self, *, most_terms: int = MOST_TERMS) -> None:
        self._most_terms = most_terms
        self.times_forgotten = -1
        self._forget()

    def _forget(self) -> None:
        self.times_forgotten += 1
        self._profiles: dict[UUID, Profile] = {}
        self._counts: Counter[str] = Counter()
        self._term_count = 0
        self.vocabulary = Vocabulary()

    def describe(self, messages: Iterable[Message]) -> Sequence[Profile]:
        """Return the profiles of messages, in their order."""
        if self._term_count > self._most_terms:
            self._forget()
        known = self._profiles
        return [known.get(message.id) or self._add(message) for message in messages]  # type: ignore[arg-type]

    def _add(self, message: Message) -> Profile:
        profile = describe(message)
        if message.id is not None:
            self._profiles[message.id] = profile
        self._counts.update(profile.terms.keys())
        self._term_count += len(profile.terms)
        self.vocabulary.add(profile.terms)
        return profile

    def count(self, stem: str) -> int:
        """Count the messages that have a stem."""
        return self._counts[stem]

    def measure_rarity(self, stem: str) -> float:
        """Measure how much a stem tells by how few messages have it."""
        return measure_rarity(self._counts[stem], max(len(self._profiles), 1))


def measure_rarity(count: int, message_count: int) -> float:
    """Measure how much a word tells that so many of so many messages have, as BM25 does."""
    return log(1 + (max(message_count - count, 0) + 0.5) / (count + 0.5))
