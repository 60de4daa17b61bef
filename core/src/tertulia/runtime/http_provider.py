"""The base of every provider that is reached by HTTP."""

from __future__ import annotations

import difflib
import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, cast, overload

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.config import ProviderConfig, Secret, is_same_origin
from tertulia.domain.exchange import Delta, ProviderReply, Request, Translated
from tertulia.domain.model import Capability
from tertulia.domain.options import Timeouts
from tertulia.errors import (
    ConfigurationError,
    ErrorKind,
    MissingKeyError,
    ProtocolError,
    ProviderError,
    TertuliaError,
    UnsupportedParameterError,
)
from tertulia.runtime.answers import Answer, StreamedAnswer, WholeAnswer
from tertulia.runtime.checks import check_class, check_key, check_url
from tertulia.runtime.configuration.environment import variable
from tertulia.runtime.http import HTTPAnswer, HTTPCall, HTTPClient
from tertulia.runtime.refusals import Refusals
from tertulia.runtime.serialization import decode_json, encode_json
from tertulia.wire.errors import (
    MOST_SHOWN,
    ErrorAnswer,
    ErrorBody,
    ErrorRules,
    classify,
    is_unknown,
    parse_error_body,
    remake,
)
from tertulia.wire.protocol import Json, Rendered, Wire, read_object
from tertulia.wire.rate_limits import parse_rate_limits
from tertulia.wire.refusals import is_sent

_JSON_TYPES = frozenset({"application/json", "text/json", ""})
_ANSWER_MEMBERS = frozenset({"output", "candidates", "choices"})
_EXCERPT = 200
_ACCEPTED = 202
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
        check_class(type(self), config, base_url=self.BASE_URL)
        self.base_url = check_url(config.base_url or self.BASE_URL, config.name)
        check_key(config)
        self.wire = self.make_wire()
        self.OPTIONS = self.OPTIONS or self.wire.options
        self._refusals = Refusals()
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
    def key_variables(self) -> tuple[str, ...]:
        """The variables its key is looked for in: a vendor's own goes to the vendor's own origin only."""
        return self.KEY_VARIABLES if self.is_at_origin else (variable(self.name, "API_KEY"),)

    @cached_property  # asked ten times for each send, and a URL is taken apart for it
    def is_at_origin(self) -> bool:
        """Whether it is at the vendor's own origin, or at a host below it."""
        return is_same_origin(self.base_url, self.BASE_URL)

    @property
    def vendor(self) -> str | None:
        """The driver's name at its vendor's own address; whoever else answers charges what he likes."""
        return self.config.driver if self.is_at_origin else None

    def render_key(self, key: Secret) -> dict[str, Secret]:
        """Return the headers that carry the key: a bearer token, unless the vendor wants it otherwise."""
        return {"authorization": Secret(f"Bearer {key.reveal()}")}

    def render_headers(self, request: Request | None) -> dict[str, str]:
        """
        Return further headers of a call; secrets do not belong here.

        Args:
            request: What is sent; None for a call that sends no message.
        """
        return {}

    def reasons(self, model: str) -> bool | None:
        """Say whether a model thinks before it speaks; None where nobody knows."""
        info = self.find_model(model)
        if info is None or info.capabilities is None:
            return None
        return Capability.REASONING in info.capabilities

    def annotate(self, reply: ProviderReply) -> ProviderReply:
        """Add what only this vendor's driver reads in an answer, for example what it says the call cost."""
        return reply

    async def resolve_answer(self, body: object, request: Request) -> object:
        """
        Return the whole answer to a call, as its service writes it.

        Args:
            body: What the call was answered with: the answer, unless the service gave a ticket for it.
            request: What was asked.

        Raises:
            ProviderError: The answer could not be had.
        """
        return body

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
        raise self._refuse_word(f"{setting} is none of {', '.join(among)}", value, among)

    def choose_several(self, setting: str, *, among: Sequence[str], default: Sequence[str]) -> Sequence[str]:
        """
        Read a setting that is a list of words.

        Raises:
            ConfigurationError: It is no list, or has another word in it.
        """
        value: object = self.config.settings.get(setting, default)
        if not isinstance(value, list | tuple):
            raise self._refuse_word(f"{setting} is no list of {', '.join(among)}", value, ())
        words = cast("Sequence[object]", value)
        for word in words:
            if word not in among:
                raise self._refuse_word(
                    f"{setting} has a word that is none of {', '.join(among)}", word, among
                )
        return [str(word) for word in words]

    def _refuse_word(self, problem: str, word: object, among: Sequence[str]) -> ConfigurationError:
        """Without what it is: a key may have been written there."""
        close = difflib.get_close_matches(str(word), among, n=1)
        return ConfigurationError(
            f"provider {self.name!r}: {problem}",
            provider=self.name,
            next_step=f"did you mean {close[0]!r}?" if close else None,
        )

    async def send_message(self, request: Request) -> AsyncIterator[Delta]:
        """
        Send a request and yield the answer: deltas, then one :class:`tertulia.ProviderReply`.

        What the model refuses and nobody misses is left out, and the rest sent once more.
        """
        told = 0
        for is_last in (False, True):
            answer: HTTPAnswer | None = None
            failure: ProviderError | None = None
            event: Any = None
            events: Sequence[Any] = ()
            has_begun = False
            try:
                rendered = self._refusals.leave_out(self.wire.render_request(request), request)
                if notes := rendered.notes[told:]:
                    told = len(rendered.notes)
                    yield Translated(notes)
                answer = await self._post(request, rendered)
                del rendered  # a history with images is large, and answers take long
                reading = await self._begin(answer, request)
                while events := await reading.next_events():
                    for event in events:
                        for delta in reading.read_event(event):
                            has_begun = True
                            yield delta
                reply = self.annotate(await reading.end())
                limits = parse_rate_limits(answer.headers)
                yield reply if limits is None else attrs.evolve(reply, rate_limits=limits)
                return
            except Exception as error:  # noqa: BLE001  # explained below, or raised again
                failure = self._explain(error, request.target.model, answer, request)
            finally:
                if answer is not None:
                    answer.close()
            if is_last or has_begun or not self._learn(failure, request):
                # Raised out here it has no context, and nothing that was echoed is in its frames.
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
        content = None if body is None else encode_json(body)
        found = await self._exchange(path, content, timeouts or self.config.timeouts, deadline, model)
        return Json() if found is None else found

    async def poll(
        self,
        path: str,
        *,
        timeouts: Timeouts | None = None,
        deadline: float | None = None,
        model: str | None = None,
    ) -> Json | None:
        """
        Fetch a JSON object that may not be there yet; arguments and errors as of :meth:`call`.

        Returns:
            None when the service says so, with status 202.
        """
        return await self._exchange(path, None, timeouts or self.config.timeouts, deadline, model)

    async def _exchange(
        self, path: str, body: bytes | None, timeouts: Timeouts, deadline: float | None, model: str | None
    ) -> Json | None:
        answer: HTTPAnswer | None = None
        failure: ProviderError | None = None
        try:
            answer = await self._open(path, body, timeouts, deadline)
            await self._raise_for_status(answer)
            if answer.status == _ACCEPTED:
                await answer.drain()
                return None
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

    def _learn(self, failure: ProviderError, request: Request) -> bool:
        """Whether the request can be sent again, without what was refused."""
        if not isinstance(failure, UnsupportedParameterError):
            return False
        return self._refusals.learn(failure, self.wire.render_request(request), request)

    async def _post(self, request: Request, rendered: Rendered) -> HTTPAnswer:
        return await self._open(
            self.wire.get_path(request),
            encode_json(rendered.body),
            request.timeouts,
            request.deadline,
            request=request,
        )

    async def _begin(self, answer: HTTPAnswer, request: Request) -> Answer:
        await self._raise_for_status(answer)
        if answer.media_type == "text/event-stream":
            return StreamedAnswer(answer, self.wire.read_stream())
        body = await self.resolve_answer(await self._read_json(answer), request)
        return WholeAnswer(self.wire.parse_response(body))

    def _make_call(self, method: str, path: str, body: bytes | None, request: Request | None) -> HTTPCall:
        key = self.config.api_key
        if key is None and self.needs_key:
            raise self._miss_key()
        headers = {"content-type": "application/json"} if body else {}
        headers.update(self.render_headers(request))
        secrets: Mapping[str, Secret] = {} if key is None else self.render_key(key)
        is_whole = request is None or not request.stream
        return HTTPCall(method, self.base_url + path, headers, secrets, body, is_whole)

    def _miss_key(self) -> MissingKeyError:
        where = "" if self.is_at_origin else f" for {self.base_url}"
        next_step = f"set {' or '.join(self.key_variables)}, or pass api_key"
        if withheld := [name for name in self.KEY_VARIABLES if name not in self.key_variables]:
            verb = "is" if len(withheld) == 1 else "are"
            next_step += (
                f"; {' and '.join(withheld)} {verb} withheld, "
                "because a vendor's key goes to the vendor's own origin only"
            )
        return MissingKeyError(
            f"provider {self.name!r}: no key is set{where}, so nothing was sent", next_step=next_step
        )

    async def _open(
        self,
        path: str,
        body: bytes | None,
        timeouts: Timeouts,
        deadline: float | None = None,
        *,
        request: Request | None = None,
    ) -> HTTPAnswer:
        call = self._make_call("GET" if body is None else "POST", path, body, request)
        return await self._client.open(call, timeouts, deadline)

    def _explain(
        self, error: Exception, model: str | None, answer: HTTPAnswer | None, request: Request | None = None
    ) -> ProviderError:
        """Say in our own words what went wrong; what is not the provider's doing is raised again."""
        if isinstance(error, ErrorAnswer):
            error = self._classify(error.body, answer)
        if isinstance(error, ProviderError):
            return self._name(self._check_refusal(error, request), model, answer)
        if isinstance(error, TertuliaError) or answer is None:
            raise error
        unreadable = ProtocolError(f"the answer cannot be read ({type(error).__name__})")
        return self._name(unreadable, model, answer)

    def _check_refusal(self, error: ProviderError, request: Request | None) -> ProviderError:
        """What the service does not know, and nobody sent, is no option that could be left out."""
        if request is None or not isinstance(error, UnsupportedParameterError) or not is_unknown(error):
            return error
        rendered = self.wire.render_request(request)
        return error if is_sent(rendered, error.parameter or "") else remake(error, ErrorKind.INVALID_REQUEST)

    def _suggest_model(self, model: str) -> str:
        default = "set model to one that list_models() names, and check that the base_url is right"
        return self.suggest_model(model) or default

    async def _read_json(self, answer: HTTPAnswer) -> Any:
        if answer.media_type not in _JSON_TYPES and not answer.media_type.endswith("+json"):
            raise _make_page_error(answer)
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
        error.message = " ".join(self._hide(error.message).split())[:MOST_SHOWN]
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


def _make_page_error(answer: HTTPAnswer) -> ProtocolError:
    """For what a proxy says: it would say so again."""
    error = ProtocolError(
        f"the answer is {answer.media_type}, neither JSON nor an event stream",
        status=answer.status,
        next_step="check the base_url, and whether a proxy stands between",
    )
    error.retryable = False
    return error


def _is_only_error(body: object) -> bool:
    """An error under status 200, and no answer that has an ``error`` beside its other members."""
    return not isinstance(body, dict) or not body.keys() & _ANSWER_MEMBERS
