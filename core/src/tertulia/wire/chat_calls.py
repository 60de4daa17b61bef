"""The tool calls of Chat Completions: whole ones, and those that come in fragments."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import attrs

from tertulia.domain.exchange import ToolCallDelta
from tertulia.domain.message import ToolCall
from tertulia.wire.protocol import Json, parse_arguments, read_count, read_list, read_object, read_text


def parse_calls(message: Json, answer_id: str | None) -> Iterator[ToolCall]:
    """
    Read the calls of a whole message.

    Args:
        answer_id: What calls that came without an id are named after.
    """
    for number, call in enumerate(read_calls(message)):
        raw = _read_arguments(call)
        arguments = parse_arguments(raw)
        yield ToolCall(
            id=read_text(call, "id") or _make_id(answer_id, number),
            name=read_text(call, "function", "name") or "",
            arguments=arguments,
            raw_arguments=raw if arguments is None else None,
        )


def read_calls(message: Json) -> list[Json]:
    """The calls, those of the format's first version included."""
    if message.get("tool_calls"):
        return read_list(message, "tool_calls")
    legacy = read_object(message, "function_call") if message.get("function_call") else None
    return [{"index": 0, "function": legacy}] if legacy else []


def _read_arguments(call: Json) -> str:
    """Arguments are JSON in a text, but some servers send the object itself."""
    arguments = read_object(call, "function").get("arguments")
    if isinstance(arguments, dict):
        return json.dumps(arguments)
    return arguments if isinstance(arguments, str) else ""


def _make_id(identifier: str | None, number: int) -> str:
    """A name for a call that came without one: made of the answer's own, so that it is always the same."""
    return f"{identifier or 'call'}-{number}"


@attrs.define
class _Call:
    """
    One tool call as it comes.

    Attributes:
        number: Its place among the calls.

        named: Whether the server gave it its id.
    """

    number: int
    id: str
    named: bool
    name: str
    arguments: list[str] = attrs.field(factory=list[str])


class ToolCallFragments:
    """
    Puts tool calls together from their fragments.

    Each fragment has the index of its call, and the first one its id and its name. Some servers leave the
    index out or give all calls the same, repeat the id and the name, or make up a new id for each fragment.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._with_id: dict[str, _Call] = {}
        self._at_index: dict[int, _Call] = {}

    def add(self, fragment: Json, answer_id: str | None) -> Sequence[ToolCallDelta]:
        """Take a fragment, and return what is new in it."""
        identifier, index = read_text(fragment, "id") or "", read_count(fragment, "index")
        name, arguments = read_text(fragment, "function", "name") or "", _read_arguments(fragment)
        call = self._find(identifier, index, starts=bool(name))
        is_new = call is None
        if call is None:
            number = len(self._calls)
            call = _Call(number, identifier or _make_id(answer_id, number), bool(identifier), "")
            self._calls.append(call)
            self._with_id[call.id] = call
        if index is not None:
            self._at_index[index] = call
        call.arguments.append(arguments)
        new_name = name if name and not call.name else None
        call.name = call.name or name
        if not is_new and new_name is None and not arguments:
            return ()
        return (ToolCallDelta(call.number, call.id if is_new else None, new_name, arguments),)

    def render(self) -> list[Json]:
        """The calls in order, as a whole answer has them."""
        return [
            {"id": call.id, "function": {"name": call.name, "arguments": "".join(call.arguments)}}
            for call in self._calls
        ]

    def _find(self, identifier: str, index: int | None, *, starts: bool) -> _Call | None:
        """The call that a fragment belongs to: by its id, by its index, or the latest; None for a new one."""
        if identifier in self._with_id:
            return self._with_id[identifier]
        found = None if index is None else self._at_index.get(index)
        if found is not None:
            is_another = starts and bool(identifier) and found.named
            return None if is_another else found
        is_head = starts or bool(identifier)
        return None if is_head or not self._calls else self._calls[-1]
