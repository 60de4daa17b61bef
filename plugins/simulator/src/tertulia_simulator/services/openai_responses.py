"""OpenAI's Responses API."""

from __future__ import annotations

from typing import ClassVar

from tertulia_simulator.models import OpenAIModel
from tertulia_simulator.recording import Json, RecordedRequest, as_object, is_list, is_object
from tertulia_simulator.services.api import Generation
from tertulia_simulator.services.openai_schema import (
    EXAMPLE,
    IMAGE_TYPES,
    NO_IMAGE,
    check_object,
    check_sampling,
    check_total,
    find_model,
    find_problem,
    read_parts,
    refuse,
    refuse_missing,
    refuse_type,
    refuse_value,
    render_error,
)
from tertulia_simulator.services.responses import ResponsesAPI
from tertulia_simulator.services.service import Answer, Turn

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
ROLES = ("assistant", "system", "developer", "user")
PARTS_TO_SPEAK = ("output_text", "refusal")
PARTS_TO_HEAR = ("input_text", "input_image", "input_file", "input_audio")
BILLED_TIERS = {"flex": "flex", "priority": "priority", "fast": "priority"}
UNREADABLE = (
    "The image data you provided does not represent a valid image. Please check your input and try again "
    f"with one of the supported image formats: {list(IMAGE_TYPES)}."
)


class OpenAIResponses(ResponsesAPI[OpenAIModel]):
    """``POST /v1/responses`` at OpenAI."""

    display_name = "OpenAI"
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

    def check_body(self, request: RecordedRequest) -> Json:
        """Refuse unknown, mistyped or missing parameters, and items and images of the wrong shape."""
        body = check_object(request, PARAMETERS, TYPES)
        for name in ("model", "input"):
            if name not in body:
                raise refuse_missing(name)
        check_input(body["input"])
        return body

    def check_parameters(self, body: Json, model: OpenAIModel) -> None:
        """Refuse sampling parameters while the model reasons."""
        effort = as_object(body.get("reasoning")).get("effort")
        check_sampling(body, model, effort, ("temperature", "top_p", "top_logprobs"))

    def find_model(self, name: str) -> OpenAIModel:
        """Find a model, or refuse with a 400, as this API does."""
        if model := find_model(name):
            return model
        message = f"The requested model '{name}' does not exist."
        raise refuse(message, param="model", code="model_not_found")

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

    def render_whole(self, generation: Generation[OpenAIModel]) -> Json:
        """Render the response object, and who pays and which hosted tools were used."""
        return super().render_whole(generation) | {
            "billing": {"payer": "developer"},
            "tool_usage": {"web_search": {"num_requests": 0}},
        }

    def render_delta_extras(self, body: Json) -> Json:
        """Pad the event, as OpenAI does against observers of its length unless told not to."""
        is_wanted = as_object(body.get("stream_options")).get("include_obfuscation") is not False
        return {"obfuscation": "simulated"} if is_wanted else {}


def check_input(given: object) -> None:
    """Refuse anything but a text or a list of items, and what is wrong in one of these."""
    if isinstance(given, str):
        return
    if not is_list(given):
        raise refuse_type("input", "one of an array of objects or string", given)
    for index, item in enumerate(given):
        if not is_object(item):
            raise refuse_type(f"input[{index}]", "an object", item)
        if item.get("type", "message") == "message":
            check_message(item, f"input[{index}]")
    check_total(part.get("image_url") for item in given for part in read_parts(item))


def check_message(item: Json, place: str) -> None:
    """Refuse an unknown role, parts that it does not send, and images that are none."""
    role = item.get("role")
    if role not in ROLES:
        raise refuse_value(f"{place}.role", role, ROLES)
    supported = PARTS_TO_SPEAK if role == "assistant" else PARTS_TO_HEAR
    for index, part in enumerate(read_parts(item)):
        if (kind := part.get("type")) not in supported:
            raise refuse_value(f"{place}.content[{index}]", kind, supported)
        if kind == "input_image":
            check_image(part.get("image_url"), f"{place}.content[{index}].image_url")


def check_image(address: object, place: str) -> None:
    """Refuse an address that leads to no image."""
    if type(address) not in (str, type(None)):
        raise refuse_type(place, "a string", address)
    problem = find_problem(address)
    if problem == NO_IMAGE:
        raise refuse(UNREADABLE, param="input", code="invalid_value")
    if problem:
        raise refuse(f"Invalid '{place}'. {EXAMPLE}, but {problem}", param=place, code="invalid_value")
