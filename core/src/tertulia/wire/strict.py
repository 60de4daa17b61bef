"""JSON Schemas in the form that OpenAI can hold a model to: its *strict* mode."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from tertulia.wire.protocol import Json, is_too_deep, read_object

_KEPT = frozenset(
    {
        "$defs", "$ref", "additionalProperties", "anyOf", "const", "definitions", "description", "enum",
        "exclusiveMaximum", "exclusiveMinimum", "format", "items", "maxItems", "maximum", "minItems",
        "minimum", "multipleOf", "pattern", "properties", "required", "title", "type",
    }
)  # fmt: skip
"""The keywords that strict mode knows."""

_LEFT_OUT = frozenset({"default", "examples", "$schema", "$id", "$comment", "deprecated"})
"""Keywords that say nothing about what is valid, and that strict mode refuses."""

_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})


class _NotStrictError(Exception):
    """The schema says something that strict mode cannot."""


def make_strict(schema: Mapping[str, Any], *, require_all: bool) -> Json | None:
    """
    Write a schema of an object as strict mode wants it: every property required, and no others allowed.

    Whatever is valid by the result is valid by the schema.

    Args:
        schema: It is not changed.
        require_all: Whether a property that may be missing, and may not be null, becomes required. In an
            answer it is then always filled in; in the arguments of a function, where a model would have to
            invent it, rather not.

    Returns:
        None where that cannot be said in strict mode: an object with any members, a keyword it does not
        know, a property that has to stay optional.
    """
    try:
        plain = cast("Json", _copy(schema))
        if is_too_deep(plain) or plain.get("type") != "object" or "anyOf" in plain:
            return None
        return _Strictness(plain, require_all=require_all).convert(plain)
    except (_NotStrictError, TypeError, AttributeError, RecursionError):
        return None  # one that is no schema is for the service to refuse


def _copy(value: object) -> object:
    """The same in dictionaries and lists."""
    if isinstance(value, Mapping):
        members = cast("Mapping[str, object]", value)
        return {name: _copy(member) for name, member in members.items()}
    return [_copy(item) for item in cast("list[object]", value)] if isinstance(value, list | tuple) else value


class _Strictness:
    """Converts the schemas within one document, whose definitions they refer to."""

    def __init__(self, document: Json, *, require_all: bool) -> None:
        self._document = document
        self._require_all = require_all

    def convert(self, schema: object) -> Json:
        if not isinstance(schema, dict):
            raise _NotStrictError  # true and false stand for anything and nothing
        schema = {name: value for name, value in cast("Json", schema).items() if name not in _LEFT_OUT}
        if not schema.keys() <= _KEPT or schema.get("format", "date") not in _FORMATS:
            raise _NotStrictError
        if "$ref" in schema:
            return self._convert_reference(schema)
        if not schema.keys() & {"type", "anyOf", "enum", "const"}:
            raise _NotStrictError  # anything at all
        self._convert_members(schema)
        if "object" in _types(schema):
            self._close(schema)
        return schema

    def _convert_members(self, schema: Json) -> None:
        for name in ("$defs", "definitions", "properties"):
            if name in schema:
                schema[name] = {key: self.convert(value) for key, value in _members(schema[name]).items()}
        if "anyOf" in schema:
            schema["anyOf"] = [self.convert(choice) for choice in schema["anyOf"]]
        if "items" in schema:
            schema["items"] = self.convert(schema["items"])
        elif "array" in _types(schema):
            raise _NotStrictError

    def _close(self, schema: Json) -> None:
        """Allow the named properties only, and require each."""
        if schema.get("additionalProperties", False) is not False or "properties" not in schema:
            raise _NotStrictError
        schema["additionalProperties"] = False
        properties, required = schema["properties"], schema.get("required", [])
        optional = [name for name in properties if name not in required]
        can_be_required = self._require_all or all(self._may_be_null(properties[name]) for name in optional)
        if not can_be_required or not properties.keys() >= set(required):
            raise _NotStrictError
        schema["required"] = [*required, *optional]

    def _convert_reference(self, schema: Json) -> Json:
        """A reference stands alone; what is said beside it is said around it."""
        if not schema.keys() <= {"$ref", "description", "title"} or self._find(schema) is None:
            raise _NotStrictError
        if "description" not in schema:
            return {"$ref": schema["$ref"]}
        return {"anyOf": [{"$ref": schema["$ref"]}], "description": schema["description"]}

    def _may_be_null(self, schema: Json) -> bool:
        seen: list[Json] = [schema]
        for choice in seen:
            if "null" in _types(choice) or choice.get("const", ...) is None or None in choice.get("enum", ()):
                return True
            found = self._find(choice) if "$ref" in choice else None
            further = [found] if found is not None else choice.get("anyOf", [])
            seen += [option for option in further if option not in seen]
        return False

    def _find(self, schema: Json) -> Json | None:
        """What a reference within the document means; None where it means nothing."""
        reference = str(schema["$ref"])
        if reference == "#":
            return self._document
        if not reference.startswith("#/"):
            return None
        return read_object(self._document, *reference.split("/")[1:]) or None


def _types(schema: Json) -> list[object]:
    kinds: object = schema.get("type")
    return cast("list[object]", kinds) if isinstance(kinds, list) else [kinds]


def _members(value: object) -> Json:
    if not isinstance(value, dict):
        raise _NotStrictError
    return cast("Json", value)
