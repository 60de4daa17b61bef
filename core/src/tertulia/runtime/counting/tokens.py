"""How many tokens messages take: their words by the estimator or a vocabulary, the rest by weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

from tertulia.domain.measuring import count_pages, measure_seconds
from tertulia.domain.media import Audio, Document, Image, Video
from tertulia.domain.message import Message, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from tertulia.domain.tokens import TokenWeights
from tertulia.domain.tool import HostedTool, ResponseSchema, Tool
from tertulia.runtime.counting.estimate import estimate_text
from tertulia.runtime.serialization import encode_json

CountText: TypeAlias = Callable[[str], float]
"""Counts, or estimates, the tokens of a text on its own."""

_BYTES_PER_PAGE = 50_000  # of a PDF that does not tell its pages
_BYTES_PER_SECOND_OF_SOUND = 16_000  # 128 kilobits, as most of what is compressed has
_BYTES_PER_SECOND_OF_FILM = 250_000
_USUAL_PAGES = 10  # of what is elsewhere
_USUAL_SECONDS = 60.0


def count_messages(
    messages: Iterable[Message],
    weights: TokenWeights,
    *,
    count_text: CountText | None = None,
) -> int:
    """
    Count the tokens of messages.

    Each is rounded on its own, so that messages counted one by one are the same sum.

    Args:
        messages: Any of a request, also a single one.
        weights: What the provider counts besides words.
        count_text: A vocabulary; None for the estimator.
    """
    count = count_text or _make_estimator(weights)
    return sum(
        round(weights.per_message + sum(_count_part(part, weights, count) for part in message.parts))
        for message in messages
    )


def count_rest(
    tools: Iterable[Tool | HostedTool],
    schema: ResponseSchema | None,
    weights: TokenWeights,
) -> int:
    """Count what a request takes beside its messages: its tools and its schema, which go along each time."""
    told = [_describe(tool) for tool in tools]
    if schema is not None:
        told.append({"name": schema.name, "description": schema.description, "schema": schema.schema})
    count = _make_estimator(weights)
    return round(weights.per_request + weights.tools * sum(count(_write(each)) for each in told))


def _make_estimator(weights: TokenWeights) -> CountText:
    return partial(estimate_text, digits_per_token=weights.digits_per_token)


def _count_part(part: Part, weights: TokenWeights, count: CountText) -> float:
    match part:
        case Text() | Reasoning() | Refusal():
            return count(part.text)
        case ToolCall():
            return count(part.name) + count(_write_arguments(part))
        case ToolResult():
            return count(part.name) + count(part.output)
        case Image():
            return weights.count_image(part)
        case Document():
            return _count_document(part, weights, count)
        case Audio():
            return weights.per_audio_second * _seconds(part, _BYTES_PER_SECOND_OF_SOUND)
        case Video():
            return weights.per_video_second * _seconds(part, _BYTES_PER_SECOND_OF_FILM)
        case _:
            return count(_write(part.opaque.value)) if part.opaque else 0.0


def _count_document(document: Document, weights: TokenWeights, count: CountText) -> float:
    """Pages are looked at as pictures; any other document is read as the text it is."""
    if document.data is None:
        return weights.per_page * _USUAL_PAGES
    if document.media_type == "application/pdf":
        pages = count_pages(document.data)
        return weights.per_page * (pages or 1 + len(document.data) // _BYTES_PER_PAGE)
    return count(document.data.decode(errors="replace"))


def _seconds(part: Audio | Video, bytes_per_second: int) -> float:
    if part.data is None:
        return _USUAL_SECONDS
    seconds = measure_seconds(part.data)
    return len(part.data) / bytes_per_second if seconds is None else seconds


def _describe(tool: Tool | HostedTool) -> Mapping[str, Any]:
    if isinstance(tool, HostedTool):
        return {"name": tool.name, "settings": tool.settings}
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}


def _write_arguments(call: ToolCall) -> str:
    return (call.raw_arguments or "") if call.arguments is None else _write(call.arguments)


def _write(value: object) -> str:
    """The JSON that is sent; what is none counts as it is written."""
    try:
        return encode_json(value).decode()
    except (TypeError, ValueError, RecursionError):
        return str(value)
