"""An index of words in memory, for long conversations whose store has none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from heapq import nlargest
from math import log

import attrs

from tertulia.domain.context import Related
from tertulia.domain.message import Message
from tertulia.domain.terms import find_terms

_AROUND = 2  # messages before and after what holds the words
_MOST_HITS = 2_000  # of one word: what more messages hold says little


@attrs.define(eq=False)
class WordIndex:
    """
    Which messages hold which words.

    Example:
        >>> index = WordIndex()
        >>> said = [Message.of("user", "Rex is a dog"), Message.of("user", "Mia is a cat")]
        >>> [message.text for message in index.find(said, [("dog", "dogs")], limit=1).messages]
        ['Rex is a dog']
    """

    _indexed: list[Message] = attrs.field(factory=list[Message])
    _places: dict[str, list[int]] = attrs.field(factory=lambda: defaultdict(list))

    def find(self, messages: Sequence[Message], words: Sequence[Sequence[str]], *, limit: int) -> Related:
        """
        Find what holds any of some words, with the rarest first, and what was said around it.

        Args:
            messages: Where it is looked for, oldest first; what was indexed of them is not indexed again.
            words: For each sought word its forms, any of which will do.
            limit: At most so many messages, their neighbours among them.
        """
        self._add(messages)
        hits = [self._find_places(forms, len(messages)) for forms in words]
        scores: defaultdict[int, float] = defaultdict(float)
        for places in hits:
            for place in places[-_MOST_HITS:]:
                scores[place] += log(1 + len(messages) / len(places))
        chosen: dict[int, None] = {}
        for place in nlargest(limit, scores, key=lambda place: (scores[place], place)):
            around = range(max(0, place - _AROUND), min(len(messages), place + _AROUND + 1))
            chosen.update(dict.fromkeys((place, *around)))
            if len(chosen) >= limit:
                break
        found = tuple(messages[place] for place in sorted(list(chosen)[:limit]))
        return Related(found, tuple(map(len, hits)), len(messages))

    def _add(self, messages: Sequence[Message]) -> None:
        """Index what is new; where something else was said, begin again."""
        common = min(len(self._indexed), len(messages))
        if common and messages[common - 1].id != self._indexed[common - 1].id:
            self._indexed, self._places = [], defaultdict(list)
        known = len(self._indexed)
        for place in range(known, len(messages)):
            for term in set(find_terms(messages[place].searchable_text)):
                self._places[term].append(place)
        self._indexed += messages[known:]

    def _find_places(self, forms: Sequence[str], below: int) -> list[int]:
        found = {place for form in forms for place in self._places.get(form, ()) if place < below}
        return sorted(found)
