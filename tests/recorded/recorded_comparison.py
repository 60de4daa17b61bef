"""What the providers make of recordings, in the words of the second reading."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Any

from recorded_extraction import Expected, ExpectedCall, Recording, expect
from recorded_playback import Cut, RecordedService, replay, replay_over_http, whole

from tertulia import (
    Delta,
    ProviderReply,
    Reasoning,
    ReasoningDelta,
    Refusal,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
)

Answer = tuple[list[Delta], ProviderReply]
Play = Callable[[Recording], Awaitable[Answer]]
"""A way to let a provider read a recording."""


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


def play(cut: Cut = whole) -> Play:
    """Without sockets: the pieces are exactly those of the cut."""

    async def play_one(recording: Recording) -> Answer:
        headers = {"content-type": media_type(recording)}
        return await replay(choose_dialect(recording), recording.body, cut, headers=headers)

    return play_one


def play_over_http(service: RecordedService, cut: Cut = whole) -> Play:
    """Over a connection, which may join the pieces of the cut; the provider asks as it always does."""

    async def play_one(recording: Recording) -> Answer:
        service.put(200, {"content-type": media_type(recording)}, cut(recording.body))
        return await replay_over_http(
            service,
            choose_dialect(recording),
            path=recording.path,
            model=asked_model(recording),
            stream=recording.streamed or recording.json_array,
        )

    return play_one


def choose_dialect(recording: Recording) -> str:
    """Chat Completions are spoken by xAI's driver to xAI, and by OpenAI's to everybody else."""
    if recording.surface != "chat":
        return recording.provider
    return "xai-chat" if recording.provider == "xai" else "openai-chat"


def media_type(recording: Recording) -> str:
    return "text/event-stream; charset=utf-8" if recording.streamed else "application/json"


def asked_model(recording: Recording) -> str:
    """The model of a request: in its body, or in Google's paths."""
    in_path = recording.path.rpartition("/models/")[2].partition(":")[0]
    return str(recording.request.get("model", in_path))


async def find_differences(
    recordings: Iterable[Recording], play: Play
) -> dict[str, tuple[Expected, Expected]]:
    """Let providers read recordings: what was expected and what was found, by name, where they differ."""
    differences = {}
    for recording in recordings:
        expected = expect(recording)
        found = fill_ids(extract((await play(recording))[1]), expected)
        if expected != found:
            differences[recording.name] = (expected, found)
    return differences


def extract(reply: ProviderReply) -> Expected:
    """A reply in the words of the second reading."""
    usage = reply.usage
    return Expected(
        text="".join(part.text for part in reply.parts if isinstance(part, Text)),
        refusal="".join(part.text for part in reply.parts if isinstance(part, Refusal)),
        thoughts="".join(part.text for part in reply.parts if isinstance(part, Reasoning)),
        calls=tuple(extract_call(part) for part in reply.parts if isinstance(part, ToolCall)),
        finish=str(reply.finish_reason),
        raw_finish=reply.raw_finish_reason,
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        model=reply.model,
        request_id=reply.request_id,
        service_tier=reply.billing.service_tier,
    )


def extract_call(call: ToolCall) -> ExpectedCall:
    return ExpectedCall(call.id, call.name, call.raw_arguments if call.arguments is None else call.arguments)


def fill_ids(found: Expected, expected: Expected) -> Expected:
    """Forget the ids that a driver made up because the answer had none: any will do, but no two alike."""
    ids = [call.id for call in found.calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)
    if len(found.calls) != len(expected.calls):
        return found
    pairs = zip(found.calls, expected.calls, strict=True)
    return replace(found, calls=tuple(replace(mine, id=theirs.id and mine.id) for mine, theirs in pairs))


def join_deltas(deltas: list[Delta]) -> tuple[str, str, list[tuple[str | None, str | None, Any]]]:
    """The words, the thoughts and the calls that deltas spell."""
    names, arguments = {}, defaultdict(str)
    for delta in deltas:
        if isinstance(delta, ToolCallDelta):
            arguments[delta.index] += delta.arguments
            if delta.id is not None:
                assert delta.index not in names
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
