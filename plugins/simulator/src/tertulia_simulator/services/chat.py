"""Chat Completions as OpenAI, xAI and others speak it; what differs is left to overridden methods."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from tertulia_simulator.images import SentImage, read_address
from tertulia_simulator.mind import Message, split_words
from tertulia_simulator.recording import Json, as_list, as_object
from tertulia_simulator.services.api import API, Generation, ModelT
from tertulia_simulator.services.service import Bounds, Chunk, Turn, compact

SYSTEM_ROLES = ("system", "developer")
DOCUMENT_TYPES = ("file", "input_audio")


class ChatAPI(API[ModelT]):
    """``POST /v1/chat/completions``."""

    endpoint: ClassVar[list[str]] = ["v1", "chat", "completions"]

    fingerprint: ClassVar[str | None]
    """The ``system_fingerprint`` of every answer."""

    def read_conversation(self, body: object) -> list[Message]:
        """Read ``messages``; those without content are left out."""
        given = as_list(as_object(body).get("messages"))
        messages = [read_message(as_object(message)) for message in given]
        return [message for message in messages if message.text or message.attachments]

    def read_bounds(self, body: Json) -> Bounds:
        """Read the limit under its new name or its old one, the effort and the stops."""
        limit = body.get("max_completion_tokens")
        limit = body.get("max_tokens") if limit is None else limit
        return Bounds(limit, body.get("reasoning_effort"), body.get("stop"))

    def stream(self, generation: Generation[ModelT]) -> Iterator[Chunk]:
        """Render the chunks of an answer, a ``data`` line each."""
        for chunk in self.render_chunks(generation):
            delta = as_object(chunk["choices"][0]["delta"]) if chunk["choices"] else {}
            yield Chunk(f"data: {compact(chunk)}\n\n".encode(), bool(delta.get("content")))
        yield Chunk(b"data: [DONE]\n\n")

    def render_chunks(self, generation: Generation[ModelT]) -> Iterator[Json]:
        """Render who speaks, a delta for each word, why no more comes, and if asked for it the usage."""
        yield self.render_chunk(generation, self.render_first_delta())
        for word in split_words(generation.turn.text):
            yield self.render_chunk(generation, {"content": word})
        yield self.render_chunk(generation, {}, render_finish_reason(generation.turn))
        if as_object(generation.body.get("stream_options")).get("include_usage"):
            usage = self.render_usage(generation.model, generation.turn)
            yield self.render_chunk(generation, {}) | {"choices": [], "usage": usage}

    def render_chunk(
        self, generation: Generation[ModelT], delta: Json, finish_reason: str | None = None
    ) -> Json:
        """Render one chunk."""
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return self.render_common(generation, "chat.completion.chunk") | {"choices": [choice]}

    def render_whole(self, generation: Generation[ModelT]) -> Json:
        """Render an answer outside a stream."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": generation.turn.text},
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

    @abstractmethod
    def render_id(self, number: int) -> str:
        """Make the id of an answer."""


def render_finish_reason(turn: Turn) -> str:
    """Why no more of the answer comes."""
    return "length" if turn.is_cut else "stop"


def render_output_details(turn: Turn) -> Json:
    """Render what the completion was made of, as OpenAI and xAI both do."""
    return {
        "reasoning_tokens": turn.reasoning_tokens,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    }


def read_message(message: Json) -> Message:
    """Read one message; the result of a tool is a message of the role ``tool``."""
    role = "system" if message.get("role") in SYSTEM_ROLES else str(message.get("role"))
    content = message.get("content")
    if isinstance(content, str):
        return Message(role, (content,))
    parts = [as_object(part) for part in as_list(content)]
    return Message(
        role,
        tuple(str(part.get("text")) for part in parts if part.get("type") == "text"),
        tuple(read_image(part) for part in parts if part.get("type") == "image_url"),
        sum(part.get("type") in DOCUMENT_TYPES for part in parts),
    )


def read_image(part: Json) -> SentImage:
    """Read the address of an image, which may stand in an object or alone."""
    image = part.get("image_url")
    return read_address(as_object(image).get("url", image))
