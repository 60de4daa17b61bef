"""The server: it records requests and lets a service answer them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import count
from threading import Thread
from typing import Any, ClassVar, Literal, Self

from aiohttp import web

from tertulia_simulator.catalogue import FAULTS, FaultKind, find_kind
from tertulia_simulator.conversation import Call, Thought
from tertulia_simulator.delivery import Delivery, choose_delivery, reset
from tertulia_simulator.faults import Fault, Faults
from tertulia_simulator.listening import Port
from tertulia_simulator.models import LOCAL_MODELS
from tertulia_simulator.orders import StoredFile
from tertulia_simulator.recording import RecordedRequest, Sent
from tertulia_simulator.services.gemini import Gemini
from tertulia_simulator.services.gemini_schema import FILES
from tertulia_simulator.services.local import Local
from tertulia_simulator.services.openai import OpenAI
from tertulia_simulator.services.service import API_KEY, Answer, Service
from tertulia_simulator.services.spoiling import spoil
from tertulia_simulator.services.xai import XAI
from tertulia_simulator.tally import Tally
from tertulia_simulator.tools import write

EVENTS_PER_BURST = 64
LARGEST_REQUEST = 1024**3


class Simulator:
    """
    OpenAI, Gemini and xAI on loopback, and a local server without keys.

    Entered with ``async with``, it serves on the running event loop; :meth:`in_thread` serves from a
    thread of its own. Orders, requests and faults are safe to use from any thread.

    Args:
        host: The address to listen on.
        port: The port to listen on; 0 takes a free one.
        burst: Write many events of a stream at once, for benchmarks; by default each is written on its
            own, and the event loop runs in between.

    Attributes:
        faults: Every fault that can be ordered, by name.
    """

    faults: ClassVar[Mapping[str, FaultKind]] = FAULTS

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, burst: bool = False) -> None:
        self._address = (host, port)
        self._events_per_write = EVENTS_PER_BURST if burst else 1
        self._services: dict[str, Service] = {
            service.name: service for service in (OpenAI(), Gemini(), XAI(), Local())
        }
        self._requests: list[RecordedRequest] = []
        self._faults = Faults()
        self._deliveries: set[Delivery] = set()
        self._stalled, self._left = Tally("stalled"), Tally("left")
        self._runner: web.AppRunner | None = None
        self._port: Port | None = None
        self._refusing: Fault | None = None
        self._is_stopping = False
        self._file_numbers = count(1)

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
        # A client that leaves cancels the handler, so that an answer held back hears of it.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, handler_cancellation=True)
        await runner.setup()
        try:
            self._port = Port(runner, *self._address)
        except OSError:
            await runner.cleanup()
            raise
        await self._port.start()
        if self._refusing:
            self._port.refuse(self._refusing.seconds)
        self._runner = runner
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self._runner and self._port:
            self._is_stopping = True
            await self._port.close()
            for delivery in self._deliveries:
                delivery.stop()
            await self._runner.cleanup()
            self._runner, self._port, self._is_stopping = None, None, False

    @property
    def url(self) -> str:
        """Where it listens, like ``http://127.0.0.1:49152``."""
        if not self._port:
            raise RuntimeError("the simulator is not running; enter it with 'async with' or use in_thread()")
        host, port = self._port.address
        return f"http://{host}:{port}"

    def providers(
        self, *, api: Literal["responses", "chat"] = "responses", local: bool = False
    ) -> dict[str, dict[str, str]]:
        """
        The services as configured providers, ready for ``tertulia.open(providers=...)``.

        Args:
            api: Which of their two APIs OpenAI and xAI are asked with.
            local: Offer the local server as well: the provider ``local``, whose driver is ``openai``.
        """
        providers = {
            name: {"driver": name, "base_url": self.url + service.base_path, "api_key": API_KEY}
            for name, service in self._services.items()
            if name != Local.name
        }
        for name in (OpenAI.name, XAI.name):
            providers[name]["api"] = api
        if api == "chat":
            providers[OpenAI.name]["vendor"] = "openai"  # else a server elsewhere is one that is compatible
        if local:
            url = self.url + Local.base_path
            providers[Local.name] = {"driver": "openai", "base_url": url, "model": LOCAL_MODELS[0].id}
        return providers

    def fail(
        self,
        service: str,
        kind: str,
        *,
        times: int | None = 1,
        retry_after: float = 1.0,
        after: int | None = None,
        seconds: float | None = None,
        reset: bool = False,
        hint: str | None = None,
    ) -> None:
        """
        Answer generation requests with a fault; faults still waiting come first.

        A fault that only streams can have waits for one, and one of whole answers for such a request.
        A fault that is in the answer leaves alone what the service refuses anyway.

        Args:
            service: ``openai``, ``gemini``, ``xai`` or ``local``.
            kind: One of :attr:`faults`.
            times: How many requests to answer so; None is all of them, until :meth:`heal`. Nobody can
                count what is ``refused``: that lasts so many ``seconds``, or until :meth:`heal`.
            retry_after: The seconds after which to try again, for those services and faults that say so.
            after: Of a stream, the pieces of text that arrive before what happens in the middle, by
                default 1. Of a whole answer, 0 is nothing at all and anything else one half.
            seconds: How long each step of something slow or endless takes, or how long silence lasts, by
                default until :meth:`release`; how long ``cut_stream`` waits before a reset, by default
                0.05, since a reset may overtake what was written.
            reset: Let ``cut_stream`` reset the connection; by default the answer ends as if it were whole.
            hint: How ``rate_limit`` says when to try again: ``seconds``, ``date``, ``milliseconds``,
                ``negative`` or ``nan`` in a header, ``words``, ``details`` (Gemini), ``none``; None is in
                the vendor's own way.
        """
        name = self._service(service).name
        find_kind(name, kind)
        fault = Fault(kind, times, retry_after, after, seconds, reset, hint)
        if hint == "details" and name != Gemini.name:
            raise ValueError(f"{name} has no {hint!r} to say when to try again; gemini alone does")
        if kind != "refused":
            self._faults.add(service, fault)
            return
        self._refusing = fault
        if self._port:
            self._port.refuse(seconds)

    def heal(self, service: str) -> None:
        """End every fault of a service for the requests to come."""
        self._faults.remove(self._service(service).name)
        self._refusing = None
        if self._port:
            self._port.accept()

    def release(self, service: str) -> None:
        """Let the answers of a service go on that are slow, stalled or about to be reset."""
        name = self._service(service).name
        for delivery in tuple(self._deliveries):
            if delivery.service == name:
                delivery.release()

    def call_tools(self, service: str, *calls: tuple[str, Mapping[str, Any] | str], times: int = 1) -> None:
        """
        Answer the next requests that offer tools with calls of them, all at once.

        What waits already comes first; a request that offers no tools leaves it waiting.

        Args:
            service: The service's name.
            calls: Of each call, the name of the tool and the arguments; a text goes as it is, even where
                it is no JSON, at every service but Gemini, which has objects only.
            times: How many requests to answer so.
        """
        if not calls:
            raise ValueError("name the tools to call, each with its arguments")
        written = tuple(
            Call(name, given if isinstance(given, str) else write(given)) for name, given in calls
        )
        if service == Gemini.name and any(isinstance(given, str) for _, given in calls):
            raise ValueError("Gemini's arguments are objects: give each call a dictionary")
        self._service(service).orders.say(Thought(calls=written), times)

    def say(self, service: str, text: str, *, times: int = 1) -> None:
        """Answer the next requests with exactly this text, once what waits already was said."""
        self._service(service).orders.say(Thought(text), times)

    def forget(self, service: str) -> None:
        """Let a service answer for itself again, whatever :meth:`say` and :meth:`call_tools` left waiting."""
        self._service(service).orders.forget()

    def refuse_parameter(self, service: str, name: str, *, times: int | None = None) -> None:
        """
        Refuse generation requests that have a parameter, as one that the model does not know.

        Args:
            service: The service's name.
            name: The parameter as it is written on the wire; dots reach into objects: ``reasoning.effort``.
            times: How many such requests to refuse; None is all of them, until :meth:`accept_parameter`.
        """
        self._service(service).orders.refuse(name, times)

    def accept_parameter(self, service: str, name: str) -> None:
        """Accept a parameter again."""
        self._service(service).orders.accept(name)

    def set_models(self, service: str, ids: Sequence[str] | None) -> None:
        """
        Let a service have these models and no others.

        One that it never had is like its first, but for the id. None is all that it had in the beginning.
        """
        self._service(service).orders.set_models(ids)

    def remove_model(self, service: str, model_id: str) -> None:
        """Let a model vanish: it is no longer listed, and requests for it are refused."""
        self._service(service).orders.remove_model(model_id)

    def add_file(self, service: str, data: bytes, media_type: str, *, name: str = "file") -> str:
        """
        Let a service know a file, as if it had been uploaded.

        Returns:
            What to send in its place: an id, and at Gemini an address.
        """
        files = self._service(service).orders.files
        number = next(self._file_numbers)
        file_id = f"{FILES}v1beta/files/{number:012x}" if service == Gemini.name else f"file-{number:024x}"
        files[file_id] = StoredFile(file_id, media_type, data, name)
        return file_id

    def remove_file(self, service: str, file_id: str) -> None:
        """Let a service forget a file, as it does with all of them in time."""
        if self._service(service).orders.files.pop(file_id, None) is None:
            raise ValueError(f"{service} knows no file {file_id!r}")

    def continue_after(self, tokens: int | None) -> None:
        """Let Gemini give at most so many tokens a request, and a token to go on with; None is no limit."""
        if tokens is not None and tokens < 1:
            raise ValueError(f"an answer goes on after one token or more, not {tokens}")
        self._service(Gemini.name).orders.tokens_per_hop = tokens

    def defer(self, times: int) -> None:
        """Let xAI say of a deferred completion that it is not there yet, so many times; once by default."""
        if times < 0:
            raise ValueError(f"a completion is not there 0 times or more, not {times}")
        self._service(XAI.name).orders.deferrals = times

    async def stalled(self, service: str, times: int = 1, *, timeout_seconds: float = 10) -> int:
        """
        Wait until answers of a service have stalled, in any thread and on any event loop.

        Args:
            service: The service's name.
            times: How many, since the simulator was made.
            timeout_seconds: How long to wait at most.

        Returns:
            How many there were by then.

        Raises:
            TimeoutError: There were fewer, in all that time.
        """
        return await self._stalled.reach(self._service(service).name, times, timeout_seconds)

    async def left(self, service: str, times: int = 1, *, timeout_seconds: float = 10) -> int:
        """
        Wait until clients have closed the connection before they had all of an answer.

        Args:
            service: The service's name.
            times: How often, since the simulator was made.
            timeout_seconds: How long to wait at most.

        Returns:
            How often it had happened by then.

        Raises:
            TimeoutError: It happened less often, in all that time.
        """
        return await self._left.reach(self._service(service).name, times, timeout_seconds)

    def closed_early(self, service: str) -> int:
        """How often a client has closed the connection before it had all of an answer."""
        return self._left[self._service(service).name]

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
        service = self._services.get(request.path.split("/")[1])
        if service and request.method == "POST" and self._faults.take_early(service.name):
            self._keep(request, b"")
            reset(request)
            return web.Response()
        recorded = self._keep(request, await request.read())
        if service is None:
            return web.Response(status=404, text=f"no service at {request.path}")
        fault = None
        if service.generates(recorded):
            fault = self._faults.take(service.name, is_stream=service.streams(recorded))
        return await self._deliver(request, service, self._answer(service, recorded, fault), fault)

    def _answer(self, service: Service, request: RecordedRequest, fault: Fault | None) -> Answer:
        if fault is None:
            return service.answer(request)
        if fault.kind in service.faults:
            return service.fail(request, fault)
        return spoil(service, request, fault)

    async def _deliver(
        self, request: web.Request, service: Service, answer: Answer, fault: Fault | None
    ) -> web.StreamResponse:
        delivery: Delivery
        spoiled = choose_delivery(fault)
        if fault and spoiled:
            delivery = spoiled(request, service.name, answer, fault, self._stalled.add)
        else:
            delivery = Delivery(request, service.name, answer, self._events_per_write)
        self._deliveries.add(delivery)
        try:
            return await delivery.run()
        finally:
            self._deliveries.discard(delivery)
            if delivery.was_left and not self._is_stopping:
                self._left.add(service.name)

    def _keep(self, request: web.Request, body: bytes) -> RecordedRequest:
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


def decode(body: bytes) -> Any:
    """Decode JSON; None where there is none, where it is too deep, and where half a character is in it."""
    try:
        decoded = json.loads(body)
        if b"\\u" in body:
            json.dumps(decoded, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return decoded
