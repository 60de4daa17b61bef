"""The words of a query, and how well messages hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tertulia.services.context.recall.memory import Memory
from tertulia.services.context.recall.profile import Profile
from tertulia.services.context.recall.query import Query

_SATURATION = 1.2  # as of BM25: how soon another mention of a word tells nothing new
_LENGTH_WEIGHT = 0.2  # as of BM25, and less than usual: the score is divided by the tokens in the end


def weigh_words(
    query: Query, memory: Memory, *, likeness: float, rarities: Mapping[str, float]
) -> dict[str, float]:
    """
    Weigh the stems of a query, and those that are like them, by how few messages have them.

    Args:
        query: What is looked for.
        memory: What is known of the messages.
        likeness: The weight of stems that are like those of the query.
        rarities: Of stems, what an index has counted.
    """
    weights: dict[str, float] = {}
    for word in query.words:
        rarity = rarities.get(word.stem) or memory.measure_rarity(word.stem)
        is_known = memory.count(word.stem) > 0
        if is_known:
            weights[word.stem] = word.weight * rarity
        if not word.tells or not likeness:
            continue
        for other, shared in memory.vocabulary.find_like(word.stem):
            # What was said as it is asked for is hardly meant to be another word as well.
            weight = word.weight * likeness * (shared if is_known else 1.0)
            weight *= min(rarity, memory.measure_rarity(other))
            weights[other] = max(weight, weights.get(other, 0.0))
    return weights


def score_terms(profiles: Sequence[Profile], asked: Mapping[str, float]) -> list[float]:
    """Score messages by the stems they hold, as BM25 does."""
    usual = sum(profile.tokens for profile in profiles) / len(profiles) or 1.0
    shortest, growth = _SATURATION * (1 - _LENGTH_WEIGHT), _SATURATION * _LENGTH_WEIGHT / usual
    stems = asked.keys()
    scores = [0.0] * len(profiles)
    for index, profile in enumerate(profiles):
        terms = profile.terms
        held = stems & terms.keys()
        if held:
            length = shortest + growth * profile.tokens
            # Added up in order: that of a set differs between processes, and so would the last digits.
            scores[index] = sum(
                asked[stem] * (1 + _SATURATION) * terms[stem] / (terms[stem] + length)
                for stem in (sorted(held) if len(held) > 2 else held)  # two in either order
            )
    return scores
