"""xAI's Responses API."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from tertulia_simulator.models import XAIModel
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object, is_list
from tertulia_simulator.services import xai_history, xai_schema
from tertulia_simulator.services.api import Generation
from tertulia_simulator.services.responses import ResponsesAPI
from tertulia_simulator.services.service import Answer, RefusedError, Turn

PENALTIES = {"presence_penalty": "presencePenalty", "frequency_penalty": "frequencyPenalty"}


class XAIResponses(ResponsesAPI[XAIModel]):
    """``POST /v1/responses`` at xAI."""

    display_name = "xAI"
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

    def check_body(self, request: RecordedRequest) -> Json:
        """Refuse a body without a model and an input of the right shape, and images that are none."""
        body = xai_schema.check_object(request, "model", "input")
        given = body["input"]
        if not isinstance(given, str) and not is_list(given):
            raise xai_schema.refuse_body("input: data did not match any variant of untagged enum ModelInput")
        xai_schema.check_limits(body, "max_output_tokens")
        parts = [part for item in as_list(given) for part in as_list(as_object(item).get("content"))]
        for part in map(as_object, parts):
            xai_schema.check_image(part.get("image_url"))
            xai_history.check_file_id(part.get("file_id"), self.orders.files)
        xai_history.check_tools(body, is_chat=False)
        xai_history.check_format(as_object(body.get("text")).get("format"), is_chat=False)
        return body

    def check_parameters(self, body: Json, model: XAIModel) -> None:
        """Refuse what xAI does not support."""
        reasoning = as_object(body.get("reasoning"))
        if body.get("metadata"):
            raise xai_schema.refuse_argument("Argument not supported: metadata")
        if reasoning.get("summary") is not None:
            raise xai_schema.refuse_argument("Argument not supported: reasoning.summary")
        xai_schema.check_unsupported(body, model, reasoning.get("effort"), PENALTIES)

    def check_history(self, request: RecordedRequest, model: XAIModel) -> None:
        """Refuse calls without answers, answers without calls, and thoughts of others."""
        xai_history.check_items([as_object(item) for item in as_list(as_object(request.body).get("input"))])

    def reasons(self, body: Json, model: XAIModel) -> bool:
        """Whether the model may think before it answers."""
        return xai_schema.reasons(as_object(body.get("reasoning")).get("effort"), model)

    def refuse_parameter(self, name: str) -> RefusedError:
        """Refuse a parameter as one that this model does not know."""
        return xai_schema.refuse_argument(f"Argument not supported on this model: {name}")

    def wants_summary(self, body: Json) -> bool:
        """Tell thoughts in words always: nobody can ask for it."""
        return True

    def wants_state(self, generation: Generation[XAIModel]) -> bool:
        """Give sealed thoughts away when asked for them; the newest model does it always."""
        return generation.model.gives_state or super().wants_state(generation)

    def seal_reasoning(self, generation: Generation[XAIModel]) -> str:
        """Seal a thought, to know it again."""
        turn, number = generation.turn, generation.request.number
        return xai_history.seal_thought(generation.model.id, turn.reasoning, number)

    def split_arguments(self, arguments: str) -> list[str]:
        """Send the arguments of a call in one piece."""
        return [arguments]

    def render_reasoning(self, generation: Generation[XAIModel]) -> Json:
        """Render what was thought; here, thoughts have a status."""
        return super().render_reasoning(generation) | {"status": "completed"}

    def find_model(self, name: str) -> XAIModel:
        """Find a model by any of its names, or refuse the request."""
        return xai_schema.find_model(self.orders.models, name)

    def render_response(self, generation: Generation[XAIModel], status: str) -> Json:
        """Render the response object; the metadata are xAI's own."""
        return super().render_response(generation, status) | {
            "model": xai_schema.name_model(generation.body, generation.model),
            "metadata": {"system_fingerprint": "fp_simulator"},
            "service_tier": "priority" if generation.body.get("service_tier") == "priority" else "default",
        }

    def render_id(self, prefix: str, number: int, index: int = 0) -> str:
        """Make a UUID, which is a response's id as it stands."""
        identity = str(UUID(int=number))
        match prefix:
            case "resp":
                return identity
            case "call":
                return f"call-{identity}-{index}"
            case "fc" | "ws":
                return f"{prefix}_{identity}_{index}"
            case _:
                return f"{prefix}_{identity}"

    def render_usage(self, model: XAIModel, turn: Turn) -> Json:
        """Render the counts with the exact cost."""
        return super().render_usage(model, turn) | {
            "num_sources_used": 0,
            "num_server_side_tools_used": len(turn.searches),
            "cost_in_usd_ticks": model.cost(turn.input_tokens, turn.output_tokens, len(turn.searches)),
            **xai_schema.render_searches(turn),
            "context_details": {"input_tokens": turn.input_tokens, "output_tokens": turn.output_tokens},
        }

    def render_overflow(self, model: XAIModel, tokens: int) -> Answer:
        """Render the refusal of more input than the model takes."""
        return xai_schema.render_overflow(model, tokens)
