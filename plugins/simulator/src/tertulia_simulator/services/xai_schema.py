"""What xAI refuses at both of its APIs, and how it says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tertulia_simulator.images import decode, identify
from tertulia_simulator.models import XAIModel
from tertulia_simulator.recording import Json, RecordedRequest, is_object
from tertulia_simulator.services.service import Answer, RefusedError, Turn

TEAM = "00000000-0000-0000-0000-000000000000"
INVALID_ARGUMENT = "Client specified an invalid argument"
NOT_FOUND = "Some requested entity was not found"
IMAGE_TYPES = ("image/jpeg", "image/png")
HOSTED_CALLS = (
    "web_search_calls",
    "x_search_calls",
    "code_interpreter_calls",
    "file_search_calls",
    "mcp_calls",
    "document_search_calls",
    "image_generation_calls",
)
LARGEST_IMAGE = 20 * 2**20


def check_object(request: RecordedRequest, *needed: str) -> Json:
    """Refuse a body that is no object or lacks a field; what is unknown is ignored."""
    if not is_object(body := request.body):
        raise RefusedError(Answer({"error": "Expected request with `Content-Type: application/json`"}, 415))
    for name in needed:
        if name not in body:
            raise refuse_body(f"missing field `{name}`")
    return body


def check_limits(body: Json, *names: str) -> None:
    """Refuse limits on the answer that are no numbers."""
    for name in names:
        if type(body.get(name)) not in (int, type(None)):
            raise refuse_body(f"{name}: invalid type, expected i32")


def check_unsupported(body: Json, model: XAIModel, effort: object, spellings: Mapping[str, str]) -> None:
    """Refuse an effort that the model does not know, and what no model supports that reasons."""
    if effort is not None and not model.takes_effort:
        raise refuse_argument(f"Model {model.id} does not support parameter reasoningEffort.")
    if effort is not None and model.efforts and effort not in model.efforts:
        raise refuse_argument(f"This model does not support 'reasoning_effort' value '{effort}'.")
    for name, spelling in spellings.items():
        if body.get(name) is not None:
            raise refuse_argument(f"Argument not supported on this model: {spelling}")


def check_image(address: object) -> None:
    """Refuse an address that leads to no JPEG or PNG, or to too large a one."""
    if not isinstance(address, str) or address.startswith(("https://", "http://")):
        return
    content = decode(address.partition(",")[2]) if address.startswith("data:") else None
    if not content:
        raise refuse_argument("The base64 string of the provided image cannot be decoded.")
    if len(content) > LARGEST_IMAGE:
        # The words are the simulator's own: no such answer was ever recorded.
        raise refuse_argument(
            f"The provided image has {len(content)} bytes, more than the limit of {LARGEST_IMAGE}."
        )
    if identify(content).media_type not in IMAGE_TYPES:
        raise refuse_argument("Downloaded response does not contain a valid JPG or PNG image.")


def find_model(models: Iterable[XAIModel], name: str) -> XAIModel:
    """Find a model by its id, an alias or a name it retired, or refuse the request."""
    for model in models:
        if name in (model.id, *model.aliases, *model.retired):
            return model
    message = (
        f"The model {name} does not exist or your team {TEAM} does not have access to it. Please ensure "
        "you're using the correct API key. If you believe this is a mistake, please contact support and "
        "quote your team ID and the model name."
    )
    raise RefusedError(render_error(404, NOT_FOUND, message))


def name_model(body: Json, model: XAIModel) -> str:
    """The name under which a model answers: its id, but a retired name stays."""
    asked = str(body["model"])
    return asked if asked in model.retired else model.id


def render_searches(turn: Turn) -> Json:
    """Render which tools of its own xAI used; nothing where it used none."""
    if not turn.searches:
        return {}
    used = dict.fromkeys(HOSTED_CALLS, 0) | {"web_search_calls": len(turn.searches)}
    return {"server_side_tool_usage_details": used}


def refuse_argument(message: str) -> RefusedError:
    """Refuse a parameter that is not supported."""
    return RefusedError(render_error(400, INVALID_ARGUMENT, message))


def reasons(effort: object, model: XAIModel) -> bool:
    """Whether a model may think before it answers."""
    return bool(model.efforts) and effort != "none"


def refuse_body(problem: str) -> RefusedError:
    """Refuse a body of the wrong shape."""
    message = f"Failed to deserialize the JSON body into the target type: {problem}"
    return RefusedError(Answer({"error": message}, 422))


def render_overflow(model: XAIModel, tokens: int) -> Answer:
    """Render the refusal of more input than the model takes."""
    message = (
        f"This model's maximum prompt length is {model.max_input} but the request contains {tokens} tokens."
    )
    return render_error(400, INVALID_ARGUMENT, message)


def render_error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Render an error, whose code is a sentence as well."""
    return Answer({"code": code, "error": message}, status, headers=headers or {})
