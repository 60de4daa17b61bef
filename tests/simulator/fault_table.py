"""What each fault is to a driver, in each dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

COUNTED = "1, 2, 3, 4, 5."


@dataclass(frozen=True)
class Outcome:
    """
    What comes of a request.

    Attributes:
        text: What was yielded, before the error if there is one.
        finish: The reason that the answer gives for its end; None where there is an error.
        error: The name of the error's class; None where there is none.
        kind: The error's kind.
        retryable: Whether the error may be gone when asked again.
        status: The HTTP status that the error names.
        retry_after: The seconds that the service asked to wait.
        timer: The timer that ran out.
    """

    text: str = ""
    finish: str | None = None
    error: str | None = None
    kind: str | None = None
    retryable: bool | None = None
    status: int | None = None
    retry_after: float | None = None
    timer: str | None = None


@dataclass(frozen=True)
class Case:
    """
    A fault, and what comes of it.

    Attributes:
        outcome: In every dialect, for which nothing else is said.
        others: In a dialect, or with ``:stream`` or ``:whole`` in a way of asking for an answer, or both.
        order: What else is ordered.
        requests: How many requests reach the service.
        is_timed: Whether the timers are short; they decide.
    """

    outcome: Outcome
    others: Mapping[str, Outcome] = field(default_factory=dict)
    order: Mapping[str, Any] = field(default_factory=dict)
    requests: int = 1
    is_timed: bool = False

    def expect(self, dialect: str, *, is_stream: bool) -> Outcome:
        """What is to come of it; what says most is what counts."""
        way = ":stream" if is_stream else ":whole"
        names = (dialect + way, dialect, way)
        return next((self.others[name] for name in names if name in self.others), self.outcome)


def answer(text: str = COUNTED, finish: str = "stop") -> Outcome:
    """An answer."""
    return Outcome(text, finish)


def failure(error: str, kind: str, status: int | None = None, **more: Any) -> Outcome:
    """An error after which the same request may succeed."""
    return Outcome(error=error, kind=kind, retryable=True, status=status, **more)


def refusal(error: str, kind: str, status: int | None = None, **more: Any) -> Outcome:
    """An error that stays."""
    return replace(failure(error, kind, status, **more), retryable=False)


def expiry(timer: str, text: str = "") -> Outcome:
    """A timer that ran out; after the whole time there is none left to ask again."""
    return Outcome(text, None, "ProviderTimeoutError", "timeout", retryable=timer != "total", timer=timer)


def each(*dialects: str, to: Outcome) -> dict[str, Outcome]:
    """The same outcome in several dialects."""
    return dict.fromkeys(dialects, to)


XAI = ("xai", "xai-chat")
CHATS = ("openai-chat", "xai-chat", "local")
UNREADABLE = failure("ProtocolError", "protocol")
BROKEN = failure("ConnectionFailedError", "connection")
OVERLOADED = failure("OverloadedError", "overloaded", 503)
WRONG = refusal("InvalidRequestError", "invalid_request", 400)
BUSY = failure("RateLimitError", "rate_limited", 429, retry_after=1.0)
NO_CREDIT = refusal("QuotaExhaustedError", "quota_exhausted", 429)
TOO_LARGE = refusal("TooLargeError", "too_large", 200)

REFUSALS: dict[str, Case] = {
    "auth": Case(
        refusal("AuthenticationError", "authentication", 401),
        each(*XAI, "gemini", to=refusal("AuthenticationError", "authentication", 400)),
    ),
    "permission": Case(refusal("PermissionDeniedError", "permission", 403)),
    "rate_limit": Case(BUSY, each(*XAI, to=replace(BUSY, retry_after=None))),
    "quota": Case(
        NO_CREDIT,
        each(*XAI, to=replace(NO_CREDIT, status=403))
        | each("local", to=replace(NO_CREDIT, status=402))
        | each("gemini", to=replace(NO_CREDIT, retry_after=1.0)),
    ),
    "model_not_found": Case(refusal("ModelNotFoundError", "model_not_found", 404)),
    "content_policy": Case(
        refusal("ContentFilteredError", "content_filter", 400),
        each(*XAI, to=refusal("ContentFilteredError", "content_filter", 403))
        # Google answers with status 200; the send makes an error of an answer without content.
        | each("gemini", to=answer("", "content_filter")),
    ),
    "unknown_parameter": Case(
        refusal("UnsupportedParameterError", "unsupported_parameter", 400),
        each("gemini", "local", to=WRONG),
    ),
    "context_length": Case(refusal("ContextLengthError", "context_length", 400)),
    "request_too_large": Case(
        refusal("TooLargeError", "too_large", 413),
        each("gemini", to=refusal("TooLargeError", "too_large", 400)),
    ),
    "server_error": Case(failure("ServerError", "server", 500)),
    "bad_gateway": Case(failure("ServerError", "server", 502)),
    "overloaded": Case(OVERLOADED),
    "unavailable": Case(replace(OVERLOADED, retry_after=0.0)),
    # A service that says so has run out of its own time, not of the caller's.
    "gateway_timeout": Case(failure("ProviderTimeoutError", "timeout", 504, timer="total")),
    "overloaded_529": Case(replace(OVERLOADED, status=529)),
    "error_array": Case(OVERLOADED),
}
CONNECTIONS: dict[str, Case] = {
    "refused": Case(BROKEN, requests=0),
    "reset_early": Case(BROKEN),
    "reset": Case(BROKEN),
    "closed": Case(BROKEN),
    "not_http": Case(UNREADABLE),
    "bad_chunking": Case(UNREADABLE),
    "silence": Case(expiry("first_content"), is_timed=True),
    # Of a whole answer each byte is a sign of life, since its first content is its last byte.
    "drip_head": Case(
        expiry("total"), {":stream": expiry("first_content")}, order={"seconds": 0.05}, is_timed=True
    ),
    "drip_body": Case(
        expiry("total"), {":stream": expiry("first_content")}, order={"seconds": 0.05}, is_timed=True
    ),
}
BODIES: dict[str, Case] = {
    "redirect": Case(refusal("ProtocolError", "protocol", 307)),
    "html": Case(refusal("ProtocolError", "protocol", 200)),
    "html_error": Case(failure("ServerError", "server", 502)),
    "error_under_200": Case(failure("ServerError", "server", 200)),
    "empty_body": Case(UNREADABLE),
    "broken_json": Case(UNREADABLE),
    "bom": Case(answer()),
    "null_members": Case(UNREADABLE, each(*CHATS, to=answer("", "unknown"))),
    "false_gzip": Case(UNREADABLE),
    "gzip_bomb": Case(TOO_LARGE),
    "endless_body": Case(TOO_LARGE, {":stream": replace(TOO_LARGE, status=None)}),
    "unknown_finish": Case(answer(finish="unknown")),
    "length": Case(answer(finish="length")),
    "safety_stop": Case(answer("Here is how it", "content_filter")),
    "extra_members": Case(answer()),
    "escapes": Case(answer("a\x00b\x1b]0;title\x07\x1b[2Jc")),
    "lone_surrogate": Case(answer("Hello \ufffd")),
    "empty_answer": Case(answer("")),
    "malformed_call": Case(answer("", "tool_calls"), each("gemini", to=answer("", "error"))),
}
STREAMS: dict[str, Case] = {
    "slow": Case(answer(), order={"seconds": 0.005}),
    "stall": Case(expiry("idle"), {":stream": expiry("idle", "1,")}, is_timed=True),
    "cut_stream": Case(UNREADABLE, {":stream": replace(UNREADABLE, text="1,")}),
    "broken_off": Case(UNREADABLE, {":stream": replace(UNREADABLE, text="1,")}),
    "no_done": Case(answer()),
    "broken_event": Case(replace(UNREADABLE, text="1,")),
    "error_event": Case(
        replace(OVERLOADED, status=200, text="1,"),
        each("local", to=failure("ServerError", "server", 200, text="1,")),
    ),
    "line_ends": Case(answer()),
    "comments": Case(answer()),
    "comments_only": Case(expiry("first_content"), order={"seconds": 0.05}, is_timed=True),
    "endless_answer": Case(expiry("total", "1,"), order={"seconds": 0.05}, is_timed=True),
    "empty_lines": Case(answer()),
    "empty_choices": Case(answer()),
    "null_delta": Case(answer()),
    "after_end": Case(answer()),
    "not_streamed": Case(answer()),
    "empty_stream": Case(UNREADABLE, each(*CHATS, to=answer("", "unknown"))),
    "single_bytes": Case(answer()),
    "split_characters": Case(answer("Olá, Zé! 你好 🌍")),
    "huge_event": Case(answer("x" * 2_000_000)),
    "early_finish": Case(answer()),
    "late_finish": Case(answer()),
}
CASES = REFUSALS | CONNECTIONS | BODIES | STREAMS

HINTS: dict[str, float | None] = {
    "seconds": 2.0,
    "milliseconds": 2.0,
    "negative": None,
    "nan": None,
    "words": 2.0,
    "details": 2.0,
    "none": None,
}
"""The wait that is read out of each way to say that it is two seconds."""
