"""Google Gemini: ``generateContent`` and its relatives on ``v1`` and ``v1beta``."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tertulia_simulator.images import SentImage, identify
from tertulia_simulator.mind import Message, newest_text, split_words
from tertulia_simulator.models import GEMINI_MODELS, GeminiModel
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object
from tertulia_simulator.services import gemini_schema
from tertulia_simulator.services.gemini_errors import (
    JSON_TYPE,
    invalid_argument,
    render_error,
    render_quota,
    render_wrong_key,
)
from tertulia_simulator.services.gemini_schema import CATEGORIES
from tertulia_simulator.services.service import (
    Answer,
    Bounds,
    Chunk,
    FaultAnswer,
    RefusedError,
    Service,
    Turn,
    compact,
    is_accepted,
    take_turn,
)
from tertulia_simulator.tokens import count_attachments, count_characters, count_messages

BLOCKED_PROMPT = "blockprompt"
"""A user text with this word is blocked, unless every configured safety filter is off."""

BLOCKED_ANSWER = "blockanswer"
"""The answer to a user text with this word is stopped after two words, unless those filters are off."""


@dataclass(frozen=True)
class Generation:
    """
    One answer in the making.

    Attributes:
        text: What of the answer is given.
        finish_reason: Why no more of it is; None when the prompt was blocked.
        ratings: The safety ratings of what was blocked, else none.
        prompt_details: The prompt's tokens by modality.
        thoughts: The tokens thought before the answer.
    """

    request: RecordedRequest
    body: Json
    model: GeminiModel
    text: str
    finish_reason: str | None
    ratings: list[Json]
    prompt_details: list[Json]
    thoughts: int

    @property
    def tier(self) -> str:
        """The service tier that is billed."""
        return str(self.body.get("serviceTier") or "standard").lower()


class Gemini(Service):
    """Google Gemini."""

    name = "gemini"
    display_name = "Gemini"
    base_path = "/gemini"

    @property
    def faults(self) -> Mapping[str, FaultAnswer]:
        """How Google answers each kind of fault."""
        return {
            "auth": lambda _request, _fault: render_wrong_key(),
            "rate_limit": lambda request, fault: render_quota(
                request, fault, "GenerateRequestsPerMinutePerProjectPerModel"
            ),
            "overloaded": lambda _request, _fault: render_error(
                503, "UNAVAILABLE", "The model is overloaded. Please try again later."
            ),
            "quota": lambda request, fault: render_quota(
                request, fault, "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
            ),
        }

    def authenticate(self, request: RecordedRequest) -> None:
        """Refuse a missing key with 403 and a wrong one with 400."""
        key = (request.headers.get("x-goog-api-key") or request.query.get("key", "")).strip()
        if not key:
            message = (
                "Method doesn't allow unregistered callers (callers without established identity). "
                "Please use API Key or other form of API consumer identity to call this API."
            )
            raise RefusedError(render_error(403, "PERMISSION_DENIED", message))
        if not is_accepted(key):
            raise RefusedError(render_wrong_key())

    def route(self, request: RecordedRequest) -> Answer:
        """Find the endpoint and let it answer."""
        match request.method, request.endpoint:
            case "GET", [("v1" | "v1beta") as version, "models"]:
                return list_models(version, request.query)
            case "GET", [("v1" | "v1beta") as version, "models", name]:
                return Answer(render_model(find_model(version, name)), content_type=JSON_TYPE)
            case "POST", [("v1" | "v1beta") as version, "models", call]:
                name, _, method = call.partition(":")
                return self.call(request, find_model(version, name, method), method)
            case _:
                return render_error(404, "NOT_FOUND", f"Not found: {request.method} {request.path}")

    def generates(self, request: RecordedRequest) -> bool:
        """Whether a request asks a model for an answer."""
        return request.method == "POST" and request.path.endswith(
            (":generateContent", ":streamGenerateContent")
        )

    def call(self, request: RecordedRequest, model: GeminiModel, method: str) -> Answer:
        """Answer a method of a model."""
        if method == "countTokens":
            return self.count_tokens(request)
        generation = self.begin(request, model)
        answer = self.stream(generation) if method == "streamGenerateContent" else self.generate(generation)
        return replace(answer, headers={"x-gemini-service-tier": generation.tier})

    def begin(self, request: RecordedRequest, model: GeminiModel) -> Generation:
        """Check a generation request, let the mind answer it, and filter the answer."""
        body = gemini_schema.check(request.body, request.endpoint[0])
        messages = read_contents(body)
        turn = take_turn(messages, self.display_name, read_bounds(as_object(body.get("generationConfig"))))
        if turn.input_tokens > model.max_input:
            raise invalid_argument(
                f"The input token count ({turn.input_tokens}) exceeds the maximum number of tokens allowed "
                f"({model.max_input})."
            )
        text, finish_reason, ratings = filter_turn(turn, newest_text(messages), body)
        details = render_prompt_details(messages)
        thoughts = 0 if finish_reason is None else turn.reasoning_tokens
        return Generation(request, body, model, text, finish_reason, ratings, details, thoughts)

    def count_tokens(self, request: RecordedRequest) -> Answer:
        """Answer ``countTokens``, of contents or of a whole request to come."""
        body = as_object(request.body)
        asked = as_object(body.get("generateContentRequest")) or body
        messages = read_contents(gemini_schema.check(asked, request.endpoint[0]))
        details = render_prompt_details(messages)
        total = sum(detail["tokenCount"] for detail in details)
        return Answer({"totalTokens": total, "promptTokensDetails": details}, content_type=JSON_TYPE)

    def generate(self, generation: Generation) -> Answer:
        """Answer ``generateContent``: all of it at once."""
        (chunk,) = render_chunks(generation, [generation.text])
        return Answer(chunk, content_type=JSON_TYPE)

    def stream(self, generation: Generation) -> Answer:
        """Answer ``streamGenerateContent``: events with ``alt=sse``, else one JSON array."""
        # An answer is blocked in a chunk of its own, which has no content.
        pieces = [*split_words(generation.text), *([""] if generation.ratings else [])]
        chunks = render_chunks(generation, pieces or [""])
        if generation.request.query.get("alt") == "sse":
            events = (
                Chunk(f"data: {compact(chunk)}\r\n\r\n".encode(), has_content(chunk)) for chunk in chunks
            )
            return Answer(chunks=events, content_type="text/event-stream")
        return Answer(chunks=render_array(chunks), content_type=JSON_TYPE)

    def read_conversation(self, request: RecordedRequest) -> list[Message]:
        """Read the messages of a generation request."""
        return read_contents(request.body)

    def render_headers(self, request: RecordedRequest) -> dict[str, str]:
        """The headers that every answer carries."""
        return {"vary": "Origin, X-Origin, Referer", "x-content-type-options": "nosniff"}

    def wrap_error(self, request: RecordedRequest, answer: Answer) -> Answer:
        """Where a JSON array was to be streamed, an error is its only element."""
        is_array = request.path.endswith(":streamGenerateContent") and request.query.get("alt") != "sse"
        return replace(answer, body=[answer.body]) if is_array else answer


def list_models(version: str, query: Mapping[str, str]) -> Answer:
    """Answer the model list, a page at a time; a page token is the place to go on from."""
    listed = [model for model in GEMINI_MODELS if version == "v1beta" or not model.serves]
    try:
        size = min(int(query.get("pageSize") or 50), 1000)
        start = int(urlsafe_b64decode(query.get("pageToken", "")) or 0)
    except ValueError:
        raise invalid_argument("Request contains an invalid argument.") from None
    page: Json = {"models": [render_model(model) for model in listed[start : start + size]]}
    if start + size < len(listed):
        page["nextPageToken"] = urlsafe_b64encode(str(start + size).encode()).decode()
    return Answer(page, content_type=JSON_TYPE)


def find_model(version: str, name: str, method: str | None = None) -> GeminiModel:
    """Find a model that offers ``method`` on ``version``, or refuse the request; None is any method."""
    needed = "generateContent" if method == "streamGenerateContent" else method
    for model in GEMINI_MODELS:
        is_there = model.id == name and (version == "v1beta" or not model.serves)
        if is_there and (needed is None or needed in model.methods):
            return model
    message = f"Model is not found: models/{name} for api version {version}"
    if method is not None:
        message = (
            f"models/{name} is not found for API version {version}, or is not supported for {method}. "
            "Call ModelService.ListModels to see the list of available models and their supported methods."
        )
    raise RefusedError(render_error(404, "NOT_FOUND", message))


def read_contents(body: object) -> list[Message]:
    """Read ``systemInstruction`` and ``contents``; those that hold nothing are left out."""
    request = gemini_schema.canonical(as_object(body))
    system = as_object(request.get("systemInstruction"))
    contents = [{**system, "role": "system"}, *as_list(request.get("contents"))]
    messages = [read_content(as_object(content)) for content in contents]
    return [message for message in messages if message.parts or message.attachments]


def read_content(content: Json) -> Message:
    """Read one content; Google takes one without a role for the user's."""
    role = content.get("role", "user")
    parts = [as_object(part) for part in as_list(content.get("parts"))]
    media = [as_object(part.get("inlineData") or part.get("fileData")) for part in parts]
    images = tuple(read_image(medium) for medium in media if gemini_schema.is_image(medium))
    return Message(
        "assistant" if role == "model" else str(role),
        tuple(str(part["text"]) for part in parts if "text" in part),
        images,
        sum(map(bool, media)) - len(images),
    )


def read_image(medium: Json) -> SentImage:
    """Read an image that was sent, or its address."""
    if "fileUri" in medium:
        return SentImage(url=str(medium["fileUri"]))
    return identify(gemini_schema.decode_any(medium.get("data")) or b"")


def read_bounds(config: Json) -> Bounds:
    """Read the limit, the effort and the stops."""
    effort = as_object(config.get("thinkingConfig")).get("thinkingLevel")
    return Bounds(config.get("maxOutputTokens"), effort, config.get("stopSequences"))


def is_active(setting: object) -> bool:
    """Whether a safety setting blocks anything at all."""
    return as_object(setting).get("threshold") not in ("BLOCK_NONE", "OFF")


def filter_turn(turn: Turn, question: str, body: Json) -> tuple[str, str | None, list[Json]]:
    """Block what is to be blocked: the text that is left, the reason to finish, the ratings."""
    settings = as_list(body.get("safetySettings"))
    if not settings or any(map(is_active, settings)):
        if BLOCKED_PROMPT in question:
            return "", None, render_ratings(settings)
        if BLOCKED_ANSWER in question:
            return "".join(split_words(turn.text)[:2]), "SAFETY", render_ratings(settings)
    return turn.text, "MAX_TOKENS" if turn.is_cut else "STOP", []


def render_chunks(generation: Generation, pieces: list[str]) -> Iterator[Json]:
    """Render a chunk for each piece of the text; the last says why the answer ends."""
    length = 0
    for index, piece in enumerate(pieces, start=1):
        length += len(piece)
        is_last = index == len(pieces)
        yield {**render_piece(generation, piece, is_last=is_last), **render_common(generation, length)}


def render_piece(generation: Generation, piece: str, *, is_last: bool) -> Json:
    """Render the candidate of a chunk, or the feedback to a blocked prompt."""
    if generation.finish_reason is None:
        return {"promptFeedback": {"blockReason": "SAFETY", "safetyRatings": generation.ratings}}
    candidate: Json = {}
    if piece:
        candidate["content"] = {"parts": [{"text": piece}], "role": "model"}
    if is_last:
        candidate["finishReason"] = generation.finish_reason
    candidate["index"] = 0
    if is_last and generation.ratings:
        candidate["safetyRatings"] = generation.ratings
    return {"candidates": [candidate]}


def render_common(generation: Generation, length: int) -> Json:
    """Render what every chunk carries; the counts are those of the answer's first ``length`` characters."""
    input_tokens = sum(detail["tokenCount"] for detail in generation.prompt_details)
    counts = {"candidatesTokenCount": count_characters(length), "thoughtsTokenCount": generation.thoughts}
    return {
        "usageMetadata": {
            "promptTokenCount": input_tokens,
            # Google leaves counts of zero out.
            **{name: tokens for name, tokens in counts.items() if tokens},
            "totalTokenCount": input_tokens + sum(counts.values()),
            "promptTokensDetails": generation.prompt_details,
            "serviceTier": generation.tier,
        },
        "modelVersion": generation.model.serves or generation.model.id,
        "responseId": f"simulated{generation.request.number:013d}",
    }


def render_prompt_details(messages: list[Message]) -> list[Json]:
    """Render the prompt's tokens by modality; every attachment is counted as an image."""
    counts = {"TEXT": count_messages(messages), "IMAGE": count_attachments(messages)}
    return [{"modality": modality, "tokenCount": tokens} for modality, tokens in counts.items() if tokens]


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
    """Whether a chunk holds some of the text."""
    return any("content" in candidate for candidate in as_list(chunk.get("candidates")))


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
