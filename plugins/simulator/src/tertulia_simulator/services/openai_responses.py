"""OpenAI's Responses API."""

from __future__ import annotations

from typing import ClassVar

from tertulia_simulator.attachments import read_data_url
from tertulia_simulator.models import OpenAIModel
from tertulia_simulator.orders import StoredFile
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object, is_list, is_object
from tertulia_simulator.services.api import Generation
from tertulia_simulator.services.openai_history import (
    check_file_id,
    check_items,
    check_reasoning,
    find_ignored,
    seal_thought,
)
from tertulia_simulator.services.openai_schema import (
    EXAMPLE,
    IMAGE_TYPES,
    NO_IMAGE,
    check_effort,
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
from tertulia_simulator.services.openai_tools import check_format, check_tools, refuse_parameter
from tertulia_simulator.services.responses import ResponsesAPI
from tertulia_simulator.services.service import Answer, RefusedError

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
ITEMS = (
    "message",
    "function_call",
    "function_call_output",
    "reasoning",
    "compaction",
    "item_reference",
    "custom_tool_call",
    "custom_tool_call_output",
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "mcp_call",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
)
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
VERBOSITIES = ("low", "medium", "high")
FILE_EXAMPLE = (
    "Expected a base64-encoded data URL with a valid file MIME type "
    "(e.g. 'data:text/plain;base64,SGVsbG8sIFdvcmxkIQ==')"
)
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
        check_input(body["input"], self.orders.files)
        check_tools(body, is_chat=False)
        given = as_object(body.get("text")).get("format")
        check_format(given, "text.format", lambda: self.read_conversation(body), is_chat=False)
        return body

    def check_parameters(self, body: Json, model: OpenAIModel) -> None:
        """Refuse an effort that the model does not know, and sampling parameters while it reasons."""
        effort = as_object(body.get("reasoning")).get("effort")
        check_effort(effort, model, "reasoning.effort", EFFORTS)
        check_sampling(body, model, effort, ("temperature", "top_p", "top_logprobs"))
        verbosity = as_object(body.get("text")).get("verbosity")
        if verbosity not in (*VERBOSITIES, None):
            raise refuse_value("text.verbosity", verbosity, VERBOSITIES)

    def check_history(self, request: RecordedRequest, model: OpenAIModel) -> None:
        """Refuse calls without answers, answers without calls, and thoughts that lead to nothing."""
        items = [as_object(item) for item in as_list(as_object(request.body).get("input"))]
        check_reasoning(items)
        check_items(items)

    def reasons(self, body: Json, model: OpenAIModel) -> bool:
        """Whether the model may think before it answers."""
        effort = as_object(body.get("reasoning")).get("effort")
        return (effort or ("medium" if model.reasons else "none")) != "none"

    def refuse_parameter(self, name: str) -> RefusedError:
        """Refuse a parameter as one that this model does not know."""
        return refuse_parameter(name)

    def seal_reasoning(self, generation: Generation[OpenAIModel]) -> str:
        """Seal a thought, to know it again."""
        return seal_thought(generation.request, generation.model, generation.turn.reasoning)

    def begin_item(self, item: Json) -> Json:
        """Render the event that announces an item; a thought comes with a copy that is not complete."""
        event = super().begin_item(item)
        if sealed := item.get("encrypted_content"):
            event["item"]["encrypted_content"] = sealed[: len(sealed) // 2]
        return event

    def find_model(self, name: str) -> OpenAIModel:
        """Find a model, or refuse with a 400, as this API does."""
        if model := find_model(self.orders.models, name):
            return model
        message = f"The requested model '{name}' does not exist."
        raise refuse(message, param="model", code="model_not_found")

    def render_id(self, prefix: str, number: int, index: int = 0) -> str:
        """Make an id like ``resp_`` and 48 hexadecimal digits; that of a call has 24."""
        width = 24 if prefix == "call" else 48
        return f"{prefix}_{index:0{width // 2}x}{number:0{width // 2}x}"

    def render_message(self, generation: Generation[OpenAIModel], status: str) -> Json:
        """Render the message, which newer models mark as the final answer, or as a remark before calls."""
        phase = "commentary" if generation.turn.calls else "final_answer"
        marked = {"phase": phase} if generation.model.phased else {}
        return super().render_message(generation, status) | marked

    def render_overflow(self, model: OpenAIModel, tokens: int) -> Answer:
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
        response = super().render_response(generation, status) | {"service_tier": billed}
        items = map(as_object, as_list(generation.body.get("input")))
        ignored = find_ignored(generation.request, generation.model, items)
        return {**response, "input_transformations": ignored} if ignored else response

    def render_whole(self, generation: Generation[OpenAIModel]) -> Json:
        """Render the response object, and who pays and which hosted tools were used."""
        return super().render_whole(generation) | {
            "billing": {"payer": "developer"},
            "tool_usage": {"web_search": {"num_requests": len(generation.turn.searches)}},
        }

    def render_delta_extras(self, body: Json) -> Json:
        """Pad the event, as OpenAI does against observers of its length unless told not to."""
        is_wanted = as_object(body.get("stream_options")).get("include_obfuscation") is not False
        return {"obfuscation": "simulated"} if is_wanted else {}


def check_input(given: object, files: dict[str, StoredFile]) -> None:
    """Refuse anything but a text or a list of items, and what is wrong in one of these."""
    if isinstance(given, str):
        return
    if not is_list(given):
        raise refuse_type("input", "one of an array of objects or string", given)
    for index, item in enumerate(given):
        if not is_object(item):
            raise refuse_type(f"input[{index}]", "an object", item)
        kind = item.get("type", "message")
        if kind == "message":
            check_message(item, f"input[{index}]", files)
        elif kind not in ITEMS:
            raise refuse_value(f"input[{index}]", kind, ITEMS)
    check_total(part.get("image_url") for item in given for part in read_parts(item))


def check_message(item: Json, place: str, files: dict[str, StoredFile]) -> None:
    """Refuse an unknown role, parts that it does not send, and images and files that are none."""
    role = item.get("role")
    if role not in ROLES:
        raise refuse_value(f"{place}.role", role, ROLES)
    supported = PARTS_TO_SPEAK if role == "assistant" else PARTS_TO_HEAR
    for index, part in enumerate(read_parts(item)):
        where = f"{place}.content[{index}]"
        if (kind := part.get("type")) not in supported:
            raise refuse_value(where, kind, supported)
        if kind == "input_image":
            check_image(part.get("image_url"), f"{where}.image_url")
        if kind == "input_file":
            check_file(part, where)
        check_file_id(part.get("file_id"), files, f"{where}.file_id")


def check_file(part: Json, place: str) -> None:
    """Refuse a document without a content, and one that nobody can read."""
    if not any(part.get(name) for name in ("file_data", "file_url", "file_id")):
        raise refuse_missing(f"{place}.file_id")
    if (written := part.get("file_data")) is None:
        return
    media_type, content = read_data_url(str(written))
    problem = (
        "got a value without the 'data:' prefix."
        if media_type is None
        else f"got unsupported MIME type '{media_type}'."
        if not is_document(media_type)
        else "got an invalid base64-encoded value."
        if content is None
        else ""
    )
    if problem:
        message = f"Invalid file data: '{place}.file_data'. {FILE_EXAMPLE}, but {problem}"
        raise refuse(message, param=f"{place}.file_data", code="invalid_value")


def is_document(media_type: str) -> bool:
    """Whether OpenAI reads files of that type: texts, PDF and what offices write."""
    return media_type.startswith(("text/", "application/")) and media_type != "application/octet-stream"


def check_image(address: object, place: str) -> None:
    """Refuse an address that leads to no image."""
    if type(address) not in (str, type(None)):
        raise refuse_type(place, "a string", address)
    problem = find_problem(address)
    if problem == NO_IMAGE:
        raise refuse(UNREADABLE, param="input", code="invalid_value")
    if problem:
        raise refuse(f"Invalid '{place}'. {EXAMPLE}, but {problem}", param=place, code="invalid_value")
