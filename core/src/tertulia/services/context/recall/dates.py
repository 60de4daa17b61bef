"""The days that a question names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta

import attrs

from tertulia.domain.message import Message
from tertulia.domain.terms import fold
from tertulia.services.context.recall.languages import MONTHS

_AMBIGUOUS = "march|mars|marco|mayo"  # alone they are words, too, as are those of three letters
_NAMES = "|".join(sorted(MONTHS, key=len, reverse=True))
_LONG_NAMES = "|".join(name for name in _NAMES.split("|") if len(name) > 3)
_OF = r"(?: of| de| del)?"
_DAY = r"(?P<day>[0-3]?\d)(?:st|nd|rd|th|er|\.|o)?"
_YEAR = r"(?P<year>(?:19|20)\d\d)"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b{_YEAR}[-/.](?P<month>[01]?\d)(?:[-/.](?P<day>[0-3]?\d))?\b",
        rf"\b(?P<day>[0-3]?\d)\.(?P<month>[01]?\d)\.{_YEAR}\b",
        rf"{_YEAR}[年년](?: ?(?P<month>[01]?\d)[月월](?: ?(?P<day>[0-3]?\d)[日일])?)?",
        r"(?<!\d)(?P<month>[01]?\d)[月월](?: ?(?P<day>[0-3]?\d)[日일])?",
        rf"\b{_DAY}{_OF} (?P<name>{_NAMES})\b\.?(?:,?{_OF} {_YEAR}\b)?",
        rf"\b(?P<name>{_NAMES})\b\.? {_DAY}\b(?:,? {_YEAR}\b)?",
        rf"\b(?P<name>{_NAMES})\b\.?,?{_OF} {_YEAR}\b",
        rf"\b(?:in|im|en|em|since|last|seit|depuis|desde|в) (?P<name>{_NAMES})\b",
        rf"\b(?!{_AMBIGUOUS})(?P<name>{_LONG_NAMES})\b",
        rf"\b{_YEAR}\b",
    )
)
_LEAP_YEAR = 2024
_LATER = timedelta(days=10)  # what happened on a day is told some days later


@attrs.frozen
class Named:
    """A day, a month or a year; None where nothing is said of it."""

    year: int | None
    month: int | None
    day: int | None

    def holds(self, said: date) -> bool:
        """Whether something was said on one of its days, or soon after, when it is told."""
        years = (said.year, said.year - 1) if self.year is None else (self.year,)
        return any(self._holds(year, said) for year in years)

    def _holds(self, year: int, said: date) -> bool:
        first = _make_day(year, self.month or 1, self.day or 1)
        if self.day is not None:
            return first <= said <= first + _LATER
        following = date(year + 1, 1, 1) if self.month in (None, 12) else date(year, self.month + 1, 1)
        return first <= said < following + (_LATER if self.month else timedelta())


def _make_day(year: int, month: int, day: int) -> date:
    """The day of that date, or the one after it: there is a 29 February in some years only."""
    return date(year, month, 1) + timedelta(days=day - 1)


def find_dates(text: str) -> Sequence[Named]:
    """
    Find the days, months and years that a text names.

    Example:
        >>> find_dates("on 16 November 2023, or in May?")
        [Named(year=2023, month=11, day=16), Named(year=None, month=5, day=None)]
    """
    return list(_find_dates(fold(text)))


def _find_dates(folded: str) -> Iterator[Named]:
    for pattern in _PATTERNS:
        rest = ""
        start = 0
        for found in pattern.finditer(folded):
            rest += folded[start : found.start()] + "\n"
            start = found.end()
            named = _read(found.groupdict())
            if named is not None:
                yield named
        folded = rest + folded[start:]


def _read(found: Mapping[str, str | None]) -> Named | None:
    """None where there is no such day."""
    name, year, month, day = map(found.get, ("name", "year", "month", "day"))
    number = MONTHS[name] if name else int(month) if month else None
    named = Named(int(year) if year else None, number, int(day) if day else None)
    try:
        date(named.year or _LEAP_YEAR, named.month or 1, named.day or 1)
    except ValueError:
        return None
    return named


def weigh_dates(named: Sequence[Named], messages: Sequence[Message], *, weight: float) -> Sequence[float]:
    """Say by how much each message's score grows because of when it was said: a factor."""
    return [
        1 + weight
        if message.created_at is not None and any(each.holds(message.created_at.date()) for each in named)
        else 1.0
        for message in messages
    ]
