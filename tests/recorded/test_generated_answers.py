"""
Chat Completions that nobody recorded, read twice.

Servers that speak the format differ in what they repeat, leave out and put where. Each generated answer is
written as one document and as a stream, and the providers find in both what the second reading finds.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_comparison import RandomPieces, extract, fill_ids
from recorded_extraction import Expected, Recording, expect
from recorded_playback import Cut, replay, whole

pytestmark = pytest.mark.no_cover  # much of the same: measuring it would take longer than doing it

FACTS = {"id": "chatcmpl-1", "model": "some-model-2026-11-01", "service_tier": "default"}

counts = st.integers(0, 10**6)
words = st.text(min_size=1, max_size=20)
arguments = st.one_of(
    st.dictionaries(words, st.one_of(words, counts, st.none()), max_size=3).map(json.dumps),
    st.sampled_from(["", "{}", " {}", "[1]", '{"cut": "of', "none"]),
)
calls = st.builds(
    lambda name, written: {"type": "function", "function": {"name": name, "arguments": written}},
    st.sampled_from(["get_time", "get_weather"]),
    arguments,
)


@pytest.mark.parametrize("dialect", ["openai-chat", "xai-chat"])
@settings(deadline=None)
@given(data=st.data())
async def test_a_generated_answer_is_understood(dialect, data):
    """
    An answer in one document.
    """
    document = draw_document(dialect, data)

    await compare(dialect, json.dumps(document, ensure_ascii=False).encode(), streamed=False)


@pytest.mark.parametrize("dialect", ["openai-chat", "xai-chat"])
@settings(deadline=None)
@given(data=st.data())
async def test_a_generated_stream_is_understood(dialect, data):
    """
    The same in pieces, with any habit of a server and any of a network; nothing else is found in it.
    """
    document = draw_document(dialect, data)
    body = render_stream(draw_events(document, data), data)

    expected = await compare(dialect, body, streamed=True, cut=RandomPieces(data.draw(st.integers(0, 99))))

    assert expect(make_recording(dialect, json.dumps(document).encode(), streamed=False)) == expected


async def compare(dialect: str, body: bytes, *, streamed: bool, cut: Cut = whole) -> Expected:
    """Read an answer twice; what both find."""
    media_type = "text/event-stream" if streamed else "application/json"
    expected = expect(make_recording(dialect, body, streamed=streamed))

    _, reply = await replay(dialect, body, cut, headers={"content-type": media_type})

    assert expected == fill_ids(extract(reply), expected)
    return expected


def make_recording(dialect: str, body: bytes, *, streamed: bool) -> Recording:
    provider = dialect.partition("-")[0]
    return Recording("generated", provider, "chat", streamed, False, "/v1/chat/completions", body, {})


def draw_document(dialect: str, data: st.DataObject) -> dict[str, Any]:
    message = draw_message(data)
    reasons = ["stop", "length", "content_filter", "something_new"]
    if message.get("tool_calls"):
        reasons = ["tool_calls", "stop", "", "length"]
    choice = {"index": 0, "message": message, "finish_reason": data.draw(st.sampled_from(reasons))}
    usage = data.draw(st.booleans())
    return FACTS | {"choices": [choice], "usage": draw_usage(dialect, data) if usage else None}


def draw_message(data: st.DataObject) -> dict[str, Any]:
    """Words, a refusal, or calls with or without words before them; never nothing; perhaps thoughts first."""
    thoughts = data.draw(st.sampled_from([{}, {"reasoning_content": None}, {"reasoning_content": "Hm. "}]))
    return thoughts | draw_content(data)


def draw_content(data: st.DataObject) -> dict[str, Any]:
    kind = data.draw(st.sampled_from(["words", "refusal", "calls"]))
    if kind != "calls":
        said = data.draw(words)
        return {"role": "assistant", "content": None, "refusal": None, "tool_calls": []} | (
            {"content": said} if kind == "words" else {"refusal": said}
        )
    made = data.draw(st.lists(calls, min_size=1, max_size=3))
    has_ids = data.draw(st.booleans())
    numbered = [{**call, "id": f"call_{place}" if has_ids else ""} for place, call in enumerate(made)]
    return {"role": "assistant", "content": data.draw(st.one_of(st.none(), words)), "tool_calls": numbered}


def draw_usage(dialect: str, data: st.DataObject) -> dict[str, Any]:
    """Token counts in the way of the dialect, with details or without, and perhaps without a total."""
    cached, written, fresh, spoken, reasoning = (data.draw(counts) for _ in range(5))
    if data.draw(st.booleans()):
        # Google's compatible endpoint says how much was thought only in the total.
        missing = data.draw(
            st.sampled_from([{}, {"prompt_tokens_details": None}, {"completion_tokens_details": {}}])
        )
        total = fresh + spoken + data.draw(st.sampled_from([0, reasoning]))
        return {"prompt_tokens": fresh, "completion_tokens": spoken, "total_tokens": total, **missing}
    prompt = fresh + cached + written
    usage = {
        "prompt_tokens": prompt,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": written,
            "audio_tokens": None,
        },
        "completion_tokens": spoken if dialect == "xai-chat" else spoken + reasoning,
        "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": 0},
    }
    return usage | data.draw(st.sampled_from([{}, {"total_tokens": prompt + spoken + reasoning}]))


def draw_events(document: dict[str, Any], data: st.DataObject) -> list[dict[str, Any]]:
    """The chunks of an answer: its words, its calls, the finish reason, and then the usage."""
    (choice,) = document["choices"]
    message = choice["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for name in ("reasoning_content", "content", "refusal"):
        deltas += [{name: piece} for piece in cut_text(message.get(name) or "", data)]
    deltas += draw_call_deltas(message.get("tool_calls") or [], data)
    facts = {name: document[name] for name in FACTS}
    rest = data.draw(st.sampled_from([{}, {"usage": None}, {"system_fingerprint": "", "obfuscation": "x"}]))
    events = [
        facts | rest | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    last = {"index": 0, "delta": data.draw(st.sampled_from([{}, {"content": ""}, {"content": None}]))}
    events.append(facts | rest | {"choices": [last | {"finish_reason": choice["finish_reason"]}]})
    if document["usage"] is not None:
        events += draw_usage_events(facts, last, events, document["usage"], data)
    return events


def draw_usage_events(
    facts: dict[str, Any], last: dict[str, Any], events: list[Any], usage: object, data: st.DataObject
) -> list[dict[str, Any]]:
    """Usage comes alone, on the chunk of the finish reason, or on one after it whose reason is null."""
    match data.draw(st.sampled_from(["alone", "with the reason", "with an empty choice"])):
        case "alone":
            return [facts | {"choices": [], "usage": usage}]
        case "with the reason":
            events[-1]["usage"] = usage
            return []
        case _:
            return [facts | {"choices": [last | {"finish_reason": None}], "usage": usage}]


def draw_call_deltas(made: list[dict[str, Any]], data: st.DataObject) -> list[dict[str, Any]]:
    """The pieces of calls, in turns or one call after the other, with the name on the first or on all."""
    repeated, in_turns = data.draw(st.booleans()), data.draw(st.booleans())
    pieces: list[tuple[int, int, dict[str, Any]]] = []
    for index, call in enumerate(made):
        head = {name: call[name] for name in ("id", "type")}
        for number, text in enumerate(cut_text(call["function"]["arguments"], data) or [""]):
            function = {"arguments": text}
            if number == 0 or repeated:
                function |= {"name": call["function"]["name"]}
            piece = {"index": index, "function": function} | (head if number == 0 or repeated else {})
            pieces.append((number if in_turns else index, index if in_turns else number, piece))
    pieces.sort(key=lambda placed: placed[:2])
    return [{"tool_calls": [piece]} for _, _, piece in pieces]


def cut_text(text: str, data: st.DataObject) -> list[str]:
    places = sorted(data.draw(st.sets(st.integers(1, max(len(text) - 1, 1)), max_size=4)))
    borders = [0, *(place for place in places if place < len(text)), len(text)]
    return [text[start:end] for start, end in pairwise(borders) if text[start:end]]


def render_stream(events: list[dict[str, Any]], data: st.DataObject) -> bytes:
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    comment = data.draw(st.sampled_from(["", ": keep-alive", "event: message"]))
    head = comment + end if comment else ""
    lines = [json.dumps(event, ensure_ascii=False) for event in events]
    return "".join(f"{head}data: {line}{end}{end}" for line in [*lines, "[DONE]"]).encode()
