"""The Responses protocol as OpenAI and xAI both speak it; what differs is left to overridden methods."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import ClassVar, Generic, TypeVar

from tertulia_simulator.mind import Message, split_words
from tertulia_simulator.models import Model
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object
from tertulia_simulator.services.service import Answer, RefusedError, Service, Turn, compact, take_turn

SYSTEM_ROLES = ("system", "developer")
TEXT_TYPES = ("input_text", "output_text", "text")
ATTACHMENT_TYPES = ("input_image", "input_file", "input_audio")

ModelT = TypeVar("ModelT", bound=Model)


@dataclass(frozen=True)
class Generation(Generic[ModelT]):
    """One answer in the making: what was asked, of which model, and what the mind said."""

    request: RecordedRequest
    model: ModelT
    turn: Turn

    @property
    def body(self) -> Json:
        """The request's body."""
        return as_object(self.request.body)

    @property
    def status(self) -> str:
        """How it ends."""
        return "incomplete" if self.turn.is_cut else "completed"


class ResponsesService(Service, Generic[ModelT]):
    """A service whose generation endpoint is ``POST /v1/responses``."""

    models: tuple[ModelT, ...]
    """The models that are listed."""

    echoed: ClassVar[Json]
    """What a response repeats of the request, with the vendor's defaults."""

    event_stream_type: ClassVar[str] = "text/event-stream"

    def route(self, request: RecordedRequest) -> Answer:
        """Find the endpoint and let it answer."""
        match request.method, request.endpoint:
            case "POST", ["v1", "responses"]:
                return self.generate(request)
            case "GET", ["v1", "models"]:
                return Answer({"object": "list", "data": [self.render_model(model) for model in self.models]})
            case "GET", ["v1", "models", model_id]:
                return Answer(self.render_model(self.find_listed_model(model_id)))
            case _:
                return self.route_elsewhere(request)

    def generates(self, request: RecordedRequest) -> bool:
        """Whether a request asks a model for an answer."""
        return request.method == "POST" and request.endpoint == ["v1", "responses"]

    def generate(self, request: RecordedRequest) -> Answer:
        """Answer ``POST /v1/responses``, whole or as a stream of events."""
        body = self.check_body(request)
        model = self.find_model(str(body["model"]))
        self.check_parameters(body, model)
        turn = take_turn(self.read_conversation(body), self.display_name, body.get("max_output_tokens"))
        if turn.input_tokens > model.max_input:
            raise RefusedError(self.render_overflow(model, turn))
        generation = Generation(request, model, turn)
        if body.get("stream"):
            return Answer(chunks=self.stream(generation), content_type=self.event_stream_type)
        return Answer(self.render_response(generation, generation.status) | self.render_whole_extras())

    def read_conversation(self, body: object) -> list[Message]:
        """Read ``instructions`` and ``input``; items that are not messages have no text."""
        content = as_object(body)
        messages = [read_item({"role": "system", "content": content.get("instructions")})]
        if isinstance(given := content.get("input"), str):
            messages.append(read_item({"role": "user", "content": given}))
        messages += [read_item(as_object(item)) for item in as_list(given)]
        return [message for message in messages if message]

    def stream(self, generation: Generation[ModelT]) -> Iterator[bytes]:
        """Render the events of an answer, each with its ``event`` and ``data`` line."""
        for event, number in zip(self.render_events(generation), count()):
            event["sequence_number"] = number
            yield f"event: {event['type']}\ndata: {compact(event)}\n\n".encode()

    def render_events(self, generation: Generation[ModelT]) -> Iterator[Json]:
        """Render the events of an answer in the order in which both vendors send them."""
        begun = self.render_response(generation, "in_progress")
        yield {"type": "response.created", "response": begun}
        yield {"type": "response.in_progress", "response": begun}
        item = self.render_item(generation, "in_progress")
        yield {"type": "response.output_item.added", "item": item, "output_index": 0}
        yield from self.render_text_events(generation, item["id"])
        item = self.render_item(generation, generation.status)
        yield {"type": "response.output_item.done", "item": item, "output_index": 0}
        response = self.render_response(generation, generation.status)
        yield {"type": f"response.{generation.status}", "response": response}

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
        """Render the counts; the total is input and output."""
        return {
            "input_tokens": turn.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": turn.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": turn.input_tokens + turn.output_tokens,
        }

    def find_listed_model(self, name: str) -> ModelT:
        """Find a model by its listed id, or refuse the request."""
        return self.find_model(name)

    def render_whole_extras(self) -> Json:
        """What only a response outside a stream carries."""
        return {}

    def render_delta_extras(self, body: Json) -> Json:
        """What each text delta carries besides the text."""
        return {}

    @abstractmethod
    def route_elsewhere(self, request: RecordedRequest) -> Answer:
        """Answer what only this vendor offers; refuse the rest."""

    @abstractmethod
    def check_body(self, request: RecordedRequest) -> Json:
        """Refuse a body that is not an object with a model and an input of the right shape."""

    @abstractmethod
    def check_parameters(self, body: Json, model: ModelT) -> None:
        """Refuse the parameters that the vendor or this model refuses."""

    @abstractmethod
    def find_model(self, name: str) -> ModelT:
        """Find the model that answers to a name, or refuse the request."""

    @abstractmethod
    def render_model(self, model: ModelT) -> Json:
        """Render an entry of the model list."""

    @abstractmethod
    def render_id(self, prefix: str, number: int) -> str:
        """Make the id of a response or an item."""

    @abstractmethod
    def render_overflow(self, model: ModelT, turn: Turn) -> Answer:
        """Render the refusal of more input than the model takes."""


def read_item(item: Json) -> Message | None:
    """Read one input item; None for anything but a message with content."""
    content = item.get("content")
    if not content or "role" not in item:
        return None
    role = "system" if item["role"] in SYSTEM_ROLES else str(item["role"])
    if isinstance(content, str):
        return Message(role, (content,))
    parts = [as_object(part) for part in as_list(content)]
    texts = tuple(str(part.get("text")) for part in parts if part.get("type") in TEXT_TYPES)
    return Message(role, texts, sum(part.get("type") in ATTACHMENT_TYPES for part in parts))


def render_part(text: str) -> Json:
    """Render a text part."""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
