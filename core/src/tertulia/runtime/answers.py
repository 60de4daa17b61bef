"""Reading one answer over HTTP, whether it comes as a stream or as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol

from tertulia.domain.exchange import Delta, ProviderReply, ReasoningDelta, TextDelta, ToolCallDelta
from tertulia.domain.message import Reasoning, Refusal, Text, ToolCall
from tertulia.errors import ProtocolError, ProviderError, TooLargeError
from tertulia.runtime.http import HTTPAnswer
from tertulia.runtime.serialization import decode_json, encode_json
from tertulia.wire.errors import ErrorAnswer, parse_error_body
from tertulia.wire.protocol import StreamEnd, StreamReader
from tertulia.wire.sse import ServerSentEvent, ServerSentEvents

MAX_CHARACTERS = 4 * 2**20
"""Of one streamed answer: ten times the longest there is. All of it is kept while it comes."""

_WORDS = (TextDelta, ReasoningDelta)
_BRACE = ord("{")
_DONE = StreamEnd.DONE  # looked up once, and not for each event


class Answer(Protocol):
    """An answer that is read event by event; what an event is, it knows itself."""

    async def next_events(self) -> Sequence[Any]:
        """Return the next events, at least one; none once the answer is complete."""
        ...

    def read_event(self, event: Any) -> Sequence[Delta]:
        """Return what an event tells the caller."""
        ...

    async def end(self) -> ProviderReply:
        """Return the whole answer."""
        ...


class WholeAnswer:
    """An answer that came as a whole: one event, so that callers see one shape."""

    def __init__(self, reply: ProviderReply) -> None:
        self._reply = reply
        self._is_read = False

    async def next_events(self) -> Sequence[ProviderReply]:
        """Return the answer, once."""
        was_read, self._is_read = self._is_read, True
        return () if was_read else (self._reply,)

    def read_event(self, event: ProviderReply) -> Sequence[Delta]:
        """Return the deltas that it might have come in."""
        return list(_deltas(event))

    async def end(self) -> ProviderReply:
        """Return it."""
        return self._reply


class StreamedAnswer:
    """An event stream between the socket and the wire format."""

    def __init__(self, answer: HTTPAnswer, reader: StreamReader) -> None:
        self._answer = answer
        self._reader = reader
        self._events = ServerSentEvents()
        self._end: StreamEnd | None = None
        self._failure: ProviderError | None = None
        self._has_content = False  # in the events that were returned last; told once
        self._characters = 0

    async def next_events(self) -> list[ServerSentEvent]:
        """Return the next events, at least one; none once the answer is complete or the stream is over."""
        self._has_content = False
        while self._end is None and not self._reader.complete:
            if chunk := await self._next_chunk():
                events = self._events.feed(chunk)
            elif self._failure is not None:
                self._end = StreamEnd.BROKEN
                return []
            else:
                self._end = StreamEnd.CLOSED
                events = self._events.end()
            if events:
                return events
        return []

    def read_event(self, event: ServerSentEvent) -> Sequence[Delta]:
        """Return what an event tells the caller; what comes after ``[DONE]`` is no part of the answer."""
        data = event.data
        if data[0] != _BRACE:
            if data.strip() == b"[DONE]":
                self._end = _DONE
            elif data.startswith(b":"):
                return ()  # some proxies wrap their keep-alive comments in data
        if self._end is _DONE:
            return ()
        try:
            body = decode_json(data)
        except ProtocolError as error:
            error.is_cut = self._end is StreamEnd.CLOSED  # half an event, with which the body ended
            raise
        if not isinstance(body, dict):
            _raise_error(body)
            return ()
        deltas = self._reader.read(body)  # pyright: ignore[reportUnknownArgumentType]
        if deltas:
            self._count(deltas)
            if not self._has_content:
                self._has_content = True
                self._answer.content_arrived()
        return deltas

    async def end(self) -> ProviderReply:
        """Return the whole answer, and leave the connection fit for the next one."""
        if self._failure is not None:
            with suppress(ProtocolError):
                return self._reader.end(StreamEnd.BROKEN)
            raise self._failure
        if self._events.stray:
            # A service that fails in mid-stream may write its error as a bare document.
            with suppress(ProtocolError):
                _raise_error(decode_json(self._events.stray))
        reply = self._reader.end(self._end or StreamEnd.CLOSED)
        await self._answer.drain()
        return reply

    def _count(self, deltas: Sequence[Delta]) -> None:
        for delta in deltas:
            if isinstance(delta, _WORDS):
                self._characters += len(delta.text)
            elif isinstance(delta, ToolCallDelta):
                self._characters += len(delta.arguments)
        if self._characters > MAX_CHARACTERS:
            raise TooLargeError(
                f"the answer has more than {MAX_CHARACTERS} characters", next_step="ask for a shorter answer"
            )

    async def _next_chunk(self) -> bytes:
        """The next bytes; none at the end, and none when the connection broke: that may come too late."""
        try:
            return await self._answer.read_chunk()
        except ProviderError as error:
            self._failure = error
            return b""


def _raise_error(body: object) -> None:
    if (error := parse_error_body(body)) is not None:
        raise ErrorAnswer(error)


def _deltas(reply: ProviderReply) -> Iterator[Delta]:
    calls = 0
    for part in reply.parts:
        match part:
            case Text() | Refusal():
                yield TextDelta(part.text)
            case Reasoning() if part.text:
                yield ReasoningDelta(part.text)
            case ToolCall():
                arguments = (
                    part.raw_arguments if part.arguments is None else encode_json(part.arguments).decode()
                )
                yield ToolCallDelta(calls, part.id, part.name, arguments or "")
                calls += 1
            case _:
                pass
