"""
What all wire formats share: reading foreign JSON, and the shape of a format.

A :class:`Wire` is a format as one provider speaks it. It does no I/O: it says where a call goes and what
is in it, and makes values of what comes back.
"""

from __future__ import annotations

import json
import math
import re
from binascii import b2a_base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias, cast

import attrs

from tertulia.domain.exchange import Delta, ProviderReply, Request
from tertulia.domain.media import Media
from tertulia.domain.message import Foreign, Part

Json: TypeAlias = dict[str, Any]
"""A decoded JSON object from outside: read it with the functions below."""

MOST_LEVELS = 200
"""How deeply JSON from outside may be nested: more could not be written again, nor read back."""

_MOST = 2**63 - 1  # what a database can keep; no count of anything real comes near it
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class StreamEnd(Enum):
    """
    How a stream came to its end.

    ``DONE``: it said ``[DONE]``. ``CLOSED``: its body ended in order. ``BROKEN``: the connection broke, or
    nothing more came in time.
    """

    DONE = auto()
    CLOSED = auto()
    BROKEN = auto()


class StreamReader(Protocol):
    """
    Reads one streamed answer, event by event.

    Attributes:
        complete: Whether the sign that the answer is whole has come and nothing of use can follow.
    """

    complete: bool

    def read(self, event: Json) -> Sequence[Delta]:
        """
        Take one decoded event and return what it tells the caller.

        Raises:
            ErrorAnswer: The event is the provider's error.
        """
        ...

    def end(self, how: StreamEnd = StreamEnd.CLOSED) -> ProviderReply:
        """
        Return the whole answer, once the stream is over.

        Raises:
            ProtocolError: The stream ended without the sign that it was whole.
        """
        ...


class Wire(Protocol):
    """
    A format as one provider speaks it: what a call is, and how its answer is read.

    It keeps no state of a conversation; one is made for each provider.
    """

    @property
    def options(self) -> frozenset[str]:
        """Names of the fields of :class:`tertulia.Options`, and parts of a request, that it can say."""
        ...

    def get_path(self, request: Request) -> str:
        """Return the path of the call below the base URL, query included."""
        ...

    def render_request(self, request: Request) -> Rendered:
        """Render a request."""
        ...

    def parse_response(self, body: object) -> ProviderReply:
        """
        Read a whole answer.

        Raises:
            ErrorAnswer: It is the provider's error.
            ProtocolError: It is no answer of the format.
        """
        ...

    def read_stream(self) -> StreamReader:
        """Return a reader for one streamed answer."""
        ...


@attrs.frozen
class Rendered:
    """
    A request in a provider's wire format.

    Attributes:
        body: The JSON to send; not shown, because it may hold whole images.

        notes: What was converted or could not be represented, a sentence each.

        added: The members that nobody asked for, so that nobody misses one that a model refuses.

        asked: The options that members come from, by where they are: ``{"reasoning.effort":
            "reasoning_effort"}``.
    """

    body: Json = attrs.field(repr=False)
    notes: tuple[str, ...] = ()
    added: frozenset[str] = frozenset()
    asked: Mapping[str, str] = MappingProxyType({})


def merge_extra(body: Json, request: Request) -> None:
    """Add the members that the caller has for this provider: objects member by member, all else as it is."""
    if request.options.extra:
        body.update(_merge(body, request.options.extra.get(request.target.provider, {})))


def _merge(owner: Json, members: Mapping[str, Any]) -> Json:
    merged = dict(owner)
    for name, value in members.items():
        mine = owner.get(name)
        is_object = isinstance(value, Mapping) and isinstance(mine, dict)
        merged[name] = _merge(cast("Json", mine), cast("Json", value)) if is_object else value
    return merged


class LeftOut:
    """
    Counts the parts that cannot be sent to a provider, for the notes of a request.

    Attributes:
        kinds: Of each, in order.
    """

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def add(self, part: Part) -> None:
        """Remember that a part was not rendered."""
        self.kinds.append(part.kind if isinstance(part, Foreign) else type(part).__name__.lower())

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each kind."""
        if not self.kinds:
            return ()  # the usual case, for which no counter is made
        return tuple(
            f"{count} {kind} part(s) that cannot be sent to this provider were left out"
            for kind, count in Counter(self.kinds).items()
        )


def render_media_url(media: Media) -> str:
    """Write what is attached as a URL: its own, or a ``data:`` URL of its bytes."""
    if media.data is None:
        return media.url or ""
    head = f"data:{media.media_type or 'application/octet-stream'};base64,"
    return head + render_base64(media.data)


def render_base64(data: bytes) -> str:
    """Write bytes as base64, in one line."""
    return b2a_base64(data, newline=False).decode("ascii")


# An answer takes some thirty of these, so each walks the path itself, and none casts, which is one more call.
_OBJECT: Any = dict
_LIST: Any = list


def read_object(body: Any, *path: str) -> Json:
    """Follow a path of keys to an object; an empty one where there is none."""
    for key in path:
        body = body.get(key) if isinstance(body, _OBJECT) else None
    found: Json = body if isinstance(body, _OBJECT) else {}
    return found


def read_list(body: Any, *path: str) -> list[Json]:
    """Follow a path of keys to a list and return its objects; anything else in it is passed over."""
    for key in path:
        body = body.get(key) if isinstance(body, _OBJECT) else None
    return [item for item in body if isinstance(item, _OBJECT)] if isinstance(body, _LIST) else []


def read_texts(body: object, *path: str) -> list[str]:
    """Follow a path of keys to a list and return its texts; anything else in it is passed over."""
    *parents, last = path
    found = read_object(body, *parents).get(last)
    items = cast("list[object]", found) if isinstance(found, list) else []
    return [item for item in items if isinstance(item, str)]


def read_text(body: Any, *path: str) -> str | None:
    """Follow a path of keys to a text; None where there is none."""
    for key in path:
        body = body.get(key) if isinstance(body, _OBJECT) else None
    return body if isinstance(body, str) else None


def parse_arguments(raw: str) -> dict[str, Any] | None:
    """
    Decode a tool call's arguments, none when empty.

    Returns:
        None when they are not a JSON object, or one that could not be stored and sent again: with a number
        that no float can hold, or too many levels. Half a character becomes U+FFFD.
    """
    try:
        arguments = json.loads(raw or "{}", parse_constant=_refuse, parse_float=read_finite)
    except (ValueError, RecursionError):
        return None
    if not isinstance(arguments, dict) or is_too_deep(cast("object", arguments)):
        return None
    if "\\u" in raw:
        arguments = json.loads(replace_surrogates(json.dumps(arguments, ensure_ascii=False)))
    return cast("Json", arguments)


def is_too_deep(value: object) -> bool:
    """Whether decoded JSON has more than ``MOST_LEVELS`` levels."""
    level: list[object] = [value]
    for _ in range(MOST_LEVELS):
        level = [item for owner in level for item in _items(owner)]
        if not level:
            return False
    return any(isinstance(item, dict | list) for item in level)


def replace_surrogates(text: str) -> str:
    """Replace what is half a character, and in no UTF-8, by U+FFFD."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def _items(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return cast("Json", value).values()
    return cast("list[object]", value) if isinstance(value, list) else ()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def read_finite(number: str) -> float:
    """Read a number as JSON has it; ValueError for one that no float can hold."""
    found = float(number)
    if math.isinf(found):
        raise ValueError(f"{number} is too large")
    return found


def subtract_known(total: int | None, *parts: int | None) -> int | None:
    """Take parts out of a total; None when one is unknown, or when they are more than the total."""
    rest = total
    for part in parts:
        if rest is None or part is None:
            return None
        rest -= part
    return rest if rest is not None and rest >= 0 else None


def read_count(body: Any, *path: str) -> int | None:
    """Follow a path of keys to a whole number of at least 0 and below 2^63; None where there is none."""
    for key in path:
        body = body.get(key) if isinstance(body, _OBJECT) else None
    if type(body) is int:
        return body if 0 <= body <= _MOST else None
    if isinstance(body, bool) or not isinstance(body, int | float) or not 0 <= body <= _MOST:
        return None
    return int(body) if body == int(body) else None
