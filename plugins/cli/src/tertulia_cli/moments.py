"""Points and spans of time as people type them."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

_SPAN = re.compile(r"(\d{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def read_moment(option: str, text: str | None, zone: tzinfo | None = None) -> datetime | None:
    """
    Read a date, a date with a time, ``today``, ``yesterday``, or how long ago as in ``30d``.

    A date is the beginning of its day.

    Args:
        option: Where it was typed, for what is said of a wrong one.
        text: None for none.
        zone: Where it is that time, unless the text says so; None for here.

    Raises:
        click.UsageError: It is none of these.
    """
    if text is None:
        return None
    try:
        return _read(text.strip().lower(), zone)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(
            f"{option} {text!r} is no date: write 2026-11-22, 2026-11-22T14:30, today, yesterday, "
            "or 12h, 30d or 2w for so long ago."
        ) from error


def read_coming(option: str, text: str) -> datetime:
    """
    Read a date, a date with a time, or how long from now as in ``30d``.

    Raises:
        click.UsageError: It is none of these.
    """
    try:
        said = text.strip().lower()
        return datetime.now(UTC) + _to_span(said) if _SPAN.fullmatch(said) else _read(said, None)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(
            f"{option} {text!r} is no date: write 2026-11-22, 2026-11-22T14:30, or 12h, 30d or 2w from now."
        ) from error


def _read(text: str, zone: tzinfo | None) -> datetime:
    now = datetime.now(UTC)
    if text in ("today", "yesterday"):
        day = now.astimezone(zone).date() - timedelta(days=text == "yesterday")
        return _place(datetime(day.year, day.month, day.day), zone)  # noqa: DTZ001  # placed at once
    if _SPAN.fullmatch(text):
        return now - _to_span(text)
    return _place(datetime.fromisoformat(text.upper()), zone)


def _place(moment: datetime, zone: tzinfo | None) -> datetime:
    """A moment of a clock on the wall, in its zone."""
    if moment.tzinfo is not None:
        return moment
    return moment.astimezone() if zone is None else moment.replace(tzinfo=zone)


def read_span(option: str, text: str | None) -> timedelta | None:
    """
    Read how long something is, as in ``30d``.

    Raises:
        click.UsageError: It is no span.
    """
    if text is None:
        return None
    try:
        return _to_span(text.strip().lower())
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"{option} {text!r} is no span of time: write 12h, 30d or 2w.") from error


def _to_span(text: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def read_zone(name: str | None) -> ZoneInfo:
    """
    The time zone of a name; None for that of this machine, or UTC where it does not say.

    Raises:
        click.UsageError: There is none of that name.
    """
    if name is not None:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise click.UsageError(
                f'There is no time zone {name!r}: name one as in "Europe/Madrid".'
            ) from error
    try:
        return ZoneInfo(_own_zone())
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _own_zone() -> str:
    named = os.environ.get("TZ", "").removeprefix(":")
    if named:
        return named
    # How systems other than Windows say it; the standard library does not ask them.
    return os.path.realpath(Path("/etc/localtime")).partition("zoneinfo/")[2]
