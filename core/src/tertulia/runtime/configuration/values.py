"""Single values of a configuration: what each kind of them may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast
from urllib.parse import urlsplit

from tertulia.domain.config import Secret
from tertulia.runtime.configuration.tables import Given, refuse, suggest

MAX_OWNER = 200
_URL_FORM = "write it as https://HOST/PATH"

Word = TypeVar("Word", bound=str)


def is_blank(value: object) -> bool:
    """Whether a value is a text with nothing in it."""
    text = value.reveal() if isinstance(value, Secret) else value
    return isinstance(text, str) and not text.strip()


def is_number(value: object) -> bool:
    """Whether a value is a number, which a truth value is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_text(given: Given) -> str:
    """Read a text that says something."""
    if not isinstance(given.value, str) or not given.value.strip():
        raise refuse(given, "must be a text")
    return given.value.strip()


def read_owner(given: Given) -> str:
    """Read a name that every database tells from every other one."""
    name = read_text(given)
    if len(name) > MAX_OWNER or "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise refuse(
            given, f"must be a text of at most {MAX_OWNER} characters, none of them null or half of one"
        )
    return name


def read_secret(given: Given) -> Secret:
    """Read a text that must not show."""
    return given.value if isinstance(given.value, Secret) else Secret(read_text(given))


def read_url(given: Given) -> str:
    """Read where a service is."""
    problem = _find_problem(read_text(given))
    if problem is not None:
        what, next_step = problem
        raise refuse(given, what, next_step=next_step)
    return read_text(given)


# Apart, because its values may hold a password, and who raises an error shows them.
def _find_problem(url: str) -> tuple[str, str] | None:
    """What is wrong with a URL, and what to do about it; None when nothing is."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # is read, and refused, on demand
    except ValueError:
        return "is no URL", _URL_FORM
    if "@" in parts.netloc:
        return "has a user or a password in it", "put the key in api_key"
    return None if parts.hostname else ("has no host", _URL_FORM)


def read_names(given: Given) -> tuple[str, ...]:
    """Read one name or several."""
    names: object = (given.value,) if isinstance(given.value, str) else given.value
    if not isinstance(names, Sequence) or not all(
        isinstance(name, str) for name in cast("Sequence[object]", names)
    ):
        raise refuse(given, "must be a text or a list of texts")
    return tuple(cast("Sequence[str]", names))


def read_word(words: Sequence[Word], given: Given) -> Word:
    """Read one of some words."""
    for word in words:
        if given.value == word:
            return word
    advice = suggest(given.value, map(str, words)) if isinstance(given.value, str) else None
    raise refuse(
        given,
        f"must be one of: {', '.join(words)}",
        next_step=advice if advice and advice.startswith("did") else None,
    )


def read_yes_or_no(given: Given) -> bool:
    """Read a truth value."""
    if not isinstance(given.value, bool):
        raise refuse(given, "must be true or false", value=given.value)
    return given.value


def read_count(given: Given, *, least: int = 1) -> int:
    """Read a whole number."""
    if not isinstance(given.value, int) or isinstance(given.value, bool):
        raise refuse(given, "must be a whole number", value=given.value)
    if given.value < least:
        raise refuse(given, f"must be at least {least}", value=given.value)
    return given.value


def read_seconds(given: Given) -> float:
    """Read how long something may take."""
    if not is_number(given.value):
        raise refuse(given, "must be a number of seconds", value=given.value)
    if not given.value > 0:  # nor is NaN
        raise refuse(given, "must be more than 0 seconds", value=given.value)
    return cast("float", given.value)


def read_wait(given: Given) -> float:
    """Read how long somebody waits, which may be not at all, and has an end."""
    if not is_number(given.value):
        raise refuse(given, "must be a number of seconds", value=given.value)
    if not 0 <= given.value < float("inf"):
        raise refuse(
            given,
            "must be a number of seconds from 0 on",
            value=given.value,
            next_step="leave it out to wait as long as it takes",
        )
    return cast("float", given.value)
