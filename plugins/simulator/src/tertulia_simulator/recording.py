"""What was asked of the simulator, kept for the test that asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeGuard

from tertulia_simulator.conversation import SentFile
from tertulia_simulator.images import SentImage

Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class RecordedRequest:
    """
    One request as it arrived.

    ``headers`` have lower-case names and stay out of the ``repr``, since they carry the key. ``body`` is
    the decoded JSON, or None where there was none or it could not be decoded. ``number`` counts from 1 in
    the order of arrival; ``at`` is the time of arrival in Unix seconds.
    """

    service: str
    method: str
    path: str
    query: dict[str, str] = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: Any
    number: int = 1
    at: int = 0

    @property
    def endpoint(self) -> list[str]:
        """The segments of the path after the service's own name: ``["v1", "responses"]``."""
        return self.path.strip("/").split("/")[1:]


@dataclass(frozen=True)
class Sent:
    """
    What a service was sent last.

    Attributes:
        texts: The texts of the conversation in the last generation request, in order, one a message;
            system text left out. Empty before the first request.
        system: The system text of that request, or None.
        body: The decoded JSON of that request, or None.
        count: How many generation requests the service received, failed ones included.
        images: The images of the conversation in that request, in order.
        documents: Its documents, in order; text files and PDFs are documents.
        audio: Its sounds, in order.
        videos: Its videos, in order.
        tools: The names of the tools it offered; those that the service runs itself come last, under
            their names on the wire.
        tool_results: The answers of tools in the conversation, each with the tool's name.
    """

    texts: list[str]
    system: str | None
    body: Any
    count: int
    images: list[SentImage]
    documents: list[SentFile] = field(default_factory=list[SentFile])
    audio: list[SentFile] = field(default_factory=list[SentFile])
    videos: list[SentFile] = field(default_factory=list[SentFile])
    tools: list[str] = field(default_factory=list[str])
    tool_results: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def is_object(value: object) -> TypeGuard[Json]:
    """Whether a JSON value is an object."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a JSON value is a list."""
    return isinstance(value, list)


def as_object(value: object) -> Json:
    """Narrow a JSON value to an object; anything else becomes an empty one."""
    return value if is_object(value) else {}


def as_list(value: object) -> list[Any]:
    """Narrow a JSON value to a list; anything else becomes an empty one."""
    return value if is_list(value) else []
