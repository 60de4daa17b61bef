"""
OpenAI's Responses API, which xAI speaks as well: the format, and its answers.

What is sent is in :mod:`tertulia.wire.responses_input`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import attrs

from tertulia.domain.exchange import (
    Delta,
    ProviderReply,
    ReasoningDelta,
    Request,
    SafetyOutcome,
    TextDelta,
    ToolCallDelta,
)
from tertulia.domain.media import OpaqueState
from tertulia.domain.message import (
    FinishReason,
    Foreign,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    join_text,
)
from tertulia.domain.usage import Billing, Usage
from tertulia.errors import ProtocolError
from tertulia.wire.errors import ErrorAnswer, ErrorBody, parse_error_body
from tertulia.wire.kept import KeptRenderings
from tertulia.wire.protocol import (
    Json,
    Rendered,
    StreamEnd,
    parse_arguments,
    read_count,
    read_list,
    read_object,
    read_text,
    subtract_known,
)
from tertulia.wire.responses_input import ABOUT_THE_ANSWER, OPTIONS, Dialect, render_request

__all__ = [
    "OPTIONS",
    "TERMINAL_EVENTS",
    "Dialect",
    "ResponsesStream",
    "ResponsesWire",
    "parse_response",
    "parse_usage",
    "render_request",
]

_WORDS = (Text, Refusal)
TERMINAL_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.done"})


@attrs.frozen
class ResponsesWire:
    """
    The format as one provider speaks it; see :class:`tertulia.wire.Wire`.

    Attributes:
        provider: The configured name that opaque state is tagged with.

        reasons: Tells of a model whether it reasons, and so may be asked for encrypted reasoning; None of
            one that nobody knows.
    """

    provider: str
    reasons: Callable[[str], bool | None]
    dialect: Dialect = Dialect()  # noqa: RUF009  # a frozen value
    _kept: KeptRenderings = attrs.field(factory=KeptRenderings, init=False, eq=False, repr=False)

    @property
    def options(self) -> frozenset[str]:
        """Those of the format, without those that the speaker does not have."""
        return OPTIONS - self.dialect.without

    def get_path(self, request: Request) -> str:
        """One path for all models."""
        return "/responses"

    def render_request(self, request: Request) -> Rendered:
        """Render a request."""
        reasons = self.reasons(request.target.model)
        return render_request(request, self.dialect, reasons=reasons, kept=self._kept)

    def parse_response(self, body: object) -> ProviderReply:
        """Read a whole answer."""
        return parse_response(read_object(body), self.provider)

    def read_stream(self) -> ResponsesStream:
        """Return a reader for one stream of events."""
        return ResponsesStream(self.provider)


def parse_response(body: Json, provider: str) -> ProviderReply:
    """
    Read a whole answer, or the ``response`` object of a stream's last event.

    Args:
        body: The decoded JSON.
        provider: The configured name that opaque state is tagged with.

    Raises:
        ErrorAnswer: The answer is an error, or its status is ``failed``.
        ProtocolError: It is no answer of this format.

    Source: OpenAI's ``Response`` schema (read 2026-11), 203 recorded answers of OpenAI and xAI.
    """
    status = read_text(body, "status")
    error = parse_error_body(body)
    if error is not None or status == "failed":
        raise ErrorAnswer(error or ErrorBody("the response failed without saying why"))
    if status is None or not isinstance(body.get("output"), list):
        raise ProtocolError("the answer is no Responses object: it has no status, or no list of output")
    parts = tuple(part for item in read_list(body, "output") for part in _parse_item(item, provider))
    raw_reason = read_text(body, "incomplete_details", "reason") or status
    finish = _finish_reason(status, raw_reason, parts)
    return ProviderReply(
        parts=parts,
        finish_reason=finish,
        raw_finish_reason=raw_reason,
        usage=parse_usage(body.get("usage")),
        billing=_parse_billing(body),
        model=read_text(body, "model"),
        request_id=read_text(body, "id"),
        safety=_safety(finish, raw_reason, parts),
    )


def parse_usage(usage: object) -> Usage:
    """
    Read the token counts.

    ``input_tokens`` includes what was read from and written to caches; ``output_tokens`` includes
    reasoning. Both are taken apart.

    Returns:
        Disjoint counts. No usage object: all None. A missing detail of a present object is 0.
    """
    if not isinstance(usage, dict):
        return Usage()
    usage = cast("Json", usage)
    cache_read = read_count(usage, "input_tokens_details", "cached_tokens") or 0
    cache_write = read_count(usage, "input_tokens_details", "cache_write_tokens") or 0
    reasoning = read_count(usage, "output_tokens_details", "reasoning_tokens") or 0
    return Usage(
        input_tokens=subtract_known(read_count(usage, "input_tokens"), cache_read, cache_write),
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        output_tokens=subtract_known(read_count(usage, "output_tokens"), reasoning),
        reasoning_tokens=reasoning,
    )


_PAID_CALLS = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
}
"""Items of an answer that have a fee, and what the price rows call it."""


def _parse_billing(body: Json) -> Billing:
    details = read_object(body, "usage", "input_tokens_details")
    return Billing(
        service_tier=read_text(body, "service_tier"),
        cache_write_12h_tokens=read_count(details, "ttl_12h_tokens") or 0,
        audio_input_tokens=read_count(details, "audio_tokens") or 0,
        tool_calls=_count_calls(body),
        raw=body.get("usage"),
    )


def _count_calls(body: Json) -> dict[str, int]:
    """How often each hosted tool was called, as far as it costs something."""
    kinds = [
        _PAID_CALLS.get(read_text(item, "type") or "")
        for item in read_list(body, "output")
        if item.get("status") in ("completed", None)
    ]
    calls = Counter(kind for kind in kinds if kind is not None) if any(kinds) else dict[str, int]()
    searches = read_count(body, "tool_usage", "web_search", "num_requests")
    if searches is not None:
        calls["web_search"] = searches
    return {name: count for name, count in calls.items() if count}


def _finish_reason(status: str | None, reason: str | None, parts: tuple[Part, ...]) -> FinishReason:
    if status == "completed":
        if any(isinstance(part, ToolCall) for part in parts):
            return FinishReason.TOOL_CALLS
        words = [part for part in parts if isinstance(part, _WORDS)]
        refused = bool(words) and all(isinstance(part, Refusal) for part in words)
        return FinishReason.REFUSAL if refused else FinishReason.STOP
    return _FINISH_REASONS.get(reason or "", FinishReason.UNKNOWN)


_FINISH_REASONS = {
    "max_output_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "steered": FinishReason.PAUSE,
    "max_messages": FinishReason.PAUSE,
    "queued": FinishReason.PAUSE,
    "in_progress": FinishReason.PAUSE,
    "cancelled": FinishReason.CANCELLED,
}


def _safety(finish: FinishReason, reason: str | None, parts: tuple[Part, ...]) -> SafetyOutcome | None:
    if finish is not FinishReason.CONTENT_FILTER:
        return None
    return SafetyOutcome("answer", reason or "content_filter", partial_text=join_text(parts))


def _parse_item(item: Json, provider: str) -> Iterator[Part]:
    match item.get("type"):
        case "message":
            yield from _parse_message(item, provider)
        case "function_call":
            yield _parse_call(item)
        case "reasoning":
            summary = "".join(read_text(part, "text") or "" for part in read_list(item, "summary"))
            text = summary or "".join(read_text(part, "text") or "" for part in read_list(item, "content"))
            yield Reasoning(text, OpaqueState(provider, item))
        case kind:
            yield Foreign(str(kind), OpaqueState(provider, item))


def _parse_message(item: Json, provider: str) -> Iterator[Text | Refusal | Foreign]:
    phase = read_text(item, "phase")
    opaque = None if phase is None else OpaqueState(provider, {"phase": phase})
    for part in read_list(item, "content"):
        if refusal := read_text(part, "refusal"):
            yield Refusal(refusal, opaque)
        elif text := read_text(part, "text"):
            yield Text(text, opaque)
            if sources := read_list(part, "annotations"):
                yield Foreign(ABOUT_THE_ANSWER, OpaqueState(provider, {ABOUT_THE_ANSWER: sources}))


def _parse_call(item: Json) -> ToolCall:
    raw = read_text(item, "arguments") or ""
    arguments = parse_arguments(raw)
    return ToolCall(
        id=read_text(item, "call_id") or "",
        name=read_text(item, "name") or "",
        arguments=arguments,
        raw_arguments=raw if arguments is None else None,
    )


class ResponsesStream:
    """Reads a stream of Responses events; see :class:`tertulia.wire.StreamReader`."""

    def __init__(self, provider: str) -> None:
        self.complete = False
        self._provider = provider
        self._items: dict[int, Json] = {}
        self._calls: dict[int, int] = {}
        self._last: Json | None = None

    def read(self, event: Json) -> Sequence[Delta]:
        """Take one event; those that are new to us are passed over."""
        kind = read_text(event, "type")
        if kind == "response.output_text.delta" or kind == "response.refusal.delta":
            words = event.get("delta")
            return (TextDelta(words),) if words and isinstance(words, str) else ()
        if kind in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"):
            thought = read_text(event, "delta")
            return (ReasoningDelta(thought),) if thought else ()
        if kind == "response.output_item.added":
            return self._read_added(event)
        if kind == "response.function_call_arguments.delta":
            index = self._calls.get(read_count(event, "output_index") or 0, 0)
            return (ToolCallDelta(index, arguments=read_text(event, "delta") or ""),)
        if kind == "response.output_item.done":
            # The item as it is done: the copy that was added may lack its encrypted content.
            self._items[read_count(event, "output_index") or 0] = read_object(event, "item")
        elif kind in TERMINAL_EVENTS:
            self._last = read_object(event, "response")
            self.complete = True
        elif (error := parse_error_body(event)) is not None:
            raise ErrorAnswer(error)
        return ()

    def end(self, how: StreamEnd = StreamEnd.CLOSED) -> ProviderReply:
        """Return the whole answer; ProtocolError when no event said that it is whole."""
        if self._last is None:
            raise ProtocolError("the stream ended without response.completed or its like", is_cut=True)
        if not self._last.get("output") and self._items:
            self._last["output"] = [self._items[index] for index in sorted(self._items)]
        return parse_response(self._last, self._provider)

    def _read_added(self, event: Json) -> Sequence[Delta]:
        item = read_object(event, "item")
        if item.get("type") != "function_call":
            return ()
        index = self._calls[read_count(event, "output_index") or 0] = len(self._calls)
        return (ToolCallDelta(index, id=read_text(item, "call_id"), name=read_text(item, "name")),)
