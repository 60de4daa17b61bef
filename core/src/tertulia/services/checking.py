"""What callers say of stored conversations, held against what it may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import TypeVar, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import attrs

from tertulia.domain.conversation import ConversationRecord, ConversationState
from tertulia.domain.library import ConversationFilter, MarkChange
from tertulia.domain.message import Role
from tertulia.domain.statistics import CostGroup
from tertulia.domain.usage import Money
from tertulia.domain.words import name_type
from tertulia.errors import ConfigurationError
from tertulia.runtime.serialization import encode_json

E = TypeVar("E", bound=StrEnum)

MAX_TAG = 200
MOST_AT_ONCE = 10_000
_FIELDS: Mapping[str, type] = {
    "provider": str,
    "model": str,
    "text": str,
    "min_messages": int,
    "max_messages": int,
    "min_cost": Money,
    "max_cost": Money,
    "has_unknown_cost": bool,
}


def check_kind(name: str, value: object, kind: type) -> None:
    """Refuse what a type checker would: what it would break later looks like a broken database."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigurationError(
            f"{name} must be {name_type(kind)}, not {name_type(type(value))}", value=value
        )


def check_limit(limit: int) -> int:
    """Refuse a page that is none, or that is no page."""
    if not isinstance(cast("object", limit), int) or not 1 <= limit <= MOST_AT_ONCE:
        raise ConfigurationError(f"limit is from 1 to {MOST_AT_ONCE:,}, and not {limit!r}", value=limit)
    return limit


def check_moment(name: str, moment: datetime | None) -> datetime | None:
    """Refuse a moment that could be any of twenty-four, or that UTC has no name for."""
    if moment is None:
        return None
    check_kind(name, moment, datetime)
    if moment.tzinfo is None:
        raise ConfigurationError(
            f"{name} has no time zone: {moment.isoformat()}",
            value=moment,
            next_step="write datetime(…, tzinfo=UTC), or moment.astimezone() for local time",
        )
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise ConfigurationError(
            f"{name} is before the year 1 or after the year 9999 in UTC: {moment.isoformat()}", value=moment
        ) from error
    return moment


def find_purge_time(at: datetime, keep_for: timedelta | None) -> datetime | None:
    """When what is deleted now may be purged; None for never by itself."""
    if keep_for is None:
        return None
    check_kind("keep_for", keep_for, timedelta)
    if keep_for < timedelta():
        raise ConfigurationError(f"keep_for is a time to come, and not {keep_for}", value=keep_for)
    try:
        return at + keep_for
    except OverflowError as error:
        raise ConfigurationError(
            f"keep_for ends after the year 9999: {keep_for.days:,} days",
            value=keep_for,
            next_step="leave it out to keep the conversation until you purge it",
        ) from error


def check_page_end(after: ConversationRecord | None) -> ConversationRecord | None:
    """Refuse what is not the last record of a page."""
    if after is not None and not isinstance(cast("object", after), ConversationRecord):
        raise ConfigurationError(
            f"after is the last record of the page before, and not {after!r}",
            value=after,
            next_step="write after=page[-1]",
        )
    return after


def check_text(name: str, text: str | None) -> str | None:
    """Refuse what is no text."""
    if text is not None:
        check_kind(name, text, str)
    return text


def check_role(role: Role | str | None) -> Role | None:
    """A role, also by its name."""
    return None if role is None else read_choice("role", role, Role)


def read_choice(name: str, value: object, kind: type[E]) -> E:
    """One of a few words, also as text."""
    try:
        return kind(cast("str", value))
    except ValueError as error:
        raise ConfigurationError(
            f"{name} is no {value!r}", value=value, next_step=f"choose one of: {', '.join(kind)}"
        ) from error


def check_filter(where: ConversationFilter) -> ConversationFilter:
    """Return a filter that a store can take: with states and roles that are such."""
    if not isinstance(cast("object", where), ConversationFilter):
        raise ConfigurationError(
            f"where is a ConversationFilter, and not {where!r}",
            next_step="write where=tertulia.ConversationFilter(tags=(…,))",
        )
    for name, kind in _FIELDS.items():
        if (value := getattr(where, name)) is not None:
            check_kind(name, value, kind)
    for name in ("created_from", "created_until", "updated_from", "updated_until"):
        check_moment(name, getattr(where, name))
    check_metadata(where.metadata)
    states = _check_several("states", where.states)
    tags = _check_several("tags", where.tags)
    for tag in tags:
        check_kind("a tag", tag, str)
    return attrs.evolve(
        where,
        states=tuple(read_choice("states", each, ConversationState) for each in states),
        tags=tags,
        role=check_role(where.role),
    )


def _check_several(name: str, values: Iterable[str]) -> tuple[str, ...]:
    """A text is a sequence of letters, and nobody means them."""
    if isinstance(values, str) or not isinstance(cast("object", values), Iterable):
        raise ConfigurationError(
            f"{name} are several, and this is {values!r}",
            value=values,
            next_step=f"write {name}=({str(values)!r},)",
        )
    return tuple(values)


def check_metadata(values: Mapping[str, object]) -> Mapping[str, object]:
    """Refuse what is no JSON object."""
    if not isinstance(cast("object", values), Mapping) or not all(
        isinstance(key, str) for key in cast("Mapping[object, object]", values)
    ):
        raise ConfigurationError("metadata is a dict with texts for keys", value=values)
    try:
        encode_json(dict(values))
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"metadata is not JSON: {error}",
            value=values,
            next_step="use texts, numbers, True, False, None, lists and dicts",
        ) from error
    return values


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags fit to be stored, each once."""
    given = tuple(tags)
    for tag in given:
        check_kind("a tag", tag, str)
    found = tuple(dict.fromkeys(tag.strip() for tag in given))
    for tag in found:
        if not 1 <= len(tag) <= MAX_TAG:
            raise ConfigurationError(
                f"a tag has 1 to {MAX_TAG} characters, and this one has {len(tag)}", value=tag
            )
    return found


def check_zone(name: str) -> str:
    """Refuse a time zone that nobody knows."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, TypeError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"there is no time zone {name!r}", value=name, next_step='name one as in "Europe/Madrid"'
        ) from error
    return name


def check_groups(by: Iterable[CostGroup | str]) -> tuple[CostGroup, ...]:
    """What costs are to be added up by, each once."""
    try:
        return tuple(dict.fromkeys(CostGroup(group) for group in by))
    except ValueError as error:
        names = ", ".join(CostGroup)
        raise ConfigurationError(f"{error}", next_step=f"costs can be added up by: {names}") from error


def check_path(name: str, path: str | PathLike[str]) -> Path:
    """Refuse what names no file."""
    if not isinstance(cast("object", path), str | PathLike):
        check_kind(name, path, str)
    if not str(path).strip() or "\0" in str(path):
        raise ConfigurationError(f"{name} names no file: {str(path)!r}", value=path)
    return Path(path)


def check_mark(change: MarkChange) -> MarkChange:
    """Refuse an importance that is no share, and a moment without a time zone."""
    for name, value in (("pinned", change.pinned), ("hidden", change.hidden)):
        if value != "keep":
            check_kind(name, value, bool)
    if change.importance not in ("keep", None) and not _is_share(change.importance):
        raise ConfigurationError(
            f"importance is from 0 to 1, and not {change.importance!r}", value=change.importance
        )
    if change.expires_at != "keep":
        check_moment("expires_at", change.expires_at)
    return change


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
