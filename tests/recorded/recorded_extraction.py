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

_SURFACES = {
    "responses": "responses",
    "completions": "chat",
    "generateContent": "generateContent",
    "streamGenerateContent": "streamGenerateContent",
}

_TERMINAL_EVENTS = {"response.completed", "response.incomplete", "response.failed", "response.done"}

_INCOMPLETE_REASONS = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "steered": "pause",
    "max_messages": "pause",
}

_STATUSES = {"failed": "error", "queued": "pause", "in_progress": "pause", "cancelled": "cancelled"}

_CHAT_REASONS = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}

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

    ``surface`` is ``responses`` or ``chat`` (OpenAI, xAI and the servers that speak their formats),
    ``generateContent`` or ``streamGenerateContent``; ``streamed`` means an event stream, ``json_array``
    a Gemini stream that arrived as one JSON list.
    """

    name: str
    provider: str
    surface: str
    streamed: bool
    json_array: bool
    path: str
    body: bytes
    request: Json


@dataclass(frozen=True)
class ExpectedCall:
    """A tool call: its id, None where the answer gives it none, and its arguments, as text if no object."""

    id: str | None
    name: str
    arguments: Any


@dataclass(frozen=True)
class Expected:
    """What a correct parser finds in one recording; counts are disjoint, None is unknown."""

    text: str
    refusal: str
    thoughts: str
    calls: tuple[ExpectedCall, ...]
    finish: str
    raw_finish: str | None
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    model: str | None
    request_id: str | None
    service_tier: str | None


def find_folder() -> Path | None:
    """Return the folder of the recordings, or None where the environment names none that has them."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named and (Path(named) / FILE_NAME).is_file() else None


def read_exchanges(folder: Path) -> list[Json]:
    """Read every recorded exchange, in the order of the file."""
    with gzip.open(folder / FILE_NAME, "rt", encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines]


def load(folder: Path) -> list[Recording]:
    """Read every successful answer of the surfaces under test, in the order of the file."""
    return [
        _recording(exchange)
        for exchange in read_exchanges(folder)
        if exchange["status"] == 200 and find_surface(exchange)
    ]


def find_surface(exchange: Json) -> str | None:
    """Name the kind of call; None for one that asks for no words."""
    if exchange["method"] != "POST":
        return None
    return _SURFACES.get(exchange["path"].replace(":", "/").rpartition("/")[2])


def expect(recording: Recording) -> Expected:
    """
    Extract what a correct parser must find in this recording.

    Raises:
        AssertionError: An event stream's deltas contradict its own final object, or an answer's total
            none of the ways of counting that are known.
        IndexError: An event stream has no final object.
    """
    return expect_documents(recording, read_documents(recording))


def read_documents(recording: Recording) -> list[Json]:
    """Decode a recording: its events without ``[DONE]``, the items of a JSON array, or the one answer."""
    text = recording.body.decode("utf-8")
    return _events(text) if recording.streamed else _documents(text)


def expect_documents(recording: Recording, documents: list[Json]) -> Expected:
    """Extract what a correct parser must find in these documents of a recording."""
    if recording.surface == "chat":
        return _expect_chat(documents, recording.provider)
    if recording.surface != "responses":
        return _expect_gemini(documents)
    return _expect_responses_stream(documents) if recording.streamed else _expect_response(documents[0])


def _recording(exchange: Json) -> Recording:
    # The format allows base64 bodies; none of these surfaces has one, so none is decoded.
    assert exchange["body_encoding"] == "utf8"
    streamed = exchange["headers"]["content-type"].startswith("text/event-stream")
    return Recording(
        name=f"{exchange['provider']}/{exchange['source']}/{exchange['file']}#{exchange['index']}",
        provider=exchange["provider"],
        surface=find_surface(exchange) or "",
        streamed=streamed,
        json_array=not streamed and isinstance(json.loads(exchange["body"]), list),
        path=exchange["path"],
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
    assert expected.calls == _response_calls(done)
    return expected


def _expect_response(response: Json) -> Expected:
    output = response["output"]
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    return Expected(
        "".join(part["text"] for part in parts if part["type"] == "output_text"),
        "".join(part["refusal"] for part in parts if part["type"] == "refusal"),
        "".join(_response_thoughts(item) for item in output if item["type"] == "reasoning"),
        _response_calls(output),
        _response_finish(response, [part["type"] for part in parts]),
        (response.get("incomplete_details") or {}).get("reason") or response["status"],
        *_response_usage(response.get("usage")),
        response["model"],
        response["id"],
        response.get("service_tier"),
    )


def _response_thoughts(item: Json) -> str:
    return "".join(part["text"] for part in item.get("summary") or item.get("content") or [])


def _response_calls(items: list[Json]) -> tuple[ExpectedCall, ...]:
    return tuple(
        ExpectedCall(item["call_id"], item["name"], _decode_arguments(item["arguments"]))
        for item in items
        if item["type"] == "function_call"
    )


def _decode_arguments(text: str) -> Any:
    try:
        arguments = json.loads(text or "{}")
    except ValueError:
        return text
    return arguments if isinstance(arguments, dict) else text


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
    if _response_calls(response["output"]):
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


def _expect_chat(documents: list[Json], provider: str) -> Expected:
    """A whole answer is a stream of one event whose ``message`` is the only ``delta``."""
    choices = [choice for document in documents for choice in document["choices"] if choice["index"] == 0]
    spoken = [choice.get("delta") or choice.get("message") or {} for choice in choices]
    calls = _chat_calls(spoken)
    refusal = "".join(said.get("refusal") or "" for said in spoken)
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason") is not None]
    usages = [document["usage"] for document in documents if document.get("usage")]
    return Expected(
        "".join(said.get("content") or "" for said in spoken),
        refusal,
        "".join(said.get("reasoning_content") or "" for said in spoken),
        calls,
        _chat_finish(reasons, has_calls=bool(calls), has_refusal=bool(refusal)),
        reasons[-1] if reasons else None,
        *_chat_usage(usages[-1] if usages else None, provider),
        _last(documents, "model"),
        _last(documents, "id"),
        _last(documents, "service_tier"),
    )


def _chat_calls(spoken: list[Json]) -> tuple[ExpectedCall, ...]:
    pieces: dict[int, list[Json]] = {}
    for said in spoken:
        for place, piece in enumerate(said.get("tool_calls") or []):
            pieces.setdefault(piece.get("index", place), []).append(piece)
    return tuple(_chat_call(pieces[index]) for index in sorted(pieces))


def _chat_call(pieces: list[Json]) -> ExpectedCall:
    """Some servers repeat the id and the name with every piece; some give an empty id."""
    functions = [piece["function"] for piece in pieces]
    ids = {piece["id"] for piece in pieces if piece.get("id")}
    names = {function["name"] for function in functions if function.get("name")}
    assert len(ids) <= 1
    (name,) = names
    arguments = "".join(function.get("arguments") or "" for function in functions)
    return ExpectedCall(next(iter(ids), None), name, _decode_arguments(arguments))


def _chat_finish(reasons: list[str], *, has_calls: bool, has_refusal: bool) -> str:
    if not reasons:
        return "unknown"
    if reasons[-1] in ("", "stop") and has_calls:
        return "tool_calls"
    if reasons[-1] == "stop" and has_refusal:
        return "refusal"
    return _CHAT_REASONS.get(reasons[-1], "unknown")


def _chat_usage(usage: Json | None, provider: str) -> Counts:
    if usage is None:
        return (None, None, None, None, None)
    prompt, completion, total = usage["prompt_tokens"], usage["completion_tokens"], usage.get("total_tokens")
    of_prompt = usage.get("prompt_tokens_details") or {}
    cached, written = of_prompt.get("cached_tokens") or 0, of_prompt.get("cache_write_tokens") or 0
    reasoning = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    if total is None:
        total = prompt + completion + (reasoning if provider == "xai" else 0)
    beside = total - prompt - completion
    if beside == 0:  # OpenAI's way: reasoning is a part of the completion
        completion -= reasoning
    else:  # xAI's way: it stands beside it; Google's compatible endpoint counts it, but only in the total
        assert reasoning in (0, beside)
        reasoning = beside
    return (prompt - cached - written, cached, written, completion, reasoning)


def _last(documents: list[Json], *path: str) -> Any:
    """Follow a path of keys through all documents; what the last one that has it says."""
    found = None
    for document in documents:
        value: Any = document
        for key in path:
            value = (value or {}).get(key)
        found = found if value is None else value
    return found


def _expect_gemini(answers: list[Json]) -> Expected:
    candidates = [answer["candidates"][0] for answer in answers if answer.get("candidates")]
    parts = [part for candidate in candidates for part in (candidate.get("content") or {}).get("parts") or []]
    calls = tuple(_gemini_call(part["functionCall"]) for part in parts if "functionCall" in part)
    finish = _gemini_finish(answers, candidates)
    tier = _last(answers, "usageMetadata", "serviceTier")
    return Expected(
        "".join(part.get("text") or "" for part in parts if not part.get("thought")),
        "",
        "".join(part.get("text") or "" for part in parts if part.get("thought")),
        calls,
        "tool_calls" if finish == "stop" and calls else finish,
        _last(candidates, "finishReason") or _last(answers, "promptFeedback", "blockReason"),
        *_gemini_usage(_merged_usage(answers)),
        _last(answers, "modelVersion"),
        _last(answers, "responseId"),
        tier and tier.lower(),
    )


def _gemini_call(call: Json) -> ExpectedCall:
    return ExpectedCall(call.get("id"), call["name"], call.get("args") or {})


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
