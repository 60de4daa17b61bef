"""
Making sense of failures: what an error answer says, and which of our errors it is.

An error is never classified by its HTTP status alone: one vendor answers a wrong key with 400, another
an empty account with 403. The order is: machine code, structured details, words of the message, status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias, cast

import attrs

from tertulia.errors import (
    AuthenticationError,
    ContentFilteredError,
    ContextLengthError,
    EmptyResponseError,
    ErrorKind,
    InvalidRequestError,
    ModelNotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProtocolError,
    ProviderError,
    ProviderTimeoutError,
    QuotaExhaustedError,
    RateLimitError,
    ServerError,
    TooLargeError,
    UnsupportedParameterError,
)
from tertulia.wire.protocol import Json, read_count, read_list, read_object, read_text

MOST_SHOWN = 4096
"""Characters of an error's words that are shown, once the key has been taken out of them."""

_READ = 2 * MOST_SHOWN  # a hostile error may have millions; a key is not cut in two where they are shown

QUOTA_AFTER_SECONDS = 300.0
"""A wait longer than this is no rate limit any more."""


class ErrorAnswer(Exception):  # noqa: N818  # not an error of ours yet: classify() makes it one
    """A wire format met the provider's own error inside an answer."""

    def __init__(self, body: ErrorBody) -> None:
        super().__init__(body.message)
        self.body = body


@attrs.frozen
class ErrorBody:
    """
    What an error answer says, whatever its shape.

    Attributes:
        message: In words; the raw text when it is not JSON.

        code: The machine code, or the name of a status; None without one.

        type: OpenAI's class of error; None without one.

        parameter: The request field concerned; None without one.

        details: Google's structured details.

        status: The HTTP status the error names itself, which counts where the answer's own is 200; None
            when it names none.
    """

    message: str
    code: str | None = None
    type: str | None = None
    parameter: str | None = None
    details: tuple[Json, ...] = ()
    status: int | None = None


def parse_error_body(body: object) -> ErrorBody | None:
    """
    Read the error out of a decoded answer; None when it holds none.

    Known shapes: ``{"error": {…}}`` with OpenAI's or Google's members, the same in a list,
    ``{"code": …, "error": "text"}``, ``{"error": "text"}``, and ``{"type": "error", "message": …}``.
    """
    if isinstance(body, list):
        first = next(iter(cast("list[object]", body)), None)
        return None if isinstance(first, list) else parse_error_body(first)
    if not isinstance(body, dict) or body.keys().isdisjoint(_MARKS):
        return None  # as every answer is that has come, and every event of a stream
    answer = cast("Json", body)
    error = answer.get("error")
    if isinstance(error, str):
        return ErrorBody(error[:_READ], code=_read_words(answer, "code"))
    if not isinstance(error, dict):
        return _parse_flat_error(answer)
    fields = read_object(answer, "error")
    return ErrorBody(
        message=_read_words(fields, "message") or "no message",
        code=_read_words(fields, "code") or _read_words(fields, "status"),
        type=_read_words(fields, "type"),
        parameter=_read_words(fields, "param"),
        details=tuple(read_list(fields, "details")),
        status=_read_status(fields),
    )


_MARKS = frozenset({"error", "type", "message"})


def _parse_flat_error(body: Json) -> ErrorBody | None:
    if body.get("type") != "error" and not ("message" in body and "code" in body):
        return None
    return ErrorBody(
        message=_read_words(body, "message") or "no message",
        code=_read_words(body, "code"),
        parameter=_read_words(body, "param"),
        status=_read_status(body),
    )


def _read_words(fields: object, name: str) -> str | None:
    words = read_text(fields, name)
    return None if words is None else words[:_READ]


def _read_status(fields: Json) -> int | None:
    code = read_count(fields, "code")
    return code if code is not None and 400 <= code < 600 else None


@attrs.frozen
class ErrorRule:
    """
    One line of a table that turns an error answer into a kind.

    Every condition that is set must hold.

    Attributes:
        kind: What it then is.

        codes: The machine code or the type is one of these.

        pattern: A regular expression found in the message, without regard to case.

        statuses: The HTTP status is one of these; None stands for an error that comes under one of success.

        details: A regular expression found in the structured details.
    """

    kind: ErrorKind
    codes: frozenset[str] = frozenset()
    pattern: str | None = None
    statuses: frozenset[int | None] = frozenset()
    details: str | None = None

    def matches(self, status: int | None, body: ErrorBody) -> bool:
        """Whether the rule holds for an error answer."""
        # What takes least comes first: of a table of twenty lines, all but one say no.
        if self.codes and body.code not in self.codes and body.type not in self.codes:
            return False
        if self.statuses and status not in self.statuses:
            return False
        if self.pattern and not re.search(self.pattern, f"{body.message}\n{body.code or ''}", re.IGNORECASE):
            return False
        return not self.details or re.search(self.details, str(body.details)[:_READ]) is not None


ErrorRules: TypeAlias = Sequence[ErrorRule]

BY_STATUS: Mapping[int, ErrorKind] = {
    400: ErrorKind.INVALID_REQUEST,
    401: ErrorKind.AUTHENTICATION,
    402: ErrorKind.QUOTA_EXHAUSTED,
    403: ErrorKind.PERMISSION,
    404: ErrorKind.MODEL_NOT_FOUND,
    405: ErrorKind.INVALID_REQUEST,
    408: ErrorKind.TIMEOUT,
    409: ErrorKind.SERVER,
    410: ErrorKind.INVALID_REQUEST,
    413: ErrorKind.TOO_LARGE,
    415: ErrorKind.INVALID_REQUEST,
    422: ErrorKind.INVALID_REQUEST,
    429: ErrorKind.RATE_LIMITED,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
    529: ErrorKind.OVERLOADED,
}

_RETRYABLE = {"true": True, "false": False}

ERROR_CLASSES: Mapping[ErrorKind, type[ProviderError]] = {
    ErrorKind.AUTHENTICATION: AuthenticationError,
    ErrorKind.PERMISSION: PermissionDeniedError,
    ErrorKind.QUOTA_EXHAUSTED: QuotaExhaustedError,
    ErrorKind.RATE_LIMITED: RateLimitError,
    ErrorKind.MODEL_NOT_FOUND: ModelNotFoundError,
    ErrorKind.CONTEXT_LENGTH: ContextLengthError,
    ErrorKind.CONTENT_FILTER: ContentFilteredError,
    ErrorKind.INVALID_REQUEST: InvalidRequestError,
    ErrorKind.UNSUPPORTED_PARAMETER: UnsupportedParameterError,
    ErrorKind.TOO_LARGE: TooLargeError,
    ErrorKind.SERVER: ServerError,
    ErrorKind.OVERLOADED: OverloadedError,
    ErrorKind.TIMEOUT: ProviderTimeoutError,
    ErrorKind.PROTOCOL: ProtocolError,
    ErrorKind.EMPTY_RESPONSE: EmptyResponseError,
}

NEXT_STEPS: Mapping[ErrorKind, str] = {
    ErrorKind.AUTHENTICATION: "check the key that is configured for this provider",
    ErrorKind.PERMISSION: "ask the provider for access, or use another model or provider",
    ErrorKind.QUOTA_EXHAUSTED: "add credit or raise the limit at the provider, or use another provider",
    ErrorKind.RATE_LIMITED: "wait and send again, or name a fallback",
    ErrorKind.MODEL_NOT_FOUND: "choose a model that the provider lists",
    ErrorKind.CONTEXT_LENGTH: "set a smaller max_context_tokens, or use a model with a larger window",
    ErrorKind.CONTENT_FILTER: "change the message, or the safety settings where the provider has them",
    ErrorKind.INVALID_REQUEST: "change the request: the provider's words say what it refuses",
    ErrorKind.UNSUPPORTED_PARAMETER: "leave the option out for this model",
    ErrorKind.TOO_LARGE: "send less: fewer or smaller attachments, or a shorter history",
    ErrorKind.SERVER: "send again, or name a fallback",
    ErrorKind.OVERLOADED: "send again in a moment, or name a fallback",
    ErrorKind.TIMEOUT: "send again, or allow more time",
}


def classify(
    rules: ErrorRules, body: ErrorBody, *, status: int | None, headers: Mapping[str, str], now: datetime
) -> ProviderError:
    """
    Turn an error answer into our error.

    Args:
        rules: The vendor's table; the first rule that matches decides, else the status does.
        body: What the answer says.
        status: The HTTP status; None, or one of success, for an error inside an answer.
        headers: With lower-case names.
        now: For dates in ``Retry-After``.

    Returns:
        An error without ``provider``, ``model`` and ``request_id``, which the caller knows.
    """
    retry_after = parse_retry_after(headers, body, now)
    kind = _kind(rules, body, body.status if status is None or status < 300 else status)
    if kind is ErrorKind.RATE_LIMITED and retry_after is not None and retry_after > QUOTA_AFTER_SECONDS:
        kind = ErrorKind.QUOTA_EXHAUSTED
    error = ERROR_CLASSES[kind](
        body.message, status=status, code=body.code, retry_after=retry_after, next_step=NEXT_STEPS.get(kind)
    )
    if kind is ErrorKind.PROTOCOL:
        error.retryable = False  # a redirect, which leads there again
    # OpenAI's own word on it, which goes before what the kind says.
    error.retryable = _RETRYABLE.get(headers.get("x-should-retry", ""), error.retryable)
    return _with_particulars(error, body)


def remake(error: ProviderError, kind: ErrorKind) -> ProviderError:
    """Return the error that an error is on a second look."""
    return ERROR_CLASSES[kind](
        error.message,
        status=error.status,
        code=error.code,
        retry_after=error.retry_after,
        next_step=NEXT_STEPS.get(kind),
    )


def _kind(rules: ErrorRules, body: ErrorBody, status: int | None) -> ErrorKind:
    for rule in rules:
        if rule.matches(status, body):
            return rule.kind
    if status is None:
        return ErrorKind.SERVER
    if 300 <= status < 400:
        return ErrorKind.PROTOCOL
    return BY_STATUS.get(status, ErrorKind.SERVER if status >= 500 else ErrorKind.INVALID_REQUEST)


def _with_particulars(error: ProviderError, body: ErrorBody) -> ProviderError:
    if isinstance(error, UnsupportedParameterError):
        named = _NAMED.search(body.message)
        error.parameter = body.parameter or (next(filter(None, named.groups())) if named else None)
    if isinstance(error, TooLargeError):
        error.side = "request"
    if isinstance(error, ContextLengthError):
        error.limit, error.requested = _read_lengths(body.message)
    return error


_NAMED = re.compile(
    r"""(?:parameter:?|Unknown name|property|[Aa]rgument(?: supplied| not supported on this model)?:)"""
    r""" ['"]?([A-Za-z_][\w\[\]]*(?:\.\w[\w\[\]]*)*)"""
    r"""|does not support '(\w+)' value"""
    # A server that is written with pydantic says where in the request.
    r"""|["']loc["']: ?[\[(]["']body["'], ?["'](\w+)"""
)
"""How the parameter is named that is refused."""

_UNKNOWN = re.compile(r"unrecognized|unknown name|extra inputs|extra_forbidden", re.IGNORECASE)


def is_unknown(error: UnsupportedParameterError) -> bool:
    """Whether a service says, in words alone, that it has never heard of what an error names."""
    known_by_code = error.code in ("unsupported_parameter", "unsupported_value", "unknown_parameter")
    return not known_by_code and error.parameter is not None and bool(_UNKNOWN.search(error.message))


_LIMIT, _REQUESTED = r"(?P<limit>\d{1,18})", r"(?P<requested>\d{1,18})"
_LENGTHS = (
    re.compile(rf"maximum prompt length is {_LIMIT} but the request contains {_REQUESTED}"),
    re.compile(
        rf"input token count \({_REQUESTED}\) exceeds the maximum number of tokens allowed \({_LIMIT}\)"
    ),
    re.compile(rf"configured limit of {_LIMIT} tokens.*?{_REQUESTED} tokens", re.DOTALL),
    re.compile(rf"maximum context length is {_LIMIT} tokens.*?{_REQUESTED} (?:input )?tokens", re.DOTALL),
    re.compile(rf"request \({_REQUESTED} tokens\) exceeds the available context size \({_LIMIT} tokens\)"),
)


def _read_lengths(message: str) -> tuple[int | None, int | None]:
    for pattern in _LENGTHS:
        if found := pattern.search(message.replace(",", "")):
            return int(found["limit"]), int(found["requested"])
    return None, None


_GO_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?$")


def parse_duration(text: str) -> float | None:
    """
    Read a duration as Go and protobuf write it, in seconds; None when it is none.

    Example:
        >>> [parse_duration(text) for text in ("4ms", "6m0s", "1h2m3.5s", "34.4s", "soon")]
        [0.004, 360.0, 3723.5, 34.4, None]
    """
    found = _GO_DURATION.match(text.strip())
    if not found or not any(found.groups()):
        return None
    hours, minutes, seconds, milliseconds = (float(group or 0) for group in found.groups())
    duration = hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    return duration if duration < float("inf") else None


def parse_retry_after(headers: Mapping[str, str], body: ErrorBody, now: datetime) -> float | None:
    """
    Find out how long the provider wants us to wait, in seconds.

    In order of trust: ``retry-after-ms``, ``retry-after`` (a number or a date), Google's ``RetryInfo``,
    the words "retry in" or "try again in", the reset of an empty ``x-ratelimit`` bucket. Negative and
    senseless hints count as none.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    hint = _retry_after_header(headers.get("retry-after"), now)
    if hint is not None:
        return hint
    for detail in body.details:
        if delay := read_text(detail, "retryDelay"):
            return parse_duration(delay)
    said = _SAID.search(body.message)
    return parse_duration(said[1]) if said else _exhausted_bucket(headers)


_SAID = re.compile(r"(?:retry|try again) in ((?:\d+h)?(?:\d+m(?!s))?(?:[\d.]+m?s)?)", re.IGNORECASE)


def _exhausted_bucket(headers: Mapping[str, str]) -> float | None:
    """When the bucket that is empty is full again; both may be."""
    resets = [
        parse_duration(headers.get(f"x-ratelimit-reset-{bucket}", ""))
        for bucket in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{bucket}") == "0"
    ]
    return max((reset for reset in resets if reset is not None), default=None)


def _retry_after_header(value: str | None, now: datetime) -> float | None:
    if value is None:
        return None
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else -1.0
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None
