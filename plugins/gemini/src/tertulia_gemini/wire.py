"""
Google's ``generateContent`` format.

Gemini knows two roles, ``user`` and ``model``, which alternate; system messages stand apart. Thought
signatures stay on exactly the part they came with, also on an empty text.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, cast
from urllib.parse import quote

import attrs

from tertulia import (
    Billing,
    Delta,
    FinishReason,
    Foreign,
    Image,
    InvalidRequestError,
    Message,
    OpaqueState,
    Part,
    ProtocolError,
    ProviderReply,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Request,
    Role,
    SafetyOutcome,
    SafetyRating,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Usage,
)
from tertulia.wire import (
    ErrorAnswer,
    Json,
    LeftOut,
    Rendered,
    StreamEnd,
    parse_error_body,
    read_count,
    read_list,
    read_object,
    read_text,
    subtract_known,
)
from tertulia_gemini.safety import find_problem

OPTION_NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_output_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
"""Our option → the member of ``generationConfig``."""

FOREIGN_CALL_SIGNATURE = b64encode(b"skip_thought_signature_validator").decode()
"""What Google documents for calls that Gemini did not make, in base64 like every signature (recorded)."""

_NO_DETAIL = "the detail of images was left out: Gemini chooses it by model"
_OPENING = "(The conversation begins with your message.)"


@attrs.frozen
class GenerateContentWire:
    """
    The format as one provider speaks it; see :class:`tertulia.wire.Wire`.

    Attributes:
        provider: The configured name that opaque state is tagged with.

        version: Of the API: the first segment of every path.

        safety: Threshold by harm category for every request; the request's own go before them.
    """

    provider: str
    version: str
    safety: Mapping[str, str]
    options: ClassVar[frozenset[str]] = frozenset({*OPTION_NAMES, "service_tier", "safety_settings"})

    def get_path(self, request: Request) -> str:
        """The model is in the path."""
        model = quote(request.target.model.removeprefix("models/"), safe="", errors="replace")
        method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
        return f"/{self.version}/models/{model}:{method}"

    def render_request(self, request: Request) -> Rendered:
        """
        Render a request.

        Raises:
            InvalidRequestError: A safety setting of the request is none.
        """
        asked = request.options.safety_settings or {}
        if problem := find_problem(asked):
            error = InvalidRequestError(f"{problem[0]}, so nothing was sent", next_step=problem[1])
            error.sent = False
            raise error
        return render_request(request, {**self.safety, **asked})

    def parse_response(self, body: object) -> ProviderReply:
        """Read a whole answer."""
        return parse_response(body, self.provider)

    def read_stream(self) -> GeminiStream:
        """Return a reader for one stream of chunks."""
        return GeminiStream(self.provider)


def render_request(request: Request, safety: Mapping[str, str]) -> Rendered:
    """
    Render a request.

    Args:
        safety: Threshold by harm category; none are sent when it is empty.
    """
    writer = _ContentsWriter(request.target.provider)
    system = [{"text": message.text} for message in request.messages if message.role is Role.SYSTEM]
    body: Json = {}
    if system:
        body["systemInstruction"] = {"parts": system}
    body["contents"] = writer.render(request.messages)
    chosen = request.options.chosen()
    config = {wire: _plain(chosen[name]) for name, wire in OPTION_NAMES.items() if name in chosen}
    if config:
        body["generationConfig"] = config
    if safety:
        body["safetySettings"] = [{"category": name, "threshold": level} for name, level in safety.items()]
    if request.options.service_tier is not None:
        body["serviceTier"] = request.options.service_tier
    return Rendered(body, writer.notes)


class _ContentsWriter:
    """Renders messages as alternating turns and remembers what it could not say."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._left_out = LeftOut()
        self._notes: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self._notes, *self._left_out.notes)

    def render(self, messages: Sequence[Message]) -> list[Json]:
        contents: list[Json] = []
        for message in messages:
            if message.role is Role.SYSTEM:
                continue
            role = "model" if message.role is Role.ASSISTANT else "user"
            if parts := list(self._render_parts(message)):
                if contents and contents[-1]["role"] == role:
                    contents[-1]["parts"] += parts
                else:
                    contents.append({"role": role, "parts": parts})
        if contents and contents[0]["role"] == "model":
            contents.insert(0, {"role": "user", "parts": [{"text": _OPENING}]})
            self._notes.append("a user turn was put before the first answer, which Gemini requires")
        return contents

    def _render_parts(self, message: Message) -> Iterator[Json]:
        is_first_call = True
        for part in message.parts:
            ours = part.opaque is not None and part.opaque.provider == self._provider
            rendered = self._render_part(part, message.role, ours=ours)
            if rendered is None:
                continue
            if isinstance(part, ToolCall):
                if is_first_call and not ours:
                    rendered["thoughtSignature"] = FOREIGN_CALL_SIGNATURE
                is_first_call = False
            yield rendered

    def _render_part(self, part: Part, role: Role, *, ours: bool) -> Json | None:
        state = read_object(part.opaque.value) if ours and part.opaque else {}
        match part:
            case Image() if role is Role.USER:
                return self._render_image(part)
            case Text() | Refusal():
                return {"text": part.text, **state} if part.text or state else None
            case ToolCall():
                return {"functionCall": _render_call(part), **state}
            case ToolResult():
                outcome = "error" if part.is_error else "output"
                response = {"id": part.call_id, "name": part.name, "response": {outcome: part.output}}
                return {"functionResponse": response}
            case Foreign() if state:
                return state
            case Foreign() | Image():
                self._left_out.add(part)
            case Reasoning() if state:
                return {"text": part.text, "thought": True, **state}
            case Reasoning():
                pass  # thoughts without a signature need not be sent again
        return None

    def _render_image(self, image: Image) -> Json:
        if image.detail not in (None, "auto") and _NO_DETAIL not in self._notes:
            self._notes.append(_NO_DETAIL)
        kind = {} if image.media_type is None else {"mimeType": image.media_type}
        if image.data is None:
            return {"fileData": {**kind, "fileUri": image.url}}
        return {"inlineData": {**kind, "data": b64encode(image.data).decode("ascii")}}


def _render_call(call: ToolCall) -> Json:
    return {"id": call.id, "name": call.name, "args": dict(call.arguments or {})}


def _plain(value: object) -> object:
    return list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value


def parse_response(body: Any, provider: str) -> ProviderReply:
    """
    Read a whole answer: one object, or the list of chunks of a stream that was asked for without SSE.

    Raises:
        ErrorAnswer: It is an error.
        ProtocolError: It is no answer of this format, or has no sign that it is whole.
    """
    stream = GeminiStream(provider)
    chunks = cast("list[object]", body) if isinstance(body, list) else [body]
    for chunk in chunks:
        stream.read(read_object(chunk))
    return stream.end()


def parse_usage(usage: Json) -> Usage:
    """
    Read the token counts.

    ``promptTokenCount`` includes cached content and leaves out what built-in tools put into the prompt;
    ``candidatesTokenCount`` leaves thoughts out. A count of 0 is not sent.

    Returns:
        Disjoint counts. No usage object: all None. A missing detail is 0; a missing headline is what the
        total leaves for it, or None without a total.

    Source: ``GenerateContentResponseUsageMetadata`` of google-genai (read 2026-11), 194 recorded answers.
    """
    if not usage:
        return Usage()
    cached = read_count(usage, "cachedContentTokenCount") or 0
    thoughts = read_count(usage, "thoughtsTokenCount") or 0
    tools = read_count(usage, "toolUsePromptTokenCount") or 0
    prompt = read_count(usage, "promptTokenCount")
    answer = read_count(usage, "candidatesTokenCount")
    rest = subtract_known(read_count(usage, "totalTokenCount"), thoughts, tools)
    if prompt is None and answer is not None:
        prompt = subtract_known(rest, answer)
    elif answer is None and prompt is not None:
        answer = subtract_known(rest, prompt)
    return Usage(
        input_tokens=None if prompt is None else subtract_known(prompt + tools, cached),
        cache_read_tokens=cached,
        cache_write_tokens=0,
        output_tokens=answer,
        reasoning_tokens=thoughts,
    )


class GeminiStream:
    """Reads the chunks of an answer; see :class:`tertulia.wire.StreamReader`."""

    def __init__(self, provider: str) -> None:
        self.complete = False  # usage may follow the finish reason, so a stream is read to its end
        self._provider = provider
        self._parts: list[Part] = []
        self._open: type[Text | Reasoning] | None = None
        self._pieces: list[str] = []  # of the part that is open: joining at each chunk would take ever longer
        self._calls = 0
        self._usage: Json = {}
        self._facts: Json = {}
        self._finish: str | None = None
        self._goes_on = False
        self._continuation: str | None = None
        self._block: str | None = None
        self._ratings: tuple[SafetyRating, ...] = ()

    def read(self, event: Json) -> Sequence[Delta]:
        """Take one chunk: new parts, and what is known so far of everything else."""
        if (error := parse_error_body(event)) is not None:
            raise ErrorAnswer(error)
        self._usage.update(read_object(event, "usageMetadata"))
        for name in ("modelVersion", "responseId"):
            if value := read_text(event, name):
                self._facts[name] = value
        self._read_feedback(read_object(event, "promptFeedback"))
        candidate = next(iter(read_list(event, "candidates")), Json())
        parts = read_list(candidate, "content", "parts")
        self._goes_on = self._goes_on or bool(parts and self._finish)
        self._finish = read_text(candidate, "finishReason") or self._finish
        self._continuation = read_text(candidate, "continuationToken") or self._continuation
        self._ratings = _parse_ratings(candidate) or self._ratings
        return [delta for part in parts for delta in self._read_part(part)]

    def end(self, how: StreamEnd = StreamEnd.CLOSED) -> ProviderReply:
        """
        Return the whole answer.

        A connection that breaks after the finish reason does no harm, unless the answer has been known to
        go on after one.

        Raises:
            ProtocolError: There was neither a finish nor a block reason.
        """
        cut = how is StreamEnd.BROKEN and self._goes_on
        if cut or (self._finish is None and self._block is None):
            raise ProtocolError("the answer ended without a finishReason or a blockReason")
        self._close()
        parts = tuple(self._parts)
        reason = self._finish or self._block
        finish = _finish_reason(self._finish, self._block, parts)
        tier = read_text(self._usage, "serviceTier")
        return ProviderReply(
            parts=parts,
            finish_reason=finish,
            raw_finish_reason=reason,
            usage=parse_usage(self._usage),
            billing=Billing(service_tier=None if tier is None else tier.lower(), raw=self._usage or None),
            model=self._facts.get("modelVersion"),
            request_id=self._facts.get("responseId"),
            safety=self._safety(finish, parts),
            continuation=self._continuation,
        )

    def _read_feedback(self, feedback: Json) -> None:
        if reason := read_text(feedback, "blockReason"):
            self._block = reason
            self._ratings = _parse_ratings(feedback)

    def _read_part(self, part: Json) -> Iterator[Delta]:
        signature = read_text(part, "thoughtSignature")
        opaque = None if signature is None else OpaqueState(self._provider, {"thoughtSignature": signature})
        text = read_text(part, "text")
        if text is not None and part.get("thought") is True:
            self._add(Reasoning(text, opaque))
            if text:
                yield ReasoningDelta(text)
        elif text is not None:
            if text or opaque:
                self._add(Text(text, opaque))
            if text:
                yield TextDelta(text)
        elif "functionCall" in part:
            call = self._parse_call(read_object(part, "functionCall"), opaque)
            yield ToolCallDelta(self._calls, call.id, call.name, json.dumps(call.arguments))
            self._calls += 1
            self._append(call)
        else:
            kind = next((name for name in part if name != "thoughtSignature"), "empty part")
            self._append(Foreign(kind, OpaqueState(self._provider, part)))

    def _parse_call(self, call: Json, opaque: OpaqueState | None) -> ToolCall:
        # Gemini may leave the id out; ours is made of the answer's own, so it is the same every time.
        made_up = f"{self._facts.get('responseId', 'call')}-{self._calls}"
        return ToolCall(
            id=read_text(call, "id") or made_up,
            name=read_text(call, "name") or "",
            arguments=read_object(call, "args"),
            opaque=opaque,
        )

    def _add(self, part: Text | Reasoning) -> None:
        """Join words of one kind, but never across a signature."""
        if part.opaque is not None:
            self._append(part)
            return
        if self._open is not type(part):
            self._close()
            self._open = type(part)
        self._pieces.append(part.text)

    def _append(self, part: Part) -> None:
        self._close()
        self._parts.append(part)

    def _close(self) -> None:
        if self._open is not None:
            self._parts.append(self._open("".join(self._pieces)))
        self._open, self._pieces = None, []

    def _safety(self, finish: FinishReason, parts: tuple[Part, ...]) -> SafetyOutcome | None:
        if finish is not FinishReason.CONTENT_FILTER:
            return None
        if self._finish is None and self._block is not None:
            return SafetyOutcome("prompt", self._block, self._ratings)
        said = "".join(part.text for part in parts if isinstance(part, Text))
        return SafetyOutcome("answer", self._finish or "", self._ratings, said)


def _parse_ratings(owner: Json) -> tuple[SafetyRating, ...]:
    return tuple(
        SafetyRating(
            read_text(rating, "category") or "",
            read_text(rating, "probability") or "",
            rating.get("blocked") is True,
        )
        for rating in read_list(owner, "safetyRatings")
    )


def _finish_reason(finish: str | None, block: str | None, parts: tuple[Part, ...]) -> FinishReason:
    if finish is None:
        return FinishReason.CONTENT_FILTER if block else FinishReason.UNKNOWN
    if finish == "STOP":
        called = any(isinstance(part, ToolCall) for part in parts)
        return FinishReason.TOOL_CALLS if called else FinishReason.STOP
    return FINISH_REASONS.get(finish, FinishReason.UNKNOWN)


FINISH_REASONS = {
    "MAX_TOKENS": FinishReason.LENGTH,
    "CONTINUATION": FinishReason.PAUSE,
    **dict.fromkeys(
        (
            "SAFETY",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "RECITATION",
            "LANGUAGE",
            "IMAGE_SAFETY",
            "IMAGE_PROHIBITED_CONTENT",
            "IMAGE_RECITATION",
            "MODEL_ARMOR",
            "ESCALATION",
        ),
        FinishReason.CONTENT_FILTER,
    ),
    **dict.fromkeys(
        (
            "MALFORMED_FUNCTION_CALL",
            "UNEXPECTED_TOOL_CALL",
            "TOO_MANY_TOOL_CALLS",
            "MISSING_THOUGHT_SIGNATURE",
            "MALFORMED_RESPONSE",
            "OTHER",
            "IMAGE_OTHER",
            "NO_IMAGE",
            "PUP_LIMITED_DISABLED",
        ),
        FinishReason.ERROR,
    ),
}
"""Google's finish reasons but for STOP, which depends on whether functions were called."""
