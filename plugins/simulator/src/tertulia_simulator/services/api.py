"""What OpenAI's two generation APIs have in common, and the services that offer them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from tertulia_simulator.conversation import Message, Offer
from tertulia_simulator.models import Model
from tertulia_simulator.orders import Orders
from tertulia_simulator.recording import Json, RecordedRequest, as_object
from tertulia_simulator.services.chunks import Chunk
from tertulia_simulator.services.service import (
    Answer,
    Bounds,
    RefusedError,
    Service,
    Turn,
    count_input,
    take_turn,
)
from tertulia_simulator.services.shapes import CHAT, Shape
from tertulia_simulator.tokens import count_attachments

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

    shape: ClassVar[Shape]
    """What it calls what all formats have."""

    def __init__(self, orders: Orders[ModelT]) -> None:
        self.orders = orders

    def generate(self, request: RecordedRequest) -> Answer:
        """Answer a generation request, whole or as a stream of events."""
        body, model = self.check(request)
        messages, offer = self.read_conversation(body), self.read_offer(body)
        tokens = count_input(messages, offer) + count_attachments(messages)
        if tokens > model.max_input:
            raise RefusedError(self.render_overflow(model, tokens))
        turn = take_turn(
            messages,
            self.display_name,
            self.read_bounds(body),
            offer=offer,
            orders=self.orders,
            reasons=self.reasons(body, model),
        )
        generation = Generation(request, model, turn)
        if body.get("stream"):
            return Answer(chunks=self.stream(generation), content_type=self.event_stream_type)
        return Answer(self.render_whole(generation))

    def check(self, request: RecordedRequest) -> tuple[Json, ModelT]:
        """Refuse what is to be refused; the body and the model that is asked."""
        body = self.check_body(request)
        if name := self.orders.find_refused(body):
            raise self.refuse_parameter(name)
        model = self.find_model(str(body["model"]))
        self.check_parameters(body, model)
        self.check_history(request, model)
        return body, model

    def reasons(self, body: Json, model: ModelT) -> bool:
        """Whether the model may think before it answers."""
        return False

    def check_history(self, request: RecordedRequest, model: ModelT) -> None:
        """Refuse a conversation that could not have gone like this."""

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
    def read_offer(self, body: Json) -> Offer:
        """Read what a body offers besides the conversation; what cannot be read is left out."""

    @abstractmethod
    def refuse_parameter(self, name: str) -> RefusedError:
        """Refuse a parameter as one that this model does not know."""

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
    def render_overflow(self, model: ModelT, tokens: int) -> Answer:
        """Render the refusal of more input than the model takes."""


class CompatibleService(Service, Generic[ModelT]):
    """A service with OpenAI's URLs: its APIs and its list of models."""

    first_models: ClassVar[tuple[Any, ...]]
    """The models that it has in the beginning."""

    api_types: ClassVar[tuple[type[API[Any]], ...]]

    def __init__(self) -> None:
        self.orders: Orders[ModelT] = Orders(self.first_models)
        self.apis: tuple[API[ModelT], ...] = tuple(each(self.orders) for each in self.api_types)

    @property
    def models(self) -> tuple[ModelT, ...]:
        """The models that are listed."""
        return self.orders.models

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

    def streams(self, request: RecordedRequest) -> bool:
        """Whether a generation request asks for a stream."""
        return bool(as_object(request.body).get("stream"))

    def find_shape(self, request: RecordedRequest) -> Shape:
        """The format of the answer to a generation request."""
        api = self.find_api(request)
        return api.shape if api else CHAT

    def read_conversation(self, request: RecordedRequest) -> list[Message]:
        """Read the messages of a generation request."""
        api = self.find_api(request)
        return api.read_conversation(request.body) if api else []

    def read_offer(self, request: RecordedRequest) -> Offer:
        """Read what a generation request offers besides."""
        api = self.find_api(request)
        return api.read_offer(as_object(request.body)) if api else Offer()

    @abstractmethod
    def route_elsewhere(self, request: RecordedRequest) -> Answer:
        """Answer what only this vendor offers; refuse the rest."""

    @abstractmethod
    def find_listed_model(self, name: str) -> ModelT:
        """Find a model by its listed id, or refuse the request."""

    @abstractmethod
    def render_model(self, model: ModelT) -> Json:
        """Render an entry of the model list."""
