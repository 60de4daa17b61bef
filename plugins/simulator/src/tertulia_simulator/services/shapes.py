"""What the formats call the same things, for faults that need to know."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Literal, TypeAlias

from tertulia_simulator.conversation import Call, Thought
from tertulia_simulator.recording import Json, as_list, as_object
from tertulia_simulator.services.chunks import Chunk, compact

Reason: TypeAlias = Literal["length", "filter", "unknown"]
Change: TypeAlias = Callable[[Json], Json]

UNKNOWN = "paused_for_thought"
HALF_CALL = Thought(calls=(Call("get_weather", '{"city": "Lis'),))


class Shape(ABC):
    """One format, whole and in events."""

    separator: ClassVar[bytes] = b"\n\n"

    malformed_call: ClassVar[Thought] = HALF_CALL
    """What is said so that a call comes out that cannot be read."""

    @abstractmethod
    def end(self, event: Json, reason: Reason) -> Json:
        """Let an event that ends the answer, or a whole answer, end it for another reason."""

    @abstractmethod
    def lose_answers(self, body: Json) -> Json:
        """Put null where the list of the answers was."""

    @abstractmethod
    def add_members(self, event: Json) -> Json:
        """Add members that nobody knows."""

    @abstractmethod
    def render_empty(self, event: Json) -> Json:
        """Make an event without an answer of another one."""

    @abstractmethod
    def render_null(self, event: Json) -> Iterator[Json]:
        """Make events whose delta is null or empty of one that has some."""

    def break_call(self, event: Json) -> Json:
        """Spoil the call of a tool, where saying it so was not enough."""
        return event

    def render_error(self, body: Json) -> Chunk:
        """Write an error as an event in mid-stream."""
        return self.write(body)

    def write(self, event: Json) -> Chunk:
        """Write an event."""
        return Chunk(b"data: " + compact(event).encode() + self.separator)


class ChatShape(Shape):
    """Chat Completions."""

    reasons: ClassVar[dict[Reason, str]] = {
        "length": "length",
        "filter": "content_filter",
        "unknown": UNKNOWN,
    }

    def end(self, event: Json, reason: Reason) -> Json:
        """Change the reason where there is one."""
        choices = [
            {**choice, "finish_reason": self.reasons[reason]} if choice.get("finish_reason") else choice
            for choice in event["choices"]
        ]
        return event | {"choices": choices}

    def lose_answers(self, body: Json) -> Json:
        """There are no choices."""
        return body | {"choices": None}

    def add_members(self, event: Json) -> Json:
        """To the object and to each choice."""
        choices = [{**choice, "mood": {"joy": 1}} for choice in event["choices"]]
        return event | {"choices": choices, "weather": ["sunny", None]}

    def render_empty(self, event: Json) -> Json:
        """As gateways send the result of their filters."""
        return event | {"id": "", "model": "", "choices": [], "prompt_filter_results": []}

    def render_null(self, event: Json) -> Iterator[Json]:
        """One of null, one without a member, and one that is null in all of them."""
        for delta in (None, {}, {"content": None, "tool_calls": None, "role": None}):
            yield event | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


class ResponsesShape(Shape):
    """The Responses API."""

    reasons: ClassVar[dict[Reason, str]] = {
        "length": "max_output_tokens",
        "filter": "content_filter",
        "unknown": UNKNOWN,
    }

    def end(self, event: Json, reason: Reason) -> Json:
        """A response that ends for a reason is incomplete."""
        if event.get("type") == "response.completed":
            response = self.end(as_object(event["response"]), reason)
            return event | {"type": "response.incomplete", "response": response}
        if event.get("status") != "completed" or event.get("object") != "response":
            return event
        details = {"reason": self.reasons[reason]}
        return event | {"status": "incomplete", "completed_at": None, "incomplete_details": details}

    def lose_answers(self, body: Json) -> Json:
        """There is no output."""
        return body | {"output": None}

    def add_members(self, event: Json) -> Json:
        """To the event or the object."""
        return event | {"weather": ["sunny", None], "mood": {"joy": 1}}

    def render_empty(self, event: Json) -> Json:
        """An event of a type that nobody knows."""
        return {"type": "response.weather", "output": [], "sequence_number": event.get("sequence_number", 0)}

    def render_null(self, event: Json) -> Iterator[Json]:
        """One of null, and one of nothing."""
        for delta in (None, ""):
            yield event | {"delta": delta}

    def write(self, event: Json) -> Chunk:
        """Write an event with its name."""
        return Chunk(f"event: {event['type']}\ndata: {compact(event)}\n\n".encode())

    def render_error(self, body: Json) -> Chunk:
        """An event of the type ``error``, whatever shape errors have elsewhere."""
        error = body["error"] if isinstance(body.get("error"), dict) else {"message": body.get("error")}
        code = error.get("code") or body.get("code")
        return self.write({"type": "error", "code": code, "message": error["message"], "param": None})


class GeminiShape(Shape):
    """What Google speaks."""

    separator = b"\r\n\r\n"
    malformed_call = Thought()
    reasons: ClassVar[dict[Reason, str]] = {
        "length": "MAX_TOKENS",
        "filter": "SAFETY",
        "unknown": UNKNOWN.upper(),
    }

    def end(self, event: Json, reason: Reason) -> Json:
        """Change the reason where there is one."""
        return self._finish(event, self.reasons[reason])

    def lose_answers(self, body: Json) -> Json:
        """There are no candidates."""
        return body | {"candidates": None}

    def add_members(self, event: Json) -> Json:
        """To the object and to each candidate."""
        candidates = [{**candidate, "mood": {"joy": 1}} for candidate in as_list(event.get("candidates"))]
        return event | {"candidates": candidates, "weather": ["sunny", None]}

    def render_empty(self, event: Json) -> Json:
        """There is no candidate in it."""
        return event | {"candidates": []}

    def render_null(self, event: Json) -> Iterator[Json]:
        """One without content, and one without parts."""
        for content in (None, {"role": "model", "parts": None}, {"role": "model"}):
            yield event | {"candidates": [{"index": 0, "content": content}]}

    def break_call(self, event: Json) -> Json:
        """Say that the call cannot be read; it is not told."""
        changed = self._finish(event, "MALFORMED_FUNCTION_CALL")
        for candidate in as_list(changed.get("candidates")):
            candidate.pop("content", None)
            candidate["finishMessage"] = "Malformed function call: get_weather(city="
        return changed

    def finish_early(self, event: Json) -> Json:
        """Say that the answer ends here, whether it does or not."""
        candidates = [{**each, "finishReason": "STOP"} for each in as_list(event.get("candidates"))]
        return event | {"candidates": candidates}

    def finish_late(self, event: Json) -> list[Json]:
        """Take the reason out of the last event, and put it into one more."""
        (candidate,) = event["candidates"]
        if not (reason := candidate.pop("finishReason", None)):
            return [event]
        return [event, event | {"candidates": [{"finishReason": reason, "index": 0}]}]

    def _finish(self, event: Json, reason: str) -> Json:
        candidates = [
            {**candidate, "finishReason": reason} if candidate.get("finishReason") else candidate
            for candidate in as_list(event.get("candidates"))
        ]
        return event | {"candidates": candidates}


CHAT, RESPONSES, GEMINI = ChatShape(), ResponsesShape(), GeminiShape()


def find_json(chunk: Chunk) -> tuple[bytes, Json | None, bytes]:
    """What stands before the JSON of an event, the JSON itself, and what stands behind it."""
    start, end = chunk.data.find(b"{"), chunk.data.rfind(b"}") + 1
    if start < 0:
        return chunk.data, None, b""
    return chunk.data[:start], json.loads(chunk.data[start:end]), chunk.data[end:]


def change_events(chunks: Iterable[Chunk], change: Change) -> Iterator[Chunk]:
    """Change the JSON of every event, and its name with its type."""
    for chunk in chunks:
        before, event, behind = find_json(chunk)
        if event is None:
            yield chunk
            continue
        changed = change(event)
        if before.startswith(b"event: "):
            before = f"event: {changed['type']}\ndata: ".encode()
        yield Chunk(before + compact(changed).encode() + behind, chunk.is_content)
