"""How strongly a message looks back to what is out of sight."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tertulia.services.context.recall.memory import Memory
from tertulia.services.context.recall.profile import Profile
from tertulia.services.context.recall.query import Query
from tertulia.services.context.recall.speakers import find_names, split_names

_SCALE = 4.0
_CONTINUED = 0.3  # of what the last messages hold: something of it is always meant
_MANY_WORDS = 4
_STATED = 0.5  # what is no question rarely looks back
_LONG = 2_000  # tokens: a message of so many holds half of what it does by chance


def measure_pull(query: Query, before: Sequence[Profile], last: Sequence[Profile], memory: Memory) -> float:
    """
    Measure how much more of what a query's words tell one message from before holds than any of the last.

    Who goes on with what is talked about repeats words of the last messages, and who asks for what was said
    long ago says so in few words: of many, some are always found.
    """
    told = _weigh(query, split_names(find_names([*before, *last])), memory)
    surplus = _cover(told, before) - _CONTINUED * _cover(told, last)
    scale = _SCALE if query.asks else _SCALE * _STATED
    return min(1.0, max(0.0, scale * surplus / (1 + len(told) / _MANY_WORDS)))


def _weigh(query: Query, names: Collection[str], memory: Memory) -> Mapping[str, float]:
    words = (word for word in query.words if word.tells and word.stem not in names)
    return {word.stem: word.weight * memory.measure_rarity(word.stem) for word in words}


def _cover(told: Mapping[str, float], profiles: Sequence[Profile]) -> float:
    """What share of the words' weight one of some messages holds."""
    total = sum(told.values()) or 1.0
    covers = (
        sum(weight for stem, weight in told.items() if stem in profile.terms) / (1 + profile.tokens / _LONG)
        for profile in profiles
    )
    return max(covers, default=0.0) / total
