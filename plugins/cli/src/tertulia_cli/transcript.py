"""Messages as text for people, and as JSON for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

import tertulia
from tertulia_cli.answers import describe_costs, render_cost


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
    """A message for JSON, with its images named and left out."""
    is_answer = message.role is tertulia.Role.ASSISTANT
    return {
        "number": _number(message),
        "id": str(message.id),
        "role": message.role,
        "status": message.status,
        "text": message.text,
        "images": [_render_image(part) for part in message.parts if isinstance(part, tertulia.Image)],
        "provider": message.provider,
        "model": message.model,
        "finish_reason": message.finish_reason,
        "cost": render_cost(message.cost) if is_answer else None,
        "created_at": None if message.created_at is None else message.created_at.isoformat(),
    }


def _describe(message: tertulia.Message) -> str:
    head = [_speaker(message)]
    if message.role is tertulia.Role.ASSISTANT:
        head.append(describe_costs([message.cost]))
    if message.status is not tertulia.MessageStatus.COMPLETE:
        head.append(message.status)
    text = textwrap.indent(describe_parts(message), "   ")
    return f"{_number(message)} {', '.join(head)}\n{text}"


def _speaker(message: tertulia.Message) -> str:
    match message.role:
        case tertulia.Role.USER:
            return "you"
        case tertulia.Role.ASSISTANT:
            return f"{message.provider}/{message.model}" if message.provider else "assistant"
        case role:
            return role


def _number(message: tertulia.Message) -> int:
    return 1 + (message.depth or 0)


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
        case tertulia.Image():
            return str(part)
        case tertulia.ToolCall(name=name):
            return f"[calls {name}]"
        case tertulia.ToolResult(name=name):
            return f"[result of {name}]"
        case tertulia.Foreign(kind=kind):
            return f"[{kind}]"
        case _:
            return ""


def _render_image(image: tertulia.Image) -> dict[str, Any]:
    return {
        "media_type": image.media_type,
        "bytes": None if image.data is None else len(image.data),
        "url": image.url,
    }
