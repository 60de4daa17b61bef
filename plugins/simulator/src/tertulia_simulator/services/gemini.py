"""Google Gemini: ``generateContent`` and its relatives on ``v1`` and ``v1beta``."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from tertulia_simulator.conversation import Message, Offer, newest_text
from tertulia_simulator.faults import Fault
from tertulia_simulator.mind import split_words
from tertulia_simulator.models import GEMINI_MODELS, GeminiModel
from tertulia_simulator.orders import Orders
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object
from tertulia_simulator.seals import seal, unseal
from tertulia_simulator.services import gemini_schema
from tertulia_simulator.services.chunks import Chunk, compact
from tertulia_simulator.services.gemini_answers import (
    Generation,
    has_content,
    is_active,
    render_array,
    render_model,
    render_prompt_details,
    render_ratings,
    render_stream,
    render_whole,
)
from tertulia_simulator.services.gemini_contents import read_bounds, read_contents
from tertulia_simulator.services.gemini_errors import (
    JSON_TYPE,
    REFUSALS,
    invalid_argument,
    refuse_fields,
    render_error,
    render_no_model,
    render_quota,
    render_wrong_key,
)
from tertulia_simulator.services.gemini_tools import check_request, read_offer
from tertulia_simulator.services.service import (
    Answer,
    FaultAnswer,
    RefusedError,
    Service,
    Turn,
    count_input,
    is_accepted,
    refuse_as,
    take_turn,
)
from tertulia_simulator.services.shapes import GEMINI, Shape
from tertulia_simulator.tokens import count_attachments, count_text, cut

BLOCKED_PROMPT = "blockprompt"
"""A user text with this word is blocked, unless every configured safety filter is off."""

BLOCKED_ANSWER = "blockanswer"
"""The answer to a user text with this word is stopped after two words, unless those filters are off."""


class Gemini(Service):
    """Google Gemini."""

    name = "gemini"
    display_name = "Gemini"
    base_path = "/gemini"

    def __init__(self) -> None:
        self.orders: Orders[GeminiModel] = Orders(GEMINI_MODELS)

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
            "content_policy": self.block,
            "model_not_found": lambda request, _fault: render_no_model(
                request.endpoint[0], *request.endpoint[-1].split(":")
            ),
            **{name: partial(refuse_as, refusal) for name, refusal in REFUSALS.items()},
        }

    def block(self, request: RecordedRequest, _fault: Fault) -> Answer:
        """Block a prompt for what it says, which is an answer like any other."""
        body: Json = {
            "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": {"promptTokenCount": 4, "totalTokenCount": 4},
            "modelVersion": request.endpoint[-1].partition(":")[0],
        }
        if not self.streams(request):
            return Answer(body, content_type=JSON_TYPE)
        if request.query.get("alt") != "sse":
            return Answer([body], content_type=JSON_TYPE)
        return Answer(chunks=[GEMINI.write(body)], content_type="text/event-stream")

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
                return self.list_models(version, request.query)
            case "GET", [("v1" | "v1beta") as version, "models", name]:
                return Answer(render_model(self.find_model(version, name)), content_type=JSON_TYPE)
            case "POST", [("v1" | "v1beta") as version, "models", call]:
                name, _, method = call.partition(":")
                return self.call(request, self.find_model(version, name, method), method)
            case _:
                return render_error(404, "NOT_FOUND", f"Not found: {request.method} {request.path}")

    def generates(self, request: RecordedRequest) -> bool:
        """Whether a request asks a model for an answer."""
        return request.method == "POST" and request.path.endswith(
            (":generateContent", ":streamGenerateContent")
        )

    def streams(self, request: RecordedRequest) -> bool:
        """Whether a generation request asks for a stream, of events or of an array."""
        return request.path.endswith(":streamGenerateContent")

    def find_shape(self, request: RecordedRequest) -> Shape:
        """The one format."""
        return GEMINI

    def call(self, request: RecordedRequest, model: GeminiModel, method: str) -> Answer:
        """Answer a method of a model."""
        if method == "countTokens":
            return self.count_tokens(request, model)
        generation = self.begin(request, model)
        answer = self.stream(generation) if method == "streamGenerateContent" else self.generate(generation)
        return replace(answer, headers={"x-gemini-service-tier": generation.tier})

    def check(self, body: object, request: RecordedRequest, model: GeminiModel) -> Json:
        """Refuse what is to be refused; the request, with its names in camel case."""
        version = request.endpoint[0]
        checked = gemini_schema.check(body, version, self.orders.files)
        if name := self.orders.find_refused(checked):
            place = ".".join(map(gemini_schema.snake_case, name.split(".")[:-1]))
            where = f" at '{place}'" if place else ""
            unknown = f'Unknown name "{name.split(".")[-1]}"{where}: Cannot find field.'
            problem = f"Invalid JSON payload received. {unknown}"
            raise refuse_fields([(place, problem)])
        check_request(checked, model, version)
        return checked

    def begin(self, request: RecordedRequest, model: GeminiModel) -> Generation:
        """Check a generation request, let the mind answer it, and filter the answer."""
        body = self.check(request.body, request, model)
        messages = read_contents(body, self.orders.files)
        offer = read_offer(body)
        tokens = count_input(messages, offer) + count_attachments(messages)
        if tokens > model.max_input:
            raise invalid_argument(
                f"The input token count ({tokens}) exceeds the maximum number of tokens allowed "
                f"({model.max_input})."
            )
        turn = self.take_turn(body, messages, offer, model)
        text, finish_reason, ratings = filter_turn(turn, newest_text(messages), body)
        details = render_prompt_details(messages, offer.text)
        generation = Generation(request, body, model, turn, text, finish_reason, ratings, details)
        return self.break_off(generation)

    def take_turn(self, body: Json, messages: list[Message], offer: Offer, model: GeminiModel) -> Turn:
        """Let the mind answer, or go on with an answer of which the beginning was given."""
        bounds = read_bounds(as_object(body.get("generationConfig")))
        token = body.get("continuationToken")
        rest = None if token is None else unseal(self.name, "continuation", str(token))
        if token is not None and rest is None:
            raise invalid_argument("The continuation token is not valid.")
        if rest is None:
            reasons = bounds.effort != 0 and "generateContent" in model.methods
            return take_turn(
                messages, self.display_name, bounds, offer=offer, orders=self.orders, reasons=reasons
            )
        text, counted = str(rest["text"]), count_input(messages, offer)
        return Turn(text, bool(rest["is_cut"]), counted, count_attachments(messages), 0, count_text(text))

    def break_off(self, generation: Generation) -> Generation:
        """Give only the beginning of an answer that is too long for one request."""
        tokens, text = self.orders.tokens_per_hop, generation.text
        is_done = generation.ratings or generation.turn.calls or count_text(text) <= (tokens or len(text))
        if tokens is None or is_done:
            return generation
        beginning = cut(text, tokens)
        rest = text.removeprefix(beginning)
        token = seal(self.name, "continuation", text=rest, is_cut=generation.turn.is_cut)
        return replace(generation, text=beginning, finish_reason="CONTINUATION", token=token)

    def count_tokens(self, request: RecordedRequest, model: GeminiModel) -> Answer:
        """Answer ``countTokens``, of contents or of a whole request to come."""
        body = as_object(request.body)
        asked = as_object(body.get("generateContentRequest")) or body
        checked = self.check(asked, request, model)
        details = render_prompt_details(read_contents(checked, self.orders.files), read_offer(checked).text)
        total = sum(detail["tokenCount"] for detail in details)
        return Answer({"totalTokens": total, "promptTokensDetails": details}, content_type=JSON_TYPE)

    def generate(self, generation: Generation) -> Answer:
        """Answer ``generateContent``: all of it at once."""
        return Answer(render_whole(generation), content_type=JSON_TYPE)

    def stream(self, generation: Generation) -> Answer:
        """Answer ``streamGenerateContent``: events with ``alt=sse``, else one JSON array."""
        chunks = render_stream(generation)
        if generation.request.query.get("alt") == "sse":
            events = (
                Chunk(f"data: {compact(chunk)}\r\n\r\n".encode(), has_content(chunk)) for chunk in chunks
            )
            return Answer(chunks=events, content_type="text/event-stream")
        return Answer(chunks=render_array(chunks), content_type=JSON_TYPE)

    def read_conversation(self, request: RecordedRequest) -> list[Message]:
        """Read the messages of a generation request."""
        return read_contents(request.body, self.orders.files)

    def read_offer(self, request: RecordedRequest) -> Offer:
        """Read what a generation request offers besides."""
        return read_offer(gemini_schema.canonical(as_object(request.body)))

    def render_headers(self, request: RecordedRequest) -> dict[str, str]:
        """The headers that every answer carries."""
        return {"vary": "Origin, X-Origin, Referer", "x-content-type-options": "nosniff"}

    def wrap_error(self, request: RecordedRequest, answer: Answer) -> Answer:
        """Where a JSON array was to be streamed, an error is its only element."""
        is_array = request.path.endswith(":streamGenerateContent") and request.query.get("alt") != "sse"
        return replace(answer, body=[answer.body]) if is_array else answer

    def list_models(self, version: str, query: Mapping[str, str]) -> Answer:
        """Answer the model list, a page at a time; a page token is the place to go on from."""
        listed = [model for model in self.orders.models if version == "v1beta" or not model.serves]
        try:
            size = min(int(query.get("pageSize") or 50), 1000)
            start = int(urlsafe_b64decode(query.get("pageToken", "")) or 0)
        except ValueError:
            raise invalid_argument("Request contains an invalid argument.") from None
        page: Json = {"models": [render_model(model) for model in listed[start : start + size]]}
        if start + size < len(listed):
            page["nextPageToken"] = urlsafe_b64encode(str(start + size).encode()).decode()
        return Answer(page, content_type=JSON_TYPE)

    def find_model(self, version: str, name: str, method: str | None = None) -> GeminiModel:
        """Find a model that offers ``method`` on ``version``, or refuse the request; None is any method."""
        needed = "generateContent" if method == "streamGenerateContent" else method
        for model in self.orders.models:
            is_there = model.id == name and (version == "v1beta" or not model.serves)
            if is_there and (needed is None or needed in model.methods):
                return model
        raise RefusedError(render_no_model(version, name, method))


def filter_turn(turn: Turn, question: str, body: Json) -> tuple[str, str | None, list[Json]]:
    """Block what is to be blocked: the text that is left, the reason to finish, the ratings."""
    settings = as_list(body.get("safetySettings"))
    if not settings or any(map(is_active, settings)):
        if BLOCKED_PROMPT in question:
            return "", None, render_ratings(settings)
        if BLOCKED_ANSWER in question:
            return "".join(split_words(turn.text)[:2]), "SAFETY", render_ratings(settings)
    return turn.text, "MAX_TOKENS" if turn.is_cut else "STOP", []
