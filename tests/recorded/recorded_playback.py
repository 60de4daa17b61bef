"""Recorded answers played to the real providers, over loopback or with nothing replaced but the sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Self, cast

import attrs

from tertulia import Delta, HTTPProvider, Message, ProviderConfig, ProviderReply, Request, Secret, Target
from tertulia.runtime.http import HTTPClient
from tertulia.runtime.serialization import decode_json
from tertulia_gemini import GeminiProvider
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider


@attrs.frozen
class Dialect:
    """A driver and the settings that make it speak a format."""

    driver: type[HTTPProvider]
    settings: Mapping[str, str] = MappingProxyType({})


_RESPONSES = MappingProxyType({"api": "responses"})
_CHAT = MappingProxyType({"api": "chat"})
DIALECTS: Mapping[str, Dialect] = {
    "openai": Dialect(OpenAIProvider, _RESPONSES),
    "openai-chat": Dialect(OpenAIProvider, _CHAT),
    "gemini": Dialect(GeminiProvider),
    "xai": Dialect(XAIProvider, _RESPONSES),
    "xai-chat": Dialect(XAIProvider, _CHAT),
}

Cut = Callable[[bytes], Iterable[bytes]]
"""A way to cut a body into the pieces that a network delivers."""


class PlayedAnswer:
    """Stands where the HTTP answer does: a recorded body in pieces."""

    def __init__(self, status: int, headers: Mapping[str, str], pieces: Iterable[bytes]) -> None:
        self.status = status
        self.headers = headers
        self.media_type = headers["content-type"].partition(";")[0]
        self._pieces = iter(pieces)

    async def read_chunk(self) -> bytes:
        return next(self._pieces, b"")

    async def read_all(self) -> bytes:
        return b"".join(self._pieces)

    async def read_json(self) -> Any:
        return decode_json(await self.read_all())

    def content_arrived(self) -> None:
        """Nobody waits for a recording."""

    async def drain(self) -> None:
        """Nothing follows a recording."""

    def close(self) -> None:
        """There is no connection."""


class Playback:
    """Stands where the HTTP client does: every call gets the same recorded answer."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, cut: Cut) -> None:
        self._status, self._headers, self._body, self._cut = status, headers, body, cut

    async def open(self, *_call: object) -> PlayedAnswer:
        return PlayedAnswer(self._status, self._headers, self._cut(self._body))


class RecordedService:
    """
    A server on loopback, and one HTTP client for all who ask it.

    Attributes:
        url: Where it is.

        asked: The targets of the requests, queries included.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[str] = []
        self.http = HTTPClient()
        self._answer: tuple[int, Mapping[str, str], list[bytes]] = (404, {}, [])
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        await self.http.aclose()
        self._server.close()
        for task, writer in self._serving.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._server.wait_closed()

    def put(self, status: int, headers: Mapping[str, str], pieces: Iterable[bytes]) -> None:
        """Set the answer of the requests to come: a chunked body."""
        self._answer = (status, headers, list(pieces))

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving[asyncio.get_running_loop().create_task(self._serve(reader, writer))] = writer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await self._receive(reader)
                await self._send(writer)
        writer.close()

    async def _receive(self, reader: asyncio.StreamReader) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        await reader.readexactly(int(headers["content-length"]))
        self.asked.append(first.split(" ")[1])

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        status, headers, pieces = self._answer
        lines = [f"HTTP/1.1 {status} Recorded", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "transfer-encoding: chunked", "", ""]).encode())
        for piece in pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(0)  # so that the client, on the same loop, reads what is there
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def whole(body: bytes) -> Iterable[bytes]:
    """The body in one piece."""
    return (body,)


def single_bytes(body: bytes) -> Iterable[bytes]:
    """The body byte by byte."""
    return (body[place : place + 1] for place in range(len(body)))


async def replay(
    dialect: str, body: bytes, cut: Cut = whole, *, status: int = 200, headers: Mapping[str, str]
) -> tuple[list[Delta], ProviderReply]:
    """Let a provider read a recorded answer: its deltas, and the reply they end with."""
    provider = make_provider(dialect)
    provider.use(cast("HTTPClient", Playback(status, headers, body, cut)))
    return await ask(provider, "recorded")


async def replay_over_http(
    service: RecordedService, dialect: str, *, path: str, model: str, stream: bool
) -> tuple[list[Delta], ProviderReply]:
    """Let a provider ask a service where a recording was asked: its deltas, and the reply they end with."""
    prefix, _, _ = path.partition("/models/")
    if dialect == "gemini":
        provider = make_provider(dialect, service.url, api_version=prefix.removeprefix("/"))
    else:
        prefix = path.removesuffix("/responses").removesuffix("/chat/completions")
        provider = make_provider(dialect, service.url + prefix)
    provider.use(service.http)
    return await ask(provider, model, stream=stream)


def make_provider(dialect: str, base_url: str | None = None, **settings: str) -> HTTPProvider:
    """Configure a driver to speak a format."""
    spoken = DIALECTS[dialect]
    return spoken.driver(
        ProviderConfig(
            name=dialect,
            driver=dialect.partition("-")[0],
            api_key=Secret("sk-played"),
            base_url=base_url,
            settings={**spoken.settings, **settings},
        )
    )


async def ask(
    provider: HTTPProvider, model: str, *, stream: bool = True
) -> tuple[list[Delta], ProviderReply]:
    """Ask a provider something: its deltas, and the reply they end with."""
    target = Target(provider.name, model)
    request = Request(target, (Message.of("user", "recorded"),), stream=stream)
    *deltas, reply = [delta async for delta in provider.send_message(request)]
    assert isinstance(reply, ProviderReply)
    return deltas, reply
