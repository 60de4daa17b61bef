"""Every fault there is, by name: what happens, to which answers, and what else can be said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal, TypeAlias

Scope: TypeAlias = Literal["both", "whole", "stream"]

HINTS = ("seconds", "date", "milliseconds", "negative", "nan", "words", "details", "none")
"""How a service says when to try again; ``details`` is a structure that Google alone has."""


@dataclass(frozen=True)
class FaultKind:
    """
    One way to fail.

    Attributes:
        name: What it is ordered by.
        summary: What happens, in one sentence.
        scope: ``whole`` answers, ``stream`` or ``both``; it waits for a request of its scope.
        options: What can be said about it besides how often.
        seconds: Its own time for the option ``seconds``; None where it lasts for good.
        services: The services that can fail so; empty for all.
    """

    name: str
    summary: str
    scope: Scope = "both"
    options: tuple[str, ...] = ()
    seconds: float | None = None
    services: tuple[str, ...] = ()


_SOON = 0.05
_DRIP = 0.3

_REFUSALS = (
    FaultKind("auth", "The key is refused, with 400 by Gemini and xAI, else with 401."),
    FaultKind("permission", "403: the key is good, and not for this."),
    FaultKind(
        "rate_limit",
        "429: too many requests; hint says how the service tells when to try again.",
        options=("retry_after", "hint"),
    ),
    FaultKind("quota", "The credit or the quota of the day is used up.", options=("retry_after",)),
    FaultKind("model_not_found", "404: there is no such model."),
    FaultKind("content_policy", "The prompt is refused for what it says."),
    FaultKind("unknown_parameter", "400: the request has a parameter that nobody knows."),
    FaultKind("context_length", "400: the request is longer than the window of the model."),
    FaultKind("request_too_large", "The request has more bytes than the service takes."),
    FaultKind("server_error", "500: the service failed inside."),
    FaultKind("bad_gateway", "502, in the words of the service."),
    FaultKind("overloaded", "503: the service has no capacity."),
    FaultKind("unavailable", "503 with Retry-After: 0."),
    FaultKind("gateway_timeout", "504, in the words of the service."),
    FaultKind("overloaded_529", "529: overloaded, under a status that no standard knows."),
    FaultKind("error_array", "503, its body a JSON array around the error.", services=("gemini",)),
)

_CONNECTIONS = (
    FaultKind(
        "refused",
        "Nobody listens at the port, for any service, until healed; how often cannot be counted.",
        options=("seconds",),
    ),
    FaultKind("reset_early", "The connection is reset when the head of the request has come."),
    FaultKind("reset", "The connection is reset when all of the request has come."),
    FaultKind("closed", "The connection is closed without a word."),
    FaultKind("not_http", "What answers speaks another protocol."),
    FaultKind("silence", "Nothing is answered, not even a head.", options=("seconds",)),
    FaultKind("drip_head", "The head of the answer comes byte by byte.", options=("seconds",), seconds=_DRIP),
    FaultKind("drip_body", "The body of the answer comes byte by byte.", options=("seconds",), seconds=_DRIP),
    FaultKind("bad_chunking", "The body is cut into chunks whose sizes are no numbers."),
)

_BODIES = (
    FaultKind("redirect", "307 to another origin, where whoever follows is recorded."),
    FaultKind("html", "200 with an HTML page, as of a login."),
    FaultKind("html_error", "502 with an HTML page, as of a proxy."),
    FaultKind("error_under_200", "The error of a failure inside, under status 200."),
    FaultKind("empty_body", "200 without a byte."),
    FaultKind("broken_json", "200 with half of the JSON.", "whole"),
    FaultKind("bom", "The JSON has a byte order mark.", "whole"),
    FaultKind("null_members", "The list of the answers is null.", "whole"),
    FaultKind("false_gzip", "The answer says that it is compressed, and is not."),
    FaultKind("gzip_bomb", "A quarter of a megabyte that unfolds into 256."),
    FaultKind("endless_body", "The body never ends.", options=("seconds",), seconds=0.0),
    FaultKind("unknown_finish", "The answer ends for a reason that nobody knows."),
    FaultKind("length", "The answer ends at the limit of its tokens."),
    FaultKind("safety_stop", "The answer is stopped by a filter after some words."),
    FaultKind("extra_members", "Objects have members that nobody knows."),
    FaultKind("escapes", "The text has NUL and control sequences of a terminal in it."),
    FaultKind("lone_surrogate", "The text ends with half of a character, as an escape of JSON."),
    FaultKind("empty_answer", "The answer is complete and says nothing."),
    FaultKind("malformed_call", "The model called a tool in a way that cannot be read."),
)

_STREAMS = (
    FaultKind(
        "slow",
        "Each event of a stream waits, or all of a whole answer.",
        options=("seconds",),
        seconds=_SOON,
    ),
    FaultKind("stall", "After some pieces nothing more comes.", options=("after", "seconds")),
    FaultKind(
        "cut_stream",
        "After some pieces the answer ends as if it were whole, or with a reset.",
        options=("after", "seconds", "reset"),
        seconds=_SOON,
    ),
    FaultKind(
        "broken_off",
        "After some pieces the connection is closed, without the end of the body.",
        options=("after",),
    ),
    FaultKind("no_done", "Chat Completions end without [DONE].", "stream"),
    FaultKind("broken_event", "After some pieces comes half of an event.", "stream", ("after",)),
    FaultKind("error_event", "After some pieces comes an error.", "stream", ("after",)),
    FaultKind(
        "line_ends", "A byte order mark, CRLF at the end of lines, and no space after the colon.", "stream"
    ),
    FaultKind("comments", "Keep-alive comments between the events, some of them in data lines.", "stream"),
    FaultKind(
        "comments_only", "Keep-alive comments for ever, and no event.", "stream", ("seconds",), seconds=0.2
    ),
    FaultKind("endless_answer", "The same word for ever.", "stream", ("seconds",), seconds=_DRIP),
    FaultKind("empty_lines", "Empty data lines and blank lines between the events.", "stream"),
    FaultKind("empty_choices", "The first event has an empty list of answers.", "stream"),
    FaultKind("null_delta", "Events whose delta is null or empty.", "stream"),
    FaultKind("after_end", "More text comes after the end.", "stream"),
    FaultKind("not_streamed", "A request for a stream is answered whole.", "stream"),
    FaultKind("empty_stream", "A stream without an event; of Chat Completions, only [DONE].", "stream"),
    FaultKind("single_bytes", "Each byte comes as a chunk of its own.", "stream"),
    FaultKind("split_characters", "Characters of several bytes are split between chunks.", "stream"),
    FaultKind("huge_event", "One event has two million characters.", "stream"),
    FaultKind("early_finish", "Every event says that it is the last.", "stream", services=("gemini",)),
    FaultKind(
        "late_finish", "The reason to end comes in an event of its own.", "stream", services=("gemini",)
    ),
)

FAULTS: Mapping[str, FaultKind] = MappingProxyType(
    {kind.name: kind for kind in (*_REFUSALS, *_CONNECTIONS, *_BODIES, *_STREAMS)}
)
"""All of them, by name."""


def find_kind(service: str, name: str) -> FaultKind:
    """
    The fault of that name.

    Raises:
        ValueError: There is none, or the service cannot fail so.
    """
    if name not in FAULTS:
        close = get_close_matches(name, FAULTS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(FAULTS)}"
        raise ValueError(f"no fault {name!r}; {hint}")
    kind = FAULTS[name]
    if kind.services and service not in kind.services:
        raise ValueError(f"the fault {name!r} is one of {', '.join(kind.services)} alone")
    return kind
