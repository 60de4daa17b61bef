"""What the newest message asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice

import attrs

from tertulia.domain.terms import has_unspaced
from tertulia.services.context.recall.forms import find_forms
from tertulia.services.context.recall.languages import CONJUNCTIONS, QUESTION_MARKS
from tertulia.services.context.recall.words import FUNCTION_STEMS, guess_rarity, stem_terms

MOST_ALTERNATIVES = 16
_MOST_WORDS = 200  # of a pasted document nobody asks for each word
_MOST_CHARACTERS = 2000
_FUNCTION_WEIGHT = 0.3
_SHORT = 3  # words: who says no more means what was said before
_FULL = 3  # words that tell: enough, even after "and"
_EARLIER_WEIGHTS = (0.5, 0.25)


@attrs.frozen
class Sought:
    """
    One word of a query.

    Attributes:
        stem: What it is compared by.

        word: As it was said, folded.

        weight: What it counts beside its rarity.
    """

    stem: str
    word: str
    weight: float

    @property
    def tells(self) -> bool:
        """Whether it is more than grammar."""
        return self.stem not in FUNCTION_STEMS


@attrs.frozen
class Query:
    """
    What somebody asks for.

    Attributes:
        text: The newest message.

        question: The same after the messages it stands on, where it is elliptical, a line each.

        words: Each of their words once.

        sought: The stems of those to look for in an index, the rarest-looking first.

        alternatives: For an index of exact words: the forms of each of these.

        is_elliptical: Whether the newest message says too little on its own.

        asks: Whether it ends with a question mark, of whatever script.
    """

    text: str
    question: str
    words: tuple[Sought, ...]
    sought: tuple[str, ...]
    alternatives: tuple[tuple[str, ...], ...]
    is_elliptical: bool = False
    asks: bool = False

    @property
    def beginning(self) -> str:
        """What of the newest message can say what is asked: a long one is material."""
        return self.text[:_MOST_CHARACTERS]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing that could be looked for."""
        return not self.sought


def make_query(said: Sequence[str]) -> Query:
    r"""
    Find out what the user's last messages ask for.

    Args:
        said: Their texts, the newest last. Those before it count only where it is elliptical: "and why?"

    Example:
        >>> query = make_query(["Who adopted a dog?", "And why?"])
        >>> query.alternatives[0][:3], query.question
        (('adopted', 'adopt', 'adopts'), 'Who adopted a dog?\nAnd why?')
    """
    *earlier, newest = said[-1 - len(_EARLIER_WEIGHTS) :] or ("",)
    words = _find_words(newest, 1.0)
    is_elliptical = _is_elliptical(words.values())
    if is_elliptical:
        for weight, text in zip(_EARLIER_WEIGHTS, reversed(earlier), strict=False):
            words = {**_find_words(text, weight), **words}
    sought = _choose(words.values())
    return Query(
        newest,
        "\n".join((*earlier, newest)) if is_elliptical else newest,
        tuple(words.values()),
        tuple(word.stem for word in sought),
        tuple(find_forms(word.word) for word in sought),
        is_elliptical=is_elliptical,
        asks=newest.rstrip().endswith(QUESTION_MARKS),
    )


def _is_elliptical(words: Collection[Sought]) -> bool:
    """Whether somebody goes on with what was said, as in "and why?" or "what about Rome"."""
    telling = sum(word.tells for word in words)
    goes_on = any(word.word in CONJUNCTIONS for word in islice(words, 1))
    length = sum(0.5 if has_unspaced(word.word) else 1 for word in words)
    return not telling or length <= _SHORT or (goes_on and telling < _FULL)


def _find_words(text: str, weight: float) -> dict[str, Sought]:
    found = list(stem_terms(text).items())[-_MOST_WORDS:]
    return {
        stem: Sought(stem, word, weight * (_FUNCTION_WEIGHT if stem in FUNCTION_STEMS else 1))
        for stem, word in found
    }


def _choose(words: Iterable[Sought]) -> Sequence[Sought]:
    """Choose the words that are worth looking for, the rarest-looking first."""
    telling = [word for word in words if word.tells]
    telling.sort(key=lambda word: -word.weight * guess_rarity(word.word))
    return telling[:MOST_ALTERNATIVES]
