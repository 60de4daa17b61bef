"""
Every recorded answer of the services, read by the real providers.

What must be found is said by ``recorded_extraction``, which shares no line with the code under test. The
recordings are not part of the project: ``TERTULIA_TEST_DATA`` names their folder.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from recorded_comparison import (
    RandomPieces,
    find_differences,
    join_deltas,
    play,
    play_over_http,
    split_reply,
)
from recorded_extraction import find_surface
from recorded_playback import RecordedService, replay, single_bytes

from tertulia import ProviderError

SEED = 20261122

# By service, kind of call and whether the answer is an event stream. Four of OpenAI's chat streams are those
# of a compatible server behind whose address was hidden.
ANSWERS = {
    ("openai", "responses", False): 147,
    ("openai", "responses", True): 29,
    ("xai", "responses", False): 18,
    ("xai", "responses", True): 9,
    ("openai", "chat", False): 89,
    ("openai", "chat", True): 22,
    ("gemini", "chat", False): 2,
    ("gemini", "generateContent", False): 167,
    ("gemini", "streamGenerateContent", False): 12,
    ("gemini", "streamGenerateContent", True): 15,
}

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


def test_every_recorded_exchange_is_an_answer_a_refusal_or_a_model_list(exchanges, recordings):
    """
    Of 522 exchanges 510 are answers, which are all read below, 10 are refusals, and 2 list models.
    """
    counted = Counter((recording.provider, recording.surface, recording.streamed) for recording in recordings)
    refusals = [exchange for exchange in exchanges if exchange["status"] >= 400]
    others = [exchange for exchange in exchanges if find_surface(exchange) is None]

    assert ANSWERS == counted
    assert [("GET", "/v1beta/models", 200)] * 2 == [
        (exchange["method"], exchange["path"], exchange["status"]) for exchange in others
    ]
    assert (522, 510, 10) == (len(exchanges), len(recordings), len(refusals))
    assert len({recording.name for recording in recordings}) == len(recordings)


async def test_every_recorded_answer_is_understood_where_it_was_asked_for(recordings):
    """
    All 510 answers hold what the second reading found, and each was asked for at the recorded path.
    """
    async with RecordedService() as service:
        differences = await find_differences(recordings, play_over_http(service))

    assert {} == differences
    assert [recording.path for recording in recordings] == [
        target.partition("?")[0] for target in service.asked
    ]


async def test_every_recorded_stream_is_understood_byte_by_byte(streams):
    """
    A network that delivers single bytes changes nothing.
    """
    assert {} == await find_differences(streams, play(single_bytes))


async def test_every_recorded_stream_is_understood_in_random_pieces(streams):
    """
    Nor does one that cuts a stream anywhere.
    """
    assert {} == await find_differences(streams, play(RandomPieces(SEED)))


async def test_every_recorded_stream_is_understood_in_random_pieces_over_http(streams):
    """
    Nor does a connection with chunks that end anywhere.
    """
    async with RecordedService() as service:
        assert {} == await find_differences(streams, play_over_http(service, RandomPieces(SEED)))


async def test_the_deltas_of_every_recorded_answer_are_the_answer(recordings):
    """
    Joined, the deltas of any answer say what its reply says: words, thoughts, calls and their arguments.
    """
    contradictions = {}
    for recording in recordings:
        deltas, reply = await play()(recording)
        if join_deltas(deltas) != split_reply(reply):
            contradictions[recording.name] = (join_deltas(deltas), split_reply(reply))

    assert {} == contradictions


async def test_every_recorded_refusal_is_the_right_error(exchanges):
    """
    All ten recorded error answers are classified as a person who reads them would.
    """
    refusals = [exchange for exchange in exchanges if exchange["status"] >= 400]

    classified = {}
    for exchange in refusals:
        (name,) = (ending for ending in REFUSALS if exchange["file"].endswith(ending))
        error = await refuse(exchange)
        classified[name] = (error.status, str(error.kind))

    assert len(REFUSALS) == len(refusals)
    assert REFUSALS == classified


async def test_a_recorded_minute_quota_says_how_long_to_wait(exchanges):
    """
    Google's recorded 429 says 48 seconds in its details and 48.939935699 in words; the details are trusted.
    """
    (exchange,) = [exchange for exchange in exchanges if exchange["status"] == 429]

    error = await refuse(exchange)

    assert 48.0 == error.retry_after


async def refuse(exchange: dict[str, Any]) -> ProviderError:
    """Play a recorded error answer: the error that the provider makes of it."""
    dialect = exchange["provider"] + ("-chat" if find_surface(exchange) == "chat" else "")
    with pytest.raises(ProviderError) as caught:
        await replay(
            dialect, exchange["body"].encode(), status=exchange["status"], headers=exchange["headers"]
        )
    return caught.value
