"""What both databases do alike with the texts that hold a word."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import attrs

MOST_OF_A_WORD = 2000
"""Texts that are looked at for one word, the newest: one that more have says little."""


@attrs.frozen
class Best:
    """
    What was found of some words.

    Attributes:
        places: Depths on the path, the best first.

        counts: How many texts of the conversation hold each word; of what very many do, about how many.

        length: Of the path.

        total: Messages of the conversation.
    """

    places: Sequence[int]
    counts: Sequence[int]
    length: int
    total: int


def weigh(count: int, total: int) -> float:
    """What a word says that so many texts of all have."""
    return log(1 + total / max(count, 1))


def estimate_count(found: int, looked: int, total: int) -> int:
    """How many texts hold a word that so many of the newest do."""
    return min(max(total, found), round(found * max(total, 1) / max(looked, found, 1)))
