"""Words that are like one another: other forms of a word in any language, compounds, slips of the pen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from heapq import nlargest

_RUN = 3  # characters
_LEAST_LENGTH = 4  # of a word that others can be like: shorter ones are like too many
_LEAST_SHARED = 0.6
_MOST = 5


class Vocabulary:
    """
    The words of a conversation by the runs of characters they have.

    Example:
        >>> vocabulary = Vocabulary()
        >>> vocabulary.add(["education", "dedication", "школа"])
        >>> [word for word, _ in vocabulary.find_like("educaton")], vocabulary.find_like("школу")
        (['education'], [('школа', 0.75)])
    """

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._new: set[str] = set()
        self._having: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, words: Iterable[str]) -> None:
        """Take in words; they are looked at when one is sought that is like them."""
        self._new.update(words)

    def _look(self) -> None:
        new = sorted(self._new - self._words)
        self._new.clear()
        self._words.update(new)
        having = self._having
        for word in new:
            if len(word) > 2:  # what has fewer characters has no runs
                for run in _find_runs(word):
                    having[run].append(word)

    def find_like(self, word: str) -> Sequence[tuple[str, float]]:
        """Return the words most like another, with the share of their runs that both have."""
        if len(word) < _LEAST_LENGTH and word.isascii():
            return []
        self._look()
        runs = _find_runs(word)
        shared = Counter[str]()
        for run in runs:
            shared.update(self._having.get(run, ()))
        shared.pop(word, None)
        least = int(len(runs) * _LEAST_SHARED / (2 - _LEAST_SHARED))  # of others' runs, too
        likenesses = (
            (2 * count / (len(runs) + max(1, len(other) - 1)), other)
            for other, count in shared.items()
            if count >= least
        )
        best = nlargest(_MOST, (each for each in likenesses if each[0] >= _LEAST_SHARED))
        return [(other, likeness) for likeness, other in best]


def _find_runs(word: str) -> set[str]:
    """The runs of a word, whose beginning counts as a character."""
    length = _RUN - ("\uac00" <= word[:1] <= "\ud7af")  # a syllable of Korean is two or three letters
    word = "^" + word
    return {word[start : start + length] for start in range(max(1, len(word) - length + 1))}
