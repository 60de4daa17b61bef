"""What callers say of stored conversations, held against what it may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tertulia.domain.library import ConversationFilter, MarkChange
from tertulia.domain.statistics import CostGroup
from tertulia.errors import ConfigurationError
from tertulia.runtime.serialization import encode_json

MAX_TAG = 200
MOST_AT_ONCE = 10_000


def check_limit(limit: int) -> int:
    """Refuse a page that is none, or that is no page."""
    if not isinstance(cast("object", limit), int) or not 1 <= limit <= MOST_AT_ONCE:
        raise ConfigurationError(f"limit is from 1 to {MOST_AT_ONCE:,}, and not {limit!r}", value=limit)
    return limit


def check_moment(name: str, moment: datetime | None) -> datetime | None:
    """Refuse a moment that could be any of twenty-four."""
    if moment is not None and moment.tzinfo is None:
        raise ConfigurationError(
            f"{name} has no time zone: {moment.isoformat()}",
            value=moment,
            next_step="write datetime(…, tzinfo=UTC), or moment.astimezone() for local time",
        )
    return moment


def check_filter(where: ConversationFilter) -> ConversationFilter:
    """Refuse a filter whose moments have no time zone, or whose metadata is no JSON."""
    if not isinstance(cast("object", where), ConversationFilter):
        raise ConfigurationError(
            f"where is a ConversationFilter, and not {where!r}",
            next_step="write where=tertulia.ConversationFilter(tags=(…,))",
        )
    for name in ("created_from", "created_until", "updated_from", "updated_until"):
        check_moment(name, getattr(where, name))
    check_metadata(where.metadata)
    return where


def check_metadata(values: Mapping[str, object]) -> Mapping[str, object]:
    """Refuse what is no JSON object."""
    if not isinstance(cast("object", values), Mapping) or not all(isinstance(key, str) for key in values):
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
    found = tuple(dict.fromkeys(tag.strip() for tag in tags))
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
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
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


def check_mark(change: MarkChange) -> MarkChange:
    """Refuse an importance that is no share, and a moment without a time zone."""
    importance = change.importance
    if isinstance(importance, int | float) and not 0 <= importance <= 1:
        raise ConfigurationError(f"importance is from 0 to 1, and not {importance}", value=importance)
    if isinstance(change.expires_at, datetime):
        check_moment("expires_at", change.expires_at)
    return change
