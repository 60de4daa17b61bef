"""What the services share: an answer, a refusal, and the way from a request to one of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

from tertulia_simulator.conversation import Call, Message, Offer, newest_text
from tertulia_simulator.faults import Fault
from tertulia_simulator.mind import respond
from tertulia_simulator.orders import Orders
from tertulia_simulator.recording import RecordedRequest, Sent, as_list
from tertulia_simulator.services.chunks import Chunk
from tertulia_simulator.services.shapes import Shape
from tertulia_simulator.tokens import count_attachments, count_messages, count_reasoning, count_text, cut

API_KEY = "sim-key"
"""A key that every service accepts, as it does every other key that starts with ``sim-``."""


@dataclass(frozen=True)
class Answer:
    """
    What goes back to the client: a JSON ``body``, or the ``chunks`` of a stream.

    A body of text or of bytes goes as it is. A header without a value is not sent, whoever sends it
    otherwise.
    """

    body: Any = None
    status: int = 200
    chunks: Iterable[Chunk] | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class RefusedError(Exception):
    """The service refuses the request, with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.answer = answer


@dataclass(frozen=True)
class Bounds:
    """
    What a request says about the length of its answer.

    Attributes:
        limit: The most tokens, those of the reasoning included; None is no limit.
        effort: How hard to think, by one of the names that the vendors share; anything else is not at all.
        stop: The texts before which the answer ends.
    """

    limit: int | None = None
    effort: object = None
    stop: object = None


@dataclass(frozen=True)
class Turn:
    """
    What the mind answered, and what that counts.

    Attributes:
        text: The answer, as far as the bounds let it come.
        is_cut: Whether the limit on its tokens cut it.
        text_tokens: The tokens of the texts and the tools that were sent.
        image_tokens: The tokens of everything else that was sent.
        reasoning_tokens: The tokens thought before the answer.
        answer_tokens: The tokens of ``text`` and of the calls.
        calls: The tools it calls, without ids.
        searches: What it had the service search for.
        reasoning: What it thought before, in words; empty where it thought nothing.
    """

    text: str
    is_cut: bool
    text_tokens: int
    image_tokens: int
    reasoning_tokens: int
    answer_tokens: int
    calls: tuple[Call, ...] = ()
    searches: tuple[str, ...] = ()
    reasoning: str = ""

    @property
    def input_tokens(self) -> int:
        """The tokens of all that was sent."""
        return self.text_tokens + self.image_tokens

    @property
    def output_tokens(self) -> int:
        """The tokens of all that was thought and said."""
        return self.reasoning_tokens + self.answer_tokens


def take_turn(
    messages: Sequence[Message],
    name: str,
    bounds: Bounds,
    *,
    offer: Offer,
    orders: Orders[Any],
    reasons: bool = False,
) -> Turn:
    """
    Let the mind answer within the bounds, unless what it says was ordered.

    A model that ``reasons`` thinks when it is told how hard, and in any case before it calls a tool.
    """
    thought = orders.take(offer) or respond(messages, name, offer)
    answer = thought.text
    stops = [bounds.stop] if isinstance(bounds.stop, str) else as_list(bounds.stop)
    for stop in stops:
        answer = answer.partition(str(stop))[0] if stop else answer
    reasoning = count_reasoning(bounds.effort)
    text = cut(answer, None if bounds.limit is None else bounds.limit - reasoning)
    return Turn(
        text,
        text != answer,
        count_input(messages, offer),
        count_attachments(messages),
        reasoning if bounds.limit is None else min(reasoning, bounds.limit),
        count_text(text) + sum(count_text(call.name + call.arguments) for call in thought.calls),
        thought.calls,
        thought.searches,
        f"I think about “{newest_text(messages)}”." if reasons and (reasoning or thought.calls) else "",
    )


def count_input(messages: Sequence[Message], offer: Offer) -> int:
    """The tokens of all that is sent, but for attachments."""
    return count_messages(messages) + count_text(offer.text)


FaultAnswer: TypeAlias = Callable[[RecordedRequest, Fault], Answer]


class Service(ABC):
    """One vendor's service."""

    name: ClassVar[str]
    display_name: ClassVar[str]
    base_path: ClassVar[str]
    orders: Orders[Any]

    def answer(self, request: RecordedRequest) -> Answer:
        """Answer a request as the vendor does."""
        try:
            self.authenticate(request)
            answer = self.route(request)
        except RefusedError as refusal:
            answer = refusal.answer
        return self._finish(request, answer)

    def fail(self, request: RecordedRequest, fault: Fault) -> Answer:
        """Answer a request with a fault."""
        return self._finish(request, self.faults[fault.kind](request, fault))

    def sent(self, requests: Sequence[RecordedRequest]) -> Sent:
        """What this service was sent last, out of everything recorded."""
        generations = [
            request for request in requests if request.service == self.name and self.generates(request)
        ]
        if not generations:
            return Sent([], None, None, 0, [])
        messages, offer = self.read_conversation(generations[-1]), self.read_offer(generations[-1])
        system = "\n\n".join(message.text for message in messages if message.role == "system")
        spoken = [message for message in messages if message.role != "system" and message.is_spoken]
        files = [file for message in messages for file in message.files]
        return Sent(
            [message.text for message in spoken],
            system or None,
            generations[-1].body,
            len(generations),
            [image for message in messages for image in message.images],
            documents=[file for file in files if file.kind == "document"],
            audio=[file for file in files if file.kind == "audio"],
            videos=[file for file in files if file.kind == "video"],
            tools=[*offer.tools, *offer.hosted],
            tool_results=[(result.name, result.output) for message in messages for result in message.results],
        )

    @property
    @abstractmethod
    def faults(self) -> Mapping[str, FaultAnswer]:
        """
        How this vendor answers each kind of fault; a new kind is a new row.

        What spoils a good answer on its way is the same at every service, and none of these.
        """

    @abstractmethod
    def authenticate(self, request: RecordedRequest) -> None:
        """Refuse a request without an acceptable key."""

    @abstractmethod
    def route(self, request: RecordedRequest) -> Answer:
        """Answer a request whose key is good."""

    @abstractmethod
    def generates(self, request: RecordedRequest) -> bool:
        """Whether a request asks a model for an answer; only these are met by faults."""

    @abstractmethod
    def streams(self, request: RecordedRequest) -> bool:
        """Whether a generation request asks for a stream."""

    @abstractmethod
    def find_shape(self, request: RecordedRequest) -> Shape:
        """The format of the answer to a generation request."""

    @abstractmethod
    def read_conversation(self, request: RecordedRequest) -> list[Message]:
        """Read the messages of a generation request; what cannot be read is left out."""

    @abstractmethod
    def read_offer(self, request: RecordedRequest) -> Offer:
        """Read what a generation request offers besides; what cannot be read is left out."""

    @abstractmethod
    def render_headers(self, request: RecordedRequest) -> dict[str, str]:
        """The headers that every answer carries."""

    def wrap_error(self, request: RecordedRequest, answer: Answer) -> Answer:
        """Give an error the shape that this kind of request asks for."""
        return answer

    def _finish(self, request: RecordedRequest, answer: Answer) -> Answer:
        if answer.status >= 400:
            answer = self.wrap_error(request, answer)
        headers = {**self.render_headers(request), **answer.headers}
        return replace(answer, headers={name: value for name, value in headers.items() if value})


def refuse_as(refusal: Answer, _request: RecordedRequest, _fault: Fault) -> Answer:
    """Refuse whatever was asked in the same way."""
    return refusal


def is_accepted(key: str) -> bool:
    """Whether a key opens the services."""
    return key.startswith("sim-")


def bearer_key(request: RecordedRequest) -> str | None:
    """The key of an ``Authorization: Bearer`` header, or None without one."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None
