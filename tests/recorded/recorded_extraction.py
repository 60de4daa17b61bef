"""
What the recorded exchanges say, read a second time without the code under test.

Nothing here imports the project: the product's parsers are compared with this module, so it shares
no line with them and prefers the naive way to the fast one.
"""

import gzip
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]
# In the order of the fields of Expected.
Counts = tuple[int | None, int | None, int | None, int | None, int | None]

ENVIRONMENT_VARIABLE = "TERTULIA_TEST_DATA"
FILE_NAME = "recordings.jsonl.gz"

_TERMINAL_EVENTS = {"response.completed", "response.incomplete", "response.failed", "response.done"}

_INCOMPLETE_REASONS = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "steered": "pause",
    "max_messages": "pause",
}

_STATUSES = {"failed": "error", "queued": "pause", "in_progress": "pause", "cancelled": "cancelled"}

_GEMINI_REASONS = (
    {"STOP": "stop", "MAX_TOKENS": "length", "CONTINUATION": "pause"}
    | dict.fromkeys(["SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "RECITATION"], "content_filter")
    | dict.fromkeys(["LANGUAGE", "MODEL_ARMOR", "ESCALATION"], "content_filter")
    | dict.fromkeys(["IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"], "content_filter")
    | dict.fromkeys(["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"], "error")
    | dict.fromkeys(["MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE", "PUP_LIMITED_DISABLED"], "error")
    | dict.fromkeys(["OTHER", "IMAGE_OTHER", "NO_IMAGE"], "error")
)


@dataclass(frozen=True)
class Recording:
    """
    One recorded exchange that was answered with status 200.

    ``surface`` is ``responses`` (OpenAI and xAI) or ``gemini``; ``streamed`` means an event stream,
    ``json_array`` a Gemini stream that arrived as one JSON list.
    """

    name: str
    provider: str
    surface: str
    streamed: bool
    json_array: bool
    body: bytes
    request: Json


@dataclass(frozen=True)
class Expected:
    """What a correct parser finds in one recording; counts are disjoint, None is unknown."""

    text: str
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    finish: str
    tool_names: tuple[str, ...]


def find_folder() -> Path | None:
    """Return the folder of the recordings, or None where the environment names none that has them."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named and (Path(named) / FILE_NAME).is_file() else None


def load(folder: Path) -> list[Recording]:
    """Read every successful answer of the surfaces under test, in the order of the file."""
    with gzip.open(folder / FILE_NAME, "rt", encoding="utf-8", newline="\n") as lines:
        exchanges = [json.loads(line) for line in lines]
    return [
        _recording(exchange) for exchange in exchanges if exchange["status"] == 200 and _surface(exchange)
    ]


def expect(recording: Recording) -> Expected:
    """
    Extract what a correct parser must find in this recording.

    Raises:
        AssertionError: An event stream's deltas contradict its own final object.
        IndexError: An event stream has no final object.
    """
    text = recording.body.decode("utf-8")
    documents = _events(text) if recording.streamed else _documents(text)
    if recording.surface == "gemini":
        return _expect_gemini(documents)
    return _expect_responses_stream(documents) if recording.streamed else _expect_response(documents[0])


def _surface(exchange: Json) -> str | None:
    if exchange["method"] == "POST" and exchange["path"].endswith("/responses"):
        return "responses"
    if exchange["path"].endswith((":generateContent", ":streamGenerateContent")):
        return "gemini"
    return None


def _recording(exchange: Json) -> Recording:
    # The format allows base64 bodies; none of these surfaces has one, so none is decoded.
    assert exchange["body_encoding"] == "utf8"
    streamed = exchange["headers"]["content-type"].startswith("text/event-stream")
    return Recording(
        name=f"{exchange['provider']}/{exchange['source']}/{exchange['file']}#{exchange['index']}",
        provider=exchange["provider"],
        surface=_surface(exchange) or "",
        streamed=streamed,
        json_array=not streamed and isinstance(json.loads(exchange["body"]), list),
        body=exchange["body"].encode("utf-8"),
        request=exchange["request"],
    )


def _documents(text: str) -> list[Json]:
    document = json.loads(text)
    return document if isinstance(document, list) else [document]


def _events(text: str) -> list[Json]:
    # Not str.splitlines: it also splits on U+2028 and its like, which JSON strings may hold.
    blocks = text.replace("\r\n", "\n").split("\n\n")
    payloads = [
        "\n".join(line.removeprefix("data:") for line in block.split("\n") if line.startswith("data:"))
        for block in blocks
    ]
    return [json.loads(payload) for payload in payloads if payload.strip() not in ("", "[DONE]")]


def _expect_responses_stream(events: list[Json]) -> Expected:
    final = [event["response"] for event in events if event["type"] in _TERMINAL_EVENTS][-1]
    expected = _expect_response(final)
    assert _delta_texts(events) == _final_texts(final)
    assert expected.text == "".join(text for _, text in sorted(_delta_texts(events).items()))
    assert _delta_arguments(events) == _final_arguments(final)
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert expected.tool_names == _tool_names(done)
    return expected


def _expect_response(response: Json) -> Expected:
    output = response["output"]
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    text = "".join(part["text"] for part in parts if part["type"] == "output_text")
    finish = _response_finish(response, [part["type"] for part in parts])
    return Expected(text, *_response_usage(response.get("usage")), finish, _tool_names(output))


def _tool_names(items: list[Json]) -> tuple[str, ...]:
    return tuple(item["name"] for item in items if item["type"] == "function_call")


def _delta_texts(events: list[Json]) -> dict[tuple[int, int], str]:
    texts: dict[tuple[int, int], str] = {}
    for event in events:
        if event["type"] == "response.output_text.delta":
            place = (event["output_index"], event["content_index"])
            texts[place] = texts.get(place, "") + event["delta"]
    return texts


def _final_texts(response: Json) -> dict[tuple[int, int], str]:
    return {
        (output_index, content_index): part["text"]
        for output_index, item in enumerate(response["output"])
        if item["type"] == "message"
        for content_index, part in enumerate(item["content"])
        if part["type"] == "output_text"
    }


def _delta_arguments(events: list[Json]) -> dict[int, str]:
    arguments: dict[int, str] = {}
    for event in events:
        if event["type"] == "response.function_call_arguments.delta":
            place = event["output_index"]
            arguments[place] = arguments.get(place, "") + event["delta"]
    return arguments


def _final_arguments(response: Json) -> dict[int, str]:
    items = enumerate(response["output"])
    return {place: item["arguments"] for place, item in items if item["type"] == "function_call"}


def _response_finish(response: Json, part_types: list[str]) -> str:
    status = response["status"]
    if status == "incomplete":
        details: Json = response.get("incomplete_details") or {}
        return _INCOMPLETE_REASONS.get(details.get("reason", ""), "unknown")
    if status != "completed":
        return _STATUSES.get(status, "unknown")
    if _tool_names(response["output"]):
        return "tool_calls"
    return "refusal" if set(part_types) == {"refusal"} else "stop"


def _response_usage(usage: Json | None) -> Counts:
    if usage is None:
        return (None, None, None, None, None)
    of_input = usage.get("input_tokens_details") or {}
    of_output = usage.get("output_tokens_details") or {}
    cached = of_input.get("cached_tokens") or 0
    written = of_input.get("cache_write_tokens") or 0
    reasoning = of_output.get("reasoning_tokens") or 0
    return (
        _less(usage.get("input_tokens"), cached + written),
        cached,
        written,
        _less(usage.get("output_tokens"), reasoning),
        reasoning,
    )


def _expect_gemini(answers: list[Json]) -> Expected:
    candidates = [answer["candidates"][0] for answer in answers if answer.get("candidates")]
    parts = [part for candidate in candidates for part in (candidate.get("content") or {}).get("parts") or []]
    text = "".join(part.get("text") or "" for part in parts if not part.get("thought"))
    tool_names = tuple(part["functionCall"]["name"] for part in parts if "functionCall" in part)
    finish = _gemini_finish(answers, candidates)
    if finish == "stop" and tool_names:
        finish = "tool_calls"
    return Expected(text, *_gemini_usage(_merged_usage(answers)), finish, tool_names)


def _gemini_finish(answers: list[Json], candidates: list[Json]) -> str:
    reasons = [candidate["finishReason"] for candidate in candidates if candidate.get("finishReason")]
    if reasons:
        return _GEMINI_REASONS.get(reasons[-1], "unknown")
    blocked = any((answer.get("promptFeedback") or {}).get("blockReason") for answer in answers)
    return "content_filter" if blocked and not candidates else "unknown"


def _merged_usage(answers: list[Json]) -> Json | None:
    present = [answer["usageMetadata"] for answer in answers if answer.get("usageMetadata") is not None]
    if not present:
        return None
    merged: Json = {}
    for usage in present:
        merged.update({key: value for key, value in usage.items() if value is not None})
    return merged


def _gemini_usage(usage: Json | None) -> Counts:
    if usage is None:
        return (None, None, None, None, None)
    prompt, candidates = usage.get("promptTokenCount"), usage.get("candidatesTokenCount")
    cached = usage.get("cachedContentTokenCount", 0)
    thoughts = usage.get("thoughtsTokenCount", 0)
    tool_use = usage.get("toolUsePromptTokenCount", 0)
    total = usage.get("totalTokenCount")
    # Zero counts are left out of the answer; the total tells one such zero from an unknown, not two.
    if prompt is None and candidates is not None:
        prompt = _less(total, candidates + thoughts + tool_use)
    elif candidates is None and prompt is not None:
        candidates = _less(total, prompt + thoughts + tool_use)
    return (_less(prompt, cached - tool_use), cached, 0, candidates, thoughts)


def _less(count: int | None, part: int) -> int | None:
    return None if count is None else count - part
