"""xAI: the Responses API, Chat Completions and two model lists, the second with prices."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from tertulia_simulator.faults import Fault
from tertulia_simulator.models import CREATED, XAI_MODELS, XAIModel
from tertulia_simulator.recording import Json, RecordedRequest, as_object
from tertulia_simulator.services.api import CompatibleService
from tertulia_simulator.services.service import (
    Answer,
    FaultAnswer,
    RefusedError,
    bearer_key,
    is_accepted,
    refuse_as,
)
from tertulia_simulator.services.xai_chat import XAIChat
from tertulia_simulator.services.xai_responses import XAIResponses
from tertulia_simulator.services.xai_schema import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    TEAM,
    check_object,
    find_model,
    render_error,
)

UNAUTHENTICATED = "The request does not have valid authentication credentials"
UNAVAILABLE = "The service is currently unavailable"
EXHAUSTED = "Some resource has been exhausted"
NO_KEY = "No API key provided. Specify your API key in an Authorization header using Bearer auth."
NO_ACCESS = f"The model does not exist or your team {TEAM} does not have access to it."
NOT_ALLOWED = "Your team is not allowed to use this endpoint."
AT_CAPACITY = "The model is currently at capacity due to high demand. Please try again later."
TOO_FAST = f"Too many requests for team {TEAM}. Your team's rate limit is 1800 requests per minute."
OUT_OF_CREDITS = (
    f"Your team {TEAM} has either used all available credits or reached its monthly spending limit. "
    "To continue making API requests, please purchase more credits or raise your spending limit."
)


@dataclass
class Deferred:
    """An answer that comes later, and how often it is still asked for in vain."""

    answer: Answer
    waits: int


REFUSALS: Mapping[str, Answer] = {
    "permission": render_error(
        403, "The caller does not have permission to execute the specified operation", NOT_ALLOWED
    ),
    "model_not_found": render_error(404, NOT_FOUND, NO_ACCESS),
    "content_policy": render_error(
        403, "permission-denied", "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"
    ),
    "unknown_parameter": render_error(400, INVALID_ARGUMENT, "Argument not supported on this model: weather"),
    "context_length": render_error(
        400,
        INVALID_ARGUMENT,
        "This model's maximum prompt length is 131072 but the request contains 131073 tokens.",
    ),
    "request_too_large": render_error(413, "Payload too large", "The request body exceeds the limit."),
    "server_error": render_error(500, "Internal error", "Internal server error."),
    "bad_gateway": render_error(502, "Internal error", "Bad gateway."),
    "unavailable": render_error(503, UNAVAILABLE, AT_CAPACITY, {"retry-after": "0"}),
    "gateway_timeout": render_error(504, "The operation timed out", "Gateway timeout."),
    "overloaded_529": render_error(529, UNAVAILABLE, AT_CAPACITY),
}
"""Those refusals that are the same whatever was asked."""


class XAI(CompatibleService[XAIModel]):
    """xAI."""

    name = "xai"
    display_name = "xAI"
    base_path = "/xai/v1"
    first_models = XAI_MODELS
    api_types = (XAIResponses, XAIChat)

    def __init__(self) -> None:
        super().__init__()
        self.deferred: dict[str, Deferred] = {}

    def route(self, request: RecordedRequest) -> Answer:
        """Find the endpoint and let it answer; an answer to come later is kept."""
        is_chat = request.endpoint == XAIChat.endpoint
        if not (is_chat and as_object(request.body).get("deferred")):
            return super().route(request)
        whole = replace(request, body={**as_object(request.body), "stream": False})
        request_id = str(UUID(int=request.number))
        self.deferred[request_id] = Deferred(super().route(whole), self.orders.deferrals)
        return Answer({"request_id": request_id})

    @property
    def faults(self) -> Mapping[str, FaultAnswer]:
        """How xAI answers each kind of fault; it never says when to try again."""
        return {
            "auth": lambda request, _fault: refuse_key(bearer_key(request) or ""),
            "rate_limit": limit_rate,
            "overloaded": lambda _request, _fault: render_error(503, UNAVAILABLE, AT_CAPACITY),
            "quota": lambda _request, _fault: render_error(403, "permission-denied", OUT_OF_CREDITS),
            **{name: partial(refuse_as, refusal) for name, refusal in REFUSALS.items()},
        }

    def authenticate(self, request: RecordedRequest) -> None:
        """Refuse a missing key with 401 and a wrong one with 400."""
        key = bearer_key(request)
        if key is None:
            raise RefusedError(render_error(401, UNAUTHENTICATED, NO_KEY))
        if not is_accepted(key):
            raise RefusedError(refuse_key(key))

    def route_elsewhere(self, request: RecordedRequest) -> Answer:
        """Answer the list with prices; refuse every other URL."""
        match request.method, request.endpoint:
            case "GET", ["v1", "language-models"]:
                return Answer({"models": [render_priced_model(model) for model in self.models]})
            case "GET", ["v1", "language-models", name]:
                return Answer(render_priced_model(self.find_listed_model(name)))
            case "GET", ["v1", "chat", "deferred-completion", request_id]:
                return self.fetch(request_id)
            case "GET", ["v1", "api-key"]:
                return Answer(render_key(bearer_key(request) or ""))
            case "POST", ["v1", "tokenize-text"]:
                return self.tokenize(request)
            case _:
                return render_error(404, NOT_FOUND, f"Not found: {request.method} {request.path}")

    def find_listed_model(self, name: str) -> XAIModel:
        """Find a model by any of its names, or refuse the request."""
        return find_model(self.models, name)

    def fetch(self, request_id: str) -> Answer:
        """Answer for a deferred completion: not yet, then once, and then no more."""
        deferred = self.deferred.get(request_id)
        if deferred is None:
            return render_error(404, NOT_FOUND, f"No deferred completion found for request id {request_id}.")
        if deferred.waits > 0:
            deferred.waits -= 1
            return Answer("", 202)
        return self.deferred.pop(request_id).answer

    def tokenize(self, request: RecordedRequest) -> Answer:
        """Cut a text into tokens, all of four characters but the last."""
        body = check_object(request, "text", "model")
        find_model(self.models, str(body["model"]))
        pieces = re.findall(r".{1,4}", str(body["text"]), re.DOTALL)
        tokens = [
            {"token_id": number, "string_token": piece, "token_bytes": list(piece.encode())}
            for number, piece in enumerate(pieces)
        ]
        return Answer({"token_ids": tokens})

    def render_model(self, model: XAIModel) -> Json:
        """Render an entry of the list without prices."""
        return {
            "id": model.id,
            "created": CREATED,
            "object": "model",
            "owned_by": "xai",
            "aliases": list(model.aliases),
            "context_length": model.max_input,
        }

    def render_headers(self, request: RecordedRequest) -> dict[str, str]:
        """Identify the answer and tell the limits, but never when they reset."""
        return {
            "x-ratelimit-limit-requests": "1800",
            "x-ratelimit-limit-tokens": "10000000",
            "x-ratelimit-remaining-requests": "1799",
            "x-ratelimit-remaining-tokens": "9999999",
            "x-request-id": str(UUID(int=request.number)),
        }


def render_key(key: str) -> Json:
    """Render what xAI knows of a key."""
    return {
        "redacted_api_key": f"xai-...{key[-4:]}",
        "user_id": TEAM,
        "name": "simulator",
        "create_time": "2026-01-01T00:00:00.000000Z",
        "modify_time": "2026-01-01T00:00:00.000000Z",
        "modified_by": TEAM,
        "team_id": TEAM,
        "acls": ["api-key:endpoint:*", "api-key:model:*"],
        "api_key_id": TEAM,
        "team_blocked": False,
        "api_key_blocked": False,
        "api_key_disabled": False,
    }


def limit_rate(_request: RecordedRequest, fault: Fault) -> Answer:
    """Refuse a request beyond the rate; when the next may come is said only where that was ordered."""
    words = fault.words if fault.hint else ""
    headers = {"x-ratelimit-remaining-requests": "0", **fault.headers}
    return render_error(429, EXHAUSTED, TOO_FAST + words, headers)


def refuse_key(key: str) -> Answer:
    """Refuse a key that is not one; all but its ends is hidden."""
    shown = f"{key[:2]}***{key[-2:]}"
    message = f"Incorrect API key provided: {shown}. You can obtain an API key from https://console.x.ai."
    return render_error(400, INVALID_ARGUMENT, message)


def render_priced_model(model: XAIModel) -> Json:
    """Render an entry of the list with prices, in US cents per 100 million tokens: ticks per token."""
    input_price, cached_price, output_price = model.prices
    return {
        "id": model.id,
        "fingerprint": "fp_simulator",
        "created": CREATED,
        "object": "model",
        "owned_by": "xai",
        "version": "1.0",
        "aliases": list(model.aliases),
        "input_modalities": ["text", "image"],
        "output_modalities": ["text"],
        "prompt_text_token_price": input_price,
        "cached_prompt_text_token_price": cached_price,
        "prompt_image_token_price": input_price,
        "completion_text_token_price": output_price,
        "prompt_text_token_price_long_context": 2 * input_price,
        "cached_prompt_text_token_price_long_context": 2 * cached_price,
        "completion_text_token_price_long_context": 2 * output_price,
        "long_context_threshold": model.LONG_CONTEXT,
        "search_price": 0,
    }
