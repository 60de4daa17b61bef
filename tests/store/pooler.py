"""A pooler before PostgreSQL, which gives every transaction another of its sessions, as PgBouncer does."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Self
from urllib.parse import parse_qs, urlsplit

_SSL, _CANCEL = 80877103, 80877102


class Pooler:
    """
    A pooler on loopback.

    Args:
        url: Of the database, at a Unix socket or a TCP port.
        sessions: How many it has for everybody.

    Attributes:
        changes: How often a client went on in another session than before.
    """

    def __init__(self, url: str, sessions: int) -> None:
        self._upstream = url
        self._size = sessions
        self._free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._greeting = b""
        self.changes = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        while not self._free.empty():
            _, writer = self._free.get_nowait()
            writer.close()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        port = self._server.sockets[0].getsockname()[1]
        parts = urlsplit(self._upstream)
        return f"postgresql://{parts.username or 'postgres'}@127.0.0.1:{port}{parts.path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            startup = await _read_startup(reader, writer)
            if self._free.empty() and not self._greeting:
                for _ in range(self._size):
                    self._greeting = await self._connect(startup)
            writer.write(_forge(self._greeting))
            await self._relay(reader, writer)
        writer.close()

    async def _connect(self, startup: bytes) -> bytes:
        parts = urlsplit(self._upstream)
        if host := parse_qs(parts.query).get("host"):
            reader, writer = await asyncio.open_unix_connection(f"{host[0]}/.s.PGSQL.{parts.port or 5432}")
        else:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 5432)
        writer.write(startup)
        greeting = b"".join([message async for message in _read_until_ready(reader)])
        self._free.put_nowait((reader, writer))
        return greeting

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        last: object = None
        while True:
            message = await _read_message(reader)
            if message[:1] == b"X":
                return
            session = await self._free.get()
            self.changes += session is not last
            last = session
            await self._transact(message, reader, writer, *session)
            self._free.put_nowait(session)

    async def _transact(
        self,
        message: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        session_reader: asyncio.StreamReader,
        session_writer: asyncio.StreamWriter,
    ) -> None:
        """Hand messages to and fro until the session says that no transaction is open."""

        async def hand_up() -> None:
            session_writer.write(message)
            while True:
                session_writer.write(await _read_message(reader))

        up = asyncio.ensure_future(hand_up())
        while (answer := await _read_message(session_reader))[:1] != b"Z" or answer[-1:] != b"I":
            writer.write(answer)
        up.cancel()
        with suppress(asyncio.CancelledError):
            await up
        writer.write(answer)


def _forge(greeting: bytes) -> bytes:
    """The greeting of a session with another number: a client's belongs to no session."""
    key = greeting.index(b"K\0\0\0")
    return greeting[: key + 5] + struct.pack("!I", 4_000_000) + greeting[key + 9 :]


async def _read_startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!II", head)
        body = await reader.readexactly(length - 8)
        if code not in (_SSL, _CANCEL):
            return head + body
        writer.write(b"N")


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


async def _read_until_ready(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        message = await _read_message(reader)
        yield message
        if message[:1] == b"Z":
            return
