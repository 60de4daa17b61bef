"""Answers of a given shape: what is asked for, and what an answer is read as."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias, cast

import attrs

from tertulia.domain.exchange import Reply
from tertulia.domain.message import FinishReason
from tertulia.domain.tool import ResponseSchema
from tertulia.errors import ConfigurationError, InvalidOutputError, ProtocolError
from tertulia.runtime.functions import NAME
from tertulia.runtime.schemas import Check, MismatchError, make_check, make_schema
from tertulia.runtime.serialization import decode_json

Schema: TypeAlias = type | Mapping[str, Any] | ResponseSchema
"""A Python type, or a JSON Schema as it is or with a name."""

VALUE = "value"
"""The member that holds an answer which is no object: providers want an object at the root."""

_FENCE = "```"
_WHY = {
    FinishReason.LENGTH: "it was cut off, because it was longer than it may be",
    FinishReason.REFUSAL: "the model refused",
    FinishReason.CONTENT_FILTER: "a part of it was held back",
}


@attrs.frozen
class Shape:
    """
    The shape an answer is to have.

    Attributes:
        schema: What the provider is told.

        check: What reads the answer by it.
    """

    schema: ResponseSchema
    check: Check

    def read(self, reply: Reply) -> Reply:
        """
        Return the reply with the value its text stands for.

        Raises:
            InvalidOutputError: It stands for none.
        """
        try:
            value = decode_json(_unwrap(reply.text))
            return attrs.evolve(reply, parsed=self.check(value))
        except (ProtocolError, MismatchError) as error:
            problem = error.message if isinstance(error, ProtocolError) else str(error)
            why = _WHY.get(reply.finish_reason, problem)
            raise InvalidOutputError(
                f"the answer is no {self.schema.name}: {why}",
                reply=reply,
                provider=reply.provider,
                kept="your message and the answer are stored",
                next_step="read the answer in this error's .reply, or regenerate() it",
            ) from error


def make_shape(schema: Schema) -> Shape:
    """
    Say what is asked for by a Python type or a JSON Schema.

    Raises:
        ConfigurationError: No schema can be made of it, or it is none.
    """
    if isinstance(schema, ResponseSchema):
        return _given(schema)
    if isinstance(schema, Mapping):
        return _given(ResponseSchema(_name(schema.get("title")), schema))
    name = _name(getattr(schema, "__name__", None))
    try:
        plain, check = make_schema(schema)
    except (TypeError, NameError, ValueError) as error:
        raise ConfigurationError(
            f"no JSON Schema can be made of {schema!r}: {error}",
            next_step="use attrs or data classes of plain types; or pass a JSON Schema",
        ) from error
    if plain.get("type") == "object":
        return Shape(ResponseSchema(name, plain), check)
    return _wrap(name, plain, check)


def _wrap(name: str, plain: dict[str, Any], check: Check) -> Shape:
    definitions = plain.pop("$defs", None)
    root = {
        "type": "object",
        "properties": {VALUE: plain},
        "required": [VALUE],
        "additionalProperties": False,
        **({} if definitions is None else {"$defs": definitions}),
    }

    def check_value(value: object) -> Any:
        if not isinstance(value, dict) or VALUE not in value:
            raise MismatchError(f"Object missing required field `{VALUE}`")
        return check(cast("dict[str, object]", value)[VALUE])

    return Shape(ResponseSchema(name, root), check_value)


def _given(schema: ResponseSchema) -> Shape:
    if not NAME.fullmatch(schema.name):
        raise ConfigurationError(
            f"{schema.name!r} cannot be the name of a schema",
            value=schema.name,
            next_step="use 1 to 64 letters, digits, - and _",
        )
    if schema.schema.get("type") != "object":
        raise ConfigurationError(
            "a schema describes an object, and this one has another type, or none",
            value=schema.schema.get("type"),
            next_step='write {"type": "object", "properties": {…}}',
        )
    try:
        return Shape(schema, make_check(schema.schema))
    except ValueError as error:
        raise ConfigurationError(f"this is no JSON Schema: {error}", value=schema.name) from error


def _name(wanted: object) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", str(wanted or "")).strip("_")[:64]
    return name or "answer"


def _unwrap(text: str) -> str:
    """Some servers put the JSON into a block of Markdown."""
    block = text.strip()
    # Not with a pattern: one that allows for blank lines takes minutes where a model writes nothing else.
    if not (block.startswith(_FENCE) and block.endswith(_FENCE) and len(block) > 2 * len(_FENCE)):
        return text
    language, _, content = block[len(_FENCE) : -len(_FENCE)].partition("\n")
    return content if language.strip().lower() in ("", "json") else text
