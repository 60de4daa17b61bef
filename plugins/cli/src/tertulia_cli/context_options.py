"""How contexts are to be chosen, as people type it: ``KEY=VALUE``."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import attrs
import click

import tertulia

NONE = "none"
"""The value that takes back what was said."""

KEYS = tuple(attrs.fields_dict(tertulia.ContextOptions))
_COUNTS = ("max_tokens", "max_messages", "reserve_tokens", "max_recall_tokens")


def read_options(option: str, texts: Sequence[str]) -> tertulia.ContextOptions | None:
    """
    Read options of a context; None where there are none.

    Raises:
        click.UsageError: One of them is none. What values there are the library knows.
    """
    return change_options(tertulia.ContextOptions(), option, texts) if texts else None


def change_options(
    options: tertulia.ContextOptions, option: str, texts: Sequence[str]
) -> tertulia.ContextOptions:
    """The same options, with others over them; an empty value, or ``none``, takes one back."""
    return attrs.evolve(options, **dict(_read(option, text) for text in texts))


def describe_options(options: tertulia.ContextOptions) -> str:
    """
    The options that say something.

    Example:
        >>> describe_options(tertulia.ContextOptions("recent", max_tokens=8000))
        'strategy=recent max_tokens=8000'
    """
    return " ".join(f"{key}={value}" for key, value in said(options).items())


def said(options: tertulia.ContextOptions) -> dict[str, Any]:
    """The options that say something, by name."""
    return attrs.asdict(options, filter=lambda _, value: value is not None)


def _read(option: str, text: str) -> tuple[str, Any]:
    key, separator, value = (each.strip() for each in text.partition("="))
    if not separator:
        raise click.UsageError(f"{option} {text!r} has no value: write KEY=VALUE.")
    if key not in KEYS:
        close = difflib.get_close_matches(key, KEYS, n=1)
        advice = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(KEYS)}."
        raise click.UsageError(f"{option} names no option {key!r}: {advice}")
    if value.lower() in ("", NONE):
        return key, None
    return key, _read_count(value) if key in _COUNTS else value


def _read_count(value: str) -> int | str:
    """A number; what is none is refused with the others that cannot be."""
    try:
        return int(value.replace(",", "").replace("_", ""))
    except ValueError:
        return value
