"""The port, which can be closed and opened again under the same number."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable

from aiohttp import web

_BACKLOG = 128

_STEPS_TO_ACCEPT = 3
"""How often the event loop runs before a connection that came at the last moment can be ended properly."""


class Port:
    """
    Where the simulator listens, on the running event loop.

    While it is closed, its number is held without listening, so that connections are refused and nobody
    who takes a free port is given it.

    Args:
        runner: What serves the connections, set up.
        host: The address to listen on.
        port: The port; 0 takes a free one.
    """

    def __init__(self, runner: web.AppRunner, host: str, port: int) -> None:
        self._runner = runner
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._socket = _bind(host, port)
        self._listener: asyncio.Server | None = None
        self._starting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.address: tuple[str, int] = self._socket.getsockname()[:2]

    async def start(self) -> None:
        """Listen."""
        await self._listen(self._socket)

    def refuse(self, seconds: float | None) -> None:
        """Refuse connections, end those there are, and listen again after so many seconds, or when told."""
        self._run(lambda: self._refuse(seconds))

    def accept(self) -> None:
        """Listen again."""
        self._run(self._accept)

    async def close(self) -> None:
        """Listen no more."""
        for handle in (self._timer, self._starting):
            if handle:
                handle.cancel()
        if self._listener:
            self._listener.close()
        self._socket.close()
        for _ in range(_STEPS_TO_ACCEPT):
            await asyncio.sleep(0)

    def _refuse(self, seconds: float | None) -> None:
        if self._listener:
            self._listener.close()  # closes the socket at once
            self._listener = None
            self._socket = _bind(*self.address)
        for connection in self._runner.server.connections if self._runner.server else ():
            connection.force_close()
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, self._accept)

    def _accept(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._listener is None and self._starting is None:
            self._socket.listen(_BACKLOG)  # whoever calls from now on is heard, if a moment later
            self._starting = self._loop.create_task(self._listen(self._socket))

    async def _listen(self, bound: socket.socket) -> None:
        if self._runner.server:
            self._listener = await self._loop.create_server(self._runner.server, sock=bound, backlog=_BACKLOG)
        self._starting = None

    def _run(self, change: Callable[[], None]) -> None:
        """Change something on the loop, and come back when it is done; from any thread."""
        if threading.get_ident() == self._thread:
            change()
            return

        async def run() -> None:
            change()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result()


def _bind(host: str, port: int) -> socket.socket:
    """Take a port without listening there."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setblocking(False)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
