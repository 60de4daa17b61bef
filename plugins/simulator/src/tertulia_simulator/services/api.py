"""What OpenAI's two generation APIs have in common, and the services that offer them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from tertulia_simulator.mind import Message
from tertulia_simulator.models import Model
from tertulia_simulator.recording import Json, RecordedRequest, as_object
from tertulia_simulator.services.service import (
    Answer,
    Bounds,
    Chunk,
    RefusedError,
    Service,
    Turn,
    take_turn,
)

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


class API(ABC, Generic[ModelT]):
    """One endpoint that generates, and the format it speaks."""

    endpoint: ClassVar[list[str]]
    """The segments of its path."""

    display_name: ClassVar[str]
    """The service's name, as people write it."""

    event_stream_type: ClassVar[str] = "text/event-stream"

    def generate(self, request: RecordedRequest) -> Answer:
        """Answer a generation request, whole or as a stream of events."""
        body = self.check_body(request)
        model = self.find_model(str(body["model"]))
        self.check_parameters(body, model)
        turn = take_turn(self.read_conversation(body), self.display_name, self.read_bounds(body))
        if turn.input_tokens > model.max_input:
            raise RefusedError(self.render_overflow(model, turn))
        generation = Generation(request, model, turn)
        if body.get("stream"):
            return Answer(chunks=self.stream(generation), content_type=self.event_stream_type)
        return Answer(self.render_whole(generation))

    @abstractmethod
    def check_body(self, request: RecordedRequest) -> Json:
        """Refuse a body that is not an object of the right shape with a model and a conversation."""

    @abstractmethod
    def check_parameters(self, body: Json, model: ModelT) -> None:
        """Refuse the parameters that the vendor or this model refuses."""

    @abstractmethod
    def find_model(self, name: str) -> ModelT:
        """Find the model that answers to a name, or refuse the request."""

    @abstractmethod
    def read_conversation(self, body: object) -> list[Message]:
        """Read the messages of a body; what cannot be read is left out."""

    @abstractmethod
    def read_bounds(self, body: Json) -> Bounds:
        """Read what a body says about the length of the answer."""

    @abstractmethod
    def stream(self, generation: Generation[ModelT]) -> Iterator[Chunk]:
        """Render the events of an answer."""

    @abstractmethod
    def render_whole(self, generation: Generation[ModelT]) -> Json:
        """Render an answer outside a stream."""

    @abstractmethod
    def render_overflow(self, model: ModelT, turn: Turn) -> Answer:
        """Render the refusal of more input than the model takes."""


class CompatibleService(Service, Generic[ModelT]):
    """A service with OpenAI's URLs: its APIs and its list of models."""

    models: tuple[ModelT, ...]
    """The models that are listed."""

    apis: tuple[API[ModelT], ...]

    def route(self, request: RecordedRequest) -> Answer:
        """Find the endpoint and let it answer."""
        if api := self.find_api(request):
            return api.generate(request)
        match request.method, request.endpoint:
            case "GET", ["v1", "models"]:
                return Answer({"object": "list", "data": [self.render_model(model) for model in self.models]})
            case "GET", ["v1", "models", model_id]:
                return Answer(self.render_model(self.find_listed_model(model_id)))
            case _:
                return self.route_elsewhere(request)

    def find_api(self, request: RecordedRequest) -> API[ModelT] | None:
        """The API that a request is for; None if it does not generate."""
        matching = [api for api in self.apis if api.endpoint == request.endpoint]
        return matching[0] if matching and request.method == "POST" else None

    def generates(self, request: RecordedRequest) -> bool:
        """Whether a request asks a model for an answer."""
        return self.find_api(request) is not None

    def read_conversation(self, request: RecordedRequest) -> list[Message]:
        """Read the messages of a generation request."""
        api = self.find_api(request)
        return api.read_conversation(request.body) if api else []

    @abstractmethod
    def route_elsewhere(self, request: RecordedRequest) -> Answer:
        """Answer what only this vendor offers; refuse the rest."""

    @abstractmethod
    def find_listed_model(self, name: str) -> ModelT:
        """Find a model by its listed id, or refuse the request."""

    @abstractmethod
    def render_model(self, model: ModelT) -> Json:
        """Render an entry of the model list."""
