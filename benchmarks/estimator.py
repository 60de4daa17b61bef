"""
How far estimates of tokens are off on recorded requests, and how fast they are made.

The recordings are read from the folder that ``TERTULIA_TEST_DATA`` names; without it only the speed is
measured. Errors are of whole prompts against the prompt tokens that the service reported. "Raw" is what
most others do, characters divided by four; for the speed it is splintr, which has the vocabulary.
"""

from __future__ import annotations

import gzip
import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

import tertulia
from benchmarks.table import Goal, Row
from tertulia.runtime.counting.estimate import estimate_text
from tertulia.runtime.counting.tokens import count_messages, count_rest
from tertulia.services.context.calibration import Calibration
from tertulia_gemini import GeminiProvider
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider

Json = Mapping[str, Any]

ENVIRONMENT_VARIABLE = "TERTULIA_TEST_DATA"
RECORDINGS = "recordings.jsonl.gz"
CHATS = "yardstick/beam-100k.jsonl.gz"
HIDDEN_PROMPT = 190
REPEAT = 2_000
TURNS = 60
PARAGRAPH = (
    "A tertulia is a regular gathering where people talk, usually about art, politics or the news. "
    "It began in Spain in the seventeenth century, and it's still going on in 1,200 cafés around the world.\n"
)

_SURFACES = {
    "responses": "responses",
    "completions": "chat",
    "generateContent": "generateContent",
    "streamGenerateContent": "generateContent",
}
_DRIVERS = {"openai": OpenAIProvider, "gemini": GeminiProvider, "xai": XAIProvider}
_BEYOND_TEXT = (
    *("tools", "previous_response_id", "conversation", "cachedContent", "response_format"),
    *("web_search_options", "context_management"),
)
_ROLES = {"developer": "system", "model": "assistant"}


@attrs.frozen
class Prompt:
    """
    A recorded request of nothing but text, with what it was counted as.

    Attributes:
        surface: ``openai chat`` and the like.

        reported: Prompt tokens, as the service says.
    """

    surface: str
    target: tertulia.Target
    messages: tuple[tertulia.Message, ...]
    reported: int

    @property
    def characters(self) -> int:
        """Of its text."""
        return sum(len(message.text) for message in self.messages)


async def measure_estimator(_url: str, rounds: int) -> list[Row]:
    """Errors in percent where there are recordings, and megabytes a second."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    folder = None if named is None else Path(named)
    rows = measure_speed(rounds)
    if folder is not None and (folder / RECORDINGS).is_file():
        rows += measure_errors(read_prompts(folder))
    if folder is not None and (folder / CHATS).is_file():
        rows += measure_chats(folder)
    return rows


def measure_errors(prompts: Sequence[Prompt]) -> Iterator[Row]:
    """Median and ninetieth percentile for each surface: at once, after calibration, and by vocabulary."""
    by_surface: dict[str, list[Prompt]] = defaultdict(list)
    for prompt in prompts:
        by_surface[prompt.surface].append(prompt)
    for surface, its in sorted(by_surface.items()):
        by_length = [_off(prompt, prompt.characters / 4) for prompt in its]
        yield from _rows(
            f"estimate, {surface}", [_off(prompt, estimate(prompt)) for prompt in its], by_length
        )
        if corrected := list(_calibrated_errors(its)):
            after, before = zip(*corrected, strict=True)
            yield from _rows(f"calibrated, {surface} (raw: not)", after, before, goals=False)
        if exact := list(_vocabulary_errors(its)):
            yield from _rows(f"splintr, {surface}", exact, by_length, goals=False)


def measure_chats(folder: Path) -> list[Row]:
    """Errors in chats that grow, with what was learned in them, where a service has a prompt of its own."""
    if (count := _find_counter("gpt-4o")) is None:
        return []
    weights = tertulia.TokenWeights()
    target = tertulia.Target("openai", "gpt-4o")
    ours, raw = list[float](), list[float]()
    for texts in _read_chats(folder):
        calibration, estimated, true, characters = Calibration(), 3, 3 + HIDDEN_PROMPT, 0
        for number, text in enumerate(texts):
            message = tertulia.Message.of("user", text)
            estimated += count_messages([message], weights)
            true += count_messages([message], weights, count_text=count)
            characters += len(text)
            if number % 2 == 0:  # the user has spoken
                if number:
                    ours.append(abs(calibration.correct(target, estimated) / true - 1) * 100)
                    raw.append(abs(characters / 4 / true - 1) * 100)
                calibration.learn(target, estimated=estimated, reported=true)
    return list(_rows("calibrated, growing chats", ours, raw))


def measure_speed(rounds: int) -> list[Row]:
    """Of English prose, the estimator's and a vocabulary's."""
    text = PARAGRAPH * REPEAT
    ours = max(_megabytes_per_second(estimate_text, text) for _ in range(rounds))
    count = _find_counter("gpt-4o")
    theirs = None if count is None else max(_megabytes_per_second(count, text) for _ in range(rounds))
    return [Row("estimate, English (raw: splintr)", ours, theirs, "MB/s", (Goal(5, "ours", at_least=True),))]


def estimate(prompt: Prompt) -> int:
    """What the core says of a prompt before it has learned anything."""
    weights = _weights(prompt)
    return count_messages(prompt.messages, weights) + count_rest((), None, weights)


def _calibrated_errors(prompts: Iterable[Prompt]) -> Iterator[tuple[float, float]]:
    """The errors of those prompts whose model has answered before: with what was learned, and without."""
    calibration = Calibration()
    for prompt in prompts:
        estimated = estimate(prompt)
        if calibration.knows(prompt.target):
            corrected = calibration.correct(prompt.target, estimated)
            yield _off(prompt, corrected), _off(prompt, estimated)
        calibration.learn(prompt.target, estimated=estimated, reported=prompt.reported)


def _vocabulary_errors(prompts: Iterable[Prompt]) -> Iterator[float]:
    for prompt in prompts:
        if (count := _find_counter(prompt.target.model)) is not None:
            weights = _weights(prompt)
            counted = count_messages(prompt.messages, weights, count_text=count)
            yield _off(prompt, counted + count_rest((), None, weights))


def _find_counter(model: str) -> Callable[[str], float] | None:
    """None where splintr is not installed, or has no vocabulary for the model."""
    try:
        from tertulia_splintr import find_vocabulary, load_vocabulary
    except ImportError:
        return None
    name = find_vocabulary(model)
    return None if name is None else load_vocabulary(name)


def _weights(prompt: Prompt) -> tertulia.TokenWeights:
    name = prompt.target.provider
    provider = _DRIVERS[name](tertulia.ProviderConfig(name, name))
    return provider.find_token_weights(prompt.target.model)


def _off(prompt: Prompt, tokens: float) -> float:
    return abs(tokens / prompt.reported - 1) * 100


def _rows(name: str, errors: Sequence[float], raw: Sequence[float], *, goals: bool = True) -> Iterator[Row]:
    if not errors:
        return
    yield Row(
        f"{name}, median error of {len(errors)}",
        statistics.median(errors),
        statistics.median(raw),
        "%",
        (Goal(5, "ours"),) if goals else (),
    )
    yield Row(
        f"{name}, 90th percentile",
        find_percentile(errors),
        find_percentile(raw),
        "%",
        (Goal(15, "ours"),) if goals else (),
    )


def find_percentile(errors: Sequence[float]) -> float:
    """The ninetieth."""
    return sorted(errors)[min(len(errors) - 1, len(errors) * 9 // 10)]


def _megabytes_per_second(count: Callable[[str], float], text: str) -> float:
    began = time.thread_time()
    count(text)
    return len(text) / (time.thread_time() - began) / 1e6


def _read_chats(folder: Path) -> Iterator[list[str]]:
    with gzip.open(folder / CHATS, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield [message["content"] for message in json.loads(line)["messages"][: 2 * TURNS]]


def read_prompts(folder: Path) -> list[Prompt]:
    """Read the recorded requests that are nothing but text, each once for a model."""
    found: dict[tuple[tertulia.Target, str], Prompt] = {}
    with gzip.open(folder / RECORDINGS, "rt", encoding="utf-8") as lines:
        for exchange in map(json.loads, lines):
            prompt = _read_prompt(exchange)
            if prompt is not None:
                found.setdefault((prompt.target, repr(prompt.messages)), prompt)
    return list(found.values())


def _read_prompt(exchange: Json) -> Prompt | None:
    surface = _SURFACES.get(exchange["path"].replace(":", "/").rpartition("/")[2])
    request = exchange["request"]
    if exchange["status"] != 200 or surface is None or exchange["method"] != "POST" or not _is_plain(request):
        return None
    messages = _READERS[surface](request)
    reported = _find_reported(exchange["body"])
    if messages is None or not reported:
        return None
    model = request.get("model") or exchange["path"].rpartition("/")[2].partition(":")[0]
    provider = exchange["provider"]
    return Prompt(f"{provider} {surface}", tertulia.Target(provider, model), messages, reported)


def _is_plain(request: Json) -> bool:
    """Whether nothing but text is sent, and nothing but text is wanted."""
    config = request.get("generationConfig") or {}
    form = ((request.get("text") or {}).get("format") or {}).get("type", "text")
    return form == "text" and not (
        any(request.get(name) for name in _BEYOND_TEXT) or any("chema" in name for name in config)
    )


def _read_chat(request: Json) -> tuple[tertulia.Message, ...] | None:
    if any(message.get("tool_calls") or message["role"] == "tool" for message in request["messages"]):
        return None
    return _read_messages((message["role"], message["content"]) for message in request["messages"])


def _read_responses(request: Json) -> tuple[tertulia.Message, ...] | None:
    system = [("system", request["instructions"])] if request.get("instructions") else []
    items = request["input"]
    if isinstance(items, str):
        return _read_messages([*system, ("user", items)])
    if any(item.get("type", "message") != "message" for item in items):
        return None
    return _read_messages([*system, *((item["role"], item["content"]) for item in items)])


def _read_gemini(request: Json) -> tuple[tertulia.Message, ...] | None:
    system = request.get("systemInstruction")
    said = [("system", system["parts"])] if system else []
    return _read_messages(said + [(item.get("role", "user"), item["parts"]) for item in request["contents"]])


_READERS = {"chat": _read_chat, "responses": _read_responses, "generateContent": _read_gemini}


def _read_messages(said: Iterable[tuple[str, Any]]) -> tuple[tertulia.Message, ...] | None:
    messages = []
    for role, content in said:
        parts = [{"text": content or ""}] if content is None or isinstance(content, str) else content
        if any(set(part) - {"text", "type", "annotations", "logprobs"} for part in parts):
            return None
        text = "".join(part["text"] for part in parts)
        messages.append(tertulia.Message.of(_ROLES.get(role, role), text))
    return tuple(messages)


_COUNTS = ("prompt_tokens", "input_tokens", "promptTokenCount")


def _find_reported(body: str) -> int | None:
    """The last prompt count anywhere in an answer or its events."""
    documents = [line.removeprefix("data:") for line in body.splitlines() if line.startswith("data:")]
    found = None
    for document in documents or [body]:
        if document.strip() != "[DONE]":
            found = _find_count(json.loads(document)) or found
    return found


def _find_count(value: Any) -> int | None:
    if isinstance(value, dict):
        for name in _COUNTS:
            if isinstance(value.get(name), int):
                return int(value[name])
        value = list(value.values())
    if isinstance(value, list):
        return next((count for each in reversed(value) if (count := _find_count(each))), None)
    return None
