"""What the peer answers: bodies in the shape of the three formats."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import attrs

TEXT = "Three days are enough for a first walk through Lisbon."
WORD = "word "


@attrs.frozen
class Format:
    """
    Answers in one format.

    Attributes:
        whole: Makes a whole answer of a text.

        events: Makes the server-sent events of a stream with so many deltas, one for each event.
    """

    whole: Callable[[str], dict[str, Any]]
    events: Callable[[int], Iterator[bytes]]


def whole(name: str) -> bytes:
    """A whole answer in a format, of 0.6 to 1.5 kB."""
    return json.dumps(FORMATS[name].whole(TEXT)).encode()


@lru_cache
def events(name: str, deltas: int) -> tuple[bytes, ...]:
    """The server-sent events of a stream in a format."""
    return tuple(FORMATS[name].events(deltas))


def failure(code: str) -> bytes:
    """The body of a failure."""
    error = {"message": "The server cannot answer this now.", "type": "server_error", "param": None}
    return json.dumps({"error": {**error, "code": code}}).encode()


def _responses_events(deltas: int) -> Iterator[bytes]:
    text = WORD * deltas
    yield from (
        _event("response.created", response=_response("", status="in_progress")),
        *(_event("response.output_text.delta", **_place(number), delta=WORD) for number in range(deltas)),
        _event("response.output_text.done", **_place(deltas), text=text),
        _event("response.completed", response=_response(text)),
    )


def _place(number: int) -> dict[str, Any]:
    identifier = f"msg_{1:048x}"
    return {"sequence_number": number, "item_id": identifier, "output_index": 0, "content_index": 0}


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _response(text: str, status: str = "completed") -> dict[str, Any]:
    content = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    item = {"id": f"msg_{1:048x}", "type": "message", "status": status, "role": "assistant"}
    return {
        "id": f"resp_{1:048x}",
        "object": "response",
        "created_at": 1_795_305_600,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "model": "gpt-6.1-sol",
        "output": [{**item, "content": [content]}] if text else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 36,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 12,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 48,
        },
        "user": None,
    }


def _chat_events(deltas: int) -> Iterator[bytes]:
    chunk = {key: value for key, value in _chat("").items() if key not in ("choices", "usage")}
    chunk["object"] = "chat.completion.chunk"
    for number in range(deltas):
        delta = {"role": "assistant", "content": WORD} if number == 0 else {"content": WORD}
        yield _data({**chunk, "choices": [_chat_choice("delta", delta, None)], "usage": None})
    yield _data({**chunk, "choices": [_chat_choice("delta", {}, "stop")], "usage": None})
    yield _data({**chunk, "choices": [], "usage": _chat("")["usage"]})
    yield b"data: [DONE]\n\n"


def _chat(text: str) -> dict[str, Any]:
    details = {"reasoning_tokens": 0, "audio_tokens": 0}
    message = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    return {
        "id": f"chatcmpl-{1:029d}",
        "object": "chat.completion",
        "created": 1_795_305_600,
        "model": "gpt-6.1-sol",
        "choices": [_chat_choice("message", message, "stop")],
        "usage": {
            "prompt_tokens": 36,
            "completion_tokens": 12,
            "total_tokens": 48,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": details,
        },
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _chat_choice(member: str, said: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {"index": 0, member: said, "logprobs": None, "finish_reason": reason}


def _gemini_events(deltas: int) -> Iterator[bytes]:
    for number in range(deltas):
        chunk = _gemini(WORD)
        if number < deltas - 1:
            del chunk["candidates"][0]["finishReason"]
        yield _data(chunk)


def _gemini(text: str) -> dict[str, Any]:
    content = {"parts": [{"text": text}], "role": "model"}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 36,
            "candidatesTokenCount": 12,
            "totalTokenCount": 48,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 36}],
        },
        "modelVersion": "gemini-4-flash",
        "responseId": f"{1:024x}",
    }


def _data(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


FORMATS: Mapping[str, Format] = {
    "responses": Format(_response, _responses_events),
    "chat": Format(_chat, _chat_events),
    "gemini": Format(_gemini, _gemini_events),
}
