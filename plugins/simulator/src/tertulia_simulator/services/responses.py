"""The Responses API as OpenAI and xAI both speak it; what differs is left to overridden methods."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from itertools import count
from typing import ClassVar

from tertulia_simulator.images import read_address
from tertulia_simulator.mind import Message, split_words
from tertulia_simulator.recording import Json, as_list, as_object
from tertulia_simulator.services.api import API, Generation, ModelT
from tertulia_simulator.services.service import Bounds, Chunk, Turn, compact

SYSTEM_ROLES = ("system", "developer")
TEXT_TYPES = ("input_text", "output_text", "text")
DOCUMENT_TYPES = ("input_file", "input_audio")


class ResponsesAPI(API[ModelT]):
    """``POST /v1/responses``."""

    endpoint: ClassVar[list[str]] = ["v1", "responses"]

    echoed: ClassVar[Json]
    """What a response repeats of the request, with the vendor's defaults."""

    def read_conversation(self, body: object) -> list[Message]:
        """Read ``instructions`` and ``input``; items that are not messages have no text."""
        content = as_object(body)
        messages = [read_item({"role": "system", "content": content.get("instructions")})]
        if isinstance(given := content.get("input"), str):
            messages.append(read_item({"role": "user", "content": given}))
        messages += [read_item(as_object(item)) for item in as_list(given)]
        return [message for message in messages if message]

    def read_bounds(self, body: Json) -> Bounds:
        """Read the limit and the effort."""
        return Bounds(body.get("max_output_tokens"), as_object(body.get("reasoning")).get("effort"))

    def stream(self, generation: Generation[ModelT]) -> Iterator[Chunk]:
        """Render the events of an answer, each with its ``event`` and ``data`` line."""
        for event, number in zip(self.render_events(generation), count()):
            event["sequence_number"] = number
            data = f"event: {event['type']}\ndata: {compact(event)}\n\n".encode()
            yield Chunk(data, event["type"] == "response.output_text.delta")

    def render_events(self, generation: Generation[ModelT]) -> Iterator[Json]:
        """Render the events of an answer in the order in which both vendors send them."""
        status = end_of(generation)
        begun = self.render_response(generation, "in_progress")
        yield {"type": "response.created", "response": begun}
        yield {"type": "response.in_progress", "response": begun}
        item = self.render_item(generation, "in_progress")
        yield {"type": "response.output_item.added", "item": item, "output_index": 0}
        yield from self.render_text_events(generation, item["id"])
        item = self.render_item(generation, status)
        yield {"type": "response.output_item.done", "item": item, "output_index": 0}
        yield {"type": f"response.{status}", "response": self.render_response(generation, status)}

    def render_text_events(self, generation: Generation[ModelT], item_id: str) -> Iterator[Json]:
        """Render the events of the one text part, a delta for each word."""
        place = {"content_index": 0, "item_id": item_id, "output_index": 0}
        text = generation.turn.text
        yield {"type": "response.content_part.added", **place, "part": render_part("")}
        extras = self.render_delta_extras(generation.body)
        for word in split_words(text):
            yield {"type": "response.output_text.delta", **place, "delta": word, "logprobs": [], **extras}
        yield {"type": "response.output_text.done", **place, "logprobs": [], "text": text}
        yield {"type": "response.content_part.done", **place, "part": render_part(text)}

    def render_whole(self, generation: Generation[ModelT]) -> Json:
        """Render the response object as it stands alone."""
        return self.render_response(generation, end_of(generation))

    def render_response(self, generation: Generation[ModelT], status: str) -> Json:
        """Render the response object; ``in_progress`` it has no output and no usage yet."""
        request, turn = generation.request, generation.turn
        is_done = status != "in_progress"
        return {
            "id": self.render_id("resp", request.number),
            "object": "response",
            "created_at": request.at,
            "status": status,
            "background": False,
            "completed_at": request.at if status == "completed" else None,
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
            "model": generation.model.id,
            "output": [self.render_item(generation, status)] if is_done else [],
            **{name: generation.body.get(name, default) for name, default in self.echoed.items()},
            "usage": self.render_usage(generation.model, turn) if is_done else None,
        }

    def render_item(self, generation: Generation[ModelT], status: str) -> Json:
        """Render the message; ``in_progress`` it has no content yet."""
        return {
            "id": self.render_id("msg", generation.request.number),
            "type": "message",
            "status": status,
            "content": [] if status == "in_progress" else [render_part(generation.turn.text)],
            "role": "assistant",
        }

    def render_usage(self, model: ModelT, turn: Turn) -> Json:
        """Render the counts; the reasoning is part of the output, and the total is input and output."""
        return {
            "input_tokens": turn.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": turn.output_tokens,
            "output_tokens_details": {"reasoning_tokens": turn.reasoning_tokens},
            "total_tokens": turn.input_tokens + turn.output_tokens,
        }

    def render_delta_extras(self, body: Json) -> Json:
        """What each text delta carries besides the text."""
        return {}

    @abstractmethod
    def render_id(self, prefix: str, number: int) -> str:
        """Make the id of a response or an item."""


def end_of(generation: Generation[ModelT]) -> str:
    """The status with which an answer ends."""
    return "incomplete" if generation.turn.is_cut else "completed"


def read_item(item: Json) -> Message | None:
    """Read one input item; None for anything but a message with content."""
    content = item.get("content")
    if not content or "role" not in item:
        return None
    role = "system" if item["role"] in SYSTEM_ROLES else str(item["role"])
    if isinstance(content, str):
        return Message(role, (content,))
    parts = [as_object(part) for part in as_list(content)]
    return Message(
        role,
        tuple(str(part.get("text")) for part in parts if part.get("type") in TEXT_TYPES),
        tuple(read_address(part.get("image_url")) for part in parts if part.get("type") == "input_image"),
        sum(part.get("type") in DOCUMENT_TYPES for part in parts),
    )


def render_part(text: str) -> Json:
    """Render a text part."""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
