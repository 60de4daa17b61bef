"""What the peer answers: bodies in the shape of OpenAI's Responses API."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

WORD = "word "


def whole(text: str = "Three days are enough for a first walk through Lisbon.") -> bytes:
    """A whole answer, of about 1.5 kB."""
    return json.dumps(_response(text)).encode()


@lru_cache
def events(deltas: int) -> tuple[bytes, ...]:
    """The server-sent events of a stream with so many deltas, one for each event."""
    text = WORD * deltas
    return (
        _event("response.created", response=_response("", status="in_progress")),
        *(_event("response.output_text.delta", **_place(number), delta=WORD) for number in range(deltas)),
        _event("response.output_text.done", **_place(deltas), text=text),
        _event("response.completed", response=_response(text)),
    )


def overloaded() -> bytes:
    """The body of a 503."""
    error = {"message": "The server is overloaded.", "type": "service_unavailable_error", "param": None}
    return json.dumps({"error": {**error, "code": "server_is_overloaded"}}).encode()


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
