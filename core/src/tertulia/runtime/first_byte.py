"""The first byte of an answer, of which the HTTP library tells nothing before the headers are complete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast


class FirstByte(asyncio.Protocol):
    """
    Stands before the protocol of a connection until something is received, and then is gone.

    A server that writes its headers slowly is alive, and one that writes nothing may not be.
    """

    @classmethod
    def watch(cls, transport: asyncio.Transport, on_arrival: Callable[[], None]) -> None:
        """Call ``on_arrival`` once, when the next byte comes."""
        transport.set_protocol(cls(transport, on_arrival))

    def __init__(self, transport: asyncio.Transport, on_arrival: Callable[[], None]) -> None:
        self._transport = transport
        self._on_arrival = on_arrival
        self._protocol = cast("asyncio.Protocol", transport.get_protocol())

    def data_received(self, data: bytes) -> None:
        """Step aside, tell, and pass the bytes on."""
        self._transport.set_protocol(self._protocol)
        self._on_arrival()
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()
