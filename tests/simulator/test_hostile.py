"""Requests in which something is not what it should be: refused or answered, but never a crash."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest

from tertulia_simulator.recording import RecordedRequest
from tertulia_simulator.services.gemini import Gemini
from tertulia_simulator.services.local import Local
from tertulia_simulator.services.openai import OpenAI
from tertulia_simulator.services.xai import XAI

SCHEMA: Any = {
    "type": "object",
    "properties": {
        "a": {"type": "string", "maxLength": 3, "minLength": 1},
        "b": {"type": "array", "items": {"enum": ["x"]}, "minItems": 1, "maxItems": 2},
        "c": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
        "d": {"$ref": "#/$defs/e"},
    },
    "required": ["a", "b", "c", "d"],
    "additionalProperties": False,
    "$defs": {"e": {"type": "boolean"}},
}
ADD: Any = {"name": "add", "parameters": SCHEMA, "strict": True}
RESPONSES: Any = {
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "call add with {}"},
                {"type": "input_file", "file_url": "https://example.com/a"},
            ],
        },
        {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}", "id": "fc_1"},
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": [{"type": "input_text", "text": "5"}],
        },
    ],
    "tools": [{"type": "function", **ADD}, {"type": "web_search"}],
    "tool_choice": {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "add"}],
    },
    "text": {"format": {"type": "json_schema", "name": "shape", "schema": SCHEMA, "strict": True}},
    "reasoning": {"effort": "low"},
    "include": ["reasoning.encrypted_content"],
    "stream": True,
}
CHAT: Any = {
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "call add with {}"}]},
        {
            "role": "assistant",
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "5"},
    ],
    "tools": [{"type": "function", "function": ADD}],
    "tool_choice": "required",
    "response_format": {"type": "json_schema", "json_schema": {"name": "shape", "schema": SCHEMA}},
    "stream": True,
}
GEMINI: Any = {
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "call add with {}"},
                {"fileData": {"fileUri": "https://example.com/a", "mimeType": "video/mp4"}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"name": "add", "args": {}, "id": "c"},
                    "thoughtSignature": "skip_thought_signature_validator",
                }
            ],
        },
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "add", "id": "c", "response": {"output": "5"}}}],
        },
    ],
    "tools": [
        {"functionDeclarations": [{"name": "add", "parametersJsonSchema": SCHEMA}]},
        {"googleSearch": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["add"]}},
    "generationConfig": {
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
        "thinkingConfig": {"thinkingLevel": "LOW", "includeThoughts": True},
    },
}
TARGETS: list[tuple[Any, str, Any]] = [
    (OpenAI, "/openai/v1/responses", RESPONSES | {"model": "gpt-6-sol"}),
    (OpenAI, "/openai/v1/chat/completions", CHAT | {"model": "gpt-6-sol"}),
    (XAI, "/xai/v1/responses", RESPONSES | {"model": "grok-4.3"}),
    (XAI, "/xai/v1/chat/completions", CHAT | {"model": "grok-4.3"}),
    (Local, "/local/v1/chat/completions", CHAT | {"model": "llama-sim"}),
    (Gemini, "/gemini/v1/models/gemini-3.5-flash:streamGenerateContent", GEMINI),
]
STRANGE: list[Any] = [1, [[]], {"a": 1}]


def spoil(value: Any) -> Iterator[Any]:
    """The value with each of its parts, and itself, replaced by something strange."""
    yield from deepcopy(STRANGE)
    for key in (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    ):
        for strange in spoil(value[key]):
            whole = value.copy()
            whole[key] = strange
            yield whole


@pytest.mark.parametrize(("service_type", "path", "body"), TARGETS, ids=[path for _, path, _ in TARGETS])
def test_no_request_is_too_strange(service_type, path, body):
    """
    Whatever is replaced by something of another type, there is an answer, and what was sent can be read.
    """
    service = service_type()
    headers = {"authorization": "Bearer sim-key", "x-goog-api-key": "sim-key"}
    statuses = []
    for each in [body, *spoil(body)]:
        request = RecordedRequest(service.name, "POST", path, {"alt": "sse"}, headers, each)
        answer = service.answer(request)
        statuses.append(answer.status)
        assert answer.chunks is None or list(answer.chunks)
        service.sent([request])

    assert 200 == statuses[0]
    assert {200, 400} <= set(statuses) <= {200, 400, 404, 415, 422}
