"""A server on your own machine that speaks Chat Completions and wants no key, as Ollama does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar

from tertulia_simulator.faults import Fault
from tertulia_simulator.images import decode, identify
from tertulia_simulator.mind import split_words
from tertulia_simulator.models import CREATED, LOCAL_MODELS, Model
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object, is_list, is_object
from tertulia_simulator.services.api import CompatibleService, Generation
from tertulia_simulator.services.chat import ChatAPI, render_finish_reason
from tertulia_simulator.services.service import Answer, FaultAnswer, RefusedError, refuse_as

ERROR_TYPES = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error"}
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
BUSY = "server busy, please try again.  maximum pending requests exceeded"


class LocalChat(ChatAPI[Model]):
    """``POST /v1/chat/completions`` at a local server."""

    display_name = "Llama"
    fingerprint: ClassVar[str | None] = "fp_ollama"

    def check_body(self, request: RecordedRequest) -> Json:
        """Refuse a body without messages, and messages it cannot read; what is unknown is ignored."""
        if not is_object(body := request.body):
            raise refuse("invalid JSON")
        if not isinstance(body.get("model"), str):
            raise refuse("model is required")
        messages = as_list(body.get("messages"))
        if not messages:
            raise refuse("[] is too short - 'messages'")
        for name in ("max_tokens", "max_completion_tokens"):
            if type(limit := body.get(name)) not in (int, type(None)):
                raise refuse(f"cannot unmarshal {type(limit).__name__} into field {name} of type int")
        for message in messages:
            check_message(as_object(message))
        for tool in as_list(body.get("tools")):
            if not isinstance(as_object(as_object(tool).get("function")).get("name"), str):
                raise refuse("invalid tool: a function needs a name")
        return body

    def check_parameters(self, body: Json, model: Model) -> None:
        """Take every parameter there is."""

    def refuse_parameter(self, name: str) -> RefusedError:
        """Refuse a parameter as one that this server does not know."""
        return refuse(f"unknown field '{name}'")

    def find_model(self, name: str) -> Model:
        """Find a model that was pulled, or refuse the request."""
        for model in self.orders.models:
            if model.id == name:
                return model
        raise RefusedError(render_error(404, f'model "{name}" not found, try pulling it first'))

    def render_chunks(self, generation: Generation[Model]) -> Iterator[Json]:
        """Render a delta for each word; the last chunk says why no more comes, and the usage unasked."""
        for word in split_words(generation.turn.text):
            yield self.render_chunk(generation, {"role": "assistant", "content": word})
        if calls := self.render_calls(generation):
            numbered = [{"index": index, **call} for index, call in enumerate(calls)]
            delta: Json = {"role": "assistant", "content": "", "tool_calls": numbered}
            yield self.render_chunk(generation, delta)
        last = {"role": "assistant", "content": ""}
        finish_reason = render_finish_reason(generation.turn)
        usage = self.render_usage(generation.model, generation.turn)
        yield self.render_chunk(generation, last, finish_reason) | {"usage": usage}

    def render_id(self, number: int) -> str:
        """Make an id like ``chatcmpl-7``."""
        return f"chatcmpl-{number}"

    def render_overflow(self, model: Model, tokens: int) -> Answer:
        """Render the refusal of more input than the model takes."""
        return render_error(400, "the input length exceeds the context length")


class Local(CompatibleService[Model]):
    """A local server."""

    name = "local"
    display_name = "Llama"
    base_path = "/local/v1"
    first_models = LOCAL_MODELS
    api_types = (LocalChat,)

    @property
    def faults(self) -> Mapping[str, FaultAnswer]:
        """How a compatible server answers, or what stands before it, each kind of fault."""
        return {
            "auth": lambda _request, _fault: render_error(401, "invalid api key"),
            "rate_limit": limit_rate,
            "overloaded": lambda _request, _fault: render_error(503, BUSY),
            "quota": lambda _request, _fault: render_error(
                402, "insufficient credits", code="insufficient_quota"
            ),
            **{name: partial(refuse_as, refusal) for name, refusal in REFUSALS.items()},
        }

    def authenticate(self, request: RecordedRequest) -> None:
        """Take any key, and none."""

    def route_elsewhere(self, request: RecordedRequest) -> Answer:
        """Refuse every other URL."""
        return Answer("404 page not found", 404, content_type="text/plain")

    def find_listed_model(self, name: str) -> Model:
        """Refuse: the list is all there is."""
        raise RefusedError(Answer("404 page not found", 404, content_type="text/plain"))

    def render_model(self, model: Model) -> Json:
        """Render an entry of the model list."""
        return {"id": model.id, "object": "model", "created": CREATED, "owned_by": "library"}

    def render_headers(self, request: RecordedRequest) -> dict[str, str]:
        """Send none but those of HTTP."""
        return {}


def limit_rate(_request: RecordedRequest, fault: Fault) -> Answer:
    """Refuse a request beyond the rate, and say when the next may come, in seconds by default."""
    own = {"retry-after": f"{fault.retry_after:g}"}
    words = fault.words if fault.hint else ""
    headers = own if fault.hint is None else fault.headers
    return render_error(429, f"too many requests.{words}" if words else "too many requests", headers=headers)


def check_message(message: Json) -> None:
    """Refuse content that is neither a text nor parts, parts of an unknown type, and images that are none."""
    content = message.get("content")
    if content is None and message.get("tool_calls"):
        return
    if not isinstance(content, str) and not is_list(content):
        raise refuse(f"invalid message content type: {type(content).__name__}")
    for part in map(as_object, as_list(content)):
        match part.get("type"):
            case "text":
                pass
            case "image_url":
                image = part.get("image_url")
                check_image(as_object(image).get("url", image))
            case _:
                raise refuse("invalid message format")


def check_image(address: object) -> None:
    """Refuse an address, since nothing is fetched, and data that are no image it reads."""
    url = address if isinstance(address, str) else ""
    content = decode(url.partition(";base64,")[2]) if url.startswith("data:") else None
    if identify(content or b"").media_type not in IMAGE_TYPES:
        raise refuse("invalid image input")


def refuse(message: str) -> RefusedError:
    """Refuse a request for what it says."""
    return RefusedError(render_error(400, message))


def render_error(
    status: int, message: str, *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """Render an error."""
    error = {"message": message, "type": ERROR_TYPES.get(status, "api_error"), "param": None, "code": code}
    return Answer({"error": error}, status, headers=headers or {})


REFUSALS: Mapping[str, Answer] = {
    "permission": render_error(403, "access denied"),
    "model_not_found": render_error(404, 'model "llama-sim" not found, try pulling it first'),
    "content_policy": render_error(
        400,
        "The response was filtered due to the prompt triggering content management.",
        code="content_filter",
    ),
    "unknown_parameter": render_error(400, "Unrecognized request argument supplied: weather"),
    "context_length": render_error(400, "the input length exceeds the context length"),
    "request_too_large": render_error(413, "request entity too large"),
    "server_error": render_error(500, "llama runner process has terminated"),
    "bad_gateway": render_error(502, "bad gateway"),
    "unavailable": render_error(503, BUSY, headers={"retry-after": "0"}),
    "gateway_timeout": render_error(504, "gateway timeout"),
    "overloaded_529": render_error(529, BUSY),
}
"""Those refusals that are the same whatever was asked."""
