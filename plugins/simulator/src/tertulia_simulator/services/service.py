"""What the services share: an answer, a refusal, and the way from a request to one of them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

from tertulia_simulator.faults import Fault
from tertulia_simulator.mind import Message, think
from tertulia_simulator.recording import Json, RecordedRequest, Sent
from tertulia_simulator.tokens import count_attachments, count_messages, count_text, cut

API_KEY = "sim-key"
"""A key that all three services accept, as they do every other key that starts with ``sim-``."""


@dataclass(frozen=True)
class Answer:
    """What goes back to the client: a JSON ``body``, or the ``chunks`` of a stream."""

    body: Any = None
    status: int = 200
    chunks: Iterable[bytes] | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class RefusedError(Exception):
    """The service refuses the request, with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.answer = answer


@dataclass(frozen=True)
class Turn:
    """
    What the mind answered, and what that counts.

    Attributes:
        text: The answer, as far as the limit on its tokens let it come.
        is_cut: Whether the limit cut it.
        input_tokens: The tokens of all that was sent, attachments included.
        output_tokens: The tokens of ``text``.
    """

    text: str
    is_cut: bool
    input_tokens: int
    output_tokens: int


def take_turn(messages: Sequence[Message], name: str, limit: int | None) -> Turn:
    """Let the mind answer with at most ``limit`` tokens; None is no limit."""
    answer = think(messages, name)
    text = cut(answer, limit)
    input_tokens = count_messages(messages) + count_attachments(messages)
    return Turn(text, text != answer, input_tokens, count_text(text))


FaultAnswer: TypeAlias = Callable[[RecordedRequest, Fault], Answer]


class Service(ABC):
    """One vendor's service."""

    name: ClassVar[str]
    display_name: ClassVar[str]
    base_path: ClassVar[str]

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
        body = generations[-1].body if generations else None
        messages = self.read_conversation(body)
        system = "\n\n".join(message.text for message in messages if message.role == "system")
        texts = [message.text for message in messages if message.role != "system"]
        return Sent(texts, system or None, body, len(generations))

    @property
    @abstractmethod
    def faults(self) -> Mapping[str, FaultAnswer]:
        """
        How this vendor answers each kind of fault.

        A new kind is a new row. One that spoils a good answer starts from ``self.answer(request)``.
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
    def read_conversation(self, body: object) -> list[Message]:
        """Read the messages of a generation request; what cannot be read is left out."""

    @abstractmethod
    def render_headers(self, request: RecordedRequest) -> dict[str, str]:
        """The headers that every answer carries."""

    def wrap_error(self, request: RecordedRequest, answer: Answer) -> Answer:
        """Give an error the shape that this kind of request asks for."""
        return answer

    def _finish(self, request: RecordedRequest, answer: Answer) -> Answer:
        if answer.status >= 400:
            answer = self.wrap_error(request, answer)
        return replace(answer, headers={**self.render_headers(request), **answer.headers})


def is_accepted(key: str) -> bool:
    """Whether a key opens the services."""
    return key.startswith("sim-")


def bearer_key(request: RecordedRequest) -> str | None:
    """The key of an ``Authorization: Bearer`` header, or None without one."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def compact(value: Json) -> str:
    """Write JSON on one line, with characters rather than escapes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
