"""
OpenAI's Responses API, which xAI speaks as well.

Always stateless: ``store`` is false and the whole history is in the request. Opaque reasoning items go
back to the provider that wrote them, directly before the item that followed them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, cast

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
from tertulia.domain.media import Image, OpaqueState
from tertulia.domain.message import (
    FinishReason,
    Foreign,
    Message,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    join_text,
)
from tertulia.domain.usage import Billing, Usage
from tertulia.errors import ProtocolError
from tertulia.wire.errors import ErrorAnswer, ErrorBody, parse_error_body
from tertulia.wire.protocol import (
    Json,
    LeftOut,
    Rendered,
    StreamEnd,
    parse_arguments,
    read_count,
    read_list,
    read_object,
    read_text,
    render_image_url,
    subtract_known,
)

OPTIONS = frozenset({"temperature", "top_p", "max_output_tokens", "service_tier"})
"""The options of :class:`tertulia.Options` that the format has."""

TERMINAL_EVENTS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.done"})


@attrs.frozen
class Dialect:
    """
    Where the speakers of the format differ.

    Attributes:
        system_as_instructions: System messages go into ``instructions``; else they are items of ``input``.

        assistant_as_string: Earlier answers are sent as plain strings; else as ``output_text`` parts.
    """

    system_as_instructions: bool = True
    assistant_as_string: bool = False


@attrs.frozen
class ResponsesWire:
    """
    The format as one provider speaks it; see :class:`tertulia.wire.Wire`.

    Attributes:
        provider: The configured name that opaque state is tagged with.

        reasons: Tells of a model whether it reasons, and so may be asked for encrypted reasoning.
    """

    provider: str
    reasons: Callable[[str], bool]
    dialect: Dialect = Dialect()
    options: ClassVar[frozenset[str]] = OPTIONS

    def get_path(self, request: Request) -> str:
        """One path for all models."""
        return "/responses"

    def render_request(self, request: Request) -> Rendered:
        """Render a request."""
        reasons = self.reasons(request.target.model)
        return render_request(request, self.dialect, encrypted_reasoning=reasons)

    def parse_response(self, body: object) -> ProviderReply:
        """Read a whole answer."""
        return parse_response(read_object(body), self.provider)

    def read_stream(self) -> ResponsesStream:
        """Return a reader for one stream of events."""
        return ResponsesStream(self.provider)


def render_request(request: Request, dialect: Dialect, *, encrypted_reasoning: bool) -> Rendered:
    """
    Render a request.

    Args:
        dialect: The speaker's habits.
        encrypted_reasoning: Whether to ask for reasoning items that can be sent back; models that do not
            reason refuse the question.
    """
    writer = _InputWriter(request.target.provider, dialect)
    system = [message.text for message in request.messages if message.role is Role.SYSTEM]
    body: Json = {"model": request.target.model, "store": False}
    if system and dialect.system_as_instructions:
        body["instructions"] = "\n\n".join(system)
    body["input"] = [item for message in request.messages for item in writer.render_message(message)]
    if encrypted_reasoning:
        body["include"] = ["reasoning.encrypted_content"]
    if request.conversation_id is not None:
        body["prompt_cache_key"] = str(request.conversation_id)
    body.update(request.options.chosen())
    if request.stream:
        body["stream"] = True
    return Rendered(body, writer.left_out.notes)


class _InputWriter:
    """Renders messages for one provider and remembers what it could not say."""

    def __init__(self, provider: str, dialect: Dialect) -> None:
        self._provider = provider
        self._dialect = dialect
        self.left_out = LeftOut()

    def render_message(self, message: Message) -> Sequence[Json]:
        if message.role is Role.USER:
            content = [item for part in message.parts if (item := self._render_input(part)) is not None]
            return ({"role": "user", "content": content},)
        if message.role is Role.ASSISTANT:
            return self._render_answer(message.parts)
        if message.role is Role.TOOL:
            return [_tool_result(part) for part in message.parts if isinstance(part, ToolResult)]
        return () if self._dialect.system_as_instructions else ({"role": "system", "content": message.text},)

    def _render_input(self, part: Part) -> Json | None:
        match part:
            case Text():
                return {"type": "input_text", "text": part.text}
            case Image():
                detail = {} if part.detail is None else {"detail": part.detail}
                return {"type": "input_image", "image_url": render_image_url(part), **detail}
            case _:
                self.left_out.add(part)
                return None

    def _render_answer(self, parts: tuple[Part, ...]) -> Sequence[Json]:
        if len(parts) == 1 and isinstance(words := parts[0], Text) and words.text:
            return (self._render_words(words),)  # the usual answer, a thousand times in a long history
        items = [item for part in parts if (item := self._render_part(part)) is not None]
        # A reasoning item without its follower is a 400: an answer that broke off may end with one.
        while items and items[-1].get("type") == "reasoning":
            items.pop()
        return items

    def _render_part(self, part: Part) -> Json | None:
        match part:
            case Text() | Refusal():
                # An empty text is there for another provider's signature; xAI answers 400 to one.
                return self._render_words(part) if part.text else None
            case ToolCall():
                arguments = part.raw_arguments if part.arguments is None else json.dumps(dict(part.arguments))
                return {
                    "type": "function_call",
                    "call_id": part.id,
                    "name": part.name,
                    "arguments": arguments or "",
                }
            case Reasoning() | Foreign() if self._is_ours(part.opaque):
                return dict(part.opaque.value) if part.opaque else None
            case _:
                self.left_out.add(part)
                return None

    def _render_words(self, part: Text | Refusal) -> Json:
        if self._dialect.assistant_as_string:
            return {"role": "assistant", "content": part.text}
        is_text = isinstance(part, Text)
        content = (
            {"type": "output_text", "text": part.text}
            if is_text
            else {"type": "refusal", "refusal": part.text}
        )
        item: Json = {"role": "assistant", "content": [content]}
        if part.opaque is not None and self._is_ours(part.opaque):
            item.update(part.opaque.value)
        return item

    def _is_ours(self, opaque: OpaqueState | None) -> bool:
        return opaque is not None and opaque.provider == self._provider


def _tool_result(part: ToolResult) -> Json:
    return {"type": "function_call_output", "call_id": part.call_id, "output": part.output}


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
        billing=Billing(service_tier=read_text(body, "service_tier"), raw=body.get("usage")),
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


def _finish_reason(status: str | None, reason: str | None, parts: tuple[Part, ...]) -> FinishReason:
    if status == "completed":
        if any(isinstance(part, ToolCall) for part in parts):
            return FinishReason.TOOL_CALLS
        words = [part for part in parts if isinstance(part, Text | Refusal)]
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


def _parse_message(item: Json, provider: str) -> Iterator[Text | Refusal]:
    phase = read_text(item, "phase")
    opaque = None if phase is None else OpaqueState(provider, {"phase": phase})
    for part in read_list(item, "content"):
        if refusal := read_text(part, "refusal"):
            yield Refusal(refusal, opaque)
        elif text := read_text(part, "text"):
            yield Text(text, opaque)


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
            raise ProtocolError("the stream ended without response.completed or its like")
        if not self._last.get("output") and self._items:
            self._last["output"] = [self._items[index] for index in sorted(self._items)]
        return parse_response(self._last, self._provider)

    def _read_added(self, event: Json) -> Sequence[Delta]:
        item = read_object(event, "item")
        if item.get("type") != "function_call":
            return ()
        index = self._calls[read_count(event, "output_index") or 0] = len(self._calls)
        return (ToolCallDelta(index, id=read_text(item, "call_id"), name=read_text(item, "name")),)
