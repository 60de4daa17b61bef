"""
Plays faults of the wire on loopback, below HTTP: resets, hangs, bad chunks, bombs, single bytes.

A fault is data: for each connection a list of operations, of which the last list repeats.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import socket
import struct
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Self, TypeAlias

import attrs

UNKNOWN_HOST_URL = "http://no-such-host.invalid"

Step: TypeAlias = Mapping[str, Any]
"""One operation: ``op``, and what it needs."""


@attrs.frozen
class Expected:
    """
    How a fault must end.

    Attributes:
        outcome: ``"text"``, ``"error"`` or ``"interrupted"``.

        kind: Of the error, or the cause of the interruption; None where it is not said.

        text: What was shown; ``"@5x"`` stands for five times x; None where it is not said.

        retry: ``"yes"``, ``"no"``, ``"once"``, or ``"after >=0.3 s"``.

        fallback: ``"yes"``, ``"no"``, ``"no (opt-in)"``, or ``"policy"``: as ``on_interrupt`` says.

        stored: What is in the store, in words.

        max_seconds: How long it may take, retries included.
    """

    outcome: str
    kind: str | None
    text: str | None
    retry: str
    fallback: str
    stored: str
    max_seconds: float


@attrs.frozen
class Fault:
    """
    One way in which a service, or what lies between, fails.

    Attributes:
        dialect: ``"openai"`` for Chat Completions, or ``"gemini"``.

        stream: Whether the answer is asked for in pieces.

        target: ``"server"`` plays ``attempts``; ``"closed_port"`` and ``"bad_dns"`` are not there at all.
    """

    id: str
    title: str
    dialect: str
    stream: bool
    expect: Expected
    target: str = "server"
    attempts: Sequence[Sequence[Step]] = ()
    note: str = ""


def load_faults(path: Path) -> list[Fault]:
    """Read faults from a file."""
    return [
        Fault(**{**fault, "expect": Expected(**fault["expect"])})
        for fault in json.loads(path.read_text("utf-8"))
    ]


def find_recorded_faults() -> list[Fault]:
    """Return the catalogue in the folder of test data; none without one."""
    folder = os.environ.get("TERTULIA_TEST_DATA")
    path = Path(folder or "") / "faults.json"
    return load_faults(path) if folder and path.exists() else []


@attrs.frozen
class Asked:
    """
    A request as it came.

    Attributes:
        at: When, on the clock of the event loop.
    """

    at: float
    head: bytes = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


class FaultPlayer:
    """
    A server that plays one fault.

    Attributes:
        url: Where it is.

        requests: What was asked.

        connections: How many connections played something, requests on open ones included.
    """

    def __init__(self, fault: Fault) -> None:
        self.requests: list[Asked] = []
        self.connections = 0
        self.url = UNKNOWN_HOST_URL
        self._fault = fault
        self._server: asyncio.Server | None = None
        self._taken: socket.socket | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        if self._fault.target == "server":
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 22)
            self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        elif self._fault.target == "closed_port":
            # Bound, and nobody listens: a port that is let go may be another server's a moment later.
            self._taken = socket.socket()
            self._taken.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{self._taken.getsockname()[1]}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._server is not None:
            self._server.close()
        if self._taken is not None:
            self._taken.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    @property
    def gaps(self) -> list[float]:
        """The seconds between each request and the next."""
        times = [asked.at for asked in self.requests]
        return [after - before for before, after in pairwise(times)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)
        with suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stays_open = True
        while stays_open:
            script = self._next_script()
            if script[0]["op"] == "rst":  # before anything was read
                return _reset(writer)
            head, body = await _read_request(reader)
            self.requests.append(Asked(asyncio.get_running_loop().time(), head, body))
            stays_open = await _play(script, writer)
        return None

    def _next_script(self) -> Sequence[Step]:
        self.connections += 1
        attempts = self._fault.attempts
        return attempts[min(self.connections, len(attempts)) - 1]


async def _play(script: Sequence[Step], writer: asyncio.StreamWriter) -> bool:
    """Play one script; whether the connection then stays open for another request."""
    for step in script:
        match step["op"]:
            case "rst":
                _reset(writer)
                return False
            case "fin":
                return False
            case "next":
                return True
            case "hang":
                await asyncio.sleep(60)
                return False
            case _:
                await _write(step, writer)
        await writer.drain()
    return False


async def _write(step: Step, writer: asyncio.StreamWriter) -> None:
    match step["op"]:
        case "read":
            pass  # the request has been read
        case "sleep":
            await asyncio.sleep(step["s"])
        case "send":
            writer.write(step["data"].encode())
        case "b64":
            writer.write(base64.b64decode(step["data"]))
            await asyncio.sleep(0.002)  # so that what is written apart arrives apart
        case "drip":
            await _drip(step["data"].encode(), step["delay"], writer)
        case "loop" | "loopchunk":
            data = step["data"].encode()
            await _repeat(data if step["op"] == "loop" else _chunk(data), step, writer)
        case "bigevent":
            writer.write(_chunk(b"data: " + _big_event(step) + b"\n\n"))
        case "gzipbomb":
            writer.write(_gzip_bomb())
        case other:
            raise ValueError(f"there is no operation {other!r}")


async def _drip(data: bytes, delay: float, writer: asyncio.StreamWriter) -> None:
    for byte in data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(delay)


async def _repeat(data: bytes, step: Step, writer: asyncio.StreamWriter) -> None:
    now = asyncio.get_running_loop().time
    until = now() + step["seconds"]
    while now() < until:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(step["delay"])


async def _read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    if length := re.search(rb"content-length: *(\d+)", head, re.IGNORECASE):
        return head, await reader.readexactly(int(length[1]))
    body = b""
    if re.search(rb"transfer-encoding: *chunked", head, re.IGNORECASE):
        while size := int((await reader.readline()).strip() or b"0", 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    return head, body


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _big_event(step: Step) -> bytes:
    text = "x" * step["size"]
    if step.get("gemini"):
        event: Step = {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}}]}
    else:
        delta = {"role": "assistant", "content": text}
        event = {"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    return json.dumps(event).encode()


def _gzip_bomb() -> bytes:
    """One mebibyte on the wire, one gibibyte unpacked; its checksum, which nobody reaches, is wrong."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    first, block = (packer.compress(b" " * 2**20) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    body = first + block * 1023 + packer.flush()
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
    ) + body


def _reset(writer: asyncio.StreamWriter) -> None:
    lingering = struct.pack("ii", 1, 0)  # for no time at all, which makes closing a reset
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
    writer.transport.abort()
