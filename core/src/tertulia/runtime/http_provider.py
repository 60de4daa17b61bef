"""The base of every provider that is reached by HTTP."""

from __future__ import annotations

import difflib
import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar, overload
from urllib.parse import urlsplit

from tertulia.contracts.provider import Provider
from tertulia.domain.config import ProviderConfig, Secret, is_same_origin
from tertulia.domain.exchange import (
    Delta,
    ProviderReply,
    ReasoningDelta,
    Request,
    TextDelta,
    ToolCallDelta,
    Translated,
)
from tertulia.domain.options import Timeouts
from tertulia.errors import (
    ConfigurationError,
    ErrorKind,
    MissingKeyError,
    PluginRejectedError,
    ProtocolError,
    ProviderError,
    TertuliaError,
    UnsupportedParameterError,
)
from tertulia.runtime.http import HTTPAnswer, HTTPCall, HTTPClient
from tertulia.runtime.serialization import decode_json, encode_json
from tertulia.wire.errors import (
    MOST_SHOWN,
    ErrorAnswer,
    ErrorBody,
    ErrorRules,
    classify,
    parse_error_body,
)
from tertulia.wire.protocol import Json, StreamEnd, StreamReader, Wire, read_object
from tertulia.wire.sse import ServerSentEvent, ServerSentEvents

_JSON_TYPES = frozenset({"application/json", "text/json", ""})
_ANSWER_MEMBERS = frozenset({"output", "candidates", "choices"})
_EXCERPT = 200
_HOST = re.compile(r"[\w-]{1,63}([.][\w-]{1,63})*[.]?|[0-9a-f.]*:[0-9a-f:.]*(%[\w.-]+)?")
_BASE64 = re.compile(r"(?<=;base64,)[\w+/=-]+|[\w+/-]{65,}=*", re.ASCII)  # longer than any digest


class HTTPProvider(Provider):
    """
    A provider reached by HTTP: subclasses say where, with which key, and in which wire format.

    The options it can send are those of its wire format, unless it names its own in ``OPTIONS``.

    Attributes:
        BASE_URL: The vendor's own origin, with the path all calls share; empty where there is none, and every
            configuration has to say it.

        ERROR_RULES: The vendor's table of error answers.

        base_url: Where this one is.

        wire: The format it speaks.
    """

    BASE_URL: ClassVar[str] = ""
    ERROR_RULES: ClassVar[ErrorRules] = ()

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        _check_class(type(self), config)
        self.base_url = _check_url(config.base_url or self.BASE_URL, config.name)
        _check_key(config)
        self.wire = self.make_wire()
        self.OPTIONS = self.OPTIONS or self.wire.options
        self._http: HTTPClient | None = None
        self._owns_http = False

    def use(self, http: HTTPClient) -> None:
        """Share a client's connections instead of opening an own session."""
        self._http = http

    @abstractmethod
    def make_wire(self) -> Wire:
        """
        Return the format it speaks; called once, when all else of it is there.

        Raises:
            ConfigurationError: A setting cannot be used.
        """

    @property
    def needs_key(self) -> bool:
        """Whether a call without a key is refused before it is made: where a key has a variable."""
        return bool(self.KEY_VARIABLES)

    @property
    def is_at_origin(self) -> bool:
        """Whether it is at the vendor's own origin, or at a host below it."""
        return is_same_origin(self.base_url, self.BASE_URL)

    def render_key(self, key: Secret) -> dict[str, Secret]:
        """Return the headers that carry the key: a bearer token, unless the vendor wants it otherwise."""
        return {"authorization": Secret(f"Bearer {key.reveal()}")}

    def render_headers(self) -> dict[str, str]:
        """Return further headers of every call; secrets do not belong here."""
        return {}

    def annotate(self, reply: ProviderReply) -> ProviderReply:
        """Add what only this vendor's driver reads in an answer, for example what it says the call cost."""
        return reply

    def advise(self, error: ProviderError, model: str | None) -> None:
        """Add what only this vendor's driver knows about an error, for example a better next step."""

    def choose(self, setting: str, *, among: Sequence[str], default: str) -> str:
        """
        Read a setting that is one of several words.

        Raises:
            ConfigurationError: It is another word.
        """
        value: object = self.config.settings.get(setting, default)
        if value in among:
            return str(value)
        close = difflib.get_close_matches(str(value), among, n=1)
        # Not what it is: a key may have been written there.
        raise ConfigurationError(
            f"provider {self.name!r}: {setting} is none of {', '.join(among)}",
            provider=self.name,
            next_step=f"did you mean {close[0]!r}?" if close else None,
        )

    async def send_message(self, request: Request) -> AsyncIterator[Delta]:
        """Send a request and yield the answer: deltas, then one :class:`tertulia.ProviderReply`."""
        answer: HTTPAnswer | None = None
        failure: ProviderError | None = None
        events: Sequence[ServerSentEvent] = ()
        event: ServerSentEvent | None = None
        try:
            rendered = self.wire.render_request(request)
            if rendered.notes:
                yield Translated(rendered.notes)
            answer = await self._open(
                self.wire.get_path(request), encode_json(rendered.body), request.timeouts, request.deadline
            )
            del rendered  # a history with images is large, and answers take long
            await self._raise_for_status(answer)
            if answer.media_type == "text/event-stream":
                read = _StreamedAnswer(answer, self.wire.read_stream())
                while events := await read.next_events():
                    for event in events:
                        for delta in read.read_event(event):
                            yield delta
                reply = await read.end()
            else:
                reply = self.wire.parse_response(await self._read_json(answer))
                for delta in _deltas(reply):
                    yield delta
            yield self.annotate(reply)
        except Exception as error:  # noqa: BLE001  # explained below, or raised again
            failure = self._explain(error, request.target.model, answer)
        finally:
            if answer is not None:
                answer.close()
        if failure is not None:
            # Raised out here it has no context, and nothing the provider may have echoed is in its frames.
            events, event = (), None
            raise failure

    async def get_json(self, path: str, *, member: str, timeouts: Timeouts | None = None) -> Json:
        """
        Fetch a JSON object below the base URL.

        Args:
            path: Below the base URL.
            member: A list that must be in the object: without it, it is not what was asked for.
            timeouts: How long to wait; None for the provider's own.

        Raises:
            ProviderError: It could not be had.
        """
        body = await self.call(path, timeouts=timeouts)
        if not isinstance(body.get(member), list):
            raise self._name(ProtocolError(f"the answer holds no list of {member}"), None, None)
        return body

    async def call(
        self,
        path: str,
        body: Json | None = None,
        *,
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
        model: str | None = None,
    ) -> Json:
        """
        Make one call below the base URL that is answered by a JSON object.

        Args:
            path: Below the base URL.
            body: What to post; None to get.
            timeouts: How long to wait; None for the provider's own.
            deadline: As of :class:`tertulia.Request`.
            model: The model it is about, for errors; None where it is about none.

        Returns:
            The object; an empty one where the answer is no object.

        Raises:
            ProviderError: It could not be had.
        """
        answer: HTTPAnswer | None = None
        failure: ProviderError | None = None
        try:
            content = None if body is None else encode_json(body)
            answer = await self._open(path, content, timeouts or self.config.timeouts, deadline)
            await self._raise_for_status(answer)
            return read_object(await self._read_json(answer))
        except Exception as error:  # noqa: BLE001  # explained, or raised again
            failure = self._explain(error, model, answer)
        finally:
            if answer is not None:
                answer.close()
        raise failure

    async def aclose(self) -> None:
        """Close the session, if it is our own."""
        if self._owns_http and self._http is not None:
            await self._http.aclose()
            self._http = None

    @property
    def _client(self) -> HTTPClient:
        if self._http is None:
            self._http = HTTPClient()
            self._owns_http = True
        return self._http

    def _make_call(self, method: str, path: str, body: bytes | None) -> HTTPCall:
        key = self.config.api_key
        if key is None and self.needs_key:
            raise MissingKeyError(
                f"provider {self.name!r}: no key is set, so nothing was sent",
                next_step=f"set {' or '.join(self.KEY_VARIABLES)}, or pass api_key",
            )
        headers = (
            {"content-type": "application/json", **self.render_headers()} if body else self.render_headers()
        )
        secrets: Mapping[str, Secret] = {} if key is None else self.render_key(key)
        return HTTPCall(method, self.base_url + path, headers, secrets, body)

    async def _open(
        self, path: str, body: bytes | None, timeouts: Timeouts, deadline: float | None = None
    ) -> HTTPAnswer:
        call = self._make_call("GET" if body is None else "POST", path, body)
        return await self._client.open(call, timeouts, deadline)

    def _explain(self, error: Exception, model: str | None, answer: HTTPAnswer | None) -> ProviderError:
        """Say in our own words what went wrong; what is not the provider's doing is raised again."""
        if isinstance(error, ErrorAnswer):
            return self._name(self._classify(error.body, answer), model, answer)
        if isinstance(error, ProviderError):
            return self._name(error, model, answer)
        if isinstance(error, TertuliaError) or answer is None:
            raise error
        unreadable = ProtocolError(f"the answer cannot be read ({type(error).__name__})")
        return self._name(unreadable, model, answer)

    def _suggest_model(self, model: str) -> str:
        known = [info.id for info in self.MODELS if self.find_model(info.id)]
        if close := difflib.get_close_matches(model, known, n=1):
            return f"did you mean {close[0]!r}?"
        if known:
            return f"choose another, for example {known[0]!r}"
        return "set model to one that list_models() names, and check that the base_url is right"

    async def _read_json(self, answer: HTTPAnswer) -> Any:
        if answer.media_type not in _JSON_TYPES and not answer.media_type.endswith("+json"):
            raise ProtocolError(
                f"the answer is {answer.media_type}, neither JSON nor an event stream",
                status=answer.status,
                next_step="check the base_url, and whether a proxy stands between",
            )
        body = await answer.read_json()
        if (error := parse_error_body(body)) is not None and _is_only_error(body):
            raise ErrorAnswer(error)
        return body

    async def _raise_for_status(self, answer: HTTPAnswer) -> None:
        if 200 <= answer.status < 300:
            return
        raise self._classify(self._parse_error(await answer.read_all(), answer.status), answer)

    def _parse_error(self, content: bytes, status: int) -> ErrorBody:
        try:
            error = parse_error_body(decode_json(content))
        except ProtocolError:
            error = None
        if error is not None:
            return error
        # The key goes before the excerpt is made, which could cut it in two and show the rest.
        text = self._hide(content[: 2 * MOST_SHOWN].decode("utf-8", "replace"))
        excerpt = " ".join(text[:_EXCERPT].split())
        return ErrorBody(f"HTTP {status}: {excerpt}" if excerpt else f"HTTP {status} without a body")

    def _classify(self, body: ErrorBody, answer: HTTPAnswer | None) -> ProviderError:
        status = None if answer is None else answer.status
        headers = {} if answer is None else answer.headers
        return classify(self.ERROR_RULES, body, status=status, headers=headers, now=datetime.now(UTC))

    @overload
    def _hide(self, text: str) -> str: ...
    @overload
    def _hide(self, text: str | None) -> str | None: ...
    def _hide(self, text: str | None) -> str | None:
        """Take the key, and whole images, out of what a service or a proxy repeats."""
        if text is None:
            return None
        key = self.config.api_key
        return _BASE64.sub("…", text if key is None else text.replace(key.reveal(), "…"))

    def _name(self, error: ProviderError, model: str | None, answer: HTTPAnswer | None) -> ProviderError:
        """Say in an error who failed; the words of the provider may not repeat the key it was sent."""
        error.provider = self.name
        error.model = error.model or model
        if answer is not None:
            error.request_id = self._hide(error.request_id or answer.headers.get("x-request-id"))
            error.status = error.status or (answer.status if answer.status >= 300 else None)
        error.message = self._hide(error.message)[:MOST_SHOWN]
        error.code = self._hide(error.code)
        if isinstance(error, UnsupportedParameterError):
            error.parameter = self._hide(error.parameter)
        if not error.message.startswith("provider "):
            error.message = f"provider {self.name!r}: {error.message}"
        error.args = (error.message,)
        if error.kind is ErrorKind.MODEL_NOT_FOUND and model and model not in error.message:
            error.message = f"{error.message} (model {model!r})"
        if error.kind is ErrorKind.MODEL_NOT_FOUND and model:
            error.next_step = self._suggest_model(model)
        self.advise(error, model)
        # The frames that it went through, and the errors it was made of, hold what the service said.
        error.__cause__ = error.__context__ = None
        return error.with_traceback(None)


def _check_class(driver: type[HTTPProvider], config: ProviderConfig) -> None:
    variables: object = driver.KEY_VARIABLES
    if isinstance(variables, str):
        raise PluginRejectedError(
            f"provider {config.name!r}: KEY_VARIABLES of {driver.__name__} is a text, not a tuple of texts",
            plugin=config.driver,
            provider=config.name,
            next_step=f"write KEY_VARIABLES = ({variables!r},)",
        )
    if not (config.base_url or driver.BASE_URL):
        raise ConfigurationError(
            f"provider {config.name!r}: nobody says where it is: {driver.__name__} has no BASE_URL",
            provider=config.name,
            next_step="set base_url, or write BASE_URL in the class",
        )


def _check_key(config: ProviderConfig) -> None:
    if config.api_key is not None and not _fits_a_header(config.api_key):
        raise ConfigurationError(
            f"provider {config.name!r}: the key holds a character that no HTTP header can",
            provider=config.name,
            next_step="copy the key again, without line breaks or quotes",
        )


def _fits_a_header(secret: Secret) -> bool:
    key = secret.reveal()
    return bool(key) and key.isascii() and key.isprintable() and " " not in key


def _check_url(url: str, name: str) -> str:
    problem = _find_problem(url)
    if problem is not None:
        raise ConfigurationError(
            f"provider {name!r}: base_url {problem}", provider=name, next_step="write it as https://HOST/PATH"
        )
    return url.rstrip("/")


def _find_problem(url: str) -> str | None:
    """What is wrong with an address, in words that do not repeat it: it may hold a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("https", "http"):
        return "must begin with https:// or http://"
    if "@" in parts.netloc:
        return "has a user or a password in it"
    if parts.query or parts.fragment:
        return "has something behind its path, and calls are made below it"
    if not _HOST.fullmatch(parts.hostname or ""):
        return "names no host"
    return None


class _StreamedAnswer:
    """An event stream between the socket and the wire format."""

    def __init__(self, answer: HTTPAnswer, reader: StreamReader) -> None:
        self._answer = answer
        self._reader = reader
        self._events = ServerSentEvents()
        self._end: StreamEnd | None = None
        self._failure: ProviderError | None = None

    async def next_events(self) -> list[ServerSentEvent]:
        """Return the next events, at least one; none once the answer is complete or the stream is over."""
        while self._end is None and not self._reader.complete:
            if chunk := await self._next_chunk():
                events = self._events.feed(chunk)
            elif self._failure is not None:
                self._end = StreamEnd.BROKEN
                return []
            else:
                self._end = StreamEnd.CLOSED
                events = self._events.end()
            if events:
                return events
        return []

    def read_event(self, event: ServerSentEvent) -> Sequence[Delta]:
        """Return what an event tells the caller; what comes after ``[DONE]`` is no part of the answer."""
        if event.data.strip() == b"[DONE]":
            self._end = StreamEnd.DONE
        # Some proxies wrap their keep-alive comments in data.
        if self._end is StreamEnd.DONE or event.data.startswith(b":"):
            return ()
        body = decode_json(event.data)
        if not isinstance(body, dict):
            _raise_error(body)
            return ()
        deltas = self._reader.read(body)  # pyright: ignore[reportUnknownArgumentType]
        if deltas:
            self._answer.content_arrived()
        return deltas

    async def end(self) -> ProviderReply:
        """Return the whole answer, and leave the connection fit for the next one."""
        if self._failure is not None:
            with suppress(ProtocolError):
                return self._reader.end(StreamEnd.BROKEN)
            raise self._failure
        if self._events.stray:
            # A service that fails in mid-stream may write its error as a bare document.
            with suppress(ProtocolError):
                _raise_error(decode_json(self._events.stray))
        reply = self._reader.end(self._end or StreamEnd.CLOSED)
        await self._answer.drain()
        return reply

    async def _next_chunk(self) -> bytes:
        """The next bytes; none at the end, and none when the connection broke: that may come too late."""
        try:
            return await self._answer.read_chunk()
        except ProviderError as error:
            self._failure = error
            return b""


def _raise_error(body: object) -> None:
    if (error := parse_error_body(body)) is not None:
        raise ErrorAnswer(error)


def _is_only_error(body: object) -> bool:
    """An error under status 200, and no answer that has an ``error`` beside its other members."""
    return not isinstance(body, dict) or not body.keys() & _ANSWER_MEMBERS


def _deltas(reply: ProviderReply) -> Iterator[Delta]:
    """The deltas of an answer that came whole, so that callers see one shape."""
    from tertulia.domain.message import Reasoning, Refusal, Text, ToolCall

    calls = 0
    for part in reply.parts:
        match part:
            case Text() | Refusal():
                yield TextDelta(part.text)
            case Reasoning() if part.text:
                yield ReasoningDelta(part.text)
            case ToolCall():
                arguments = (
                    part.raw_arguments if part.arguments is None else encode_json(part.arguments).decode()
                )
                yield ToolCallDelta(calls, part.id, part.name, arguments or "")
                calls += 1
            case _:
                pass
