"""
Sending once what a request would hold twice.

Nothing is lost by it: a later copy gives way to a note that names the first one, so that what is sent begins
alike from turn to turn. Words of people and models are never touched, nor is a pinned message or the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import attrs

from tertulia.domain.context import OptimiseMode, Window
from tertulia.domain.media import Document, Image, Media
from tertulia.domain.message import Message, Part, Role, Text, ToolCall, ToolResult
from tertulia.runtime.serialization import encode_json
from tertulia.services.context.view import PathView

Count: TypeAlias = Callable[[Sequence[Message]], int]
"""Estimates the tokens of some messages."""

LEAST = 200
"""Characters of a result that is worth a note: what is shorter is sent as it is."""

_Key: TypeAlias = tuple[object, ...]


def optimise(messages: Sequence[Message], mode: OptimiseMode, count: Count) -> tuple[Sequence[Message], int]:
    """
    Send once what is there twice.

    Args:
        messages: All of a request, the newest last.
        mode: ``lossless``: of equal results and equal attachments the later gives way to a note.
            ``superseded``: so does an earlier result of a call that was made again, and may be another one.
        count: Estimates tokens: what a note would not make shorter stays.

    Returns:
        The messages, and the tokens that were saved.
    """
    if mode == "off" or not any(map(_can_shrink, messages)):
        return messages, 0
    shorter = list(messages)
    if mode == "superseded":
        replaced = _find_superseded(messages)
        _change(shorter, count, lambda at, parts: _point_forwards(parts, replaced.get(at, {})))
    first: dict[_Key, str] = {}
    _change(shorter, count, lambda _, parts: _point_back(parts, first))
    pairs = zip(messages, shorter, strict=True)
    saved = sum(count((old,)) - count((new,)) for old, new in pairs if old is not new)
    return tuple(shorter), saved


def _can_shrink(message: Message) -> bool:
    """Whether there may be anything in it that was sent before."""
    return message.role is Role.TOOL or any(isinstance(part, Media) for part in message.parts)


def _change(
    messages: list[Message], count: Count, replace: Callable[[int, tuple[Part, ...]], tuple[Part, ...]]
) -> None:
    """Put other parts into messages where that makes them shorter; only results and attachments change."""
    for at, message in enumerate(messages):
        if message.role not in (Role.TOOL, Role.USER):
            continue
        parts = replace(at, message.parts)
        may_change = not message.mark.pinned and at < len(messages) - 1
        if may_change and parts != message.parts:
            changed = attrs.evolve(message, parts=parts)
            if count((changed,)) < count((message,)):
                messages[at] = changed


def _point_back(parts: Iterable[Part], first: dict[_Key, str]) -> tuple[Part, ...]:
    """The parts with a note for each that was there before; what is there first is remembered."""
    return tuple(_note(part, first) for part in parts)


def _note(part: Part, first: dict[_Key, str]) -> Part:
    match part:
        case ToolResult() if len(part.output) >= LEAST:
            key: _Key = (ToolResult, part.output, part.is_error)
            named = first.setdefault(key, "")
            if named:
                return attrs.evolve(part, output=f"(the same result as that of {named}, above)")
            first[key] = f"{part.name} ({part.call_id})"
        case Image() | Document() if part.data is not None and part.opaque is None:
            key = (type(part), part.data, part.media_type)
            named = first.setdefault(key, "")
            if named:
                return Text(f"({named}, which is above, is attached here again)")
            number = sum(each[0] is type(part) for each in first)
            first[key] = _name(part, number)
        case _:
            pass
    return part


def _name(part: Image | Document, number: int) -> str:
    if isinstance(part, Document) and part.name:
        return f"the document {part.name}"
    return f"{'image' if isinstance(part, Image) else 'document'} {number}"


def _find_superseded(messages: Sequence[Message]) -> Mapping[int, Mapping[int, ToolResult]]:
    """
    Find results of calls that were made again, with another result that is no error.

    Returns:
        By the place of a message and of a part in it, the result that is newer.
    """
    newest: dict[_Key, ToolResult] = {}
    found: dict[int, dict[int, ToolResult]] = {}
    for at, place, result, call in reversed(list(_find_results(messages))):
        key = call.name, call.raw_arguments if call.arguments is None else encode_json(call.arguments)
        newer = newest.get(key)
        if newer is None:
            if not result.is_error:
                newest[key] = result
        elif len(result.output) >= LEAST and result.output != newer.output:
            found.setdefault(at, {})[place] = newer
    return found


def _find_results(messages: Sequence[Message]) -> Iterator[tuple[int, int, ToolResult, ToolCall]]:
    """Each result with its place and its call; of calls with one id each has its own result."""
    calls: list[ToolCall] = []
    for at, message in enumerate(messages):
        if message.role is Role.ASSISTANT:
            calls = list(message.tool_calls)
        for place, part in enumerate(message.parts):
            call = next((each for each in calls if _answers(part, each)), None)
            if isinstance(part, ToolResult) and call is not None:
                calls.remove(call)
                yield at, place, part, call


def _answers(part: Part, call: ToolCall) -> bool:
    return isinstance(part, ToolResult) and part.call_id == call.id


def _point_forwards(parts: Sequence[Part], newer: Mapping[int, ToolResult]) -> tuple[Part, ...]:
    return tuple(
        _replace(part, newer[place]) if place in newer and isinstance(part, ToolResult) else part
        for place, part in enumerate(parts)
    )


def _replace(result: ToolResult, newer: ToolResult) -> ToolResult:
    return attrs.evolve(
        result, output=f"(the same call was made again: see the newer result, {newer.call_id}, below)"
    )


def optimise_window(
    view: PathView, messages: Sequence[Message], window: Window
) -> tuple[Sequence[Message], int]:
    """Send once what recent messages, and the newest one after them, hold twice."""
    mode = window.options.optimise or "lossless"
    shorter, saved = optimise((*messages, view.newest), mode, view.count_tokens)
    return shorter[:-1], saved
