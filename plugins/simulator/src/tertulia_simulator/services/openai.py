"""OpenAI: the Responses API and the model list."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, ClassVar

from tertulia_simulator.faults import Fault
from tertulia_simulator.models import CREATED, OPENAI_MODELS, OpenAIModel
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object, is_list, is_object
from tertulia_simulator.services.responses import Generation, ResponsesService
from tertulia_simulator.services.service import (
    Answer,
    FaultAnswer,
    RefusedError,
    Turn,
    bearer_key,
    is_accepted,
)

PARAMETERS = """
    background background_options context_management conversation include input instructions max_output_tokens
    max_tool_calls metadata model moderation parallel_tool_calls previous_response_id prompt prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning safety_identifier service_tier store stream
    stream_options temperature text tool_choice tools top_logprobs top_p truncation user
""".split()  # noqa: SIM905 - a list of thirty lines says no more
TYPES = {
    "instructions": (str, "a string"),
    "max_output_tokens": (int, "an integer"),
    "service_tier": (str, "a string"),
    "store": (bool, "a boolean"),
    "stream": (bool, "a boolean"),
    "include": (list, "an array"),
    "tools": (list, "an array"),
    "metadata": (dict, "an object"),
}
JSON_TYPES: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
    type(None): "null",
}
ROLES = ("assistant", "system", "developer", "user")
PARTS_TO_SPEAK = ("output_text", "refusal")
PARTS_TO_HEAR = ("input_text", "input_image", "input_file", "input_audio")
BILLED_TIERS = {"flex": "flex", "priority": "priority", "fast": "priority"}
OVERLOADED = "Our servers are currently overloaded. Please try again later."
OVER_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on "
    "this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer "
    "auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're "
    "accessing the API from your browser and are prompted for a username and password. You can obtain an API "
    "key from https://platform.openai.com/account/api-keys."
)


class OpenAI(ResponsesService[OpenAIModel]):
    """OpenAI."""

    name = "openai"
    display_name = "OpenAI"
    base_path = "/openai/v1"
    models = OPENAI_MODELS
    event_stream_type = "text/event-stream; charset=utf-8"
    echoed: ClassVar[Json] = {
        "frequency_penalty": 0.0,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "metadata": {},
        "moderation": None,
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_retention": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "user": None,
    }

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
        }

    def authenticate(self, request: RecordedRequest) -> None:
        """Refuse a missing key and a wrong one, both with 401."""
        key = bearer_key(request)
        if key is None:
            raise RefusedError(render_error(NO_KEY, status=401))
        if not is_accepted(key):
            raise RefusedError(refuse_key(key))

    def route_elsewhere(self, request: RecordedRequest) -> Answer:
        """Refuse every other URL."""
        path = request.path.removeprefix(f"/{self.name}")
        return render_error(f"Invalid URL ({request.method} {path})", status=404)

    def check_body(self, request: RecordedRequest) -> Json:
        """Refuse a body that is no object, and unknown, mistyped or missing parameters."""
        if not is_object(body := request.body):
            raise RefusedError(render_error("We could not parse the JSON body of your request."))
        for name in body:
            if name not in PARAMETERS:
                raise refuse(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        for name in ("model", "input"):
            if name not in body:
                raise refuse(
                    f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter"
                )
        for name, (expected, words) in TYPES.items():
            if type(value := body.get(name)) not in (expected, type(None)):
                raise refuse_type(name, words, value)
        self._check_input(body["input"])
        return body

    def check_parameters(self, body: Json, model: OpenAIModel) -> None:
        """Refuse sampling parameters while the model reasons."""
        effort = as_object(body.get("reasoning")).get("effort") or ("medium" if model.reasons else "none")
        for name in ("temperature", "top_p", "top_logprobs"):
            if body.get(name) is not None and effort != "none":
                message = f"Unsupported parameter: '{name}' is not supported with this model."
                raise refuse(message, param=name)

    def find_model(self, name: str) -> OpenAIModel:
        """Find a model, or refuse with the 400 of the Responses API."""
        for model in self.models:
            if model.id == name:
                return model
        message = f"The requested model '{name}' does not exist."
        raise refuse(message, param="model", code="model_not_found")

    def find_listed_model(self, name: str) -> OpenAIModel:
        """Find a model, or refuse with the 404 of the model list."""
        try:
            return self.find_model(name)
        except RefusedError:
            message = f"The model '{name}' does not exist"
            refusal = render_error(message, status=404, param="model", code="model_not_found")
            raise RefusedError(refusal) from None

    def render_model(self, model: OpenAIModel) -> Json:
        """Render an entry of the model list."""
        return {
            "id": model.id,
            "object": "model",
            "created": CREATED,
            "owned_by": "system",
            "shutdown_date": model.shutdown_date,
        }

    def render_id(self, prefix: str, number: int) -> str:
        """Make an id like ``resp_`` and 48 hexadecimal digits."""
        return f"{prefix}_{number:048x}"

    def render_item(self, generation: Generation[OpenAIModel], status: str) -> Json:
        """Render the message, which newer models mark as the final answer."""
        phase = {"phase": "final_answer"} if generation.model.phased else {}
        return super().render_item(generation, status) | phase

    def render_overflow(self, model: OpenAIModel, turn: Turn) -> Answer:
        """Render the refusal of more input than the model takes."""
        return render_error(
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            param="input",
            code="context_length_exceeded",
        )

    def render_response(self, generation: Generation[OpenAIModel], status: str) -> Json:
        """Render the response object, with the tier asked for, and in the end the one billed."""
        tier = generation.body.get("service_tier") or "auto"
        billed = tier if status == "in_progress" else BILLED_TIERS.get(tier, "default")
        return super().render_response(generation, status) | {"service_tier": billed}

    def render_whole_extras(self) -> Json:
        """Say who pays and which hosted tools were used."""
        return {"billing": {"payer": "developer"}, "tool_usage": {"web_search": {"num_requests": 0}}}

    def render_delta_extras(self, body: Json) -> Json:
        """Pad the event, as OpenAI does against observers of its length unless told not to."""
        is_wanted = as_object(body.get("stream_options")).get("include_obfuscation") is not False
        return {"obfuscation": "simulated"} if is_wanted else {}

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

    def _check_input(self, given: object) -> None:
        if isinstance(given, str):
            return
        if not is_list(given):
            raise refuse_type("input", "one of an array of objects or string", given)
        for index, item in enumerate(given):
            if not is_object(item):
                raise refuse_type(f"input[{index}]", "an object", item)
            self._check_item(item, f"input[{index}]")

    def _check_item(self, item: Json, place: str) -> None:
        if item.get("type", "message") != "message":
            return
        role = item.get("role")
        if role not in ROLES:
            raise refuse_value(f"{place}.role", role, ROLES)
        supported = PARTS_TO_SPEAK if role == "assistant" else PARTS_TO_HEAR
        for index, part in enumerate(as_list(item.get("content"))):
            if (kind := as_object(part).get("type")) not in supported:
                raise refuse_value(f"{place}.content[{index}]", kind, supported)


def limit_rate(request: RecordedRequest, fault: Fault) -> Answer:
    """Refuse a request beyond the rate, and say when the next may come."""
    model = as_object(request.body).get("model")
    return render_error(
        f"Rate limit reached for {model} in organization org-simulator on requests per min (RPM): "
        f"Limit 15000, Used 15000, Requested 1. Please try again in {fault.retry_after:g}s. "
        "Visit https://platform.openai.com/account/rate-limits to learn more.",
        status=429,
        kind="requests",
        code="rate_limit_exceeded",
        headers={
            "retry-after": str(ceil(fault.retry_after)),
            "retry-after-ms": str(round(fault.retry_after * 1000)),
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{fault.retry_after:g}s",
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


def refuse_type(name: str, expected: str, value: object) -> RefusedError:
    """Refuse a value of the wrong type."""
    message = f"Invalid type for '{name}': expected {expected}, but got {JSON_TYPES[type(value)]} instead."
    return refuse(message, param=name, code="invalid_type")


def refuse_value(place: str, value: Any, supported: tuple[str, ...]) -> RefusedError:
    """Refuse a value that is none of those supported."""
    *first, last = (f"'{name}'" for name in supported)
    message = f"Invalid value: '{value}'. Supported values are: {', '.join(first)} and {last}."
    return refuse(message, param=place, code="invalid_value")


def refuse(message: str, *, param: str, code: str | None = None) -> RefusedError:
    """Refuse a request for one of its parameters."""
    return RefusedError(render_error(message, param=param, code=code))


def render_error(
    message: str,
    *,
    status: int = 400,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Render an error."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Answer({"error": error}, status, headers=headers or {})
