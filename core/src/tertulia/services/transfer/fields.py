"""
The fields of stored values as JSON, and back: exact, and strict with what comes from outside.

A value is an object with a member for each field that has something to say; what is None is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from math import isfinite
from typing import Any, Generic, TypeVar, cast, get_args
from uuid import UUID

import attrs

from tertulia.domain.context import NO_CONTEXT_OPTIONS, ContextOptions, OptimiseMode, RecallMode, find_mistake
from tertulia.domain.conversation import AttemptOutcome, AttemptPurpose, ConversationState
from tertulia.domain.message import NO_MARK, FinishReason, Mark, MessageStatus, Role
from tertulia.domain.usage import Cost, CostSource, Money, Usage
from tertulia.errors import ErrorKind
from tertulia.wire.protocol import Json

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_MOST = 2**63 - 1
_MOST_PLACES = 2**31 - 1
_LONGEST_SECONDS = 10**9
_SHOWN = 40
_DOLLARS = re.compile(r"-?[0-9]{1,7}([.][0-9]{1,12})?")


class FormatError(Exception):
    """What stands in a file is not what belongs there; says what and where in the line, for people."""


@attrs.frozen
class Field(Generic[T]):
    """How the values of a field are written and read."""

    render: Callable[[T], object]
    parse: Callable[[object], T]


Fields = Mapping[str, Field[Any]]


def render_fields(value: object, fields: Fields) -> Json:
    """Write those fields of a value that have something to say."""
    found = ((name, field, getattr(value, name)) for name, field in fields.items())
    return {name: field.render(each) for name, field, each in found if each is not None}


def parse_fields(row: Json, fields: Fields) -> Json:
    """
    Read the fields there are, by name; others are passed over.

    Raises:
        FormatError: One of them is not what it is to be.
    """
    found: Json = {}
    for name, field in fields.items():
        if (value := row.get(name)) is not None:
            try:
                found[name] = field.parse(value)
            except (ValueError, OverflowError, FormatError) as error:
                raise FormatError(f"{name}: {error}") from error
    return found


def make(cls: type[T], row: Json, fields: Fields, **more: object) -> T:
    """
    Make a value of its fields.

    Raises:
        FormatError: One of them is missing, or not what it is to be.
    """
    found = {**parse_fields(row, fields), **more}
    for field in attrs.fields(cast("type[Any]", cls)):
        if field.default is attrs.NOTHING and field.name not in found:
            raise FormatError(f"{field.name} is missing")
    return cls(**found)


def show(value: object) -> str:
    """A value from outside as a message may repeat it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def parse_text(value: object) -> str:
    """Read a text."""
    if not isinstance(value, str):
        raise FormatError(f"{show(value)} is no text")
    return value


def parse_object(value: object) -> Json:
    """Read a JSON object."""
    if not isinstance(value, dict):
        raise FormatError(f"{show(value)} is no object")
    return cast("Json", value)


def parse_moment(value: object) -> datetime:
    """Read a moment in ISO 8601, which says its time zone."""
    moment = datetime.fromisoformat(parse_text(value))
    if moment.tzinfo is None:
        raise FormatError(f"{show(value)} has no time zone")
    return moment.astimezone(UTC)


def _parse_id(value: object) -> UUID:
    return UUID(parse_text(value))


def _parse_texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise FormatError(f"{show(value)} is no list")
    return tuple(parse_text(each) for each in cast("list[object]", value))


def _whole(least: int, most: int = _MOST) -> Field[int]:
    def parse(value: object) -> int:
        if type(value) is not int or not least <= value <= most:
            raise FormatError(f"{show(value)} is no whole number from {least} to {most}")
        return value

    return Field(int, parse)


def _choice(words: object) -> Field[str]:
    def parse(value: object) -> str:
        if value not in get_args(words):
            raise FormatError(f"{show(value)} is none of {', '.join(get_args(words))}")
        return cast("str", value)

    return Field(str, parse)


def _number(most: float) -> Field[float]:
    def parse(value: object) -> float:
        if type(value) not in (int, float) or not isfinite(number := float(cast("float", value))):
            raise FormatError(f"{show(value)} is no number")
        if not 0 <= number <= most:
            raise FormatError(f"{show(value)} is not from 0 to {most:g}")
        return number

    return Field(float, parse)


def _one_of(kind: type[E]) -> Field[E]:
    def parse(value: object) -> E:
        return kind(parse_text(value))

    return Field(str, parse)


def _nested(cls: type[T], fields: Fields) -> Field[T]:
    return Field(
        lambda value: render_fields(value, fields), lambda value: make(cls, parse_object(value), fields)
    )


def _parse_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise FormatError(f"{show(value)} is neither true nor false")
    return value


def _render_cost(cost: Cost) -> Json:
    """In dollars, as text: exact, and in every language."""
    row = {"usd": f"{cost.usd:f}", "source": str(cost.source), "price_row": cost.price_row}
    row["computed_usd"] = None if cost.computed is None else f"{cost.computed.usd:f}"
    return {name: value for name, value in row.items() if value is not None}


def _parse_cost(row: Json) -> Cost:
    computed, price_row = row.get("computed_usd"), row.get("price_row")
    return Cost(
        _parse_money(row.get("usd")),
        CostSource(parse_text(row.get("source"))),
        None if price_row is None else parse_text(price_row),
        None if computed is None else _parse_money(computed),
    )


def _parse_money(value: object) -> Money:
    money = Money.from_usd(text) if _DOLLARS.fullmatch(text := parse_text(value)) else None
    if money is None or abs(money.pico) > _MOST:
        raise FormatError(f"{show(value)} is no amount of dollars")
    return money


_TEXT: Field[str] = Field(str, parse_text)
_ID: Field[UUID] = Field(str, _parse_id)
_FLAG: Field[bool] = Field(bool, _parse_flag)
_MOMENT: Field[datetime] = Field(datetime.isoformat, parse_moment)
_SECONDS = _number(_LONGEST_SECONDS)
_USAGE = _nested(Usage, {field.name: _whole(0) for field in attrs.fields(Usage)})
_COST: Field[Cost] = Field(_render_cost, lambda value: _parse_cost(parse_object(value)))
_MARK = _nested(Mark, {"pinned": _FLAG, "hidden": _FLAG, "importance": _number(1), "expires_at": _MOMENT})
_CONTEXT = _nested(
    ContextOptions,
    {
        "strategy": _TEXT,
        "max_tokens": _whole(1),
        "max_messages": _whole(1),
        "reserve_tokens": _whole(0),
        "recall": _choice(RecallMode),
        "max_recall_tokens": _whole(0),
        "optimise": _choice(OptimiseMode),
        "summary_model": _TEXT,
    },
)


def _parse_context(value: object) -> ContextOptions:
    options = _CONTEXT.parse(value)
    if mistake := find_mistake(options):
        raise FormatError(f"{mistake[0]} is not {mistake[1]}")
    return options


CONVERSATION: Fields = {
    "id": _ID,
    "title": _TEXT,
    "state": _one_of(ConversationState),
    "tags": Field(list[str], _parse_texts),
    "metadata": Field(dict[str, Any], parse_object),
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
    "deleted_at": _MOMENT,
    "purge_after": _MOMENT,
    "context": Field(
        lambda options: None if options == NO_CONTEXT_OPTIONS else _CONTEXT.render(options), _parse_context
    ),
}
BRANCH: Fields = {
    "name": _TEXT,
    "provider": _TEXT,
    "model": _TEXT,
    "head_id": _ID,
    "version": _whole(0, _MOST_PLACES),
    "forked_from": _TEXT,
    "fork_depth": _whole(-1, _MOST_PLACES),
    "created_at": _MOMENT,
}
MESSAGE: Fields = {
    "id": _ID,
    "parent_id": _ID,
    "role": _one_of(Role),
    "status": _one_of(MessageStatus),
    "provider": _TEXT,
    "model": _TEXT,
    "resolved_model": _TEXT,
    "finish_reason": _one_of(FinishReason),
    "raw_finish_reason": _TEXT,
    "usage": _USAGE,
    "cost": _COST,
    "latency_seconds": _SECONDS,
    "created_at": _MOMENT,
    "client_id": _TEXT,
    "mark": Field(lambda mark: None if mark == NO_MARK else _MARK.render(mark), _MARK.parse),
}
ATTEMPT: Fields = {
    "id": _ID,
    "message_id": _ID,
    "number": _whole(1, _MOST_PLACES),
    "purpose": _one_of(AttemptPurpose),
    "branch": _TEXT,
    "provider": _TEXT,
    "model": _TEXT,
    "started_at": _MOMENT,
    "outcome": _one_of(AttemptOutcome),
    "error_kind": _one_of(ErrorKind),
    "error_message": _TEXT,
    "latency_seconds": _SECONDS,
    "first_content_seconds": _SECONDS,
    "usage": _USAGE,
    "cost": _COST,
    "request_id": _TEXT,
    "raw_usage": _TEXT,
    "queued_seconds": _SECONDS,
    "is_fallback": _FLAG,
}
