"""xAI: the Responses API, Chat Completions and two model lists, the second with prices."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from tertulia_simulator.models import CREATED, XAI_MODELS, XAIModel
from tertulia_simulator.recording import Json, RecordedRequest
from tertulia_simulator.services.api import CompatibleService
from tertulia_simulator.services.service import Answer, FaultAnswer, RefusedError, bearer_key, is_accepted
from tertulia_simulator.services.xai_chat import XAIChat
from tertulia_simulator.services.xai_responses import XAIResponses
from tertulia_simulator.services.xai_schema import (
    INVALID_ARGUMENT,
    NOT_FOUND,
    TEAM,
    find_model,
    render_error,
)

UNAUTHENTICATED = "The request does not have valid authentication credentials"
UNAVAILABLE = "The service is currently unavailable"
EXHAUSTED = "Some resource has been exhausted"
NO_KEY = "No API key provided. Specify your API key in an Authorization header using Bearer auth."
AT_CAPACITY = "The model is currently at capacity due to high demand. Please try again later."
TOO_FAST = f"Too many requests for team {TEAM}. Your team's rate limit is 1800 requests per minute."
OUT_OF_CREDITS = (
    f"Your team {TEAM} has either used all available credits or reached its monthly spending limit. "
    "To continue making API requests, please purchase more credits or raise your spending limit."
)


class XAI(CompatibleService[XAIModel]):
    """xAI."""

    name = "xai"
    display_name = "xAI"
    base_path = "/xai/v1"
    models = XAI_MODELS
    apis = (XAIResponses(), XAIChat())

    @property
    def faults(self) -> Mapping[str, FaultAnswer]:
        """How xAI answers each kind of fault; it never says when to try again."""
        return {
            "auth": lambda request, _fault: refuse_key(bearer_key(request) or ""),
            "rate_limit": lambda _request, _fault: render_error(
                429, EXHAUSTED, TOO_FAST, {"x-ratelimit-remaining-requests": "0"}
            ),
            "overloaded": lambda _request, _fault: render_error(503, UNAVAILABLE, AT_CAPACITY),
            "quota": lambda _request, _fault: render_error(403, "permission-denied", OUT_OF_CREDITS),
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
                return Answer(render_priced_model(find_model(name)))
            case _:
                return render_error(404, NOT_FOUND, f"Not found: {request.method} {request.path}")

    def find_listed_model(self, name: str) -> XAIModel:
        """Find a model by any of its names, or refuse the request."""
        return find_model(name)

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
