"""xAI: its Responses API and its two model lists, the second with prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from uuid import UUID

from tertulia_simulator.models import CREATED, XAI_MODELS, XAIModel
from tertulia_simulator.recording import Json, RecordedRequest, as_object, is_object
from tertulia_simulator.services.responses import Generation, ResponsesService
from tertulia_simulator.services.service import (
    Answer,
    FaultAnswer,
    RefusedError,
    Turn,
    bearer_key,
    is_accepted,
)

TEAM = "00000000-0000-0000-0000-000000000000"
INVALID_ARGUMENT = "Client specified an invalid argument"
NOT_FOUND = "Some requested entity was not found"
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


class XAI(ResponsesService[XAIModel]):
    """xAI."""

    name = "xai"
    display_name = "xAI"
    base_path = "/xai/v1"
    models = XAI_MODELS
    echoed: ClassVar[Json] = {
        "frequency_penalty": 0.0,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "store": True,
        "temperature": 0.7,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 0.95,
        "truncation": "disabled",
        "user": None,
    }

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
                return Answer(render_priced_model(self.find_model(name)))
            case _:
                return render_error(404, NOT_FOUND, f"Not found: {request.method} {request.path}")

    def check_body(self, request: RecordedRequest) -> Json:
        """Refuse a body without a JSON object, a model and an input; what is unknown is ignored."""
        if not is_object(body := request.body):
            raise RefusedError(
                Answer({"error": "Expected request with `Content-Type: application/json`"}, 415)
            )
        for name in ("model", "input"):
            if name not in body:
                raise refuse_body(f"missing field `{name}`")
        if not isinstance(body["input"], str | list):
            raise refuse_body("input: data did not match any variant of untagged enum ModelInput")
        if type(body.get("max_output_tokens")) not in (int, type(None)):
            raise refuse_body("max_output_tokens: invalid type, expected i32")
        return body

    def check_parameters(self, body: Json, model: XAIModel) -> None:
        """Refuse what xAI does not support."""
        if body.get("metadata"):
            raise refuse_argument("Argument not supported: metadata")
        if as_object(body.get("reasoning")).get("summary") is not None:
            raise refuse_argument("Argument not supported: reasoning.summary")
        for name, spelling in (
            ("presence_penalty", "presencePenalty"),
            ("frequency_penalty", "frequencyPenalty"),
        ):
            if body.get(name) is not None:
                raise refuse_argument(f"Argument not supported on this model: {spelling}")

    def find_model(self, name: str) -> XAIModel:
        """Find a model by its id, an alias or a name it retired, or refuse the request."""
        for model in self.models:
            if name in (model.id, *model.aliases, *model.retired):
                return model
        message = (
            f"The model {name} does not exist or your team {TEAM} does not have access to it. Please ensure "
            "you're using the correct API key. If you believe this is a mistake, please contact support and "
            "quote your team ID and the model name."
        )
        raise RefusedError(render_error(404, NOT_FOUND, message))

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

    def render_response(self, generation: Generation[XAIModel], status: str) -> Json:
        """Render the response object; the metadata are xAI's own, and a retired name stays in it."""
        asked = str(generation.body["model"])
        return super().render_response(generation, status) | {
            "model": asked if asked in generation.model.retired else generation.model.id,
            "metadata": {"system_fingerprint": "fp_simulator"},
            "service_tier": "priority" if generation.body.get("service_tier") == "priority" else "default",
        }

    def render_id(self, prefix: str, number: int) -> str:
        """Make a UUID, which is a response's id as it stands."""
        identity = str(UUID(int=number))
        return identity if prefix == "resp" else f"{prefix}_{identity}"

    def render_usage(self, model: XAIModel, turn: Turn) -> Json:
        """Render the counts with the exact cost."""
        return super().render_usage(model, turn) | {
            "num_sources_used": 0,
            "num_server_side_tools_used": 0,
            "cost_in_usd_ticks": model.cost(turn.input_tokens, turn.output_tokens),
            "context_details": {"input_tokens": turn.input_tokens, "output_tokens": turn.output_tokens},
        }

    def render_overflow(self, model: XAIModel, turn: Turn) -> Answer:
        """Render the refusal of more input than the model takes."""
        message = (
            f"This model's maximum prompt length is {model.max_input} "
            f"but the request contains {turn.input_tokens} tokens."
        )
        return render_error(400, INVALID_ARGUMENT, message)

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


def refuse_argument(message: str) -> RefusedError:
    """Refuse a parameter that is not supported."""
    return RefusedError(render_error(400, INVALID_ARGUMENT, message))


def refuse_body(problem: str) -> RefusedError:
    """Refuse a body of the wrong shape."""
    message = f"Failed to deserialize the JSON body into the target type: {problem}"
    return RefusedError(Answer({"error": message}, 422))


def render_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Render an error, whose code is a sentence as well."""
    return Answer({"code": code, "error": message}, status, headers=headers or {})


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
