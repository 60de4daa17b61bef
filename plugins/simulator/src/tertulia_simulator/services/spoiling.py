"""Good answers, spoiled: every fault that is in what is written, and not in how it is sent."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, repeat
from types import MappingProxyType
from typing import TypeAlias

from tertulia_simulator.conversation import Thought
from tertulia_simulator.faults import Fault
from tertulia_simulator.recording import Json, RecordedRequest, as_object
from tertulia_simulator.services.chunks import Chunk
from tertulia_simulator.services.service import Answer, Service
from tertulia_simulator.services.shapes import GEMINI, Change, Reason, Shape, change_events, find_json

HUGE = 2_000_000
PAGE = "<!doctype html><html><title>Sign in</title><body>Please sign in.</body></html>"
HALF_CHARACTER = "\ue000"
"""A character that nobody uses, in whose place goes half of one."""

BOMB_MEGABYTES = 256
END = "endless "

THOUGHTS: Mapping[str, Thought] = MappingProxyType(
    {
        "safety_stop": Thought("Here is how it"),
        "escapes": Thought("a\x00b\x1b]0;title\x07\x1b[2Jc"),
        "lone_surrogate": Thought(f"Hello {HALF_CHARACTER}"),
        "empty_answer": Thought(""),
        "split_characters": Thought("Olá, Zé! 你好 🌍"),
        "huge_event": Thought("x" * HUGE),
    }
)
"""What is said for the sake of a fault."""


@dataclass(frozen=True)
class Spoiling:
    """
    A good answer that is to be spoiled.

    Attributes:
        service: Who answers.
        shape: The format it answers in.
        request: What was asked.
        fault: What is to go wrong.
        answer: The good answer.
    """

    service: Service
    shape: Shape
    request: RecordedRequest
    fault: Fault
    answer: Answer

    @property
    def chunks(self) -> Iterable[Chunk]:
        """The events of a stream."""
        return self.answer.chunks or ()

    def refuse(self, kind: str) -> Answer:
        """How the service would refuse it."""
        return self.service.faults[kind](self.request, Fault(kind))

    def change(self, change: Change) -> Answer:
        """Change the answer, or each of its events."""
        if self.answer.chunks is not None:
            return replace(self.answer, chunks=change_events(self.answer.chunks, change))
        return replace(self.answer, body=change(as_object(self.answer.body)))

    def send(self, chunks: Iterable[Chunk]) -> Answer:
        """Send other pieces."""
        return replace(self.answer, chunks=chunks)

    def write_body(self) -> bytes:
        """The bytes of a whole answer."""
        return json.dumps(self.answer.body, ensure_ascii=False).encode()


Spoil: TypeAlias = Callable[[Spoiling], Answer]


def spoil(service: Service, request: RecordedRequest, fault: Fault) -> Answer:
    """Answer a request well, and spoil the answer; one that is refused anyway stays as it is."""
    shape = service.find_shape(request)
    said = shape.malformed_call if fault.kind == "malformed_call" else THOUGHTS.get(fault.kind)
    with service.orders.saying(said):
        answer = service.answer(request)
    if answer.status >= 400 or fault.kind not in SPOILS:
        return answer
    return SPOILS[fault.kind](Spoiling(service, shape, request, fault, answer))


def end_with(reason: Reason) -> Spoil:
    """End an answer for another reason."""
    return lambda spoiling: spoiling.change(lambda event: spoiling.shape.end(event, reason))


def redirect(spoiling: Spoiling) -> Answer:
    """Lead to another origin: the same server under another name, so that whoever follows is seen."""
    host = spoiling.request.headers.get("host", "")
    name, _, port = host.rpartition(":")
    other = "127.0.0.1" if name == "localhost" else "localhost"
    return Answer("", 307, headers={"location": f"http://{other}:{port}/elsewhere{spoiling.request.path}"})


def give_error(spoiling: Spoiling) -> Answer:
    """Give an error under a status that says all is well."""
    return replace(spoiling.refuse("server_error"), status=200)


def halve(spoiling: Spoiling) -> Answer:
    """Give half of the JSON, and call it all."""
    body = spoiling.write_body()
    return replace(spoiling.answer, body=body[: len(body) // 2])


def mark_order(spoiling: Spoiling) -> Answer:
    """Put a byte order mark before the JSON."""
    return replace(spoiling.answer, body="\ufeff".encode() + spoiling.write_body())


def claim_gzip(spoiling: Spoiling) -> Answer:
    """Say that it is compressed."""
    answer = spoiling.answer
    return replace(answer, headers={**answer.headers, "content-encoding": "gzip"})


def drop_bomb(spoiling: Spoiling) -> Answer:
    """Unfold into much more than it was."""
    headers = {**spoiling.answer.headers, "content-encoding": "gzip"}
    return replace(spoiling.answer, body=make_bomb(), chunks=None, headers=headers)


@cache
def make_bomb() -> bytes:
    """As many megabytes of spaces, as gzip writes them."""
    megabyte = b" " * 2**20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # Flushed so, a megabyte depends on none before it, and is the same every time.
    packed = packer.compress(megabyte) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(BOMB_MEGABYTES):
        checksum = zlib.crc32(megabyte, checksum)
    size = BOMB_MEGABYTES * 2**20 % 2**32
    head = b"\x1f\x8b\x08" + bytes(6) + b"\xff"
    tail = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
    return head + packed * BOMB_MEGABYTES + packer.flush() + tail


def never_end(spoiling: Spoiling) -> Answer:
    """Begin a text that never ends; in a stream, an event."""
    before = b"data: " if spoiling.answer.chunks is not None else b""
    first = Chunk(before + b'{"text": "' + END.encode(), is_content=True)
    return spoiling.send(chain([first], repeat(Chunk(END.encode() * 8192, is_content=True))))


def halve_character(spoiling: Spoiling) -> Answer:
    """Put an escape of half a character in the place of one that nobody uses."""
    whole, half = HALF_CHARACTER.encode(), b"\\ud83d"
    if spoiling.answer.chunks is None:
        return replace(spoiling.answer, body=spoiling.write_body().replace(whole, half))
    return spoiling.send(
        Chunk(chunk.data.replace(whole, half), chunk.is_content) for chunk in spoiling.chunks
    )


def break_call(spoiling: Spoiling) -> Answer:
    """Call a tool in a way that cannot be read."""
    return spoiling.change(spoiling.shape.break_call)


def interject(make: Callable[[Spoiling, Chunk], Iterable[Chunk]], *, is_end: bool) -> Spoil:
    """Put something behind the ``after``-th piece of content, or before all; perhaps as the end."""

    def write(spoiling: Spoiling) -> Iterator[Chunk]:
        after, seen = spoiling.fault.after, 0
        after = 1 if after is None else after
        for chunk in spoiling.chunks:
            seen += chunk.is_content
            if chunk.is_content and seen == after + 1:
                yield from make(spoiling, chunk)
                if is_end:
                    return
            yield chunk

    return lambda spoiling: spoiling.send(write(spoiling))


def write_half(_spoiling: Spoiling, chunk: Chunk) -> Iterator[Chunk]:
    """Write half of an event."""
    before, _, behind = find_json(chunk)
    middle = (len(before) + len(chunk.data) - len(behind)) // 2
    yield Chunk(chunk.data[:middle] + behind)


def write_error(spoiling: Spoiling, _chunk: Chunk) -> Iterator[Chunk]:
    """Write the error of a service that is overloaded."""
    yield spoiling.shape.render_error(as_object(spoiling.refuse("overloaded").body))


def insert(*written: bytes) -> Spoil:
    """Put bytes before every event, in turn."""

    def write(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        for number, chunk in enumerate(chunks):
            yield Chunk(written[number % len(written)])
            yield chunk

    return lambda spoiling: spoiling.send(write(spoiling.chunks))


def end_lines(spoiling: Spoiling) -> Answer:
    """Write lines as no vendor does, and all of the standard allows."""

    def write() -> Iterator[Chunk]:
        before = "\ufeff".encode()
        for chunk in spoiling.chunks:
            data = chunk.data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            yield Chunk(before + re.sub(rb"(?m)^(data|event): ", rb"\1:", data), chunk.is_content)
            before = b""

    return spoiling.send(write())


def comment_for_ever(spoiling: Spoiling) -> Answer:
    """Send nothing but comments."""
    return spoiling.send(repeat(Chunk(b": keep-alive\n\n")))


def repeat_word(spoiling: Spoiling) -> Answer:
    """Say the first word for ever."""

    def write() -> Iterator[Chunk]:
        for chunk in spoiling.chunks:
            yield from repeat(chunk) if chunk.is_content else [chunk]

    return spoiling.send(write())


def begin_empty(spoiling: Spoiling) -> Answer:
    """Begin with an event that has no answer in it."""

    def write() -> Iterator[Chunk]:
        for number, chunk in enumerate(spoiling.chunks):
            _, event, _ = find_json(chunk)
            if number == 0 and event is not None:
                yield spoiling.shape.write(spoiling.shape.render_empty(event))
            yield chunk

    return spoiling.send(write())


def add_nulls(spoiling: Spoiling) -> Answer:
    """Put events with a delta of null before those with one."""

    def write() -> Iterator[Chunk]:
        for chunk in spoiling.chunks:
            _, event, _ = find_json(chunk)
            if chunk.is_content and event is not None:
                yield from map(spoiling.shape.write, spoiling.shape.render_null(event))
            yield chunk

    return spoiling.send(write())


def go_on(spoiling: Spoiling) -> Answer:
    """Say the first word again, behind the end."""

    def write() -> Iterator[Chunk]:
        first = None
        for chunk in spoiling.chunks:
            first = first or (chunk if chunk.is_content else None)
            yield chunk
        if spoiling.shape is GEMINI:
            yield Chunk(b"data: [DONE]\r\n\r\n")  # else the end of the body alone is the end
        if first is not None:
            yield first

    return spoiling.send(write())


def leave_out_done(spoiling: Spoiling) -> Answer:
    """End without the line that is the end of Chat Completions."""
    return spoiling.send(chunk for chunk in spoiling.chunks if b"[DONE]" not in chunk.data)


def answer_whole(spoiling: Spoiling) -> Answer:
    """Answer as if no stream had been asked for."""
    request = spoiling.request
    body = {name: value for name, value in as_object(request.body).items() if name != "stream_options"}
    path = request.path.replace(":streamGenerateContent", ":generateContent")
    if "stream" in body:
        body["stream"] = False
    query = {name: value for name, value in request.query.items() if name != "alt"}
    return spoiling.service.answer(replace(request, body=body, path=path, query=query))


def leave_events_out(spoiling: Spoiling) -> Answer:
    """Send what has no JSON in it."""
    return spoiling.send(chunk for chunk in spoiling.chunks if b"{" not in chunk.data)


def split_bytes(spoiling: Spoiling) -> Answer:
    """Send each byte alone."""
    return spoiling.send(Chunk(bytes([byte])) for chunk in spoiling.chunks for byte in chunk.data)


def split_characters(spoiling: Spoiling) -> Answer:
    """Cut behind the first byte of every character that has several."""
    pieces = (piece for chunk in spoiling.chunks for piece in re.split(rb"(?<=[\xc0-\xff])", chunk.data))
    return spoiling.send(Chunk(piece) for piece in pieces if piece)


def finish_late(spoiling: Spoiling) -> Answer:
    """Say only in one more event why the answer ends."""

    def write() -> Iterator[Chunk]:
        for chunk in spoiling.chunks:
            _, event, _ = find_json(chunk)
            yield from map(GEMINI.write, GEMINI.finish_late(event or Json()))

    return spoiling.send(write())


SPOILS: Mapping[str, Spoil] = MappingProxyType(
    {
        "redirect": redirect,
        "html": lambda _spoiling: Answer(PAGE, content_type="text/html"),
        "html_error": lambda _spoiling: Answer(PAGE, 502, content_type="text/html"),
        "error_under_200": give_error,
        "empty_body": lambda spoiling: replace(spoiling.answer, body="", chunks=None),
        "broken_json": halve,
        "bom": mark_order,
        "null_members": lambda spoiling: spoiling.change(spoiling.shape.lose_answers),
        "false_gzip": claim_gzip,
        "gzip_bomb": drop_bomb,
        "endless_body": never_end,
        "unknown_finish": end_with("unknown"),
        "length": end_with("length"),
        "safety_stop": end_with("filter"),
        "extra_members": lambda spoiling: spoiling.change(spoiling.shape.add_members),
        "lone_surrogate": halve_character,
        "malformed_call": break_call,
        "no_done": leave_out_done,
        "broken_event": interject(write_half, is_end=False),
        "error_event": interject(write_error, is_end=True),
        "line_ends": end_lines,
        "comments": insert(b": keep-alive\n\n", b"data: : keepalive\n\n"),
        "comments_only": comment_for_ever,
        "endless_answer": repeat_word,
        "empty_lines": insert(b"\n\n", b"data:\n\n", b"data: \n\n"),
        "empty_choices": begin_empty,
        "null_delta": add_nulls,
        "after_end": go_on,
        "not_streamed": answer_whole,
        "empty_stream": leave_events_out,
        "single_bytes": split_bytes,
        "split_characters": split_characters,
        "early_finish": lambda spoiling: spoiling.change(GEMINI.finish_early),
        "late_finish": finish_late,
    }
)
"""What is done to a good answer; faults that are not here are in how it is sent, or in what is said."""
