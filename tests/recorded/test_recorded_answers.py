"""
Every recorded answer of the three services, read by the real providers.

What must be found is said by ``recorded_extraction``, which shares no line with the code under test. The
recordings are not part of the project: ``TERTULIA_TEST_DATA`` names their folder.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from recorded_extraction import (
    ENVIRONMENT_VARIABLE,
    FILE_NAME,
    Expected,
    Recording,
    expect,
    find_folder,
    load,
)
from recorded_playback import Cut, replay, single_bytes, whole

from tertulia import (
    Delta,
    ProviderError,
    ProviderReply,
    Reasoning,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)

RECORDED_ANSWERS = 397
RECORDED_STREAMS = 53
SEED = 20261122

# Every recorded refusal, by the end of the name of the file it was recorded in.
REFUSALS = {
    "gemini-2_5-flash_raises_appropriate_auth_error.yml": (400, "authentication"),
    "gemini-2_5-flash_handles_context_length_exceeded_errors.yml": (429, "rate_limited"),
    "test_model_name_suggestion[google].yaml": (404, "model_not_found"),
    "gpt-5-nano_raises_appropriate_auth_error.yml": (401, "authentication"),
    "uses_context-specific_api_keys.yml": (401, "authentication"),
    "[direct-url_force_download-audio-openai_responses].yaml": (400, "invalid_request"),
    "[tool_return_content-url_force_download-audio-openai_responses].yaml": (400, "invalid_request"),
    "[tool_return_content-url-audio-openai_chat].yaml": (400, "invalid_request"),
    "test_openai_o1_mini_system_role[developer].yaml": (400, "unsupported_parameter"),
    "test_model_name_suggestion[openai-responses].yaml": (400, "model_not_found"),
}


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where the recordings are; a test without them is skipped."""
    found = find_folder()
    if found is None:
        pytest.skip(f"{ENVIRONMENT_VARIABLE} names no folder with {FILE_NAME}: nothing to replay")
    return found


@pytest.fixture(scope="module")
def recordings(folder: Path) -> list[Recording]:
    return load(folder)


@pytest.fixture(scope="module")
def streams(recordings: list[Recording]) -> list[Recording]:
    return [recording for recording in recordings if recording.streamed]


async def test_every_recorded_answer_is_understood(recordings):
    """
    Text, tokens, finish reason and tool names of all 397 answers are those of the second reading.
    """
    assert RECORDED_ANSWERS == len(recordings)
    assert {} == await find_differences(recordings, whole)


async def test_every_recorded_stream_is_understood_byte_by_byte(streams):
    """
    A network that delivers single bytes changes nothing.
    """
    assert RECORDED_STREAMS == len(streams)
    assert {} == await find_differences(streams, single_bytes)


async def test_every_recorded_stream_is_understood_in_random_pieces(streams):
    """
    Nor does one that cuts a stream anywhere.
    """
    assert {} == await find_differences(streams, RandomPieces(SEED))


async def test_the_deltas_of_every_recorded_answer_are_the_answer(recordings):
    """
    Joined, the deltas of any answer say what its reply says: words, thoughts, calls and their arguments.
    """
    contradictions = {}
    for recording in recordings:
        deltas, reply = await play(recording)
        if join_deltas(deltas) != split_reply(reply):
            contradictions[recording.name] = (join_deltas(deltas), split_reply(reply))

    assert {} == contradictions


async def test_every_recorded_refusal_is_the_right_error(folder):
    """
    All ten recorded error answers are classified as a person who reads them would.
    """
    refusals = [exchange for exchange in read_exchanges(folder) if exchange["status"] >= 400]

    classified = {}
    for exchange in refusals:
        (name,) = (ending for ending in REFUSALS if exchange["file"].endswith(ending))
        error = await refuse(exchange)
        classified[name] = (error.status, str(error.kind))

    assert len(REFUSALS) == len(refusals)
    assert REFUSALS == classified


async def test_a_recorded_minute_quota_says_how_long_to_wait(folder):
    """
    Google's recorded 429 says 48 seconds in its details and 48.939935699 in words; the details are trusted.
    """
    (exchange,) = [exchange for exchange in read_exchanges(folder) if exchange["status"] == 429]

    error = await refuse(exchange)

    assert 48.0 == error.retry_after


class RandomPieces:
    """Cuts bodies into pieces of one to a hundred bytes, the same ones in every run."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  # for variety, not for secrecy

    def __call__(self, body: bytes) -> list[bytes]:
        pieces, place = [], 0
        while place < len(body):
            size = self._random.randint(1, 100)
            pieces.append(body[place : place + size])
            place += size
        return pieces


async def find_differences(recordings: list[Recording], cut: Cut) -> dict[str, tuple[Expected, Expected]]:
    """Replay recordings: what was expected and what was found, by name, where they differ."""
    pairs = {recording.name: (expect(recording), await extract(recording, cut)) for recording in recordings}
    assert len(pairs) == len(recordings)
    return {name: (expected, found) for name, (expected, found) in pairs.items() if expected != found}


async def extract(recording: Recording, cut: Cut) -> Expected:
    """What the provider finds in a recording."""
    _, reply = await play(recording, cut)
    usage = reply.usage
    return Expected(
        text=reply.text,
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        finish=str(reply.finish_reason),
        tool_names=tuple(part.name for part in reply.parts if isinstance(part, ToolCall)),
    )


async def play(recording: Recording, cut: Cut = whole) -> tuple[list[Delta], ProviderReply]:
    media_type = "text/event-stream" if recording.streamed else "application/json"
    return await replay(recording.provider, recording.body, cut, headers={"content-type": media_type})


def join_deltas(deltas: list[Delta]) -> tuple[str, str, list[tuple[str | None, str | None, Any]]]:
    """The words, the thoughts and the calls that deltas spell."""
    names, arguments = {}, defaultdict(str)
    for delta in deltas:
        if isinstance(delta, ToolCallDelta):
            arguments[delta.index] += delta.arguments
            if delta.id is not None:
                names[delta.index] = (delta.id, delta.name)
    return (
        "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)),
        "".join(delta.text for delta in deltas if isinstance(delta, ReasoningDelta)),
        [(*names[index], json.loads(arguments[index] or "{}")) for index in sorted(arguments)],
    )


def split_reply(reply: ProviderReply) -> tuple[str, str, list[tuple[str | None, str | None, Any]]]:
    """The same of a whole reply."""
    return (
        reply.text,
        "".join(part.text for part in reply.parts if isinstance(part, Reasoning)),
        [(part.id, part.name, part.arguments) for part in reply.parts if isinstance(part, ToolCall)],
    )


def read_exchanges(folder: Path) -> list[dict[str, Any]]:
    with gzip.open(folder / FILE_NAME, "rt", encoding="utf-8", newline="\n") as lines:
        return [json.loads(line) for line in lines]


async def refuse(exchange: dict[str, Any]) -> ProviderError:
    """Play a recorded error answer: the error that the provider makes of it."""
    with pytest.raises(ProviderError) as caught:
        await replay(
            exchange["provider"],
            exchange["body"].encode(),
            status=exchange["status"],
            headers=exchange["headers"],
        )
    return caught.value
