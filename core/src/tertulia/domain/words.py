"""How errors call things."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from tertulia.errors import ConfigurationError


def name_type(kind: type) -> str:
    """
    Name a type with its article.

    Example:
        >>> name_type(int), name_type(str)
        ('an int', 'a str')
    """
    article = "an" if kind.__name__[:1] in "AEIOaeio" else "a"
    return f"{article} {kind.__name__}"


def read_word(words: type[StrEnum], value: Any) -> Any:
    """
    Return the one of some words that a value is, and leave alone what is none.

    For converters: one that raised would leave half a value behind, whose ``repr`` fails in every traceback.
    """
    try:
        return words(value)
    except ValueError:
        return value


def check_word(name: str, words: type[StrEnum], value: object) -> None:
    """Refuse what is none of some words; ConfigurationError names all of them."""
    if not isinstance(value, words):
        raise ConfigurationError(
            f"{name} is none of {', '.join(words)}: {value!r}", value=value, next_step="write one of them"
        )
