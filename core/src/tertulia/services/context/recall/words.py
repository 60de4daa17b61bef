"""The words of a text as recall compares them, and which of them say little."""

from __future__ import annotations

from collections.abc import Mapping

from tertulia.domain.terms import has_unspaced
from tertulia.services.context.recall.languages import FUNCTION_WORDS
from tertulia.services.context.recall.stems import find_stem, split_terms

FUNCTION_STEMS = frozenset(map(find_stem, FUNCTION_WORDS))

_LONG = 8  # letters: the longer a word, the rarer, up to here


def stem_terms(text: str) -> Mapping[str, str]:
    """Find the stems of a text, each with the word it was first found as."""
    words = split_terms(text)
    has_pairs = any(len(word) > 1 and has_unspaced(word) for word in words)
    stems: dict[str, str] = {}
    for word in words:
        if not (has_pairs and len(word) == 1 and has_unspaced(word)):  # the last character of a run
            stems.setdefault(find_stem(word), word)
    return stems


def guess_rarity(word: str) -> int:
    """How rare a word looks that nobody has counted: figures most of all, then what is long."""
    if word in FUNCTION_WORDS:
        return 0
    if has_unspaced(word):
        return 1 if all("\u3040" <= character <= "\u309f" for character in word) else _LONG
    return 2 * _LONG if any(map(str.isdecimal, word)) else min(len(word), _LONG)
