"""What OpenAI refuses at both of its APIs, and how it says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tertulia_simulator.images import decode, identify
from tertulia_simulator.models import OpenAIModel
from tertulia_simulator.recording import Json, RecordedRequest, as_list, as_object, is_object
from tertulia_simulator.services.service import Answer, RefusedError

JSON_TYPES: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
    type(None): "null",
}
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
EXAMPLE = (
    "Expected a base64-encoded data URL with an image MIME type (e.g. 'data:image/png;base64,aW1nIGJ5dGVz')"
)
NO_IMAGE = "got something that is no image."
"""Of all that can be wrong with an image, this alone has words of its own at each API."""
LARGEST_IMAGES = 50 * 10**6

Types = Mapping[str, tuple[type, str]]


def check_object(request: RecordedRequest, known: Iterable[str], types: Types) -> Json:
    """Refuse a body that is no object, and unknown or mistyped parameters."""
    if not is_object(body := request.body):
        raise RefusedError(render_error("We could not parse the JSON body of your request."))
    for name in body:
        if name not in known:
            raise refuse(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    for name, (expected, words) in types.items():
        if type(value := body.get(name)) not in (expected, type(None)):
            raise refuse_type(name, words, value)
    return body


def check_sampling(body: Json, model: OpenAIModel, effort: object, names: Iterable[str]) -> None:
    """Refuse sampling parameters while the model reasons."""
    if (effort or ("medium" if model.reasons else "none")) == "none":
        return
    for name in names:
        if body.get(name) is not None:
            message = f"Unsupported parameter: '{name}' is not supported with this model."
            raise refuse(message, param=name)


def check_effort(effort: object, model: OpenAIModel, param: str, efforts: Iterable[str]) -> None:
    """Refuse to think at a model that cannot, and as hard as it never does."""
    if effort is None or not model.knows_effort:
        return
    if not model.efforts:
        message = f"Unsupported parameter: '{param}' is not supported with this model."
        raise refuse(message, param=param, code="unsupported_parameter")
    supported = [each for each in model.efforts if each in efforts]
    if effort not in supported:
        *first, last = (f"'{each}'" for each in supported)
        values = f"{', '.join(first)}, and {last}" if first else last
        message = (
            f"Unsupported value: '{effort}' is not supported with the '{model.id}' model. "
            f"Supported values are: {values}."
        )
        raise refuse(message, param=param, code="unsupported_value")


def find_model(models: Iterable[OpenAIModel], name: str) -> OpenAIModel | None:
    """Find a model by its id."""
    return next((model for model in models if model.id == name), None)


def find_problem(address: object) -> str | None:
    """What OpenAI finds wrong with the address of an image: the end of its sentence, or ``NO_IMAGE``."""
    if not isinstance(address, str) or address.startswith(("https://", "http://")):
        return None
    if not address.startswith("data:"):
        return "got a value without the 'data:' prefix."
    media_type, separator, text = address.removeprefix("data:").partition(";base64,")
    if not separator:
        return "got a value without the ';base64' separator."
    if media_type not in IMAGE_TYPES:
        return f"got unsupported MIME type '{media_type}'."
    if not text:
        return "got empty base64-encoded bytes."
    if (content := decode(text)) is None:
        return "got an invalid base64-encoded value."
    return None if identify(content).media_type in IMAGE_TYPES else NO_IMAGE


def check_total(addresses: Iterable[object]) -> None:
    """Refuse more images than one request may hold."""
    texts = [address.partition(",")[2] for address in addresses if isinstance(address, str)]
    total = sum(len(text) for text in texts) * 3 // 4
    if total > LARGEST_IMAGES:
        message = f"Total image size is {total / 10**6:.2f}MB, which exceeds the allowed limit of 50MB."
        raise RefusedError(render_error(message))


def read_parts(message: Json) -> list[Json]:
    """The parts of a message's content; none where it is a string."""
    return [as_object(part) for part in as_list(message.get("content"))]


def refuse_type(name: str, expected: str, value: object) -> RefusedError:
    """Refuse a value of the wrong type."""
    message = f"Invalid type for '{name}': expected {expected}, but got {JSON_TYPES[type(value)]} instead."
    return refuse(message, param=name, code="invalid_type")


def refuse_value(place: str, value: Any, supported: tuple[str, ...]) -> RefusedError:
    """Refuse a value that is none of those supported."""
    *first, last = (f"'{name}'" for name in supported)
    message = f"Invalid value: '{value}'. Supported values are: {', '.join(first)} and {last}."
    return refuse(message, param=place, code="invalid_value")


def refuse_missing(name: str) -> RefusedError:
    """Refuse a request without a parameter it needs."""
    message = f"Missing required parameter: '{name}'."
    return refuse(message, param=name, code="missing_required_parameter")


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
