"""Candidates put in order: how well each message of the past answers to a query."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest
from operator import add, attrgetter, mul

import attrs

from tertulia.domain.context import Candidate
from tertulia.domain.message import Message
from tertulia.services.context.recall.dates import find_dates, weigh_dates
from tertulia.services.context.recall.feedback import FIRST_HITS, find_feedback
from tertulia.services.context.recall.memory import Memory, measure_rarity
from tertulia.services.context.recall.prepared import Prepared, prepare
from tertulia.services.context.recall.pull import measure_pull
from tertulia.services.context.recall.query import Query
from tertulia.services.context.recall.reasons import give_reasons
from tertulia.services.context.recall.sides import find_answers_share, put_answers_forward
from tertulia.services.context.recall.sittings import lift, share
from tertulia.services.context.recall.speakers import find_asked, split_names, weigh_speaker
from tertulia.services.context.recall.terms import score_terms, weigh_words
from tertulia.services.context.recall.weights import USUAL, Weights

MOST_FOUND = 400
_MOST_PULLING = 10
_LAST_SAID = 6
_MOST_REASONS = 64  # messages whose reasons anybody will read


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
        self._prepared: tuple[Prepared | None, int] = None, 0

    def learn(self, messages: Iterable[Message]) -> None:
        """Take in how often words are said, so that it does not matter what was ranked before."""
        self._memory.describe(messages)

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

        What does not answer at all is left out; of two that answer alike the later one is first. Where what
        the assistant has explained is asked for, its messages come before better ones of the user's, until
        they have their share of the tokens: the scores are not in order then.

        Args:
            query: What is looked for.
            candidates: Messages that may answer, in any order.
            corpus: What the index knows that found them; None where they are all there is.
            most: Messages that are returned.
        """
        messages = sorted(candidates, key=_place)
        if not messages:
            return []
        prepared = self._prepare(messages)
        profiles, repeated = prepared.profiles, prepared.repeated
        asked = self._weigh_words(query, corpus, prepared.names)
        scores: Sequence[float] = list(map(mul, score_terms(profiles, asked), repeated))
        more = self._find_feedback(prepared, scores, asked)
        scores = list(map(add, scores, map(mul, score_terms(profiles, more), repeated)))
        scores = self._heed_speakers(scores, query, prepared)
        scores = self._heed_dates(scores, query, messages)
        scores = share(scores, prepared.forwards, prepared.backwards)
        scores = lift(scores, prepared.runs, self._weights.sitting)
        scores = prepared.divide(scores)
        found = sorted(((score, index) for index, score in enumerate(scores) if score > 0), reverse=True)
        best: Iterable[int] = [index for _, index in found[:most]]
        if of_answers := 0.0 if prepared.names else find_answers_share(query):
            best = put_answers_forward(best, messages, profiles, share=of_answers)
        return [
            Candidate(
                messages[index],
                scores[index],
                give_reasons(profiles[index], query, more) if place < _MOST_REASONS else (),
            )
            for place, index in enumerate(best)
        ]

    def _prepare(self, messages: Sequence[Message]) -> Prepared:
        """What was found out about the same messages holds until what they consist of is forgotten."""
        prepared, forgotten = self._prepared
        if prepared is None or forgotten != self._memory.times_forgotten or prepared.messages != messages:
            profiles = self._memory.describe(messages)
            prepared = prepare(messages, profiles, self._weights)
            self._prepared = prepared, self._memory.times_forgotten
        return prepared

    def measure_pull(self, query: Query, found: Sequence[Candidate], recent: Iterable[Message]) -> float:
        """
        Measure how strongly a query looks back to what is out of sight, from 0 to 1.

        Args:
            query: What is looked for.
            found: What was found of it before what is sent anyway, the best first.
            recent: What is sent anyway, oldest first; what was said last is enough.
        """
        best = nlargest(_MOST_PULLING, found, key=attrgetter("score"))
        before = self._memory.describe(each.message for each in best if each.score > 0)
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
        self, prepared: Prepared, scores: Sequence[float], asked: Mapping[str, float]
    ) -> Mapping[str, float]:
        if not self._weights.feedback:
            return {}
        dense = zip(prepared.divide(scores), range(len(scores)), strict=True)
        best = [index for score, index in nlargest(FIRST_HITS, dense) if score > 0]
        hits = [(scores[index], prepared.profiles[index]) for index in best]
        return find_feedback(hits, asked, self._memory, weight=self._weights.feedback)

    def _heed_speakers(self, scores: Sequence[float], query: Query, prepared: Prepared) -> Sequence[float]:
        weights = self._weights
        factors = weigh_speaker(
            query,
            find_asked(query, prepared.names),
            prepared.messages,
            prepared.profiles,
            speaker=weights.speaker,
            personal=weights.first_person,
        )
        return list(map(mul, scores, factors))

    def _heed_dates(
        self, scores: Sequence[float], query: Query, messages: Sequence[Message]
    ) -> Sequence[float]:
        named = find_dates(query.beginning) if self._weights.date else ()
        if not named:
            return scores
        return list(map(mul, scores, weigh_dates(named, messages, weight=self._weights.date)))


def _place(message: Message) -> int:
    return message.depth or 0
