"""Messages as text for people, and as JSON for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import tertulia
from tertulia_cli.answers import describe_costs, render_cost

WHEN = "%Y-%m-%d %H:%M"


def describe_messages(messages: Iterable[tertulia.Message]) -> str:
    """
    What was said, by whom, and what each answer cost.

    A message is numbered by its place in the conversation, the first being 1.
    """
    return "\n\n".join(_describe(message) for message in messages)


def describe_parts(message: tertulia.Message) -> str:
    """
    The words of a message, and a line for everything in it that is none.

    Example:
        >>> describe_parts(tertulia.Message.of("user", "Good morning"))
        'Good morning'
    """
    return "\n".join(filter(None, map(_describe_part, _join_texts(message.parts))))


def render_message(message: tertulia.Message) -> dict[str, Any]:
    """A message for JSON, with what is attached named and left out."""
    is_answer = message.role is tertulia.Role.ASSISTANT
    return {
        "number": number_of(message),
        "id": str(message.id),
        "role": message.role,
        "status": message.status,
        "text": message.text,
        "attachments": [_render_media(part) for part in message.parts if isinstance(part, tertulia.Media)],
        "tool_calls": [_render_call(call) for call in message.tool_calls],
        "tool_results": [
            _render_result(part) for part in message.parts if isinstance(part, tertulia.ToolResult)
        ],
        "provider": message.provider,
        "model": message.model,
        "finish_reason": message.finish_reason,
        "cost": render_cost(message.cost) if is_answer else None,
        "created_at": None if message.created_at is None else message.created_at.isoformat(),
    }


def speaker_of(message: tertulia.Message) -> str:
    """Who said a message, as a person is told."""
    match message.role:
        case tertulia.Role.USER:
            return "you"
        case tertulia.Role.ASSISTANT:
            return f"{message.provider}/{message.model}" if message.provider else "assistant"
        case role:
            return role


def number_of(message: tertulia.Message) -> int:
    """The place of a message in its conversation, the first being 1."""
    return 1 + (message.depth or 0)


def describe_mark(mark: tertulia.Mark) -> str:
    """
    What is said of a message, in words.

    Example:
        >>> describe_mark(tertulia.Mark(pinned=True, importance=0.5)), describe_mark(tertulia.Mark())
        ('pinned, of importance 0.5', 'without a mark')
    """
    return ", ".join(_describe_mark(mark)) or "without a mark"


def _describe(message: tertulia.Message) -> str:
    head = [speaker_of(message)]
    if message.role is tertulia.Role.ASSISTANT:
        head.append(describe_costs([message.cost]))
    if message.status is not tertulia.MessageStatus.COMPLETE:
        head.append(message.status)
    head.extend(_describe_mark(message.mark))
    text = textwrap.indent(describe_parts(message), "   ")
    return f"{number_of(message)} {', '.join(head)}\n{text}"


def _describe_mark(mark: tertulia.Mark) -> Iterator[str]:
    if mark.pinned:
        yield "pinned"
    if mark.hidden:
        yield "hidden"
    if mark.importance is not None:
        yield f"of importance {mark.importance:g}"
    if mark.expires_at is not None:
        yield f"sent until {mark.expires_at.astimezone().strftime(WHEN)}"


def _join_texts(parts: Sequence[tertulia.Part]) -> list[tertulia.Part]:
    """Neighbouring texts are one: pieces of an answer do not begin a line each."""
    joined: list[tertulia.Part] = []
    for part in parts:
        if joined and isinstance(part, tertulia.Text) and isinstance(before := joined[-1], tertulia.Text):
            joined[-1] = tertulia.Text(before.text + part.text)
        else:
            joined.append(part)
    return joined


def _describe_part(part: tertulia.Part) -> str:
    match part:
        case tertulia.Text(text=text) | tertulia.Refusal(text=text):
            return text
        case tertulia.Image() | tertulia.Document() | tertulia.Audio() | tertulia.Video():
            return str(part)
        case tertulia.ToolCall(name=name):
            return f"[calls {name} with {_describe_arguments(part)}]"
        case tertulia.ToolResult(name=name, output=output, is_error=is_error):
            return f"[{name} {'failed' if is_error else 'returned'}: {output}]"
        case tertulia.Foreign(kind=kind):
            return f"[{kind}]"
        case _:
            return ""


def _describe_arguments(call: tertulia.ToolCall) -> str:
    if call.arguments is None:
        return call.raw_arguments or "nothing"
    return json.dumps(dict(call.arguments), ensure_ascii=False)


def _render_call(call: tertulia.ToolCall) -> dict[str, Any]:
    arguments = call.raw_arguments if call.arguments is None else dict(call.arguments)
    return {"id": call.id, "name": call.name, "arguments": arguments}


def _render_result(result: tertulia.ToolResult) -> dict[str, Any]:
    return {
        "call_id": result.call_id,
        "name": result.name,
        "output": result.output,
        "is_error": result.is_error,
    }


def _render_media(part: tertulia.Media) -> dict[str, Any]:
    return {
        "type": type(part).__name__.lower(),
        "media_type": part.media_type,
        "name": part.name if isinstance(part, tertulia.Document) else None,
        "bytes": None if part.data is None else len(part.data),
        "url": part.url,
        "file": None if part.file is None else part.file.id,
    }
