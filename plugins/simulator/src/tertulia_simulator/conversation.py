"""What a request says to a model, in no service's dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tertulia_simulator.images import SentImage


@dataclass(frozen=True)
class SentFile:
    """
    A document, a sound or a video that was sent.

    Attributes:
        media_type: What it was sent as, or was uploaded as; None where neither is known.
        size: Its bytes; None where only an address came.
        url: Its address, where that is all that came.
        file: Its id or address at the service, where it had been uploaded.
        name: Its name, where one was sent.
    """

    media_type: str | None = None
    size: int | None = None
    url: str | None = None
    file: str | None = None
    name: str | None = None

    @property
    def kind(self) -> str:
        """``audio``, ``video`` or ``document``."""
        family = (self.media_type or "").partition("/")[0]
        return family if family in ("audio", "video") else "document"


@dataclass(frozen=True)
class Call:
    """A tool that the model calls: its name and its arguments as JSON text, as they were written."""

    name: str
    arguments: str
    id: str = ""


@dataclass(frozen=True)
class Result:
    """What a tool answered; ``is_error`` where the dialect can say so."""

    call_id: str
    name: str
    output: str
    is_error: bool = False


@dataclass(frozen=True)
class Message:
    """
    One message.

    Attributes:
        role: ``system``, ``user``, ``assistant`` or ``tool``.
        parts: Its texts, in order.
        images: Its images, in order.
        files: Its attachments of other kinds, in order.
        calls: The tools it calls.
        results: What tools answered.
    """

    role: str
    parts: tuple[str, ...]
    images: tuple[SentImage, ...] = ()
    files: tuple[SentFile, ...] = ()
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()

    @property
    def text(self) -> str:
        """All of its text."""
        return "".join(self.parts)

    @property
    def attachments(self) -> int:
        """How many images, documents and the like came with it."""
        return len(self.images) + len(self.files)

    @property
    def is_spoken(self) -> bool:
        """Whether it says or shows something, rather than only call tools or answer for them."""
        return bool(self.parts or self.images or self.files)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it at all."""
        return not (self.is_spoken or self.calls or self.results)


@dataclass(frozen=True)
class Offer:
    """
    What a request offers the model besides the conversation.

    Attributes:
        tools: The names of the tools it may call, with the JSON Schema of the arguments of each.
        hosted: The tools that the service runs itself, by their names on the wire.
        choice: Whether it must call one: ``auto``, ``none`` or ``required``.
        names: The tools that it may choose from; empty is all of them.
        is_parallel: Whether it may call several at once.
        schema: The JSON Schema of the answer; None is any text.
        text: The tools as they were sent, for their tokens.
    """

    tools: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    hosted: Sequence[str] = ()
    choice: str = "auto"
    names: Sequence[str] = ()
    is_parallel: bool = True
    schema: Mapping[str, Any] | None = None
    text: str = ""

    @property
    def callable_names(self) -> list[str]:
        """The tools that it may call now."""
        if self.choice == "none":
            return []
        return [name for name in self.tools if not self.names or name in self.names]


@dataclass(frozen=True)
class Thought:
    """
    What the mind makes of a conversation.

    Attributes:
        text: What it says.
        calls: The tools it calls.
        searches: What it has the service search for.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    searches: tuple[str, ...] = ()


def newest_text(messages: Sequence[Message]) -> str:
    """The last text that a user sent, or the empty string."""
    spoken = [part for message in messages if message.role == "user" for part in message.parts]
    return spoken[-1] if spoken else ""


def open_turn(messages: Sequence[Message]) -> Sequence[Message]:
    """What came after the last message that a user spoke."""
    spoken = [place for place, message in enumerate(messages) if message.role == "user" and message.is_spoken]
    return messages[spoken[-1] + 1 :] if spoken else messages
