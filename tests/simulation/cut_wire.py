"""A wire between a client and a server that is cut once, at a byte of its own."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self


class CutWire:
    """
    Passes bytes on in both directions.

    Args:
        port: Of the server, on loopback.

    Attributes:
        cut_after: So many bytes of answers are still passed on, then the connection ends; None for never.

        cut_before: So many bytes of requests are.

        resets: Whether it is torn down rather than closed.

        was_cut: Whether it has happened. It happens once; later connections are whole.

        answered: How many bytes of answers were passed on.

        asked: How many bytes of requests.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._connections: set[asyncio.Task[None]] = set()
        self.cut_after: int | None = None
        self.cut_before: int | None = None
        self.resets = False
        self.was_cut = False
        self.answered = 0
        self.asked = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        asking = asyncio.create_task(self._pass(reader, back, "cut_before", "asked"))
        answering = asyncio.create_task(self._pass(there, writer, "cut_after", "answered"))
        try:
            await asyncio.wait([asking, answering], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in (asking, answering):
                each.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)
            for end in (writer, back):
                self._end(end)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: str, passed: str
    ) -> None:
        while data := await reader.read(65536):
            left: int | None = getattr(self, limit)
            cut = left is not None and len(data) >= left
            data = data[:left] if cut else data
            setattr(self, passed, getattr(self, passed) + len(data))
            writer.write(data)
            await writer.drain()
            if cut:
                self.was_cut = True
                setattr(self, limit, None)
                return
            if left is not None:
                setattr(self, limit, left - len(data))

    def _end(self, writer: asyncio.StreamWriter) -> None:
        if self.was_cut and self.resets:
            connection = writer.get_extra_info("socket")
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()
