"""Recorded answers played to the real providers, with nothing replaced but the sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from tertulia import Delta, HTTPProvider, Message, ProviderConfig, ProviderReply, Request, Secret, Target
from tertulia.runtime.http import HTTPClient
from tertulia.runtime.serialization import decode_json
from tertulia_gemini import GeminiProvider
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider

DRIVERS: Mapping[str, type[HTTPProvider]] = {
    "openai": OpenAIProvider,
    "gemini": GeminiProvider,
    "xai": XAIProvider,
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


def whole(body: bytes) -> Iterable[bytes]:
    """The body in one piece."""
    return (body,)


def single_bytes(body: bytes) -> Iterable[bytes]:
    """The body byte by byte."""
    return (body[place : place + 1] for place in range(len(body)))


async def replay(
    driver: str, body: bytes, cut: Cut = whole, *, status: int = 200, headers: Mapping[str, str]
) -> tuple[list[Delta], ProviderReply]:
    """Let a provider read a recorded answer: its deltas, and the reply they end with."""
    provider = DRIVERS[driver](ProviderConfig(driver, driver, api_key=Secret("sk-played")))
    provider.use(cast("HTTPClient", Playback(status, headers, body, cut)))
    request = Request(Target(driver, "recorded"), (Message.of("user", "recorded"),))
    *deltas, reply = [delta async for delta in provider.send_message(request)]
    assert isinstance(reply, ProviderReply)
    return deltas, reply
