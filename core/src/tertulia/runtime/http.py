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
from functools import lru_cache
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import attrs
from aiohttp.abc import AbstractResolver, ResolveResult
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
from tertulia.runtime.serialization import decode_json

MAX_BODY_BYTES = 64 * 2**20
DRAIN_SECONDS = 0.05
_LARGE_BODY = 2**20
_CONNECTIONS = 512
_OK = 200
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Watchdog:
    """
    The timers of one attempt: one callback on the loop, armed only while waiting for the socket.

    It never cancels a task and never stands around a ``yield``: when a timer runs out it calls
    ``on_timeout``, which closes the connection, and the reader that wakes up finds ``expired`` set. Time
    in which the caller holds on to a delta is nobody's stall and is not counted, except for the deadline.

    Attributes:
        expired: The name of the timer that ran out; None while none has.
    """

    def __init__(self, timeouts: Timeouts, deadline: float | None, *, now: Callable[[], float]) -> None:
        self.expired: str | None = None
        self.on_timeout: Callable[[], None] | None = None
        self._timeouts = timeouts
        self._now = now
        self._deadline = now() + timeouts.total if deadline is None else deadline
        self._timer = "first_content"
        self._allowance = timeouts.total if timeouts.first_content is None else timeouts.first_content
        self._armed_at = 0.0
        self._until: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Waiting begins, and somebody else watches how long it takes."""
        self._armed_at = self._now()

    def arm(self) -> None:
        """Waiting begins."""
        self._armed_at = self._now()
        self._until = min(self._deadline, self._armed_at + self._allowance)
        if self._handle is None or self._handle.when() > self._until:
            self._schedule(self._until)

    def disarm(self) -> None:
        """Waiting is over."""
        self._until = None
        self._allowance -= self._now() - self._armed_at

    def content(self) -> None:
        """Content arrived: from here on the idle timer counts."""
        self._timer = "idle"
        self._allowance = self._timeouts.idle

    @property
    def patience(self) -> float:
        """The moment until which the first byte may come."""
        return min(self._deadline, self._now() + self._allowance)

    def name_of(self, moment: float) -> str:
        """Which timer a moment belongs to."""
        return "total" if moment >= self._deadline else self._timer

    def cancel(self) -> None:
        """End all timers."""
        self._until = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _schedule(self, moment: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = asyncio.get_running_loop().call_at(moment, self._ring)

    def _ring(self) -> None:
        self._handle = None
        if self._until is None:
            return
        if self._now() < self._until:
            self._schedule(self._until)
            return
        self.expired = self.name_of(self._until)
        if self.on_timeout is not None:
            self.on_timeout()


@attrs.frozen
class HTTPCall:
    """
    One request as it goes out.

    Attributes:
        headers: Without secrets.

        secret_headers: Headers whose values are revealed only while the request is written.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    secret_headers: Mapping[str, Secret]
    body: bytes | None = attrs.field(default=None, repr=False)


class HTTPAnswer:
    """
    An answer being read. Close it in the end, whatever happens.

    Attributes:
        status: The HTTP status.

        headers: With lower-case names.

        media_type: Without parameters, in lower case; empty when there is none.
    """

    def __init__(self, response: aiohttp.ClientResponse, watchdog: Watchdog) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}
        self.media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        self._response = response
        self._watchdog = watchdog
        self._received = 0
        watchdog.on_timeout = response.close

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
        if self._received > MAX_BODY_BYTES:
            raise TooLargeError(f"the answer is larger than {MAX_BODY_BYTES} bytes", status=self.status)
        return chunk

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
        return b"".join(chunks)

    async def read_json(self) -> Any:
        """Return the rest of the body as JSON; ProtocolError when it is none."""
        return decode_json(await self.read_all())

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
        return HTTPAnswer(outcome, watchdog)

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # Failures are returned, not raised, so that no frame that has seen a revealed key is in a traceback.
    async def _send(
        self, call: HTTPCall, timeouts: Timeouts, watchdog: Watchdog
    ) -> aiohttp.ClientResponse | ProviderError:
        patience = watchdog.patience
        failure: ProviderError | None = None
        try:
            async with asyncio.timeout_at(patience):
                watchdog.begin()
                response = await self._request(call, timeouts)
                watchdog.disarm()
                return response
        except asyncio.CancelledError:
            pass  # raised anew below: the frames of the HTTP library have seen the revealed key
        except aiohttp.ServerTimeoutError:
            failure = _timed_out("connect")
        except TimeoutError:
            failure = _timed_out(watchdog.name_of(patience))
        except (aiohttp.InvalidURL, ValueError):
            failure = _unsendable()
        except (aiohttp.ClientError, OSError) as error:
            failure = _describe(error)
        watchdog.cancel()
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
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, limit_per_host=0),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    def _find_proxy(self, url: str) -> str | None:
        """The proxy of the environment. aiohttp could look it up, but would read ``~/.netrc`` as well."""
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._proxies:
            host = parts.hostname or ""
            bypassed = host in _LOOPBACK or bool(proxy_bypass(host))
            self._proxies[origin] = None if bypassed else getproxies().get(parts.scheme)
        return self._proxies[origin]


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
        case aiohttp.ClientPayloadError() | ValueError():
            return ProtocolError("the body of the answer is broken or cut")
        case _:
            return ConnectionFailedError("the connection broke before the answer was complete")
