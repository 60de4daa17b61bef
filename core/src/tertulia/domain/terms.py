"""
The words of a text, as every store finds them.

Words are runs of letters and digits, compared without case, accents and the other ways of writing the same
character. In scripts that are written without spaces every character begins a term of itself and the next
one, so that neighbours are found wherever they stand.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice, pairwise

import attrs

LONGEST_WORD = 100
"""Characters of a word of a query that count; what follows is not compared."""

MOST_WORDS = 100
"""Words of a query that count: the first so many."""

# Han, kana, Bopomofo, Thai, Lao, Myanmar and Khmer. Korean is written with spaces.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U0001aff0-\U0001b16f\U00020000-\U0003ffff"
)
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")
_SPACED_OR_NOT = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
# Where what stands between words is ASCII, everything else is part of a word.
_WORD = re.compile("[0-9A-Za-z\u0080-\U0010ffff]+")
_FOREIGN_WORD = re.compile(  # an ASCII word is looked at once, and not again from each of its letters
    "(?<![0-9A-Za-z\u0080-\U0010ffff])[0-9A-Za-z]*+[\u0080-\U0010ffff][0-9A-Za-z\u0080-\U0010ffff]*+"
)
_ODD = re.compile(r"[^\w\x00-\x7f]")  # neither ASCII nor a letter nor a digit: marks, for example
_LEADING_MARKS = re.compile(r"(?:^|(?<=[\x00-/:-@\[-`{-\x7f]))[^\w\x00-\x7f]+")
_CLUSTER = re.compile(r"[\s\S](?:[^\w\x00-\x7f]|[\uff9e\uff9f])*")
_WORDS_OF_BYTES = bytes(
    ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else code if code >= 128 else 32
    for code in range(256)
)

# The shape of BM25, with fixed lengths and no regard to how many other texts have a word: all that are
# compared have all of them.
_SATURATION, _LENGTH_WEIGHT, _USUAL_BYTES = 1.2, 0.75, 400
_LONG_WORD = 8  # the longer a word, the rarer: the weight of one grows up to here


@attrs.frozen
class Query:
    """
    What a search looks for. A text is found that has a term for each of both.

    Attributes:
        prefixes: A term begins with it.

        words: A term is it: words of one letter or digit, which begin too many.
    """

    prefixes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.prefixes or self.words)


def parse_query(text: str) -> Query:
    """
    Read what somebody looks for; every text is a query.

    Example:
        >>> parse_query("C++ at the Café near 北京站?")
        Query(prefixes=('at', 'the', 'cafe', 'near', '北京', '京站'), words=('c',))
    """
    pieces = list(islice(dict.fromkeys(_find_pieces(text)), MOST_WORDS))
    words = tuple(piece for piece in pieces if len(piece) == 1 and not _UNSPACED_RUN.match(piece))
    return Query(_drop_implied([piece for piece in pieces if piece not in words]), words)


def _find_pieces(text: str) -> Iterator[str]:
    """What each of a query's words asks for."""
    for word in _WORD.finditer(fold(text)):
        for piece in _SPACED_OR_NOT.findall(word[0]):
            if len(piece) > 1 and _UNSPACED_RUN.match(piece):
                yield from _pairs(piece)[:-1]
            else:
                yield piece[:LONGEST_WORD]


def _drop_implied(prefixes: list[str]) -> tuple[str, ...]:
    """Leave out what any text has that has another one."""
    pairs = pairwise(sorted(prefixes))
    implied = {shorter for shorter, longer in pairs if longer.startswith(shorter)}
    return tuple(each for each in prefixes if each not in implied)


def matches(query: str, text: str) -> bool:
    """
    Whether a text holds every word of a query: what every store's search goes by.

    Example:
        >>> matches("cafe munch", "Das Café in München"), matches("?", "What?")
        (True, False)
    """
    sought = parse_query(query)
    return bool(sought) and holds(sought, text)


def holds(sought: Query, text: str) -> bool:
    """Whether a text has a term for each of what is sought."""
    terms = _spell_out(text)
    return all(_begin(each) in terms for each in sought.prefixes) and all(
        _begin(each) + b" " in terms for each in sought.words
    )


def score(sought: Query, text: str) -> float:
    """
    How well a text answers that holds what is sought, as a number up to 2: more is better.

    Where all words are there as they are sought it is at least 1, and else less. A text names what it is
    about often and in few words.
    """
    terms = _spell_out(text)
    length = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * len(terms) / _USUAL_BYTES
    total = weights = 0.0
    is_whole = True
    for each in (*sought.prefixes, *sought.words):
        begin, weight = _begin(each), min(len(each), _LONG_WORD)
        times = terms.count(begin)
        total += weight * times / (times + _SATURATION * length)
        weights += weight
        is_whole = is_whole and begin + b" " in terms
    return is_whole + total / weights


def _spell_out(text: str) -> bytes:
    """The terms of a text, with a space before and after each."""
    return b" %b " % render_terms(text).encode().translate(_WORDS_OF_BYTES)


def _begin(term: str) -> bytes:
    return b" " + term.encode()


def find_terms(text: str) -> list[str]:
    """
    Return what a text is found by, in order and as often as it is there.

    Example:
        >>> find_terms("Straße 7b, 北京站")
        ['strasse', '7b', '北京', '京站', '站']
    """
    return _spell_out(text).decode().split()


def render_terms(text: str) -> str:
    """
    Return a text whose terms are its runs of letters and digits of ASCII and of whatever is not ASCII.

    ASCII is returned as it is, and its letters are still to be compared without case.
    """
    return text if text.isascii() else _FOREIGN_WORD.sub(_render_run, text)


def _render_run(found: re.Match[str]) -> str:
    run = found[0]
    return _render_word(run) if len(run) <= LONGEST_WORD else _UNSPACED_RUN.sub(_separate, fold(run))


@lru_cache(maxsize=4096)
def _render_word(word: str) -> str:
    return _UNSPACED_RUN.sub(_separate, fold(word))


def _separate(run: re.Match[str]) -> str:
    return f" {' '.join(_pairs(run[0]))} "


def _pairs(run: str) -> list[str]:
    """Every character with the next one; the last one alone."""
    return [run[start : start + 2] for start in range(len(run))]


def fold(text: str) -> str:
    """Make equal what is compared as equal; whatever is not ASCII is part of a word then."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", _blank(text))
    folded = unicodedata.normalize("NFKD", _ODD.sub(_drop_accent, folded).casefold())
    folded = _blank(unicodedata.normalize("NFC", _ODD.sub(_drop_accent, folded)))
    return _LEADING_MARKS.sub("", folded)


def find_runs(text: str) -> Iterator[re.Match[str]]:
    """The runs of letters, digits and marks of a text as it is written."""
    return _WORD.finditer(_blank(text))


def split_words(folded: str) -> list[str]:
    """The words of a text that is folded."""
    return _WORD.findall(folded)


def split_scripts(folded: str) -> Iterator[re.Match[str]]:
    """The pieces of a run that are, in turn, written with and without spaces."""
    return _SPACED_OR_NOT.finditer(folded)


def has_unspaced(folded: str) -> bool:
    """Whether some of it is of a script that is written without spaces."""
    return _UNSPACED_RUN.search(folded) is not None


def split_clusters(run: str) -> Iterator[re.Match[str]]:
    """The characters of a run as it is written, each with its marks."""
    return _CLUSTER.finditer(run)


def _blank(text: str) -> str:
    """The same, with a space for each character that is neither ASCII nor part of a word."""
    return _ODD.sub(_blank_odd, text)


def _blank_odd(found: re.Match[str]) -> str:
    return found[0] if _is_mark(found[0]) else " "


def _drop_accent(found: re.Match[str]) -> str:
    return "" if _is_accent(found[0]) else found[0]


@lru_cache(maxsize=4096)
def _is_mark(character: str) -> bool:
    """Whether a character belongs to the letter before it, or is not seen at all."""
    category = unicodedata.category(character)
    return category[0] == "M" or (category == "Cf" and character != "\u200b")  # a space without width


@lru_cache(maxsize=4096)
def _is_accent(character: str) -> bool:
    """Accents, the points of Hebrew and Arabic, and what is not seen; the vowels of others are letters."""
    combining = unicodedata.combining(character)
    return (
        combining >= 200
        or 10 <= combining <= 36
        or unicodedata.category(character) in ("Cf", "Me")
        or unicodedata.name(character, "").startswith(("VARIATION SELECTOR", "MONGOLIAN FREE VARIATION"))
    )
