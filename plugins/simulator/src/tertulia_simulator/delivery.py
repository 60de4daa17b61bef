"""The way of an answer to the client, and what goes wrong on it."""

from __future__ import annotations

import asyncio
import json
import struct
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from socket import SO_LINGER, SOL_SOCKET
from types import MappingProxyType
from typing import ClassVar

from aiohttp import web

from tertulia_simulator.faults import Fault
from tertulia_simulator.services.chunks import Chunk
from tertulia_simulator.services.service import Answer


class Delivery:
    """
    One answer on its way.

    Args:
        request: The request it answers, on whose connection it goes.
        service: The name of the service that answers.
        answer: The answer.
        batch: How many chunks of a stream are written at once.

    Attributes:
        was_left: Whether the client closed the connection before all of the answer was written.
    """

    def __init__(self, request: web.Request, service: str, answer: Answer, batch: int = 1) -> None:
        self.service = service
        self.was_left = False
        self._request = request
        self._answer = answer
        self._batch = batch
        self._headers = {**answer.headers, "content-type": answer.content_type}
        self._response = web.StreamResponse(status=answer.status, headers=self._headers)
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._released = asyncio.Event()

    async def run(self) -> web.StreamResponse:
        """Write the answer; the response that was written."""
        try:
            await self.write_answer()
        except ConnectionResetError:
            self.was_left = True
        except asyncio.CancelledError:
            self.was_left = True
            raise
        if self._response.prepared:
            with suppress(ConnectionResetError):
                await self._response.write_eof()
        return self._response

    def release(self) -> None:
        """Let it go on, whatever holds it back; from any thread."""
        self._loop.call_soon_threadsafe(self._released.set)

    def stop(self) -> None:
        """Give it up where it is."""
        if self._task:
            self._task.cancel()

    async def write_answer(self) -> None:
        """Write all of the answer, as fast as the client takes it."""
        if self._answer.chunks is None:
            body = self._render_body()
            self._response = web.Response(status=self._answer.status, headers=self._headers, body=body)
            return
        await self._response.prepare(self._request)
        remaining = iter(self._answer.chunks)
        while batch := b"".join(chunk.data for chunk in islice(remaining, self._batch)):
            await self.write(batch)

    async def write(self, data: bytes) -> None:
        """Write a piece, after whatever else the event loop has to do."""
        await asyncio.sleep(0)
        if not self._response.prepared:
            await self._response.prepare(self._request)
        await self._response.write(data)

    async def wait(self, seconds: float | None) -> None:
        """Hold the answer back that long, or until it is released; None is for good."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._released.wait()

    def _render_body(self) -> bytes:
        body = self._answer.body
        if isinstance(body, bytes):
            return body
        return body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()


class SpoiledDelivery(Delivery):
    """An answer with a fault on its way."""

    def __init__(
        self,
        request: web.Request,
        service: str,
        answer: Answer,
        fault: Fault,
        on_stall: Callable[[str], None],
    ) -> None:
        super().__init__(request, service, answer)
        self._fault = fault
        self._on_stall = on_stall

    async def begin(self) -> Iterable[Chunk]:
        """Send the head of a stream, as services do at once; that of a whole answer goes with its body."""
        if self._answer.chunks is not None:
            await self._response.prepare(self._request)
            return self._answer.chunks
        body = self._render_body()
        self._response.content_length = len(body)
        return [Chunk(body, is_content=True)]


class SlowDelivery(SpoiledDelivery):
    """An answer that takes its time before each event, or before all of it."""

    async def write_answer(self) -> None:
        """Write all of the answer, slowly."""
        for chunk in await self.begin():
            if self._fault.pause and self.is_slow(chunk):
                await self.wait(self._fault.pause)
            await self.write(chunk.data)

    def is_slow(self, chunk: Chunk) -> bool:
        """Whether a piece takes its time; here all do."""
        return True


class EndlessDelivery(SlowDelivery):
    """An answer without an end, of which the words take their time."""

    def is_slow(self, chunk: Chunk) -> bool:
        """Only words do."""
        return chunk.is_content


class DrippingDelivery(SlowDelivery):
    """An answer whose body comes byte by byte."""

    async def begin(self) -> Iterable[Chunk]:
        """Cut what is written into bytes."""
        chunks = await super().begin()
        return (Chunk(bytes([byte])) for chunk in chunks for byte in chunk.data)


class InterruptedDelivery(SpoiledDelivery, ABC):
    """An answer that something happens to in the middle."""

    async def write_answer(self) -> None:
        """Write as much as is to arrive, and let it happen."""
        chunks, after = await self.begin(), 1 if self._fault.after is None else self._fault.after
        if self._answer.chunks is None:
            chunks, after = halve(chunks), min(after, 1)
        for chunk in mark(chunks, after):
            if chunk is not None:
                await self.write(chunk.data)
            elif await self.interrupt():
                return

    @abstractmethod
    async def interrupt(self) -> bool:
        """Let it happen; whether that was the end of the answer."""


class StalledDelivery(InterruptedDelivery):
    """An answer of which nothing more comes, on a connection that stays open."""

    async def interrupt(self) -> bool:
        """Stand still until released."""
        self._on_stall(self.service)
        await self.wait(self._fault.seconds)
        return False


class ClosedDelivery(InterruptedDelivery):
    """An answer that ends too early, as if it were whole: what a proxy makes of a lost service."""

    async def begin(self) -> Iterable[Chunk]:
        """Promise no length, and no other answer on this connection."""
        self._response.force_close()
        chunks = await super().begin()
        self._response.content_length = None
        return chunks

    async def interrupt(self) -> bool:
        """End the body; before the head, close the connection."""
        if not self._response.prepared:
            hang_up(self._request)
        return True


class ResetDelivery(InterruptedDelivery):
    """An answer whose connection is torn down."""

    async def interrupt(self) -> bool:
        """Reset the connection, once what was written has had time to arrive: a reset may overtake it."""
        await self.wait(self._fault.pause)
        reset(self._request)
        return True


class BrokenDelivery(InterruptedDelivery):
    """An answer whose connection is closed before the end of the body."""

    async def interrupt(self) -> bool:
        """Close the connection, and nothing else."""
        hang_up(self._request)
        return True


class SilentDelivery(SpoiledDelivery):
    """An answer that does not even begin."""

    async def write_answer(self) -> None:
        """Wait with it until released."""
        self._on_stall(self.service)
        await self.wait(self._fault.pause)
        await super().write_answer()


class RawDelivery(SpoiledDelivery):
    """Bytes on the connection, as no HTTP library would write them; by default, none."""

    pieces: ClassVar[tuple[bytes, ...]] = ()

    async def write_answer(self) -> None:
        """Write them, and close the connection."""
        async for data in self.render():
            if (transport := self._request.transport) is None or transport.is_closing():
                raise ConnectionResetError
            transport.write(data)
        hang_up(self._request)

    async def render(self) -> AsyncIterator[bytes]:
        """Make the bytes, each piece when its time has come."""
        for data in self.pieces:
            yield data

    def render_head(self) -> bytes:
        """The head of the answer, by hand."""
        lines = [f"HTTP/1.1 {self._answer.status} OK", "Connection: close"]
        lines += [f"{name.title()}: {value}" for name, value in self._headers.items()]
        lines += ["Transfer-Encoding: chunked", "", ""]
        return "\r\n".join(lines).encode()


class ForeignDelivery(RawDelivery):
    """Not the right protocol."""

    pieces = (b"SSH-2.0-OpenSSH_9.6\r\n",)


class MiscountedDelivery(RawDelivery):
    """A body in chunks whose sizes are no numbers."""

    async def render(self) -> AsyncIterator[bytes]:
        """Write the head, and chunks of unreadable size."""
        yield self.render_head() + b"many\r\n{}\r\n0\r\n\r\n"


class DrippingHeadDelivery(RawDelivery):
    """A head that comes byte by byte, and the rest at once."""

    async def render(self) -> AsyncIterator[bytes]:
        """Write the head slowly."""
        for byte in self.render_head():
            await self.wait(self._fault.pause)
            yield bytes([byte])
        for chunk in self._answer.chunks or [Chunk(self._render_body())]:
            yield f"{len(chunk.data):x}\r\n".encode() + chunk.data + b"\r\n"
        yield b"0\r\n\r\n"


class ResettingDelivery(SpoiledDelivery):
    """No answer: the connection is torn down."""

    async def write_answer(self) -> None:
        """Reset it."""
        reset(self._request)


DELIVERIES: Mapping[str, type[SpoiledDelivery]] = MappingProxyType(
    {
        "slow": SlowDelivery,
        "comments_only": SlowDelivery,
        "endless_answer": EndlessDelivery,
        "endless_body": SlowDelivery,
        "drip_body": DrippingDelivery,
        "drip_head": DrippingHeadDelivery,
        "stall": StalledDelivery,
        "broken_off": BrokenDelivery,
        "silence": SilentDelivery,
        "closed": RawDelivery,
        "not_http": ForeignDelivery,
        "bad_chunking": MiscountedDelivery,
        "reset": ResettingDelivery,
        "reset_early": ResettingDelivery,
        "cut_stream": ClosedDelivery,
    }
)
"""The faults that are in how an answer is sent."""


def choose_delivery(fault: Fault | None) -> type[SpoiledDelivery] | None:
    """How an answer goes with that fault; None is as any other."""
    if fault is None:
        return None
    return ResetDelivery if fault.reset else DELIVERIES.get(fault.kind)


def hang_up(request: web.BaseRequest) -> None:
    """Close the connection of a request, when what was written has gone."""
    if request.transport:
        request.transport.close()


def reset(request: web.BaseRequest) -> None:
    """Tear the connection of a request down."""
    if request.transport:
        # To close without lingering is to reset.
        linger = struct.pack("ii", 1, 0)
        request.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
        request.transport.abort()


def halve(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Cut each chunk in the middle."""
    for chunk in chunks:
        middle = len(chunk.data) // 2
        yield Chunk(chunk.data[:middle], chunk.is_content)
        yield Chunk(chunk.data[middle:], chunk.is_content)


def mark(chunks: Iterable[Chunk], after: int) -> Iterator[Chunk | None]:
    """Put None right behind the ``after``-th chunk with content, or before the first."""
    seen = 0
    for chunk in chunks:
        if chunk.is_content and seen == after == 0:
            yield None
        yield chunk
        seen += chunk.is_content
        if chunk.is_content and seen == after:
            yield None
