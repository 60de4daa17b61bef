"""What is left of an English word when its endings are taken off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from tertulia.domain.terms import find_terms
from tertulia.services.context.recall.languages import ENDINGS, IRREGULAR

_LONGEST_TERM = 200  # characters: what is longer is no word, and what is compared is remembered
_LEAST_STEM = 3
_LONGEST_ENDING = max(map(len, ENDINGS))
_VOWELS = frozenset("aeiouy")
_SINGLE = frozenset("aeiouls")  # letters that stand twice at the end of words without an ending
_MOST_KNOWN = 65_536


class _Stems(dict[str, str]):
    """The stems of words that were looked at: a dictionary answers sooner than a cache around a function."""

    def __missing__(self, word: str) -> str:
        if len(word) > _LONGEST_TERM:
            return self[word[:_LONGEST_TERM]]
        if len(self) >= _MOST_KNOWN:
            self.clear()
        stem = self[word] = _cut(word)
        return stem


_known = _Stems()


def split_terms(text: str) -> list[str]:
    """The terms of a text, of each as much as is compared."""
    return [term[:_LONGEST_TERM] for term in find_terms(text)]


def count_stems(words: Iterable[str]) -> Mapping[str, int]:
    """Count the stems of words."""
    return Counter(map(_known.__getitem__, words))


def find_stem(word: str) -> str:
    """
    Take an English word's endings off; whatever is not ASCII is left as it is.

    Example:
        >>> [find_stem(word) for word in ("agencies", "agency", "adoption", "running", "went")]
        ['agenc', 'agenc', 'adopt', 'run', 'go']
    """
    return _known[word]


def _cut(word: str) -> str:
    word = IRREGULAR.get(word, word)
    if not word.isascii() or not word.isalpha():
        return word
    return _close(_drop_ending(_drop_ending(word)))


def _drop_ending(word: str) -> str:
    """The longest ending goes, where enough is left and there is a vowel in it."""
    for start in range(max(_LEAST_STEM, len(word) - _LONGEST_ENDING), len(word)):
        instead = ENDINGS.get(word[start:])
        if instead is None or _VOWELS.isdisjoint(word[:start]) or word.endswith("ss", 0, start + 2):
            continue
        return word[:start] + instead
    return word


def _close(stem: str) -> str:
    """Make equal what only the spelling before an ending differs in: a letter twice, an e, a y."""
    if len(stem) <= _LEAST_STEM:
        return stem
    is_doubled = stem[-1] == stem[-2] and stem[-1] not in _SINGLE
    return stem[:-1] if is_doubled or stem[-1] in "eyi" else stem
