"""OpenAI: the Responses API, Chat Completions and the model list."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import ceil

from tertulia_simulator.faults import Fault
from tertulia_simulator.models import CREATED, OPENAI_MODELS, OpenAIModel
from tertulia_simulator.recording import Json, RecordedRequest, as_object
from tertulia_simulator.services.api import CompatibleService
from tertulia_simulator.services.openai_chat import OpenAIChat
from tertulia_simulator.services.openai_responses import OpenAIResponses
from tertulia_simulator.services.openai_schema import check_object, find_model, render_error
from tertulia_simulator.services.service import (
    Answer,
    FaultAnswer,
    RefusedError,
    bearer_key,
    count_input,
    is_accepted,
    refuse_as,
)
from tertulia_simulator.tokens import count_attachments

OVERLOADED = "Our servers are currently overloaded. Please try again later."
SERVER_ERROR = (
    "The server had an error while processing your request. Sorry about that! You can retry your request, or "
    "contact us through our help center if the error persists."
)
OVER_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on "
    "this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
COUNTED = """
    conversation input instructions model parallel_tool_calls previous_response_id reasoning text tool_choice
    tools truncation
""".split()  # noqa: SIM905 - a list of a dozen lines says no more
NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
    "auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're "
    "accessing the API from your browser and are prompted for a username and password. You can obtain an API "
    "key from https://platform.openai.com/account/api-keys."
)


REFUSALS: Mapping[str, Answer] = {
    "permission": render_error(
        "Country, region, or territory not supported",
        status=403,
        kind="request_forbidden",
        code="unsupported_country_region_territory",
    ),
    "content_policy": render_error(
        "Your request was rejected as a result of our safety system. Your prompt may contain text that is "
        "not allowed by our safety system.",
        code="content_policy_violation",
    ),
    "unknown_parameter": render_error(
        "Unknown parameter: 'weather'.", param="weather", code="unknown_parameter"
    ),
    "context_length": render_error(
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 128001 "
        "tokens. Please reduce the length of the messages.",
        param="messages",
        code="context_length_exceeded",
    ),
    "request_too_large": render_error("Request body is too large.", status=413),
    "server_error": render_error(SERVER_ERROR, status=500, kind="server_error"),
    "bad_gateway": render_error("Bad gateway.", status=502, kind="server_error"),
    "unavailable": render_error(
        OVERLOADED,
        status=503,
        kind="service_unavailable_error",
        code="server_is_overloaded",
        headers={"retry-after": "0"},
    ),
    "gateway_timeout": render_error("Gateway timeout.", status=504, kind="gateway_timeout"),
    "overloaded_529": render_error(OVERLOADED, status=529, kind="overloaded_error"),
}
"""Those refusals that are the same whatever was asked."""


class OpenAI(CompatibleService[OpenAIModel]):
    """OpenAI."""

    name = "openai"
    display_name = "OpenAI"
    base_path = "/openai/v1"
    first_models = OPENAI_MODELS
    api_types = (OpenAIResponses, OpenAIChat)

    @property
    def faults(self) -> Mapping[str, FaultAnswer]:
        """How OpenAI answers each kind of fault."""
        return {
            "auth": lambda request, _fault: refuse_key(bearer_key(request) or ""),
            "rate_limit": limit_rate,
            "overloaded": lambda _request, _fault: render_error(
                OVERLOADED, status=503, kind="service_unavailable_error", code="server_is_overloaded"
            ),
            "quota": lambda _request, _fault: render_error(
                OVER_QUOTA, status=429, kind="insufficient_quota", code="insufficient_quota"
            ),
            "model_not_found": lambda request, _fault: render_error(
                f"The model `{as_object(request.body).get('model')}` does not exist or you do not have "
                "access to it.",
                status=404,
                code="model_not_found",
            ),
            **{name: partial(refuse_as, refusal) for name, refusal in REFUSALS.items()},
        }

    def authenticate(self, request: RecordedRequest) -> None:
        """Refuse a missing key and a wrong one, both with 401."""
        key = bearer_key(request)
        if key is None:
            raise RefusedError(render_error(NO_KEY, status=401))
        if not is_accepted(key):
            raise RefusedError(refuse_key(key))

    def route_elsewhere(self, request: RecordedRequest) -> Answer:
        """Count the tokens of a request to come; refuse every other URL."""
        if request.method == "POST" and request.endpoint == ["v1", "responses", "input_tokens"]:
            return self.count_tokens(request)
        path = request.path.removeprefix(f"/{self.name}")
        return render_error(f"Invalid URL ({request.method} {path})", status=404)

    def count_tokens(self, request: RecordedRequest) -> Answer:
        """Count what a request would send; parameters of the answer are not known here."""
        body = check_object(request, COUNTED, {})
        api = OpenAIResponses(self.orders)
        api.check(request)
        messages = api.read_conversation(body)
        tokens = count_input(messages, api.read_offer(body)) + count_attachments(messages)
        return Answer({"object": "response.input_tokens", "input_tokens": tokens})

    def find_listed_model(self, name: str) -> OpenAIModel:
        """Find a model, or refuse with the 404 of the model list."""
        if model := find_model(self.models, name):
            return model
        message = f"The model '{name}' does not exist"
        raise RefusedError(render_error(message, status=404, param="model", code="model_not_found"))

    def render_model(self, model: OpenAIModel) -> Json:
        """Render an entry of the model list."""
        return {
            "id": model.id,
            "object": "model",
            "created": CREATED,
            "owned_by": "system",
            "shutdown_date": model.shutdown_date,
        }

    def render_headers(self, request: RecordedRequest) -> dict[str, str]:
        """Identify the answer and tell the limits."""
        return {
            "openai-organization": "simulator",
            "openai-processing-ms": "1",
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": "15000",
            "x-ratelimit-limit-tokens": "40000000",
            "x-ratelimit-remaining-requests": "14999",
            "x-ratelimit-remaining-tokens": "39999999",
            "x-ratelimit-reset-requests": "4ms",
            "x-ratelimit-reset-tokens": "0s",
            "x-request-id": f"req_{request.number:032x}",
        }


def limit_rate(request: RecordedRequest, fault: Fault) -> Answer:
    """Refuse a request beyond the rate, and say when the next may come."""
    model = as_object(request.body).get("model")
    own = {
        "retry-after": str(ceil(fault.retry_after)),
        "retry-after-ms": str(round(fault.retry_after * 1000)),
        "x-ratelimit-reset-requests": f"{fault.retry_after:g}s",
    }
    return render_error(
        f"Rate limit reached for {model} in organization org-simulator on requests per min (RPM): "
        f"Limit 15000, Used 15000, Requested 1.{fault.words} "
        "Visit https://platform.openai.com/account/rate-limits to learn more.",
        status=429,
        kind="requests",
        code="rate_limit_exceeded",
        headers={
            "x-ratelimit-remaining-requests": "0",
            **(own if fault.hint is None else {"x-ratelimit-reset-requests": "", **fault.headers}),
        },
    )


def refuse_key(key: str) -> Answer:
    """Refuse a key that is not one; of a long key, the middle is hidden."""
    shown = key if len(key) <= 12 else f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"
    return render_error(
        f"Incorrect API key provided: {shown}. "
        "You can find your API key at https://platform.openai.com/account/api-keys.",
        status=401,
        code="invalid_api_key",
    )
