"""Faults of our own, of every kind there is, as data for the player."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

from fault_player import Expected, Fault, Step

FIN: Step = {"op": "fin"}
RESET: Step = {"op": "rst"}
HANG: Step = {"op": "hang"}

USER = "user message only; attempt row with error kind"
WHOLE = "user + complete assistant message"
PART = "user + assistant message marked interrupted with the text shown"

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


def send(data: bytes) -> Step:
    return {"op": "b64", "data": base64.b64encode(data).decode()}


def answer(
    body: object, status: int = 200, media_type: str = "application/json", **headers: str
) -> list[Step]:
    """A whole answer: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {media_type}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return [send("\r\n".join([*lines, "Connection: close", "", ""]).encode() + content), FIN]


def refuse(status: int, message: str, code: str | None = None, **headers: str) -> list[Step]:
    error = {"message": message, "type": None, "param": None, "code": code}
    return answer({"error": error}, status, **headers)


def complete(text: str = "Hello world", **choice: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop", **choice}]
    return {"id": "c1", "object": "chat.completion", "model": "fake-1", "choices": choices, "usage": USAGE}


def say(text: str | None = None, finish: str | None = None) -> bytes:
    """One event of a stream."""
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return data({"id": "c1", "model": "fake-1", "choices": [choice]})


def data(event: object) -> bytes:
    return b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n"


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
    b"Connection: close\r\n\r\n"
)
DONE = data(b"[DONE]")
END = send(b"0\r\n\r\n")


def stream(*events: bytes, then: Sequence[Step] = (END, FIN)) -> list[Step]:
    """A stream, a chunk for each event."""
    return [send(STREAM_HEAD), *(send(chunk(event)) for event in events), *then]


HELLO = (say("Hello"), say(" world"))
STOP = say(finish="stop")
WELL = answer(complete())
WELL_STREAMED = stream(*HELLO, STOP, DONE)


def fails(kind: str, retry: str = "yes", fallback: str = "yes", seconds: float = 5) -> Expected:
    return Expected("error", kind, "", retry, fallback, USER, seconds)


def cut(kind: str, text: str | None = "Hello world", seconds: float = 5) -> Expected:
    return Expected("error", kind, text, "no", "policy", PART, seconds)


def says(text: str = "Hello world", retry: str = "no", fallback: str = "no") -> Expected:
    return Expected("text", None, text, retry, fallback, WHOLE, 5)


def fault(title: str, expect: Expected, *attempts: Sequence[Step], **rest: Any) -> Fault:
    is_streamed = title.startswith("stream: ")
    dialect = "gemini" if "gemini: " in title else "openai"
    return Fault(title, title, dialect, is_streamed, expect, attempts=attempts, **rest)


def candidate(text: str | None, finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """A whole answer of Gemini, or one of its events."""
    parts = [] if text is None else [{"text": text}]
    found: dict[str, Any] = {"content": {"role": "model", "parts": parts}}
    if finish is not None:
        found["finishReason"] = finish
    return {"candidates": [found], "modelVersion": "fake-1", **more}


def refuse_google(status: int, name: str, message: str, *details: object) -> list[Step]:
    error = {"code": status, "status": name, "message": message, "details": list(details)}
    return answer({"error": error}, status)


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_DRIPPED = {"op": "drip", "data": "HTTP/1.1 200 OK\r\nX-A: " + "a" * 400, "delay": 0.1}
_SPACES = {"op": "loop", "data": " ", "seconds": 30, "delay": 0.1}
_PINGS = {"op": "loopchunk", "data": ": ping\n\n", "seconds": 30, "delay": 0.1}
_TOKENS = {"op": "loopchunk", "data": say("x").decode(), "seconds": 30, "delay": 0.1}
_ROLE = data({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
_RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.3s"}
_DAILY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
}

CONNECTING = (
    fault("nobody listens", fails("connection"), target="closed_port"),
    fault("a name that nobody has", fails("connection", seconds=8), target="bad_dns"),
    fault("reset before anything was read", fails("connection"), [RESET]),
    fault("reset after the request, then well", says(retry="yes"), [{"op": "read"}, RESET], WELL),
    fault("closed after the request, then well", says(retry="yes"), [FIN], WELL),
    fault("no HTTP", fails("protocol"), [send(b"220 mail ready\r\n"), FIN]),
    fault("a status line that is none", fails("protocol"), [send(b"HTTP/1.1 abc\r\n\r\n"), FIN]),
    fault("no answer at all", fails("timeout", seconds=8), [HANG]),
    fault("a head that comes byte by byte", fails("timeout", retry="no", seconds=8), [_DRIPPED, HANG]),
    fault("half a head", fails("connection"), [send(_HEAD), FIN]),
)

REFUSALS = (
    fault(
        "429 with retry-after-ms",
        says(retry="after >=0.3 s"),
        refuse(429, "Slow down.", retry_after_ms="300"),
        WELL,
    ),
    fault(
        "429 with a wait that is none",
        says(retry="yes", fallback="yes"),
        refuse(429, "Slow.", Retry_After="-5"),
        WELL,
    ),
    fault(
        "429 with a wait without end",
        says(retry="yes", fallback="yes"),
        refuse(429, "Slow.", Retry_After="1e999"),
        WELL,
    ),
    fault(
        "429 until a moment that is past",
        says(retry="yes"),
        refuse(429, "Slow.", Retry_After="Sat, 01 Jan 2022 00:00:00 GMT"),
        WELL,
    ),
    fault(
        "429 without credit", fails("quota_exhausted", retry="no"), refuse(429, "Pay.", "insufficient_quota")
    ),
    fault("402", fails("quota_exhausted", retry="no"), refuse(402, "Pay.")),
    fault("401", fails("authentication", retry="no"), refuse(401, "Who are you?", "invalid_api_key")),
    fault("403", fails("permission", retry="no"), refuse(403, "Not for you.")),
    fault("404", fails("model_not_found", retry="no"), refuse(404, "No such model.", "model_not_found")),
    fault("500, then well", says(retry="yes"), refuse(500, "Oops."), WELL),
    fault("502 with a page, then well", says(retry="yes"), answer(b"<html>", 502, "text/html"), WELL),
    fault("503 at once, then well", says(retry="yes"), refuse(503, "Busy.", Retry_After="0"), WELL),
    fault("529, then well", says(retry="yes"), refuse(529, "Busy.", "overloaded_error"), WELL),
    fault("500 for ever", fails("server"), refuse(500, "Oops.")),
    fault(
        "400 for the policy",
        fails("content_filter", retry="no", fallback="no (opt-in)"),
        refuse(400, "No.", "content_policy_violation"),
    ),
    fault(
        "400 for a parameter that nobody sent",
        fails("invalid_request", retry="no", fallback="no"),
        refuse(400, "Unrecognized request argument supplied: foo"),
    ),
    fault(
        "413",
        fails("too_large", retry="no", fallback="no (opt-in)"),
        refuse(413, "The request is too large."),
    ),
    fault("302", fails("protocol", retry="no"), answer(b"", 302, Location="http://elsewhere.invalid/")),
    fault(
        "gemini: 429 with RetryInfo",
        says(retry="after >=0.3 s"),
        refuse_google(429, "RESOURCE_EXHAUSTED", "Slow.", _RETRY_INFO),
        answer(candidate("Hello world")),
    ),
    fault(
        "gemini: 429 for the day",
        fails("quota_exhausted", retry="no"),
        refuse_google(429, "RESOURCE_EXHAUSTED", "Quota exceeded.", _DAILY),
    ),
    fault(
        "gemini: 400 for the key",
        fails("authentication", retry="no"),
        refuse_google(400, "INVALID_ARGUMENT", "API key not valid.", {"reason": "API_KEY_INVALID"}),
    ),
)

BODIES = (
    fault("a login page", fails("protocol", retry="no"), answer(b"<html>Log in</html>", 200, "text/html")),
    fault("an error under 200", fails("server"), answer({"error": {"message": "Upstream.", "code": 502}})),
    fault("nothing", fails("protocol"), answer(b"")),
    fault("half a document", fails("protocol"), answer(b'{"choices": [{"message": {"content": "Hel')),
    fault("less than was promised", fails("protocol"), [send(_HEAD + b"Content-Length: 900\r\n\r\n{"), FIN]),
    fault("no choices", fails("empty_response", retry="once"), answer({**complete(), "choices": None})),
    fault("an empty text", fails("empty_response", retry="once"), answer(complete(""))),
    fault("a byte order mark", says(), answer(b"\xef\xbb\xbf" + json.dumps(complete()).encode())),
    fault("no gzip", fails("protocol"), answer(b"no gzip", Content_Encoding="gzip")),
    fault("gzip", says(), answer(gzip.compress(json.dumps(complete()).encode()), Content_Encoding="gzip")),
    fault("a bomb", fails("too_large", retry="no"), [{"op": "gzipbomb"}, FIN]),
    fault(
        "a body that has no end", fails("timeout", retry="no", seconds=8), [send(_HEAD + b"\r\n"), _SPACES]
    ),
    fault("an unknown reason to finish", says(), answer(complete(finish_reason="tired", novelty=1))),
    fault("control characters", says("a\0b\x1b[2Jc"), answer(complete("a\0b\x1b[2Jc"))),
    fault("gemini: nothing said", fails("empty_response", retry="once"), answer(candidate(""))),
    fault(
        "gemini: a call that is none",
        fails("empty_response", retry="once"),
        answer(candidate(None, "MALFORMED_FUNCTION_CALL")),
    ),
    fault("gemini: well", says(), answer(candidate("Hello world"))),
)

STREAMS = (
    fault("stream: well", says(), WELL_STREAMED),
    fault("stream: headers, then nothing", fails("timeout", seconds=8), stream(then=[HANG])),
    fault("stream: only pings", fails("timeout", seconds=8), stream(then=[_PINGS])),
    fault("stream: only a role", fails("timeout", seconds=8), stream(_ROLE, then=[_PINGS])),
    fault("stream: a token now and then for ever", cut("timeout", None, 8), stream(then=[_TOKENS])),
    fault("stream: silence in the middle", cut("timeout", seconds=8), stream(*HELLO, then=[HANG])),
    fault("stream: closed in the middle", cut("interrupted"), stream(*HELLO, then=[FIN])),
    fault("stream: reset in the middle", cut("interrupted"), stream(*HELLO, then=[RESET])),
    fault("stream: ended in order, but too soon", cut("interrupted"), stream(*HELLO)),
    fault(
        "stream: cut in the middle of an event",
        cut("interrupted"),
        stream(*HELLO, STOP[:20], then=[END, FIN]),
    ),
    fault(
        "stream: a chunk without a length",
        cut("protocol"),
        stream(*HELLO, then=[send(b"zz\r\nno\r\n"), HANG]),
    ),
    fault("a chunk without a length", fails("protocol"), [send(STREAM_HEAD), send(b"zz\r\nno\r\n"), HANG]),
    fault("stream: ended before it began", fails("protocol"), stream()),
    fault("stream: broken JSON", cut("protocol", "Hello"), stream(HELLO[0], b'data: {"ch\n\n', STOP, DONE)),
    fault(
        "stream: an error in the middle",
        cut("overloaded"),
        stream(*HELLO, data({"error": {"message": "Busy.", "code": "server_is_overloaded"}})),
    ),
    fault(
        "stream: an error at once, then well",
        says(retry="yes"),
        stream(data({"error": {"message": "Busy.", "code": "server_is_overloaded"}})),
        WELL_STREAMED,
    ),
    fault("stream: no [DONE]", says(), stream(*HELLO, STOP)),
    fault("stream: no reason to finish, but [DONE]", says(), stream(*HELLO, DONE)),
    fault("stream: only [DONE]", fails("empty_response", retry="once"), stream(DONE)),
    fault("stream: more after [DONE]", says(), stream(*HELLO, STOP, DONE, say("!"))),
    fault("stream: pings in data", says(), stream(b"data: : ping\n\n", *HELLO, STOP, DONE)),
    fault("stream: empty lines", says(), stream(b"\n\n", b"data:\n\n", *HELLO, STOP, DONE)),
    fault("stream: no choices yet", says(), stream(data({"choices": []}), *HELLO, STOP, DONE)),
    fault(
        "stream: no delta",
        says(),
        stream(HELLO[0], data({"choices": [{"delta": None}]}), HELLO[1], STOP, DONE),
    ),
    fault(
        "stream: other line ends",
        says(),
        stream(b"\xef\xbb\xbf" + b"".join([*HELLO, STOP, DONE]).replace(b"\n", b"\r\n")),
    ),
    fault("stream: a length", says(), stream(*HELLO, say(finish="length"), DONE)),
    fault("stream: a document", says(), WELL),
    fault("stream: a page", fails("protocol", retry="no"), answer(b"<html>", 200, "text/html")),
    fault(
        "stream: 429, then well",
        says(retry="after >=0.3 s"),
        refuse(429, "Slow.", retry_after_ms="300"),
        WELL_STREAMED,
    ),
    fault(
        "stream: half a character",
        says("Hello \ufffd"),
        stream(HELLO[0], say(" ").replace(b'" "', b'" \\ud83d"'), STOP, DONE),
    ),
    fault(
        "stream: a character in two chunks",
        says("Olá"),
        stream(say("Ol@").partition(b"@")[0] + b"\xc3", b"\xa1" + say("@").partition(b"@")[2], STOP, DONE),
    ),
    fault(
        "stream: one large event",
        says("@2000000x"),
        [send(STREAM_HEAD), {"op": "bigevent", "size": 2_000_000}, send(chunk(STOP + DONE)), END, FIN],
    ),
    fault(
        "stream: gemini: an error in a list, then well",
        says(retry="yes"),
        answer([{"error": {"code": 503, "status": "UNAVAILABLE", "message": "Busy."}}], 503),
        stream(data(candidate("Hello", None)), data(candidate(" world"))),
    ),
    fault(
        "stream: gemini: held back half way",
        says("Hello wor"),
        stream(data(candidate("Hello", None)), data(candidate(" wor", "SAFETY"))),
    ),
    fault(
        "stream: gemini: a reason to finish alone",
        says(),
        stream(
            data(candidate("Hello", None)), data(candidate(" world", None)), data(candidate(None, "STOP"))
        ),
    ),
    fault(
        "stream: gemini: ended in order, but too soon",
        cut("interrupted"),
        stream(data(candidate("Hello", None)), data(candidate(" world", None))),
    ),
)

GROUPS = {
    "Before an answer begins": CONNECTING,
    "The service says no": REFUSALS,
    "The answer comes as a whole": BODIES,
    "The answer comes as a stream": STREAMS,
}
FAULTS = tuple(fault for group in GROUPS.values() for fault in group)
