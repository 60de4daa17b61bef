"""OpenAI's Chat Completions."""

from __future__ import annotations

from typing import ClassVar

from tertulia_simulator.attachments import read_data_url
from tertulia_simulator.models import OpenAIModel
from tertulia_simulator.orders import StoredFile
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object, is_list, is_object
from tertulia_simulator.services.api import Generation
from tertulia_simulator.services.chat import ChatAPI, render_output_details
from tertulia_simulator.services.openai_history import check_chat_history, check_file_id
from tertulia_simulator.services.openai_responses import BILLED_TIERS, EFFORTS, FILE_EXAMPLE
from tertulia_simulator.services.openai_schema import (
    EXAMPLE,
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
from tertulia_simulator.services.service import Answer, RefusedError, Turn

PARAMETERS = """
    audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens
    messages metadata modalities model moderation n parallel_tool_calls prediction presence_penalty
    prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format
    safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools
    top_logprobs top_p user verbosity web_search_options
""".split()  # noqa: SIM905 - a list of forty lines says no more
TYPES = {
    "messages": (list, "an array of objects"),
    "max_completion_tokens": (int, "an integer"),
    "max_tokens": (int, "an integer"),
    "reasoning_effort": (str, "a string"),
    "service_tier": (str, "a string"),
    "store": (bool, "a boolean"),
    "stream": (bool, "a boolean"),
    "stream_options": (dict, "an object"),
    "tools": (list, "an array"),
    "metadata": (dict, "an object"),
}
ROLES = ("system", "assistant", "user", "function", "tool", "developer")
PARTS = ("text", "image_url", "file", "refusal")
PARTS_TO_HEAR = (*PARTS, "input_audio")
SAMPLING = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "stop",
)
UNREADABLE = (
    "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
    "['png', 'jpeg', 'gif', 'webp']."
)


class OpenAIChat(ChatAPI[OpenAIModel]):
    """``POST /v1/chat/completions`` at OpenAI."""

    display_name = "OpenAI"
    event_stream_type = "text/event-stream; charset=utf-8"
    fingerprint: ClassVar[str | None] = None

    def check_body(self, request: RecordedRequest) -> Json:
        """Refuse unknown, mistyped or missing parameters, and messages and images of the wrong shape."""
        body = check_object(request, PARAMETERS, TYPES)
        if not body.get("model"):
            raise RefusedError(render_error("you must provide a model parameter"))
        if "messages" not in body:
            raise refuse_missing("messages")
        if body.get("stream_options") is not None and not body.get("stream"):
            message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise refuse(message, param="stream_options")
        check_messages(as_list(body["messages"]), self.orders.files, str(body["model"]))
        check_tools(body, is_chat=True)
        given = body.get("response_format")
        check_format(given, "response_format", lambda: self.read_conversation(body), is_chat=True)
        return body

    def check_parameters(self, body: Json, model: OpenAIModel) -> None:
        """Refuse an effort that only Responses has, and the old limit and sampling while a model reasons."""
        effort = body.get("reasoning_effort")
        if effort == "max":
            message = "Unsupported value: 'reasoning_effort' does not support 'max' with this model."
            raise refuse(message, param="reasoning_effort", code="unsupported_value")
        check_effort(effort, model, "reasoning_effort", EFFORTS[:-1])
        if model.reasons and body.get("max_tokens") is not None:
            message = (
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead."
            )
            raise refuse(message, param="max_tokens", code="unsupported_parameter")
        check_sampling(body, model, effort, SAMPLING)

    def check_history(self, request: RecordedRequest, model: OpenAIModel) -> None:
        """Refuse calls without answers and answers without calls."""
        messages = [as_object(message) for message in as_list(as_object(request.body).get("messages"))]
        check_chat_history(messages)

    def refuse_parameter(self, name: str) -> RefusedError:
        """Refuse a parameter as one that this model does not know."""
        return refuse_parameter(name)

    def find_model(self, name: str) -> OpenAIModel:
        """Find a model, or refuse with a 404, as this API does."""
        if model := find_model(self.orders.models, name):
            return model
        message = f"The model `{name}` does not exist or you do not have access to it."
        raise RefusedError(render_error(message, status=404, code="model_not_found"))

    def render_id(self, number: int) -> str:
        """Make an id like ``chatcmpl-`` and 29 letters and digits."""
        return f"chatcmpl-{number:029x}"

    def render_common(self, generation: Generation[OpenAIModel], kind: str) -> Json:
        """Render what all carry, with the tier that is billed."""
        tier = generation.body.get("service_tier") or "auto"
        return super().render_common(generation, kind) | {"service_tier": BILLED_TIERS.get(tier, "default")}

    def render_first_delta(self) -> Json:
        """Render the delta that says who speaks, and that this is no refusal."""
        return super().render_first_delta() | {"refusal": None}

    def render_chunk(
        self, generation: Generation[OpenAIModel], delta: Json, finish_reason: str | None = None
    ) -> Json:
        """Render a chunk; it has a place for the usage where that was asked for, and padding."""
        chunk = super().render_chunk(generation, delta, finish_reason)
        chunk["choices"][0]["logprobs"] = None
        options = as_object(generation.body.get("stream_options"))
        if options.get("include_usage"):
            chunk["usage"] = None
        if options.get("include_obfuscation") is not False:
            chunk["obfuscation"] = "simulated"
        return chunk

    def render_whole(self, generation: Generation[OpenAIModel]) -> Json:
        """Render an answer outside a stream, which says that it is no refusal and cites nothing."""
        whole = super().render_whole(generation)
        whole["choices"][0]["message"] |= {"refusal": None, "annotations": []}
        whole["choices"][0]["logprobs"] = None
        return whole

    def render_usage(self, model: OpenAIModel, turn: Turn) -> Json:
        """Render the counts with their details."""
        return super().render_usage(model, turn) | {
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": render_output_details(turn),
        }

    def render_overflow(self, model: OpenAIModel, tokens: int) -> Answer:
        """Render the refusal of more input than the model takes."""
        message = (
            f"This model's maximum context length is {model.max_input} tokens. However, your messages "
            f"resulted in {tokens} tokens. Please reduce the length of the messages."
        )
        return render_error(message, param="messages", code="context_length_exceeded")


def check_messages(messages: list[object], files: dict[str, StoredFile], model: str) -> None:
    """Refuse no messages at all, and what is wrong in one of them."""
    if not messages:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead."
        )
        raise refuse(message, param="messages", code="empty_array")
    for index, given in enumerate(messages):
        if not is_object(given):
            raise refuse_type(f"messages[{index}]", "an object", given)
        check_message(given, f"messages[{index}]", files, model)
    parts = [part for message in messages for part in read_parts(as_object(message))]
    check_total(as_object(part.get("image_url")).get("url") for part in parts)


def check_message(message: Json, place: str, files: dict[str, StoredFile], model: str) -> None:
    """Refuse an unknown role, a tool's result without its call, and content of the wrong kind."""
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise refuse_value(f"{place}.role", role, ROLES)
    if role == "tool" and not message.get("tool_call_id"):
        raise refuse_missing(f"{place}.tool_call_id")
    if content is None and not (role == "assistant" and message.get("tool_calls")):
        raise refuse("Invalid value for 'content': expected a string, got null.", param=f"{place}.content")
    if content is not None and not isinstance(content, str) and not is_list(content):
        raise refuse_type(f"{place}.content", "one of a string or array of objects", content)
    for index, part in enumerate(read_parts(message)):
        where = f"{place}.content[{index}]"
        check_part(part, place, where, PARTS_TO_HEAR if "audio" in model else PARTS)
        if part.get("type") == "file":
            check_chat_file(as_object(part.get("file")), f"{where}.file", files)


def check_chat_file(file: Json, place: str, files: dict[str, StoredFile]) -> None:
    """Refuse a document that is no PDF, and one that was never uploaded."""
    check_file_id(file.get("file_id"), files, f"{place}.file_id")
    if (written := file.get("file_data")) is None:
        if file.get("file_id") is None:
            raise refuse_missing(f"{place}.file_id")
        return
    if file.get("filename") is None:
        raise refuse_missing(f"{place}.filename")
    media_type, content = read_data_url(str(written))
    if media_type != "application/pdf" or content is None:
        problem = f"got unsupported MIME type '{media_type}'."
        message = f"Invalid file data: '{place}.file_data'. {FILE_EXAMPLE}, but {problem}"
        raise refuse(message, param=f"{place}.file_data", code="invalid_value")


def check_part(part: Json, message_place: str, place: str, known: tuple[str, ...]) -> None:
    """Refuse a part that the model does not hear, and an image that is none."""
    if (kind := part.get("type")) not in known:
        # Recorded for audio at a model that has no ear for it.
        words = "Content blocks are expected to be either text or image_url type."
        raise refuse(f"Invalid '{message_place}'. {words}", param=message_place, code="invalid_value")
    if kind != "image_url":
        return
    if not is_object(image := part.get("image_url")):
        raise refuse_type(f"{place}.image_url", "an object", image)
    where = f"{place}.image_url.url"
    if not isinstance(address := image.get("url"), str):
        raise refuse_missing(where)
    problem = find_problem(address)
    if problem == NO_IMAGE:
        raise RefusedError(render_error(UNREADABLE, code="invalid_image_format"))
    if problem:
        message = f"Invalid image URL: '{where}'. {EXAMPLE}, but {problem}"
        raise refuse(message, param=where, code="invalid_value")
