"""Chat Completions as OpenAI, xAI and others speak it; what differs is left to overridden methods."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

from tertulia_simulator.attachments import read_file
from tertulia_simulator.conversation import Call, Message, Offer, Result, SentFile
from tertulia_simulator.images import SentImage, read_address
from tertulia_simulator.mind import split_words
from tertulia_simulator.recording import Json, as_list, as_object
from tertulia_simulator.services.api import API, Generation, ModelT
from tertulia_simulator.services.chunks import Chunk, compact
from tertulia_simulator.services.offers import read_offer
from tertulia_simulator.services.service import Bounds, Turn
from tertulia_simulator.services.shapes import CHAT, Shape

SYSTEM_ROLES = ("system", "developer")
DOCUMENT_TYPES = ("file", "input_audio")


class ChatAPI(API[ModelT]):
    """``POST /v1/chat/completions``."""

    endpoint: ClassVar[list[str]] = ["v1", "chat", "completions"]
    shape: ClassVar[Shape] = CHAT

    fingerprint: ClassVar[str | None]
    """The ``system_fingerprint`` of every answer."""

    def read_conversation(self, body: object) -> list[Message]:
        """Read ``messages``; those without content are left out."""
        given = [as_object(message) for message in as_list(as_object(body).get("messages"))]
        return read_messages(given, self.read_file)

    def read_offer(self, body: Json) -> Offer:
        """Read the tools, how to choose among them, and the schema of the answer."""
        return read_offer(body, as_object(body.get("response_format")))

    def read_file(self, part: Json) -> SentFile:
        """Read a document or a sound."""
        return read_file(part, self.orders.files)

    def read_bounds(self, body: Json) -> Bounds:
        """Read the limit under its new name or its old one, the effort and the stops."""
        limit = body.get("max_completion_tokens")
        limit = body.get("max_tokens") if limit is None else limit
        return Bounds(limit, body.get("reasoning_effort"), body.get("stop"))

    def stream(self, generation: Generation[ModelT]) -> Iterator[Chunk]:
        """Render the chunks of an answer, a ``data`` line each."""
        for chunk in self.render_chunks(generation):
            delta = as_object(chunk["choices"][0]["delta"]) if chunk["choices"] else {}
            is_content = bool(delta.get("content") or delta.get("tool_calls"))
            yield Chunk(f"data: {compact(chunk)}\n\n".encode(), is_content)
        yield Chunk(b"data: [DONE]\n\n")

    def render_chunks(self, generation: Generation[ModelT]) -> Iterator[Json]:
        """Render who speaks, the deltas, why no more comes, and if asked for it the usage."""
        first = self.render_first_delta()
        if not generation.turn.text and generation.turn.calls:
            first["content"] = None
        yield self.render_chunk(generation, first)
        for word in split_words(generation.turn.text):
            yield self.render_chunk(generation, {"content": word})
        for delta in self.render_call_deltas(generation):
            yield self.render_chunk(generation, {"tool_calls": [delta]})
        yield self.render_chunk(generation, {}, render_finish_reason(generation.turn))
        if as_object(generation.body.get("stream_options")).get("include_usage"):
            usage = self.render_usage(generation.model, generation.turn)
            yield self.render_chunk(generation, {}) | {"choices": [], "usage": usage}

    def render_call_deltas(self, generation: Generation[ModelT]) -> Iterator[Json]:
        """Render the calls in pieces: first the name, then the arguments, bit by bit."""
        for index, call in enumerate(self.render_calls(generation)):
            arguments = call["function"]["arguments"]
            yield {"index": index, **call, "function": {**call["function"], "arguments": ""}}
            for piece in re.findall(r".{1,8}", arguments, re.DOTALL):
                yield {"index": index, "function": {"arguments": piece}}

    def render_calls(self, generation: Generation[ModelT]) -> list[Json]:
        """Render the calls of tools, whole."""
        return [
            {
                "id": self.render_call_id(generation.request.number, index),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for index, call in enumerate(generation.turn.calls)
        ]

    def render_chunk(
        self, generation: Generation[ModelT], delta: Json, finish_reason: str | None = None
    ) -> Json:
        """Render one chunk."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return self.render_common(generation, "chat.completion.chunk") | {"choices": [choice]}

    def render_whole(self, generation: Generation[ModelT]) -> Json:
        """Render an answer outside a stream."""
        message: Json = {"role": "assistant", "content": generation.turn.text}
        if calls := self.render_calls(generation):
            message |= {"content": generation.turn.text or None, "tool_calls": calls}
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": render_finish_reason(generation.turn),
        }
        usage = self.render_usage(generation.model, generation.turn)
        return self.render_common(generation, "chat.completion") | {"choices": [choice], "usage": usage}

    def render_common(self, generation: Generation[ModelT], kind: str) -> Json:
        """Render what every chunk and every whole answer carries."""
        return {
            "id": self.render_id(generation.request.number),
            "object": kind,
            "created": generation.request.at,
            "model": generation.model.id,
            "system_fingerprint": self.fingerprint,
        }

    def render_first_delta(self) -> Json:
        """Render the delta that only says who speaks."""
        return {"role": "assistant", "content": ""}

    def render_usage(self, model: ModelT, turn: Turn) -> Json:
        """Render the counts; the reasoning is part of the completion."""
        return {
            "prompt_tokens": turn.input_tokens,
            "completion_tokens": turn.output_tokens,
            "total_tokens": turn.input_tokens + turn.output_tokens,
        }

    def render_call_id(self, number: int, index: int) -> str:
        """Make the id of a call."""
        return f"call_{index:012x}{number:012x}"

    @abstractmethod
    def render_id(self, number: int) -> str:
        """Make the id of an answer."""


def render_finish_reason(turn: Turn) -> str:
    """Why no more of the answer comes."""
    return "length" if turn.is_cut else "tool_calls" if turn.calls else "stop"


def render_output_details(turn: Turn) -> Json:
    """Render what the completion was made of, as OpenAI and xAI both do."""
    return {
        "reasoning_tokens": turn.reasoning_tokens,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    }


def read_messages(given: list[Json], read_attachment: Callable[[Json], SentFile]) -> list[Message]:
    """Read messages, and find for each result the tool that gave it."""
    messages: list[Message] = []
    names: dict[str, str] = {}
    for item in given:
        message = read_message(item, read_attachment)
        names |= {call.id: call.name for call in message.calls}
        if item.get("role") == "tool":
            call_id = str(item.get("tool_call_id"))
            message = Message("tool", (), results=(Result(call_id, names.get(call_id, ""), message.text),))
        messages.append(message)
    return [message for message in messages if not message.is_empty]


def read_message(message: Json, read_attachment: Callable[[Json], SentFile]) -> Message:
    """Read one message."""
    role = "system" if message.get("role") in SYSTEM_ROLES else str(message.get("role"))
    content = message.get("content")
    calls = tuple(read_call(as_object(call)) for call in as_list(message.get("tool_calls")))
    if isinstance(content, str):
        return Message(role, (content,) if content else (), calls=calls)
    parts = [as_object(part) for part in as_list(content)]
    return Message(
        role,
        tuple(str(part.get("text")) for part in parts if part.get("type") == "text"),
        tuple(read_image(part) for part in parts if part.get("type") == "image_url"),
        tuple(read_attachment(part) for part in parts if part.get("type") in DOCUMENT_TYPES),
        calls,
    )


def read_call(call: Json) -> Call:
    """Read the call of a tool."""
    function = as_object(call.get("function"))
    return Call(str(function.get("name")), str(function.get("arguments")), str(call.get("id")))


def read_image(part: Json) -> SentImage:
    """Read the address of an image, which may stand in an object or alone."""
    image = part.get("image_url")
    return read_address(as_object(image).get("url", image))
