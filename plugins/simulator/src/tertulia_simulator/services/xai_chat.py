"""xAI's Chat Completions, which it calls legacy and still answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar
from uuid import UUID

from tertulia_simulator.models import XAIModel
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object, is_list
from tertulia_simulator.services import xai_history, xai_schema
from tertulia_simulator.services.api import Generation
from tertulia_simulator.services.chat import ChatAPI, render_output_details
from tertulia_simulator.services.service import Answer, RefusedError, Turn

ROLES = ("system", "user", "assistant", "function", "tool", "developer")
PARTS = ("text", "image_url", "file")
REFUSED = {"presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty", "stop": "stop"}
NO_LIVE_SEARCH = "Live search is deprecated. Please switch to the Agent Tools API."


class XAIChat(ChatAPI[XAIModel]):
    """``POST /v1/chat/completions`` at xAI."""

    display_name = "xAI"
    fingerprint: ClassVar[str | None] = "fp_simulator"

    def check_body(self, request: RecordedRequest) -> Json:
        """Refuse a body without a model and messages of the right shape, and images that are none."""
        body = xai_schema.check_object(request, "model", "messages")
        if not is_list(body["messages"]):
            raise xai_schema.refuse_body("messages: invalid type, expected a sequence")
        xai_schema.check_limits(body, "max_tokens", "max_completion_tokens")
        for index, message in enumerate(body["messages"]):
            check_message(as_object(message), f"messages[{index}]")
            for part in map(as_object, as_list(as_object(message).get("content"))):
                xai_history.check_file_id(as_object(part.get("file")).get("file_id"), self.orders.files)
        xai_history.check_tools(body, is_chat=True)
        xai_history.check_format(body.get("response_format"), is_chat=True)
        return body

    def check_parameters(self, body: Json, model: XAIModel) -> None:
        """Refuse no messages at all, and what xAI does not support, or no longer."""
        if body.get("search_parameters") is not None:
            raise RefusedError(Answer({"error": NO_LIVE_SEARCH}, 410))
        if not body["messages"]:
            raise xai_schema.refuse_argument("Empty messages")
        xai_schema.check_unsupported(body, model, body.get("reasoning_effort"), REFUSED)

    def check_history(self, request: RecordedRequest, model: XAIModel) -> None:
        """Refuse calls without answers and answers without calls."""
        messages = as_list(as_object(request.body).get("messages"))
        xai_history.check_messages([as_object(message) for message in messages])

    def reasons(self, body: Json, model: XAIModel) -> bool:
        """Whether the model may think before it answers."""
        return xai_schema.reasons(body.get("reasoning_effort"), model)

    def refuse_parameter(self, name: str) -> RefusedError:
        """Refuse a parameter as one that this model does not know."""
        return xai_schema.refuse_argument(f"Argument not supported on this model: {name}")

    def find_model(self, name: str) -> XAIModel:
        """Find a model by any of its names, or refuse the request."""
        return xai_schema.find_model(self.orders.models, name)

    def render_call_deltas(self, generation: Generation[XAIModel]) -> Iterator[Json]:
        """Render the calls whole, each in one piece."""
        for index, call in enumerate(self.render_calls(generation)):
            yield {"index": index, **call}

    def render_call_id(self, number: int, index: int) -> str:
        """Make the id of a call."""
        return f"call-{UUID(int=number)}-{index}"

    def render_common(self, generation: Generation[XAIModel], kind: str) -> Json:
        """Render what all carry; a retired name stays in it."""
        name = xai_schema.name_model(generation.body, generation.model)
        return super().render_common(generation, kind) | {"model": name}

    def render_whole(self, generation: Generation[XAIModel]) -> Json:
        """Render an answer outside a stream, which says that it is no refusal."""
        whole = super().render_whole(generation)
        whole["choices"][0]["message"] |= {"refusal": None}
        return whole

    def render_id(self, number: int) -> str:
        """Make a UUID."""
        return str(UUID(int=number))

    def render_usage(self, model: XAIModel, turn: Turn) -> Json:
        """Render the counts with the exact cost; the reasoning comes on top of the completion."""
        return {
            "prompt_tokens": turn.input_tokens,
            "completion_tokens": turn.answer_tokens,
            "total_tokens": turn.input_tokens + turn.output_tokens,
            "prompt_tokens_details": {
                "text_tokens": turn.text_tokens,
                "audio_tokens": 0,
                "image_tokens": turn.image_tokens,
                "cached_tokens": 0,
            },
            "completion_tokens_details": render_output_details(turn),
            "num_sources_used": 0,
            "cost_in_usd_ticks": model.cost(turn.input_tokens, turn.output_tokens),
        }

    def render_overflow(self, model: XAIModel, tokens: int) -> Answer:
        """Render the refusal of more input than the model takes."""
        return xai_schema.render_overflow(model, tokens)


def check_message(message: Json, place: str) -> None:
    """Refuse an unknown role, parts of an unknown type and images that are none."""
    if (role := message.get("role")) not in ROLES:
        raise refuse_variant(f"{place}.role", role, ROLES)
    for index, part in enumerate(map(as_object, as_list(message.get("content")))):
        if (kind := part.get("type")) not in PARTS:
            raise refuse_variant(f"{place}.content[{index}].type", kind, PARTS)
        if kind == "image_url":
            image = part.get("image_url")
            xai_schema.check_image(as_object(image).get("url", image))


def refuse_variant(place: str, value: object, supported: tuple[str, ...]) -> RefusedError:
    """Refuse a value that is none of those supported."""
    expected = ", ".join(f"`{name}`" for name in supported)
    if value is None:
        return xai_schema.refuse_body(f"{place}: missing field, expected one of {expected}")
    return xai_schema.refuse_body(f"{place}: unknown variant `{value}`, expected one of {expected}")
