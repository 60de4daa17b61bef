"""Damaged answers, read by the real providers: whatever is wrong with them, an error is one of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_playback import DIALECTS, replay

from tertulia import ProviderError

pytestmark = pytest.mark.no_cover  # much of the same: measuring it would take longer than doing it

RESPONSE = {
    "id": "resp_1",
    "status": "completed",
    "model": "some-model",
    "error": None,
    "incomplete_details": None,
    "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [{"text": "Hm."}], "encrypted_content": "gAAA"},
        {"type": "message", "phase": "final_answer", "content": [{"type": "output_text", "text": "Olá 🌍"}]},
        {"type": "function_call", "call_id": "call_1", "name": "get_time", "arguments": "{}"},
    ],
    "usage": {
        "input_tokens": 2,
        "input_tokens_details": {"cached_tokens": 1},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 1},
        "cost_in_usd_ticks": 5,
    },
}
RESPONSE_EVENTS = [
    {"type": "response.output_item.added", "output_index": 0, "item": RESPONSE["output"][2]},
    {"type": "response.function_call_arguments.delta", "output_index": 0, "delta": "{}"},
    {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "Olá 🌍"},
    {"type": "response.output_item.done", "output_index": 0, "item": RESPONSE["output"][1]},
    {"type": "response.completed", "response": RESPONSE},
]
CHUNK = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Hm.", "thought": True},
                    {"text": "Olá 🌍", "thoughtSignature": "c2ln"},
                    {"functionCall": {"name": "get_time", "args": {"zone": "WET"}}},
                    {"executableCode": {"code": "1"}},
                ],
            },
            "finishReason": "STOP",
            "safetyRatings": [{"category": "c", "probability": "LOW"}],
        }
    ],
    "promptFeedback": {"blockReason": "SAFETY", "safetyRatings": []},
    "usageMetadata": {
        "promptTokenCount": 2,
        "candidatesTokenCount": 3,
        "totalTokenCount": 5,
        "serviceTier": "x",
    },
    "modelVersion": "some-model",
    "responseId": "r-1",
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_time", "arguments": '{"zone": "WET"}'}}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "some-model",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Olá 🌍",
                "reasoning_content": "Hm.",
                "refusal": None,
                "tool_calls": [CALL],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 1},
        "completion_tokens": 3,
        "completion_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 6,
        "cost_in_usd_ticks": 5,
    },
}
COMPLETION_EVENTS = [
    {"id": "chatcmpl-1", "model": "some-model", "choices": [{"index": 0, "delta": delta}]}
    for delta in (
        {"role": "assistant", "content": "Olá 🌍", "refusal": "No."},
        {"reasoning_content": "Hm.", "tool_calls": [{"index": 0, **CALL}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": " "}}]},
    )
] + [
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    {"choices": [], "usage": COMPLETION["usage"]},
]
EVENTS = {
    "openai": RESPONSE_EVENTS,
    "openai-chat": COMPLETION_EVENTS,
    "xai": RESPONSE_EVENTS,
    "xai-chat": COMPLETION_EVENTS,
    "gemini": [CHUNK, CHUNK],
}
WHOLE = {
    "openai": RESPONSE,
    "openai-chat": COMPLETION,
    "xai": RESPONSE,
    "xai-chat": COMPLETION,
    "gemini": CHUNK,
}

foreign_values = st.sampled_from(
    [None, True, -1, 0.5, 10**40, "", "text", [], [None], ["text"], {}, {"text": None}]
)


@pytest.mark.parametrize("name", DIALECTS)
@settings(deadline=None)
@given(data=st.data())
async def test_a_stream_with_other_bytes_in_it_raises_nothing_foreign(name, data):
    """
    Bytes that are cut out, put in or replaced end in an answer or in an error of ours.
    """
    body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in EVENTS[name])
    start = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(start, min(len(body), start + 20)))

    assert await survive(
        name, body[:start] + data.draw(st.binary(max_size=20)) + body[end:], "text/event-stream"
    )


@pytest.mark.parametrize("name", DIALECTS)
@settings(deadline=None)
@given(data=st.data())
async def test_a_value_of_another_type_raises_nothing_foreign(name, data):
    """
    Wherever an answer holds something else than the format says, it is passed over or an error of ours.
    """
    events = [replace_somewhere(event, data) for event in EVENTS[name]]
    stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)

    assert await survive(name, stream, "text/event-stream")
    assert await survive(name, json.dumps(replace_somewhere(WHOLE[name], data)).encode(), "application/json")


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("status", [200, 400, 429, 503])
@settings(deadline=None, max_examples=40)
@given(
    body=st.recursive(
        foreign_values,
        lambda inner: st.dictionaries(
            st.sampled_from(["error", "code", "message", "details", "type"]), inner
        ),
    )
)
async def test_an_error_document_of_any_shape_raises_nothing_foreign(name, status, body):
    """
    Whatever JSON a service puts into an error answer, the error is one of ours.
    """
    assert await survive(name, json.dumps(body).encode(), "application/json", status)


async def survive(name: str, body: bytes, media_type: str, status: int = 200) -> bool:
    """Let a provider read an answer: it ends in the last word of a driver, or in an error of ours."""
    try:
        await replay(name, body, status=status, headers={"content-type": media_type})
    except ProviderError as error:
        return error.provider is not None
    return True


def replace_somewhere(value: Any, data: st.DataObject) -> Any:
    """Replace one value, at any depth, by one of another type."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    if not keys or data.draw(st.integers(0, 9)) == 0:
        return data.draw(foreign_values)
    changed = data.draw(st.sampled_from(list(keys)))
    if isinstance(value, dict):
        return {key: replace_somewhere(item, data) if key == changed else item for key, item in value.items()}
    return [replace_somewhere(item, data) if key == changed else item for key, item in enumerate(value)]
