"""How Google writes an answer, whole or in pieces."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tertulia_simulator.conversation import Message
from tertulia_simulator.mind import split_words
from tertulia_simulator.models import GeminiModel
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object
from tertulia_simulator.services.chunks import Chunk
from tertulia_simulator.services.gemini_schema import CATEGORIES
from tertulia_simulator.services.gemini_tools import sign
from tertulia_simulator.services.service import Turn
from tertulia_simulator.tokens import (
    TOKENS_PER_ATTACHMENT,
    count_characters,
    count_messages,
    count_text,
)

TOKENS_PER_SEARCH = 10


@dataclass(frozen=True)
class Generation:
    """
    One answer in the making.

    Attributes:
        text: What of the answer is given.
        finish_reason: Why no more of it is; None when the prompt was blocked.
        ratings: The safety ratings of what was blocked, else none.
        prompt_details: The prompt's tokens by modality.
        token: What to go on with; empty where there is nothing more.
    """

    request: RecordedRequest
    body: Json
    model: GeminiModel
    turn: Turn
    text: str
    finish_reason: str | None
    ratings: list[Json]
    prompt_details: list[Json]
    token: str = ""

    @property
    def tier(self) -> str:
        """The service tier that is billed."""
        return str(self.body.get("serviceTier") or "standard").lower()

    @property
    def thoughts(self) -> int:
        """The tokens thought before the answer."""
        return 0 if self.finish_reason is None else self.turn.reasoning_tokens

    @property
    def tells_thoughts(self) -> bool:
        """Whether thoughts are wanted in words, and there are some."""
        config = as_object(as_object(self.body.get("generationConfig")).get("thinkingConfig"))
        return bool(config.get("includeThoughts") and self.turn.reasoning)

    @property
    def is_signed(self) -> bool:
        """Whether the model thought, and says so on what it answers."""
        return bool(self.turn.reasoning) and not self.ratings


def render_whole(generation: Generation) -> Json:
    """Render an answer outside a stream, all of it at once."""
    text: list[Json] = [{"text": generation.text}] if generation.text else []
    calls = render_calls(generation)
    if text and not calls and generation.is_signed:
        text = [sign(text[0], generation.request.number)]
    (chunk,) = render_chunks(generation, [[*render_thoughts(generation), *text, *calls]])
    return chunk


def render_stream(generation: Generation) -> Iterator[Json]:
    """Render a chunk for each thought, word and call; the last says why the answer ends."""
    pieces = [[thought] for thought in render_thoughts(generation)]
    pieces += [[{"text": word}] for word in split_words(generation.text)]
    pieces += [[call] for call in render_calls(generation)]
    if generation.turn.calls:
        # Newer models end a stream of calls with an empty text.
        pieces += [] if generation.model.is_old else [[{"text": ""}]]
    elif generation.is_signed:
        pieces.append([sign({"text": ""}, generation.request.number)])
    if generation.ratings:
        # An answer is blocked in a chunk of its own, which has no content.
        pieces.append([])
    return render_chunks(generation, pieces or [[]])


def render_thoughts(generation: Generation) -> list[Json]:
    """Render what was thought, where it is wanted in words."""
    return [{"text": generation.turn.reasoning, "thought": True}] if generation.tells_thoughts else []


def render_calls(generation: Generation) -> list[Json]:
    """Render the calls of tools; only the first is signed, and only newer models give them ids."""
    if generation.ratings:
        return []
    number = generation.request.number
    parts: list[Json] = []
    for index, call in enumerate(generation.turn.calls):
        ids = {} if generation.model.is_old else {"id": f"call{index}x{number}"}
        part = {"functionCall": {**ids, "name": call.name, "args": json.loads(call.arguments)}}
        parts.append(sign(part, number) if generation.is_signed and index == 0 else part)
    return parts


def render_chunks(generation: Generation, pieces: Sequence[list[Json]]) -> Iterator[Json]:
    """Render a chunk for each piece of the answer; the last says why the answer ends."""
    tokens = length = 0
    for index, parts in enumerate(pieces, start=1):
        for part in parts:
            if call := part.get("functionCall"):
                tokens += count_call(call)
            elif not part.get("thought"):
                length += len(part["text"])
        candidate = render_candidate(generation, parts, is_last=index == len(pieces))
        yield {**candidate, **render_common(generation, count_characters(length) + tokens)}


def count_call(call: Json) -> int:
    """The tokens of a call."""
    return count_text(call["name"] + json.dumps(call["args"], ensure_ascii=False, separators=(",", ":")))


def render_candidate(generation: Generation, parts: list[Json], *, is_last: bool) -> Json:
    """Render the candidate of a chunk, or the feedback to a blocked prompt."""
    if generation.finish_reason is None:
        return {"promptFeedback": {"blockReason": "SAFETY", "safetyRatings": generation.ratings}}
    candidate: Json = {}
    if parts:
        candidate["content"] = {"parts": parts, "role": "model"}
    if is_last:
        candidate["finishReason"] = generation.finish_reason
    candidate["index"] = 0
    if is_last:
        candidate |= render_end(generation)
    return {"candidates": [candidate]}


def render_end(generation: Generation) -> Json:
    """Render what is said at the end alone."""
    end: Json = {}
    if generation.ratings:
        end["safetyRatings"] = generation.ratings
    if generation.turn.calls and not generation.ratings:
        end["finishMessage"] = "Model generated function call(s)."
    if generation.token:
        end["continuationToken"] = generation.token
    if queries := list(generation.turn.searches):
        end["groundingMetadata"] = {
            "searchEntryPoint": {"renderedContent": "<div></div>"},
            "groundingChunks": [{"web": {"uri": "https://example.com/", "title": "example.com"}}],
            "webSearchQueries": queries,
        }
    return end


def render_common(generation: Generation, answer_tokens: int) -> Json:
    """Render what every chunk carries; the counts are those of the answer as far as it came."""
    input_tokens = sum(detail["tokenCount"] for detail in generation.prompt_details)
    tool_tokens = len(generation.turn.searches) * TOKENS_PER_SEARCH
    counts = {
        "candidatesTokenCount": answer_tokens,
        "thoughtsTokenCount": generation.thoughts,
        "toolUsePromptTokenCount": tool_tokens,
    }
    details = [{"modality": "TEXT", "tokenCount": tool_tokens}]
    return {
        "usageMetadata": {
            "promptTokenCount": input_tokens,
            # Google leaves counts of zero out.
            **{name: tokens for name, tokens in counts.items() if tokens},
            "totalTokenCount": input_tokens + sum(counts.values()),
            "promptTokensDetails": generation.prompt_details,
            **({"toolUsePromptTokensDetails": details} if tool_tokens else {}),
            "serviceTier": generation.tier,
        },
        "modelVersion": generation.model.family,
        "responseId": f"simulated{generation.request.number:013d}",
    }


def render_prompt_details(messages: Sequence[Message], tools: str) -> list[Json]:
    """Render the prompt's tokens by modality; a document's pages are counted as images."""
    files = [file for message in messages for file in message.files]
    images = sum(len(message.images) for message in messages)
    counts = {
        "TEXT": count_messages(messages) + count_text(tools),
        "IMAGE": images + sum(file.kind == "document" for file in files),
        "AUDIO": sum(file.kind == "audio" for file in files),
        "VIDEO": sum(file.kind == "video" for file in files),
    }
    attachments = {name: number * TOKENS_PER_ATTACHMENT for name, number in counts.items() if name != "TEXT"}
    return [
        {"modality": modality, "tokenCount": tokens}
        for modality, tokens in (counts | attachments).items()
        if tokens
    ]


def is_active(setting: object) -> bool:
    """Whether a safety setting blocks anything at all."""
    return as_object(setting).get("threshold") not in ("BLOCK_NONE", "OFF")


def render_ratings(settings: list[Any]) -> list[Json]:
    """Rate the four categories; the first that is filtered is the one that blocks."""
    filtered = [str(setting["category"]) for setting in settings if is_active(setting)]
    blocking = filtered[0] if filtered else CATEGORIES[0]
    blocked: Json = {"category": blocking, "probability": "HIGH", "blocked": True}
    harmless = [category for category in CATEGORIES if category != blocking]
    return [blocked, *({"category": category, "probability": "NEGLIGIBLE"} for category in harmless)]


def render_array(chunks: Iterator[Json]) -> Iterator[Chunk]:
    """Write chunks as one JSON array, each as soon as it is there."""
    before = "["
    for chunk in chunks:
        data = f"{before}{json.dumps(chunk, ensure_ascii=False, indent=2)}\n".encode()
        yield Chunk(data, has_content(chunk))
        before = ",\n"
    yield Chunk(b"]")


def has_content(chunk: Json) -> bool:
    """Whether a chunk holds some of the text, or calls a tool."""
    return any(
        "functionCall" in part or (part.get("text") and not part.get("thought"))
        for candidate in as_list(chunk.get("candidates"))
        for part in as_list(as_object(candidate.get("content")).get("parts"))
    )


def render_model(model: GeminiModel) -> Json:
    """Render an entry of the model list."""
    return {
        "name": f"models/{model.id}",
        "version": "001",
        "displayName": model.id.replace("-", " ").title(),
        "description": "A simulated model.",
        "inputTokenLimit": model.max_input,
        "outputTokenLimit": model.max_output,
        "supportedGenerationMethods": list(model.methods),
        "temperature": 1,
        "topP": 0.95,
        "topK": 64,
        "maxTemperature": 2,
        "thinking": "generateContent" in model.methods,
    }
