"""Candidates put in order: how well each message of the past answers to a query."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from operator import add, mul

import attrs

from tertulia.domain.context import Candidate
from tertulia.domain.message import Message
from tertulia.services.context.recall.dates import find_dates, weigh_dates
from tertulia.services.context.recall.feedback import FIRST_HITS, find_feedback
from tertulia.services.context.recall.memory import Memory, measure_rarity
from tertulia.services.context.recall.profile import Profile
from tertulia.services.context.recall.pull import measure_pull
from tertulia.services.context.recall.query import Query
from tertulia.services.context.recall.reasons import give_reasons
from tertulia.services.context.recall.sittings import find_sittings, lift, share
from tertulia.services.context.recall.speakers import find_asked, find_names, split_names, weigh_speaker
from tertulia.services.context.recall.terms import score_terms, weigh_words
from tertulia.services.context.recall.weights import USUAL, Weights

MOST_FOUND = 400
_DENSITY_TOKENS = 100  # that a message takes beside its own, so that the shortest do not win for being short
_MOST_PULLING = 10
_LAST_SAID = 6
_MOST_REASONS = 64  # messages whose reasons anybody will read
_MOST_CHARACTERS = 2000  # of the newest message: a longer one is material, and no question


@attrs.frozen
class Corpus:
    """
    What an index knows of all that it searched.

    Attributes:
        message_count: Messages that were searched.

        counts: How many of them hold any form of each of a query's alternatives.
    """

    message_count: int
    counts: Sequence[int]


class Recall:
    """Ranks what was said in one conversation, and remembers what it has read of it."""

    def __init__(self, *, weights: Weights = USUAL) -> None:
        self._weights = weights
        self._memory = Memory()

    def rank(
        self,
        query: Query,
        candidates: Iterable[Message],
        *,
        corpus: Corpus | None = None,
        most: int = MOST_FOUND,
    ) -> Sequence[Candidate]:
        """
        Put messages in order of how well they answer to a query, the best first.

        What does not answer at all is left out; of two that answer alike the later one is first.

        Args:
            query: What is looked for.
            candidates: Messages that may answer, in any order.
            corpus: What the index knows that found them; None where they are all there is.
            most: Messages that are returned.
        """
        messages = sorted(candidates, key=_place)
        if not messages:
            return []
        profiles = self._memory.describe(messages)
        names = find_names(profiles)
        asked = self._weigh_words(query, corpus, names)
        scores: Sequence[float] = score_terms(profiles, asked)
        more = self._find_feedback(profiles, scores, asked)
        scores = list(map(add, scores, score_terms(profiles, more)))
        scores = self._heed_speakers(scores, query, names, messages, profiles)
        scores = self._heed_dates(scores, query, messages)
        scores = self._share(scores, messages, profiles)
        scores = list(map(self._divide, scores, profiles))
        best = nlargest(most, ((score, index) for index, score in enumerate(scores) if score > 0))
        return [
            Candidate(
                messages[index],
                score,
                give_reasons(profiles[index], query, more) if place < _MOST_REASONS else (),
            )
            for place, (score, index) in enumerate(best)
        ]

    def measure_pull(self, query: Query, found: Sequence[Candidate], recent: Iterable[Message]) -> float:
        """
        Measure how strongly a query looks back to what is out of sight, from 0 to 1.

        Args:
            query: What is looked for.
            found: What was found of it before what is sent anyway, the best first.
            recent: What is sent anyway, oldest first; what was said last is enough.
        """
        before = self._memory.describe(each.message for each in found[:_MOST_PULLING] if each.score > 0)
        last = self._memory.describe(list(recent)[-_LAST_SAID:])
        return measure_pull(query, before, last, self._memory)

    def _weigh_words(self, query: Query, corpus: Corpus | None, names: frozenset[str]) -> Mapping[str, float]:
        """Weigh what is looked for; the names of those who speak say who, and not what."""
        rarities: dict[str, float] = {}
        if corpus is not None:
            pairs = zip(query.sought, corpus.counts, strict=True)
            rarities = {stem: measure_rarity(count, corpus.message_count) for stem, count in pairs}
        asked = weigh_words(query, self._memory, likeness=self._weights.likeness, rarities=rarities)
        named = split_names(names)
        return {stem: weight for stem, weight in asked.items() if stem not in named}

    def _find_feedback(
        self, profiles: Sequence[Profile], scores: Sequence[float], asked: Mapping[str, float]
    ) -> Mapping[str, float]:
        if not self._weights.feedback:
            return {}
        dense = zip(map(self._divide, scores, profiles), range(len(profiles)), strict=True)
        best = [index for score, index in nlargest(FIRST_HITS, dense) if score > 0]
        hits = [(scores[index], profiles[index]) for index in best]
        return find_feedback(hits, asked, self._memory, weight=self._weights.feedback)

    def _heed_speakers(
        self,
        scores: Sequence[float],
        query: Query,
        names: frozenset[str],
        messages: Sequence[Message],
        profiles: Sequence[Profile],
    ) -> Sequence[float]:
        weights = self._weights
        asked = find_asked(query, names)
        factors = weigh_speaker(
            query, asked, messages, profiles, speaker=weights.speaker, personal=weights.first_person
        )
        return list(map(mul, scores, factors))

    def _heed_dates(
        self, scores: Sequence[float], query: Query, messages: Sequence[Message]
    ) -> Sequence[float]:
        named = find_dates(query.text[:_MOST_CHARACTERS]) if self._weights.date else ()
        if not named:
            return scores
        return list(map(mul, scores, weigh_dates(named, messages, weight=self._weights.date)))

    def _share(
        self, scores: Sequence[float], messages: Sequence[Message], profiles: Sequence[Profile]
    ) -> Sequence[float]:
        """Let messages share what they have with what was said around them."""
        weights = self._weights
        sittings = find_sittings(messages)
        shares = [weights.answer if profile.asks else weights.neighbour for profile in profiles]
        shared = share(scores, shares, weights.neighbour, list(map(_place, messages)), sittings)
        return lift(shared, sittings, weights.sitting)

    def _divide(self, score: float, profile: Profile) -> float:
        """What is said in few words leaves room for more."""
        return score / math.pow(profile.tokens + _DENSITY_TOKENS, self._weights.density)


def _place(message: Message) -> int:
    return message.depth or 0
