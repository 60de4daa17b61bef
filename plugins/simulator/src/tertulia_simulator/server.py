"""The server: it records requests, lets a service answer them, and writes the answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Generator, Iterable
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from itertools import islice
from threading import Thread
from typing import Any, Self

from aiohttp import web

from tertulia_simulator.faults import Fault, Faults
from tertulia_simulator.recording import RecordedRequest, Sent
from tertulia_simulator.services.gemini import Gemini
from tertulia_simulator.services.openai import OpenAI
from tertulia_simulator.services.service import API_KEY, Service
from tertulia_simulator.services.xai import XAI

EVENTS_PER_BURST = 64
LARGEST_REQUEST = 1024**3


class Simulator:
    """
    OpenAI, Gemini and xAI on loopback.

    Entered with ``async with``, it serves on the running event loop; :meth:`in_thread` serves from a
    thread of its own. Orders, requests and faults are safe to use from any thread.

    Args:
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        burst: Write many events of a stream at once, for benchmarks; by default each is written on its
            own, and the event loop runs in between.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, burst: bool = False) -> None:
        self._address = (host, port)
        self._events_per_write = EVENTS_PER_BURST if burst else 1
        self._services: dict[str, Service] = {
            service.name: service for service in (OpenAI(), Gemini(), XAI())
        }
        self._requests: list[RecordedRequest] = []
        self._faults = Faults()
        self._runner: web.AppRunner | None = None

    @classmethod
    @contextmanager
    def in_thread(
        cls, *, host: str = "127.0.0.1", port: int = 0, burst: bool = False
    ) -> Generator[Simulator, None, None]:
        """Serve from a new thread with an event loop of its own, for blocking code and for tests."""
        simulator = cls(host=host, port=port, burst=burst)
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        thread = Thread(target=lambda: asyncio.run(simulator._serve(started)), name="tertulia-simulator")
        thread.start()
        try:
            loop, stop = started.result()
            try:
                yield simulator
            finally:
                loop.call_soon_threadsafe(stop.set)
        finally:
            thread.join()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=LARGEST_REQUEST)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, *self._address).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    @property
    def url(self) -> str:
        """Where it listens, like ``http://127.0.0.1:49152``."""
        if not self._runner:
            raise RuntimeError("the simulator is not running; enter it with 'async with' or use in_thread()")
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    def providers(self) -> dict[str, dict[str, str]]:
        """The three services as configured providers, ready for ``tertulia.open(providers=...)``."""
        return {
            name: {"driver": name, "base_url": self.url + service.base_path, "api_key": API_KEY}
            for name, service in self._services.items()
        }

    def fail(self, service: str, kind: str, *, times: int | None = 1, retry_after: float = 1.0) -> None:
        """
        Answer generation requests with a fault; faults still waiting come first.

        Args:
            service: ``openai``, ``gemini`` or ``xai``.
            kind: ``auth``, ``rate_limit``, ``overloaded`` or ``quota``.
            times: How many requests to answer so; None is all of them, until :meth:`heal`.
            retry_after: The seconds after which to try again, for those services and faults that say so.
        """
        kinds = self._service(service).faults
        if kind not in kinds:
            raise ValueError(f"no fault {kind!r}; choose one of {', '.join(kinds)}")
        if times is not None and times < 1:
            raise ValueError(f"a fault occurs once or more, not {times} times; to end one, call heal()")
        self._faults.add(service, Fault(kind, times, retry_after))

    def heal(self, service: str) -> None:
        """End every fault of a service."""
        self._faults.remove(self._service(service).name)

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request received so far, in the order of arrival."""
        return list(self._requests)

    def sent_to(self, service: str) -> Sent:
        """What a service was sent in its last generation request."""
        return self._service(service).sent(self.requests)

    def _service(self, name: str) -> Service:
        if name not in self._services:
            raise ValueError(f"no service {name!r}; choose one of {', '.join(self._services)}")
        return self._services[name]

    async def _serve(self, started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
        stop = asyncio.Event()
        try:
            async with self:
                started.set_result((asyncio.get_running_loop(), stop))
                await stop.wait()
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        recorded = await self._record(request)
        service = self._services.get(recorded.service)
        if service is None:
            return web.Response(status=404, text=f"no service at {request.path}")
        fault = self._faults.take(service.name) if service.generates(recorded) else None
        answer = service.fail(recorded, fault) if fault else service.answer(recorded)
        headers = {**answer.headers, "content-type": answer.content_type}
        if answer.chunks is None:
            body = json.dumps(answer.body, ensure_ascii=False).encode()
            return web.Response(status=answer.status, headers=headers, body=body)
        return await self._stream(
            request, web.StreamResponse(status=answer.status, headers=headers), answer.chunks
        )

    async def _record(self, request: web.Request) -> RecordedRequest:
        body = await request.read()
        recorded = RecordedRequest(
            service=request.path.split("/")[1],
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=decode(body),
            number=len(self._requests) + 1,
            at=int(time.time()),
        )
        self._requests.append(recorded)
        return recorded

    async def _stream(
        self, request: web.Request, response: web.StreamResponse, chunks: Iterable[bytes]
    ) -> web.StreamResponse:
        # A client that has heard enough closes the connection; that is no error here.
        with suppress(ConnectionResetError):
            await response.prepare(request)
            remaining = iter(chunks)
            while batch := b"".join(islice(remaining, self._events_per_write)):
                await response.write(batch)
                await asyncio.sleep(0)
            await response.write_eof()
        return response


def decode(body: bytes) -> Any:
    """Decode JSON; None where there is none."""
    try:
        return json.loads(body)
    except ValueError:
        return None
