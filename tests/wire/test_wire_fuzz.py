"""Damaged bytes of every format, whole and streamed: read as an answer, or refused in our own words."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tertulia import ProtocolError, ProviderReply, TertuliaError
from tertulia.runtime.serialization import decode_json, decode_parts, encode_parts
from tertulia.wire import ErrorAnswer, StreamEnd, parse_error_body
from tertulia.wire.chat_completions import ChatCompletionsWire
from tertulia.wire.responses import ResponsesWire
from tertulia.wire.sse import ServerSentEvents
from tertulia_gemini.wire import GenerateContentWire
from torture import scale

pytestmark = pytest.mark.no_cover  # much of the same: measuring it would take longer than doing it

INPUTS = 20_000
SEEDS = 4

USAGE = {"input_tokens": 9, "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 2}}
OUTPUT = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Olá, 你好"}]},
    {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"a": [1, 2.5, null]}'},
]
RESPONSE = {"id": "resp_1", "status": "completed", "model": "gpt-6", "output": OUTPUT, "usage": USAGE}
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
COMPLETION = {
    "id": "chatcmpl-1",
    "model": "gpt-6",
    "choices": [
        {"message": {"content": "Olá", "tool_calls": [CALL]}, "finish_reason": "tool_calls", "index": 0}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16},
}
CANDIDATE = {
    "content": {
        "role": "model",
        "parts": [
            {"text": "Hm.", "thought": True},
            {"text": "Olá", "thoughtSignature": "c2ln"},
            {"functionCall": {"name": "look", "args": {"a": [1, 2.5, None]}}},
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        ],
    },
    "finishReason": "STOP",
    "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}],
}
GENERATED = {
    "candidates": [CANDIDATE],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 7, "totalTokenCount": 16},
    "modelVersion": "gemini-3.5-flash",
}
EVENTS: dict[str, list[dict[str, Any]]] = {
    "responses": [
        {"type": "response.created", "response": {"id": "resp_1"}},
        {"type": "response.output_item.added", "output_index": 2, "item": OUTPUT[2]},
        {"type": "response.output_text.delta", "output_index": 1, "delta": "Olá, 你好"},
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"a"'},
        *(
            {"type": "response.output_item.done", "output_index": n, "item": item}
            for n, item in enumerate(OUTPUT)
        ),
        {"type": "response.completed", "response": RESPONSE},
    ],
    "chat": [
        {"id": "chatcmpl-1", "choices": [{"delta": {"role": "assistant", "content": "Olá"}}]},
        {"choices": [{"delta": {"tool_calls": [CALL]}}]},
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
        {"choices": [], "usage": COMPLETION["usage"]},
    ],
    "gemini": [{"candidates": [{"content": {"parts": [part]}}]} for part in CANDIDATE["content"]["parts"]]
    + [GENERATED],
}
WHOLE = {"responses": RESPONSE, "chat": COMPLETION, "gemini": GENERATED}
ERRORS = [
    {"error": {"message": "No.", "type": "invalid_request_error", "code": "x", "param": "y"}},
    [
        {
            "error": {
                "code": 429,
                "status": "RESOURCE_EXHAUSTED",
                "details": [{"@type": "x", "retryDelay": "3s"}],
            }
        }
    ],
    {"code": "invalid", "error": "No."},
]
WIRES: dict[str, Callable[[], Any]] = {
    "responses": lambda: ResponsesWire("openai", lambda model: True),
    "chat": lambda: ChatCompletionsWire("openai"),
    "gemini": lambda: GenerateContentWire("gemini", "v1", {}),
}
TOKENS = [
    b"null",
    b"{}",
    b"[]",
    b'""',
    b"-1",
    b"1e999",
    b"true",
    b'"\\ud800"',
    b"\xff",
    b"\r\n\r\n",
    b"data: ",
]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("wire", WIRES)
def test_damaged_bytes_are_read_or_refused(wire, seed):
    """Flipped, lost and foreign bytes raise nothing but our own errors; what is read can be stored."""
    dice = random.Random(f"{wire} {seed}")  # noqa: S311  # for variety, not for secrecy
    outcomes = {outcome.__name__ for outcome in _outcomes(wire, dice, scale(INPUTS) // SEEDS // len(WIRES))}

    assert {"ProviderReply", "ProtocolError", "ErrorAnswer"} >= outcomes
    assert {"ProviderReply", "ProtocolError"} <= outcomes


def _outcomes(name: str, dice: random.Random, number: int) -> Iterator[type]:
    whole = json.dumps(WHOLE[name], ensure_ascii=False).encode()
    streamed = b"".join(b"data: %s\r\n\r\n" % json.dumps(event).encode() for event in EVENTS[name])
    documents = [*[whole] * 3, *(json.dumps(error).encode() for error in ERRORS)]
    for _ in range(number):
        if dice.random() < 0.5:
            yield _outcome(lambda: _read_stream(name, damage(streamed, dice), dice))
        else:
            yield _outcome(lambda: _read_whole(name, damage(dice.choice(documents), dice)))


def _outcome(read: Callable[[], ProviderReply]) -> type:
    try:
        reply = read()
    except (ProtocolError, ErrorAnswer) as error:
        return type(error)
    assert reply.parts == decode_parts(encode_parts(reply.parts))
    return type(reply)


def _read_whole(name: str, body: bytes) -> ProviderReply:
    document = decode_json(body)
    if not isinstance(document, dict) and (error := parse_error_body(document)) is not None:
        raise ErrorAnswer(error)
    reply: ProviderReply = WIRES[name]().parse_response(document)
    return reply


def _read_stream(name: str, body: bytes, dice: random.Random) -> ProviderReply:
    events, reader = ServerSentEvents(), WIRES[name]().read_stream()
    cut = dice.randrange(len(body) + 1)
    for event in (*events.feed(body[:cut]), *events.feed(body[cut:]), *events.end()):
        document = decode_json(event.data)
        if isinstance(document, dict):
            reader.read(document)
    reply: ProviderReply = reader.end(dice.choice(list(StreamEnd)))
    return reply


def damage(body: bytes, dice: random.Random) -> bytes:
    """Change a few bytes: flip, lose, double, replace by something else that JSON or an event stream has."""
    changed = bytearray(body)
    for _ in range(dice.choice([1, 1, 1, 2, 5])):
        place, length = dice.randrange(len(changed) + 1), dice.choice([1, 1, 2, 8, 40])
        match dice.randrange(5):
            case 0:
                changed[place : place + 1] = bytes([dice.randrange(256)])
            case 1:
                del changed[place : place + length]
            case 2:
                changed[place:place] = changed[place : place + length]
            case 3:
                changed[place : place + length] = dice.choice(TOKENS)
            case _:
                changed[place:place] = dice.choice(TOKENS)
    return bytes(changed)


def test_the_samples_are_read_when_nothing_is_damaged():
    """What is damaged above is an answer of three parts before that, whole and streamed."""
    for name in WIRES:
        whole = _read_whole(name, json.dumps(WHOLE[name]).encode())
        streamed = b"".join(b"data: %s\r\n\r\n" % json.dumps(event).encode() for event in EVENTS[name])

        assert "Olá" in whole.text
        assert ["look"] == [call.name for call in whole.parts if type(call).__name__ == "ToolCall"]
        assert whole.text in _read_stream(name, streamed, random.Random(0)).text  # noqa: S311
    assert issubclass(ProtocolError, TertuliaError)
