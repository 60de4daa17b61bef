"""Recorded answers as they did not come, but might have: cut short, or counted in another service's way."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from recorded_comparison import choose_dialect, extract, fill_ids, media_type, play
from recorded_extraction import Expected, Recording, expect, expect_documents, read_documents
from recorded_playback import replay

from tertulia import ProtocolError

pytestmark = pytest.mark.no_cover  # much of the same: measuring it would take longer than doing it

EVENT_ENDS = re.compile(rb"(?<=\n\n)|(?<=\n\r\n)")
REASONED_CHAT_ANSWERS = 14


async def test_a_recorded_stream_cut_between_two_events_is_whole_only_after_the_sign_of_it(streams):
    """
    Without finish reason or terminal event there is an error; after it, what had come is what is found.
    """
    wrong = {}
    for recording in streams:
        for count in choose_cuts(len(split_events(recording.body))):
            cut = cut_after(recording, count)
            documents = read_documents(cut)
            expected = expect_documents(cut, documents) if is_whole(cut, documents) else None
            found = await read_cut(cut, expected)
            if expected != found:
                wrong[recording.name, count] = (expected, found)

    assert {} == wrong


async def test_a_chat_answer_counted_in_the_way_of_xai_has_the_same_tokens(recordings):
    """
    Where xAI's total has the reasoning beside the completion, and OpenAI's within, the classes are the same.
    """
    answers = [recording for recording in recordings if recording.surface == "chat"]
    reasoned = [recording for recording in answers if expect(recording).reasoning_tokens]

    differences = {}
    for recording in answers:
        expected = expect(recording)
        found = fill_ids(extract((await play()(count_as_xai(recording)))[1]), expected)
        if expected != found:
            differences[recording.name] = (expected, found)

    assert REASONED_CHAT_ANSWERS == len(reasoned)
    assert {} == differences


async def read_cut(recording: Recording, expected: Expected | None) -> Expected | None:
    """What a provider makes of a stream; None when it says that it is not whole."""
    try:
        _, reply = await replay(
            choose_dialect(recording), recording.body, headers={"content-type": media_type(recording)}
        )
    except ProtocolError:
        return None
    found = extract(reply)
    return found if expected is None else fill_ids(found, expected)


def split_events(body: bytes) -> list[bytes]:
    return [event for event in EVENT_ENDS.split(body) if event]


def choose_cuts(events: int) -> list[int]:
    """Every place to cut a short stream, some of a long one, and in any case those at its end."""
    step = 1 if events <= 64 else events // 10
    return sorted({*range(0, events, step), *range(max(events - 4, 0), events)})


def cut_after(recording: Recording, count: int) -> Recording:
    """The first events of a stream."""
    return replace(recording, body=b"".join(split_events(recording.body)[:count]))


def is_whole(recording: Recording, documents: list[dict[str, Any]]) -> bool:
    """Whether the sign that the answer is whole is among the events of a stream."""
    if recording.surface == "responses":
        return any(event["type"] == "response.completed" for event in documents)
    name, owner = (
        ("finish_reason", "choices") if recording.surface == "chat" else ("finishReason", "candidates")
    )
    return any(choice.get(name) for document in documents for choice in document.get(owner, ()))


def count_as_xai(recording: Recording) -> Recording:
    """The same answer as xAI would count it: the completion without its reasoning, the total as it was."""
    if not recording.streamed:
        (document,) = read_documents(recording)
        body = json.dumps(recount(document))
    else:
        events = [json.dumps(recount(document)) for document in read_documents(recording)]
        body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
    return replace(recording, provider="xai", body=body.encode())


def recount(document: dict[str, Any]) -> dict[str, Any]:
    usage = document.get("usage")
    if usage is None or usage["total_tokens"] != usage["prompt_tokens"] + usage["completion_tokens"]:
        return document
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    return document | {"usage": usage | {"completion_tokens": usage["completion_tokens"] - reasoning}}
