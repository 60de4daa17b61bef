"""
The other side of the wire: a server in a process of its own, so that its work is not counted.

It reads as little HTTP as it can and answers bytes made beforehand, by the first part of the path:

========================  ==================================================================
``/whole``                a whole answer
``/slow``                 the same after 50 ms
``/overloaded``           503 with ``Retry-After: 20``
``/limited``              429 with the same
``/broken``               500
``/most``                 how many of ``/slow`` were under way at once since this was last asked for
``/burst-N``              a stream of N deltas, written at once
``/paced-N``              a stream of N deltas, each written on its own, 0.2 ms apart
========================  ==================================================================

They are in the format of Responses; ``/chat.whole`` and ``/gemini.burst-N`` are the same in another.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from benchmarks import answers

ROOT = Path(__file__).resolve().parent.parent
LATENCY_SECONDS = 0.05
PACE_SECONDS = 0.0002


@contextmanager
def running_peer() -> Iterator[str]:
    """Start a peer, and yield its URL; it ends with the block, and with this process however that ends."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.peer"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    under_way = 0
    most_under_way = 0

    def __init__(self) -> None:
        self._received = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once a request is whole; a client here never sends the next one before."""
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = bytes(self._received[:head_end])
        size = head_end + 4 + _content_length(head)
        if len(self._received) >= size:
            del self._received[:size]
            self._answer(head.split(b"/", 2)[1].decode())

    def _answer(self, scenario: str) -> None:
        assert self._transport is not None
        if scenario.endswith("slow"):
            Connection.under_way += 1
            Connection.most_under_way = max(Connection.under_way, Connection.most_under_way)
            asyncio.get_running_loop().call_later(LATENCY_SECONDS, self._answer_late)
        elif scenario == "most":
            self._transport.write(_http("200 OK", b"%d" % Connection.most_under_way))
            Connection.most_under_way = Connection.under_way
        elif "paced-" in scenario:
            # One thing is measured at a time, so nobody else waits while this sleeps.
            for piece in stream(int(scenario.rpartition("paced-")[2])):
                self._transport.write(piece)
                time.sleep(PACE_SECONDS)
        else:
            self._transport.write(answer(scenario))

    def _answer_late(self) -> None:
        assert self._transport is not None
        Connection.under_way -= 1
        self._transport.write(answer("whole"))


@lru_cache
def answer(scenario: str) -> bytes:
    """The bytes of an answer that is written at once."""
    if scenario.endswith("whole"):
        return _http("200 OK", answers.whole(_format_of(scenario)))
    if scenario in _FAILURES:
        status, code, headers = _FAILURES[scenario]
        return _http(status, answers.failure(code), headers)
    return b"".join(stream(int(scenario.rpartition("burst-")[2]), _format_of(scenario)))


@lru_cache
def stream(deltas: int, form: str = "responses") -> tuple[bytes, ...]:
    """The bytes of a streamed answer, a chunk for each event as vendors write them."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = (b"%x\r\n%s\r\n" % (len(event), event) for event in answers.events(form, deltas))
    return head, *chunks, b"0\r\n\r\n"


_FAILURES = {
    "overloaded": ("503 Service Unavailable", "server_is_overloaded", "Retry-After: 20\r\n"),
    "limited": ("429 Too Many Requests", "rate_limit_exceeded", "Retry-After: 20\r\n"),
    "broken": ("500 Internal Server Error", "server_error", ""),
}


def _format_of(scenario: str) -> str:
    return scenario.rpartition(".")[0] or "responses"


def _http(status: str, body: bytes, headers: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    )
    return head.encode() + body


def _content_length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.partition(b"\r")[0] or 0)


async def serve() -> None:
    """Say the port, and serve until the parent closes our standard input, which its death does as well."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    parent_left = asyncio.Event()
    loop.add_reader(sys.stdin, parent_left.set)
    await parent_left.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
