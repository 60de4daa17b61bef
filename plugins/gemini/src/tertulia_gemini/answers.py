"""
What Gemini answers: one object, or a stream of them, each with the parts that are new.

Thought signatures stay on exactly the part they came with, also on an empty text.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from tertulia import (
    Audio,
    Delta,
    Document,
    ErrorKind,
    FinishReason,
    Foreign,
    Image,
    OpaqueState,
    Part,
    ProtocolError,
    ProviderReply,
    Reasoning,
    ReasoningDelta,
    SafetyOutcome,
    SafetyRating,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Video,
)
from tertulia.wire import (
    ErrorAnswer,
    Json,
    StreamEnd,
    parse_error_body,
    read_list,
    read_object,
    read_text,
)
from tertulia_gemini.contents import ABOUT_THE_ANSWER
from tertulia_gemini.usage import parse_billing, parse_usage


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
        self._about: Json = {}

    def read(self, event: Json) -> Sequence[Delta]:
        """
        Take one chunk: new parts, and what is known so far of everything else.

        There are thousands, so what few of them have is looked for by its name first.
        """
        if ("candidates" not in event or "error" in event) and (error := parse_error_body(event)) is not None:
            raise ErrorAnswer(error)
        usage = read_object(event, "usageMetadata")
        if None in usage.values():
            usage = {name: value for name, value in usage.items() if value is not None}
        self._usage.update(usage)
        for name in ("modelVersion", "responseId"):
            if (value := event.get(name)) and isinstance(value, str):
                self._facts[name] = value
        if "promptFeedback" in event:
            self._read_feedback(read_object(event, "promptFeedback"))
        candidates = read_list(event, "candidates")
        candidate = candidates[0] if candidates else Json()
        parts = read_list(candidate, "content", "parts")
        if parts and self._finish:
            self._goes_on = True
        if not candidate.keys() <= _USUAL:
            self._read_rest(candidate)
        if len(parts) == 1 and len(parts[0]) == 1 and (words := read_text(parts[0], "text")):
            self._add_words(Text, words)  # nearly all of a long answer
            return (TextDelta(words),)
        return [delta for part in parts for delta in self._read_part(part)]

    def _read_rest(self, candidate: Json) -> None:
        self._finish = read_text(candidate, "finishReason") or self._finish
        self._continuation = read_text(candidate, "continuationToken") or self._continuation
        self._ratings = _parse_ratings(candidate) or self._ratings
        for name in ABOUT_THE_ANSWER:
            if about := read_object(candidate, name):
                self._about[name] = about

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
            raise ProtocolError("the answer ended without a finishReason or a blockReason", is_cut=True)
        self._close()
        parts = (*self._parts, *self._tell_sources())
        reason = self._finish or self._block
        finish = _finish_reason(self._finish, self._block, parts)
        return ProviderReply(
            parts=parts,
            finish_reason=finish,
            raw_finish_reason=reason,
            usage=parse_usage(self._usage),
            billing=parse_billing(self._usage, read_object(self._about, "groundingMetadata")),
            model=self._facts.get("modelVersion"),
            request_id=self._facts.get("responseId"),
            safety=self._safety(finish, parts),
            continuation=self._continuation,
            error_kind=_find_failure(reason, parts),
        )

    def _tell_sources(self) -> list[Part]:
        """What stood beside the answer, unless nothing was said: sources of nothing are no answer."""
        if not self._about:
            return []
        said = [
            part for part in self._parts if not isinstance(part, Reasoning) and part != Text("", part.opaque)
        ]
        return [Foreign(name, self._tag({name: value})) for name, value in self._about.items() if said]

    def _read_feedback(self, feedback: Json) -> None:
        if reason := read_text(feedback, "blockReason"):
            self._block = reason
            self._ratings = _parse_ratings(feedback)

    def _read_part(self, part: Json) -> Iterator[Delta]:
        signature = read_text(part, "thoughtSignature")
        state = {} if signature is None else {"thoughtSignature": signature}
        opaque = self._tag(state) if state else None
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
        elif (media := _parse_media(part, self._tag(state))) is not None:
            self._append(media)
        else:
            kind = next((name for name in part if name not in _MARKS), "empty part")
            self._append(Foreign(kind, self._tag(part)))

    def _tag(self, state: Json) -> OpaqueState:
        return OpaqueState(self._provider, state)

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
        else:
            self._add_words(type(part), part.text)

    def _add_words(self, kind: type[Text | Reasoning], words: str) -> None:
        if self._open is not kind:
            self._close()
            self._open = kind
        self._pieces.append(words)

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


_USUAL = frozenset({"content", "index"})
"""What every candidate of a stream has."""

_MARKS = frozenset({"thought", "thoughtSignature"})
_KINDS: Mapping[str, type[Image | Audio | Video]] = {"image": Image, "audio": Audio, "video": Video}


def _parse_media(part: Json, opaque: OpaqueState) -> Image | Document | Audio | Video | None:
    """
    Read what a model drew or spoke; None where it is something else, or a sketch among its thoughts.

    It is tagged even without a signature: Gemini gets its own pictures back, and nobody else's.
    """
    blob = read_object(part, "inlineData")
    if not blob or part.get("thought") is True:
        return None
    data, media_type = _decode(read_text(blob, "data") or ""), read_text(blob, "mimeType")
    if not data:
        return None
    kind = _KINDS.get((media_type or "").partition("/")[0], Document)
    return kind(data=data, media_type=media_type, opaque=opaque)


def _decode(text: str) -> bytes | None:
    """Decode base64 of either alphabet, padded or not; None where it is none."""
    try:
        text = text.replace("-", "+").replace("_", "/").rstrip("=")
        return b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None


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


def _find_failure(reason: str | None, parts: Sequence[Part]) -> ErrorKind | None:
    """A mistake of the model that left nothing to read is an empty answer: one more try is enough."""
    kind = FAILURES.get(reason or "")
    return ErrorKind.EMPTY_RESPONSE if kind is ErrorKind.PROTOCOL and not parts else kind


FAILURES = {
    # The same is a status 400 where Gemini sees it before it answers, and it would be so again.
    "MISSING_THOUGHT_SIGNATURE": ErrorKind.INVALID_REQUEST,
    "PUP_LIMITED_DISABLED": ErrorKind.PERMISSION,
    # The model made a mistake: another try, or another model, may not.
    "MALFORMED_FUNCTION_CALL": ErrorKind.PROTOCOL,
    "MALFORMED_RESPONSE": ErrorKind.PROTOCOL,
    "UNEXPECTED_TOOL_CALL": ErrorKind.PROTOCOL,
    "TOO_MANY_TOOL_CALLS": ErrorKind.PROTOCOL,
    "NO_IMAGE": ErrorKind.EMPTY_RESPONSE,
    "OTHER": ErrorKind.SERVER,
    "IMAGE_OTHER": ErrorKind.SERVER,
}
"""Google's finish reasons for an answer that failed, and what kind of failure each is."""

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
    **dict.fromkeys(FAILURES, FinishReason.ERROR),
}
"""Google's finish reasons but for STOP, which depends on whether functions were called."""
