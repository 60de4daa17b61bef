"""A server of bytes: what it sends, and when it breaks off, is what the test says."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum, auto
from typing import Any, Self, TypeAlias

import attrs


class Act(Enum):
    """
    Something other than bytes.

    ``CLOSE`` ends the connection in order, ``RESET`` breaks it; ``HANG`` says nothing more and waits for
    the client to leave.
    """

    CLOSE = auto()
    RESET = auto()
    HANG = auto()


@attrs.frozen
class Ping:
    """Bytes that are sent again every few milliseconds until the client leaves."""

    data: bytes
    every_seconds: float = 0.01


Step: TypeAlias = bytes | Act | Ping | asyncio.Event
"""Bytes are sent; an event is waited for."""


@attrs.frozen
class Received:
    """A request as it arrived."""

    target: str
    headers: dict[str, str]
    body: Any


class RawServer:
    """
    Plays one script for each request, on whichever connection it comes; the last script repeats.

    Attributes:
        requests: What was asked.

        connections: How many connections were made.

        asked: Set when there is a request.

        left: Set when a client closed its end of a connection.
    """

    def __init__(self, *scripts: Iterable[Step]) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self._scripts = [list(script) for script in scripts]
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        for task, writer in self._serving.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._serving[asyncio.get_running_loop().create_task(self._serve(reader, writer))] = writer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.requests.append(await _receive(reader))
                self.asked.set()
                script = self._scripts[min(len(self.requests), len(self._scripts)) - 1]
                for step in script:
                    await self._play(step, reader, writer)
        self.left.set()
        writer.close()

    async def _play(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match step:
            case bytes():
                writer.write(step)
                await writer.drain()
                await asyncio.sleep(0)  # so that the client, on the same loop, reads what is there
            case Ping():
                while not reader.at_eof():
                    writer.write(step.data)
                    await writer.drain()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(reader.read(1), step.every_seconds)
                raise ConnectionResetError
            case Act.HANG:
                await reader.readexactly(1)
            case Act.CLOSE:
                writer.close()
                raise ConnectionResetError
            case Act.RESET:
                lingering = struct.pack("ii", 1, 0)  # for no time at all, which makes closing a reset
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
                writer.transport.abort()
                raise ConnectionResetError
            case asyncio.Event():
                await step.wait()


async def _receive(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(head[0].split(" ")[1], headers, json.loads(body) if body else None)


def answer(body: object, status: int = 200, media_type: str = "application/json", **headers: str) -> bytes:
    """A whole HTTP answer: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"content-type: {media_type}", f"content-length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """A chunk of a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def render_events(events: Iterable[object]) -> bytes:
    """Events as server-sent events: bytes as they are, anything else as JSON."""
    written = (
        event if isinstance(event, bytes) else json.dumps(event, ensure_ascii=False).encode()
        for event in events
    )
    return b"".join(b"data: " + event + b"\r\n\r\n" for event in written)


def stream(*events: object) -> list[Step]:
    """The script of a whole event stream, a chunk for each event."""
    return [STREAM_HEAD, *(chunk(render_events([event])) for event in events), STREAM_END]
