"""The words of the first hits: what is asked for is often said in other words nearby."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import nlargest

from tertulia.services.context.recall.memory import Memory
from tertulia.services.context.recall.profile import Profile
from tertulia.services.context.recall.words import FUNCTION_STEMS

FIRST_HITS = 4
_MOST_TERMS = 8
_HEAVIEST = 3
_SATURATION = 1.2
_USUAL_TOKENS = 100  # a long message says much beside what is asked for


def find_feedback(
    hits: Sequence[tuple[float, Profile]], asked: Mapping[str, float], memory: Memory, *, weight: float
) -> Mapping[str, float]:
    """
    Weigh what the first hits say that the query does not.

    Args:
        hits: The best messages so far and their scores.
        asked: The stems of the query by weight.
        memory: What is known of the messages.
        weight: Of the best of what is found; the heaviest stems of the query have 1.
    """
    found: defaultdict[str, float] = defaultdict(float)
    for score, profile in hits:
        share = score / (1 + profile.tokens / _USUAL_TOKENS)
        for stem, count in profile.terms.items():
            if memory.count(stem) > 1 and stem not in asked and _tells(stem):
                found[stem] += share * memory.measure_rarity(stem) * count / (count + _SATURATION)
    best = nlargest(_MOST_TERMS, ((told, stem) for stem, told in found.items() if told > 0))
    heaviest = sum(nlargest(_HEAVIEST, asked.values())) / _HEAVIEST
    return {stem: weight * heaviest * told / best[0][0] for told, stem in best}


def _tells(stem: str) -> bool:
    return len(stem) > 1 and stem not in FUNCTION_STEMS
