"""Stretches of time, and the days of a time zone in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from tertulia.errors import ConfigurationError

_DAY = timedelta(days=1)
_SHORTEST = timedelta(microseconds=1)


@attrs.frozen
class Span:
    """
    A time during which the clocks of a time zone keep their distance from UTC.

    Attributes:
        until: Its end, which is not in it.

        offset: What those clocks are ahead of UTC.
    """

    until: datetime
    offset: timedelta


@attrs.frozen
class Period:
    """
    A stretch of time, and whose days it has.

    Attributes:
        since: Its beginning; None for no bound.

        until: Its end, which is not in it; None for no bound.

        time_zone: An IANA name, as in ``Europe/Madrid``.
    """

    since: datetime | None = None
    until: datetime | None = None
    time_zone: str = "UTC"
    _zone: tzinfo = attrs.field(default=UTC, eq=False, repr=False)

    @classmethod
    def of(cls, since: datetime | None, until: datetime | None, time_zone: str = "UTC") -> Period:
        """
        Make one of what a caller says.

        Raises:
            ConfigurationError: A moment has no time zone, or there is no such zone.
        """
        _check_moment("since", since)
        _check_moment("until", until)
        return cls(since, until, time_zone, _find_zone(time_zone))

    def __contains__(self, moment: datetime) -> bool:
        return (self.since is None or moment >= self.since) and (self.until is None or moment < self.until)

    def day_of(self, moment: datetime) -> date:
        """The day of a moment, by the clocks of its time zone."""
        return moment.astimezone(self._zone).date()

    def spans(self, first: datetime, last: datetime) -> list[Span]:
        """Cut the time between two moments wherever the clocks of its time zone are changed."""
        return list(_find_spans(self._zone, first.astimezone(UTC), last.astimezone(UTC)))


def _check_moment(name: str, moment: datetime | None) -> None:
    if moment is not None and moment.utcoffset() is None:
        raise ConfigurationError(
            f"{name} has no time zone: {moment.isoformat()} is another moment in every place",
            value=moment,
            next_step="pass an aware datetime, such as datetime(2026, 11, 1, tzinfo=UTC)",
        )


def _find_zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # needs no database of time zones, which not every machine has
    try:
        return ZoneInfo(name)
    # What is no name is no key, no relative path, a folder…, as the machine will have it.
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise ConfigurationError(
            f"there is no time zone {name!r}",
            value=name,
            next_step='give an IANA name such as "Europe/Madrid"; where none is known, install tzdata',
        ) from error


def _find_spans(zone: tzinfo, first: datetime, last: datetime) -> Iterator[Span]:
    # Looking once a day is enough: nowhere are clocks changed and changed back within one.
    at, offset = first, _offset(zone, first)
    while at < last:
        following = min(at + _DAY, last)
        if (changed := _offset(zone, following)) != offset:
            yield Span(_find_change(zone, at, following), offset)
            offset = changed
        at = following
    yield Span(last, offset)


def _find_change(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The first moment at which a zone has not the offset it had."""
    offset = _offset(zone, before)
    while after - before > _SHORTEST:
        middle = before + (after - before) // 2
        if _offset(zone, middle) == offset:
            before = middle
        else:
            after = middle
    return after


def _offset(zone: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()
