"""
The one module that speaks HTTP.

One session for each client, made on first use. Redirects are off, because a redirect to another origin
would carry ``x-goog-api-key`` along. No exception of the HTTP library gets out: some print the request's
headers, keys included.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import attrs
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError
from aiohttp.tracing import Trace
from yarl import URL

from tertulia.domain.config import Secret
from tertulia.domain.options import Timeouts
from tertulia.errors import (
    ConnectionFailedError,
    ProtocolError,
    ProviderError,
    ProviderTimeoutError,
    TooLargeError,
)
from tertulia.runtime.first_byte import FirstByte
from tertulia.runtime.serialization import decode_json
from tertulia.runtime.watchdog import Watchdog

MAX_BODY_BYTES = 64 * 2**20
"""Of an answer that is read as it comes: four times the longest there is."""

MAX_WHOLE_BYTES = 48 * 2**20
"""Of an answer that has to be kept until it can be read."""

DRAIN_SECONDS = 0.05
_MAX_UNPACKED_BYTES = 16 * 2**20
_MAX_RATIO = 100  # answers pack to a tenth or so; of a bomb a thousandth is left
_LARGE_BODY = 2**20
_CONNECTIONS = 512
_OK = 200
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@attrs.frozen
class HTTPCall:
    """
    One request as it goes out.

    Attributes:
        headers: Without secrets.

        secret_headers: Headers whose values are revealed only while the request is written.

        is_whole: Whether the answer is of use only when all of it is there. Then each byte is a sign that it
            comes, and else only content is.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    secret_headers: Mapping[str, Secret]
    body: bytes | None = attrs.field(default=None, repr=False)
    is_whole: bool = False


class HTTPAnswer:
    """
    An answer being read. Close it in the end, whatever happens.

    Attributes:
        status: The HTTP status.

        headers: With lower-case names.

        media_type: Without parameters, in lower case; empty when there is none.
    """

    def __init__(
        self, response: aiohttp.ClientResponse, watchdog: Watchdog, *, is_whole: bool = False
    ) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        self._response = response
        self._watchdog = watchdog
        self._received = 0
        self._is_whole = is_whole
        self._protocol = None if response.connection is None else response.connection.protocol
        self._closed = None if self._protocol is None else self._protocol.closed
        watchdog.on_timeout = response.close
        if self._closed is not None:
            self._closed.add_done_callback(self._pass_on_error)
        else:
            self._pass_on_error()

    async def read_chunk(self) -> bytes:
        """
        Return the next bytes, as soon as there are any; none at the end.

        Raises:
            ProviderError: The connection broke, a timer ran out, or the answer is too large.
        """
        failure: ProviderError | None = None
        content = self._response.content
        chunk = b""
        try:
            # What came along with the headers is there, and nobody waits for it.
            chunk = content.read_nowait() or (b"" if content.at_eof() else await self._wait_for_chunk())
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = _describe(error)
        if self._watchdog.expired:
            raise _timed_out(self._watchdog.expired)
        if failure is not None:
            raise failure
        self._received += len(chunk)
        if self._received > min(_MAX_UNPACKED_BYTES, MAX_BODY_BYTES):
            self._check_size(MAX_BODY_BYTES)
        if self._is_whole:
            self._watchdog.content()
        return chunk

    def _pass_on_error(self, _closed: object = None) -> None:
        """Wake the reader of a body whose chunks are broken, whom aiohttp lets wait (3.14)."""
        content = self._response.content
        if self._protocol is None or content.is_eof() or content.exception() is not None:
            return
        if isinstance(error := self._protocol.exception(), HttpProcessingError):
            content.set_exception(aiohttp.ClientPayloadError(error.message))

    async def _wait_for_chunk(self) -> bytes:
        self._watchdog.arm()
        try:
            return await self._response.content.readany()
        finally:
            self._watchdog.disarm()

    async def read_all(self) -> bytes:
        """Return the rest of the body; raises what :meth:`read_chunk` raises."""
        chunks: list[bytes] = []
        while chunk := await self.read_chunk():
            chunks.append(chunk)
            self._check_size(MAX_WHOLE_BYTES)
        return b"".join(chunks)

    async def read_json(self) -> Any:
        """Return the rest of the body as JSON; ProtocolError when it is none."""
        return decode_json(await self.read_all())

    def _check_size(self, most: int) -> None:
        if self._received > _MAX_RATIO * self._response.content.total_raw_bytes:
            most = min(most, _MAX_UNPACKED_BYTES)
        if self._received > most:
            raise TooLargeError(
                f"the answer is larger than {most} bytes",
                status=self.status,
                next_step="ask for a shorter answer, or check what the base_url leads to",
            )

    def content_arrived(self) -> None:
        """Tell the timers that something of use was in the last chunk."""
        self._watchdog.content()

    async def drain(self) -> None:
        """Read what little may follow a finished answer, so that its connection can be used again."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while await self._response.content.readany():
                    pass
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError):
            self._response.close()

    def close(self) -> None:
        """Give the connection back when the answer was read to its end, else close it at once."""
        self._watchdog.cancel()
        if self._closed is not None:
            self._closed.remove_done_callback(self._pass_on_error)
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


class HTTPClient:
    """One session and its connections, for all providers of a client."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str | None] = {}

    async def open(self, call: HTTPCall, timeouts: Timeouts, deadline: float | None = None) -> HTTPAnswer:
        """
        Send a request and return its answer as soon as the headers are there.

        Raises:
            ProviderError: No answer came; the error has no ``provider``, which the caller knows.
        """
        watchdog = Watchdog(timeouts, deadline, now=asyncio.get_running_loop().time)
        outcome = await self._send(call, timeouts, watchdog)
        if isinstance(outcome, ProviderError):
            raise outcome
        if call.is_whole:
            watchdog.start_over()
        return HTTPAnswer(outcome, watchdog, is_whole=call.is_whole)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # Failures are returned, not raised, so that no frame that has seen a revealed key is in a traceback.
    async def _send(
        self, call: HTTPCall, timeouts: Timeouts, watchdog: Watchdog
    ) -> aiohttp.ClientResponse | ProviderError:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a coroutine of asyncio runs in a task
        cancelled_before = task.cancelling()
        failure: ProviderError | None = None
        on_arrival = _on_arrival.set(watchdog.wait_on if call.is_whole else None)
        watchdog.on_timeout = task.cancel
        watchdog.arm()
        try:
            return await self._request(call, timeouts)
        except asyncio.CancelledError:
            pass  # raised anew below: the frames of the HTTP library have seen the revealed key
        except aiohttp.ServerTimeoutError:
            failure = _timed_out("connect")
        except (aiohttp.InvalidURL, ValueError):
            failure = _unsendable()
        except (aiohttp.ClientError, OSError) as error:
            failure = _describe(error)
        finally:
            watchdog.disarm()
            _on_arrival.reset(on_arrival)
        watchdog.cancel()
        if watchdog.expired and task.uncancel() <= cancelled_before:
            return _timed_out(watchdog.expired)
        if failure is None:
            raise asyncio.CancelledError
        return failure

    async def _request(self, call: HTTPCall, timeouts: Timeouts) -> aiohttp.ClientResponse:
        return await self._get_session().request(
            call.method,
            call.url,
            data=_payload(call.body),
            headers={**call.headers, **{n: secret.reveal() for n, secret in call.secret_headers.items()}},
            allow_redirects=False,
            proxy=self._find_proxy(call.url),
            timeout=_limit_connecting(timeouts.connect),
        )

    def _get_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(limit=_CONNECTIONS, limit_per_host=0),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _find_proxy(self, url: str) -> str | None:
        """The proxy of the environment. aiohttp could look it up, but would read ``~/.netrc`` as well."""
        origin = url[: url.find("/", len("https://"))]
        if origin not in self._proxies:
            parts = urlsplit(url)
            host = parts.hostname or ""
            bypassed = host in _LOOPBACK or bool(proxy_bypass(host))
            self._proxies[origin] = None if bypassed else getproxies().get(parts.scheme)
        return self._proxies[origin]


_on_arrival: ContextVar[Callable[[], None] | None] = ContextVar("on_arrival", default=None)
"""What the call under way wants to be told when the first byte of its answer comes."""


class _Connector(aiohttp.TCPConnector):
    """Tells a call when the first byte of its answer comes, if it wants to know."""

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  # as aiohttp has it
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        on_arrival = _on_arrival.get()
        if on_arrival is not None and connection.transport is not None:
            FirstByte.watch(connection.transport, on_arrival)
        return connection


@attrs.frozen
class Fetched:
    """
    What is at an address.

    Attributes:
        location: Where it has gone instead; None where it says nothing of that.
    """

    status: int
    location: str | None
    body: bytes = attrs.field(repr=False)


async def fetch_once(url: str, host: str, addresses: Sequence[str], *, max_bytes: int) -> Fetched:
    """
    Get what is at an address of the Internet, with nothing of ours: no proxy, cookie or key, no redirect.

    Args:
        url: Where to get it.
        host: The host in it, as it was checked.
        addresses: The host's; no other is connected to.
        max_bytes: Of a larger answer nothing is kept.

    Raises:
        ProviderError: No answer came, or one that is too large or cannot be read.
    """
    target = URL(url, encoded=True)
    if target.raw_host != host:  # what was checked and what is connected to are one thing
        raise _unsendable()
    connector = aiohttp.TCPConnector(resolver=_Pinned(host, addresses), use_dns_cache=False, force_close=True)
    # The standard accept-encoding would let a few bytes unfold into many.
    headers = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "tertulia"}
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            ) as session,
            session.get(target, headers=headers, allow_redirects=False) as response,
        ):
            body = await _read_body(response, max_bytes) if response.status == _OK else b""
            return Fetched(response.status, response.headers.get("location"), body)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _describe(error) from None


async def _read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProtocolError("it came compressed, which was not asked for")
    too_large = TooLargeError(f"it is larger than {max_bytes:,} bytes", status=response.status)
    if (response.content_length or 0) > max_bytes:
        raise too_large
    body = bytearray()
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)


class _Pinned(AbstractResolver):
    """Knows one host, by the addresses that were checked."""

    def __init__(self, host: str, addresses: Sequence[str]) -> None:
        self._host = host
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if host != self._host:
            raise OSError(f"{host} was not checked")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


@lru_cache
def _limit_connecting(seconds: float) -> aiohttp.ClientTimeout:
    """All other timers are the watchdog's."""
    return aiohttp.ClientTimeout(total=None, connect=seconds)


def _payload(body: bytes | None) -> bytes | BytesIO | None:
    """A large body goes out piece by piece; aiohttp warns of bytes that it has to write at once."""
    return BytesIO(body) if body is not None and len(body) > _LARGE_BODY else body


def _timed_out(timer: str) -> ProviderError:
    words = {
        "connect": "no connection was made in time",
        "first_content": "no content came in time",
        "idle": "the answer stopped coming",
        "total": "the time for the whole send is over",
    }
    error = ProviderTimeoutError(words[timer], timer=timer, next_step="send again, or allow more time")
    error.sent = timer != "connect"
    error.retryable = timer != "total"  # there is no time left in which anything could be sent
    return error


def _unsendable() -> ProviderError:
    failure = ConnectionFailedError(
        "the call cannot be written as HTTP, so nothing was sent",
        next_step="check the base_url, the proxy, and settings that are sent as headers",
    )
    failure.sent = False
    return failure


def _describe(error: Exception) -> ProviderError:
    """Say what an exception of the HTTP library means, without any of its own words about the request."""
    match error:
        case aiohttp.ClientConnectorError():
            reason = error.os_error.strerror or type(error.os_error).__name__
            failure = ConnectionFailedError(
                f"cannot connect to {error.host}:{error.port} ({reason})",
                next_step="check the network and the base_url",
            )
            failure.sent = False
            return failure
        case aiohttp.ClientResponseError() | aiohttp.ContentTypeError():
            return ProtocolError("the answer is not valid HTTP")
        # aiohttp tells a reset in the middle of a chunk only in its words (3.14).
        case aiohttp.ClientPayloadError() if "ConnectionResetError" in f"{error!r} {error.__cause__!r}":
            return ConnectionFailedError("the connection was reset in the middle of the answer")
        case aiohttp.ClientPayloadError() if "not completed" in str(error):
            return ProtocolError("the body of the answer is broken or cut", is_cut=True)
        case aiohttp.ClientPayloadError() | ValueError():
            return ProtocolError("the body of the answer is broken or cut")
        case _:
            return ConnectionFailedError("the connection broke before the answer was complete")
