"""
The Chat Completions format, and its answers: OpenAI's older one, and the one that most servers speak.

What is sent is in :mod:`tertulia.wire.chat_messages`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import attrs

from tertulia.domain.exchange import Delta, ProviderReply, ReasoningDelta, Request, SafetyOutcome, TextDelta
from tertulia.domain.message import FinishReason, Part, Reasoning, Refusal, Text, ToolCall, join_text
from tertulia.domain.usage import Billing, Usage
from tertulia.errors import ErrorKind, ProtocolError
from tertulia.wire.chat_calls import ToolCallFragments, parse_calls, read_calls
from tertulia.wire.chat_messages import OPTIONS, Dialect, render_request
from tertulia.wire.errors import ErrorAnswer, parse_error_body
from tertulia.wire.kept import KeptRenderings
from tertulia.wire.protocol import (
    Json,
    Rendered,
    StreamEnd,
    read_count,
    read_list,
    read_object,
    read_text,
    subtract_known,
)

__all__ = [
    "OPTIONS",
    "ChatCompletionsStream",
    "ChatCompletionsWire",
    "Dialect",
    "parse_response",
    "parse_usage",
    "render_request",
]


@attrs.frozen
class ChatCompletionsWire:
    """
    The format as one provider speaks it; see :class:`tertulia.wire.Wire`.

    Attributes:
        provider: The provider's configured name.
    """

    provider: str
    dialect: Dialect = Dialect()  # noqa: RUF009  # a frozen value
    _kept: KeptRenderings = attrs.field(factory=KeptRenderings, init=False, eq=False, repr=False)

    @property
    def options(self) -> frozenset[str]:
        """Those of the format, without those that the speaker does not have."""
        return OPTIONS - self.dialect.without

    def get_path(self, request: Request) -> str:
        """One path for all models."""
        return "/chat/completions"

    def render_request(self, request: Request) -> Rendered:
        """Render a request."""
        return render_request(request, self.dialect, kept=self._kept)

    def parse_response(self, body: object) -> ProviderReply:
        """Read a whole answer."""
        return parse_response(read_object(body), self.dialect)

    def read_stream(self) -> ChatCompletionsStream:
        """Return a reader for one stream of chunks."""
        return ChatCompletionsStream(self.dialect)


def parse_response(body: Json, dialect: Dialect) -> ProviderReply:
    """
    Read a whole answer.

    Raises:
        ErrorAnswer: It is an error.
        ProtocolError: It is no answer of this format.

    Source: OpenAI's ``ChatCompletion`` schema (read 2026-11), 91 recorded answers.
    """
    _raise_error(body)
    if "choices" not in body:
        raise ProtocolError("the answer is no chat completion: it has no choices")
    choice = _first_choice(body)
    identifier = read_text(body, "id")
    parts = tuple(_parse_message(read_object(choice, "message"), identifier))
    reason = read_text(choice, "finish_reason")
    finish = _finish_reason(reason, parts)
    usage = body.get("usage")
    return ProviderReply(
        parts=parts,
        finish_reason=finish,
        raw_finish_reason=reason,
        usage=parse_usage(usage, dialect),
        billing=Billing(
            service_tier=read_text(body, "service_tier"),
            cache_write_12h_tokens=read_count(usage, "prompt_tokens_details", "ttl_12h_tokens") or 0,
            audio_input_tokens=read_count(usage, "prompt_tokens_details", "audio_tokens") or 0,
            raw=usage,
        ),
        model=read_text(body, "model"),
        request_id=identifier,
        safety=_safety(finish, reason, parts),
        error_kind=_FAILURES.get(reason or ""),
    )


def parse_usage(usage: object, dialect: Dialect) -> Usage:
    """
    Read the token counts.

    ``prompt_tokens`` includes what was read from and written to caches. Whether ``completion_tokens``
    includes reasoning is told by the total where there is one, else by the dialect. What a total has beyond
    prompt and completion is reasoning, also where the details do not say so.

    Returns:
        Disjoint counts. No usage object: all None. A missing detail of a present object is 0.
    """
    if not isinstance(usage, dict):
        return Usage()
    usage = cast("Json", usage)
    prompt, completion = read_count(usage, "prompt_tokens"), read_count(usage, "completion_tokens")
    cache_read = read_count(usage, "prompt_tokens_details", "cached_tokens") or 0
    cache_write = read_count(usage, "prompt_tokens_details", "cache_write_tokens") or 0
    reasoning = read_count(usage, "completion_tokens_details", "reasoning_tokens") or 0
    beside = subtract_known(read_count(usage, "total_tokens"), prompt, completion)
    included = dialect.reasoning_in_completion if beside is None else beside == 0
    return Usage(
        input_tokens=subtract_known(prompt, cache_read, cache_write),
        cache_read_tokens=cache_read,
        cache_write_tokens=cache_write,
        output_tokens=subtract_known(completion, reasoning) if included else completion,
        reasoning_tokens=reasoning or beside or 0,
    )


def _raise_error(body: Json) -> None:
    """An ``error`` counts also beside choices, which a router may send along with it."""
    if ("choices" not in body or body.get("error")) and (error := parse_error_body(body)) is not None:
        raise ErrorAnswer(error)


def _first_choice(body: Json) -> Json:
    choices: Any = body.get("choices")
    for choice in choices if isinstance(choices, list) else ():  # pyright: ignore[reportUnknownVariableType]
        if isinstance(choice, dict) and not choice.get("index"):  # pyright: ignore[reportUnknownMemberType]
            return cast("Json", choice)
    return Json()


def _parse_message(message: Json, identifier: str | None) -> Iterator[Part]:
    if thought := _read_thought(message):
        yield Reasoning(thought)
    text, refusal = _read_words(message)
    if text:
        yield Text(text)
    if refusal:
        yield Refusal(refusal)
    yield from parse_calls(message, identifier)


# These two read whole messages and deltas. There are thousands of deltas, so they look for nothing twice.


def _read_words(message: Json) -> tuple[str, str]:
    """What is said, and in what words it is refused. Content is a text, null, or a list of parts."""
    content, refusal = message.get("content"), message.get("refusal")
    text = content if isinstance(content, str) else ""
    refused = refusal if isinstance(refusal, str) else ""
    if content and not text:
        parts = read_list(message, "content")
        text = "".join(read_text(part, "text") or "" for part in parts)
        refused += "".join(read_text(part, "refusal") or "" for part in parts)
    return text, refused


def _read_thought(message: Json) -> str:
    """The member has two names; a server that sends both says the same in them."""
    thought = message.get("reasoning_content") or message.get("reasoning")
    return thought if isinstance(thought, str) else ""


def _finish_reason(reason: str | None, parts: tuple[Part, ...]) -> FinishReason:
    # Whether functions were called is told by the answer itself: xAI ends some of those with "".
    if reason in _CALLING and any(isinstance(part, ToolCall) for part in parts):
        return FinishReason.TOOL_CALLS
    words = [part for part in parts if isinstance(part, _WORDS)]
    if reason == "stop" and words and all(isinstance(part, Refusal) for part in words):
        return FinishReason.REFUSAL
    return _FINISH_REASONS.get(reason or "", FinishReason.UNKNOWN)


_CALLING = frozenset({"tool_calls", "function_call", "stop", ""})
_FAILURES = {
    "error": ErrorKind.SERVER,  # OpenRouter: the provider behind it failed
    "insufficient_system_resource": ErrorKind.OVERLOADED,  # DeepSeek: it was ended for want of capacity
}
_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "abort": FinishReason.CANCELLED,  # vLLM, SGLang: somebody ended the request
    **dict.fromkeys(_FAILURES, FinishReason.ERROR),
}


def _safety(finish: FinishReason, reason: str | None, parts: tuple[Part, ...]) -> SafetyOutcome | None:
    if finish is not FinishReason.CONTENT_FILTER:
        return None
    return SafetyOutcome("answer", reason or "content_filter", partial_text=join_text(parts))


_WORDS = (Text, Refusal)
_FACTS = ("id", "model", "service_tier")


class ChatCompletionsStream:
    """
    Reads a stream of chunks; see :class:`tertulia.wire.StreamReader`.

    A finish reason says that the answer is whole, but not that nothing follows: usage may, and some servers
    send one with every chunk. So a stream is read to its end. Without a finish reason only ``[DONE]`` says
    that it is whole.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.complete = False
        self._dialect = dialect
        self._facts: Json = {}
        self._usage: Json = {}
        self._words: list[str] = []
        self._message: dict[str, list[str]] = {"content": self._words, "refusal": [], "reasoning": []}
        self._calls = ToolCallFragments()
        self._finish: str | None = None
        self._goes_on = False

    def read(self, event: Json) -> Sequence[Delta]:
        """Take one chunk: new words and calls, and what is known so far of everything else."""
        if "choices" not in event or "error" in event:
            _raise_error(event)
        for name in _FACTS:
            if (value := event.get(name)) and isinstance(value, str):
                self._facts[name] = value
        if event.get("usage"):
            usage = read_object(event, "usage")
            self._usage.update({name: value for name, value in usage.items() if value is not None})
        choice = _first_choice(event)
        delta = read_object(choice, "delta")
        words = delta.get("content")
        if len(delta) == 1 and words and isinstance(words, str):  # nearly all of a long answer
            self._words.append(words)
            deltas: Sequence[Delta] = (TextDelta(words),)
        else:
            deltas = self._read_delta(delta)
        if deltas and self._finish:
            self._goes_on = True
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and (reason or self._finish is None):
            self._finish = reason
        return deltas

    def end(self, how: StreamEnd = StreamEnd.CLOSED) -> ProviderReply:
        """
        Return the whole answer.

        A connection that breaks after the finish reason does no harm, unless the answer has been known to
        go on after one.

        Raises:
            ProtocolError: There was neither a finish reason nor ``[DONE]``.
        """
        is_whole = bool(self._finish) and not (how is StreamEnd.BROKEN and self._goes_on)
        if not is_whole and how is not StreamEnd.DONE:
            raise ProtocolError("the stream ended without a finish_reason or [DONE]", is_cut=True)
        message: Json = {name: "".join(pieces) for name, pieces in self._message.items()}
        message["tool_calls"] = self._calls.render()
        choice = {"message": message, "finish_reason": self._finish}
        return parse_response(
            {**self._facts, "choices": [choice], "usage": self._usage or None}, self._dialect
        )

    def _read_delta(self, delta: Json) -> list[Delta]:
        deltas: list[Delta] = []
        if thought := _read_thought(delta):
            self._message["reasoning"].append(thought)
            deltas.append(ReasoningDelta(thought))
        text, refusal = _read_words(delta)
        if text:
            self._message["content"].append(text)
            deltas.append(TextDelta(text))
        if refusal:
            self._message["refusal"].append(refusal)
            deltas.append(TextDelta(refusal))
        for fragment in read_calls(delta):
            deltas += self._calls.add(fragment, self._facts.get("id"))
        return deltas
