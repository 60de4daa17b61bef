"""The forms of a word that an index of exact words would hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from tertulia.domain.terms import has_unspaced
from tertulia.services.context.recall.languages import IRREGULAR, LATIN, SCRIPTS, Script
from tertulia.services.context.recall.stems import find_stem

MOST_FORMS = 16
_LEAST_STEM = 3
_VOWELS = frozenset("aeiou")


@lru_cache(maxsize=4096)
def find_forms(word: str) -> tuple[str, ...]:
    """
    List the forms that a folded word can have, itself first; most of those that are listed do not exist.

    Example:
        >>> find_forms("agencies")[:3], find_forms("48213")
        (('agencies', 'agenc', 'agencs'), ('48213',))
    """
    return tuple(dict.fromkeys((word, *_vary(word))))[:MOST_FORMS]


def _vary(word: str) -> Iterator[str]:
    if word.isascii():
        yield from _vary_latin(word) if word.isalpha() else ()
        return
    for script in () if has_unspaced(word) else SCRIPTS:
        if script.first <= word[0] <= script.last:
            yield from _vary_in(word, script)


def _vary_latin(word: str) -> Iterator[str]:
    stem = find_stem(word)
    yield from _find_irregular(IRREGULAR.get(word, stem))
    yield stem
    if _is_short(stem):
        yield from (stem + stem[-1] + ending for ending in ("ing", "ed", "er"))
    yield from (stem + ending for ending in LATIN.endings)


def _is_short(stem: str) -> bool:
    """Whether its last letter stands twice before an ending, as in "running"."""
    return len(stem) >= _LEAST_STEM and [letter in _VOWELS for letter in stem[-3:]] == [False, True, False]


def _find_irregular(base: str) -> Iterator[str]:
    """The forms of an English word that no ending tells."""
    forms = [form for form, of in IRREGULAR.items() if of == base]
    yield from (base, *forms) if forms else ()


def _vary_in(word: str, script: Script) -> Iterator[str]:
    bare = _cut(word, script.prefixes, str.removeprefix)
    stem = _cut(bare, script.endings, str.removesuffix)
    yield from (bare, stem)
    yield from (prefix + bare for prefix in script.prefixes)
    yield from (stem + ending for ending in script.endings)


def _cut(word: str, affixes: tuple[str, ...], cut: Callable[[str, str], str]) -> str:
    """Take off the longest affix that it has, where enough is left."""
    rests = (cut(word, affix) for affix in affixes)
    return min(
        (rest for rest in rests if len(rest) >= min(_LEAST_STEM, len(word) - 1)), key=len, default=word
    )
