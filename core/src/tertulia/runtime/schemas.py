"""JSON Schemas: made of Python types, and held against what a model wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any, TypeAlias, cast

from tertulia.runtime.serialization import encode_json
from tertulia.wire.protocol import Json

Check: TypeAlias = Callable[[object], Any]
"""Takes decoded JSON and returns the value it stands for; raises :class:`MismatchError` when it is none."""

_POINTER = "#/$defs/"
_LONGEST_REASON = 500  # what does not fit a schema is quoted, however long it is
_DATA = frozenset({"const", "enum", "default", "examples"})  # what looks like a schema there is none


class MismatchError(Exception):
    """JSON has not the shape it must have; the message says what is wrong, and where."""


def make_schema(kind: Any) -> tuple[Json, Check]:
    """
    Make a JSON Schema of a Python type: what attrs, dataclasses, TypedDict, msgspec or pydantic define, or
    plain types, and any of them in another.

    Returns:
        The schema, and what reads values by it.

    Raises:
        TypeError: No schema can be made of it; the message says of which part.
        NameError: An annotation names what is not there.
    """
    import msgspec

    definitions: Json = {}

    def describe(part: Any) -> Json:
        if not _is_pydantic(part):
            raise NotImplementedError
        described: Json = part.model_json_schema()
        definitions.update(described.pop("$defs", {}))
        return described

    try:
        schema = msgspec.json.schema(kind, schema_hook=describe)
    except TypeError as error:
        raise TypeError(str(error).rsplit("\n", maxsplit=1)[-1]) from None
    except (NameError, ValueError):
        raise
    except Exception as error:  # foreign code describes itself
        raise TypeError(str(error).split("\n", maxsplit=1)[0]) from error
    if definitions:
        schema["$defs"] = definitions | schema.get("$defs", {})

    def check(value: object) -> Any:
        try:
            return msgspec.convert(_make_whole(value), kind, dec_hook=_read_pydantic)
        except msgspec.ValidationError as error:
            raise _mismatch(str(error)) from None
        except Exception as error:  # a class may check itself, with code of its own
            raise _mismatch(f"{type(error).__name__}: {error}") from error

    return _inline_root(schema), check


def make_check(schema: Mapping[str, Any]) -> Check:
    """
    Return what holds values against a given JSON Schema; they stay plain JSON.

    What it refers to is in it: nothing is fetched.

    Raises:
        ValueError: It is no JSON Schema, or refers to what is not in it; the message says why.
    """
    jsonschema: Any = import_module("jsonschema")  # which has no types
    registry: Any = import_module("jsonschema_specifications").REGISTRY  # given, so that nothing is fetched
    plain = dict(schema)
    kind = jsonschema.validators.validator_for(plain, default=jsonschema.Draft202012Validator)
    validator: Any = kind(plain, registry=registry)
    try:
        encode_json(plain)
        kind.check_schema(plain)
        _check_references(plain, registry, kind.META_SCHEMA)
        validator.is_valid({})
    except jsonschema.SchemaError as error:
        raise ValueError(f"{_shorten(error.message)} (at {error.json_path})") from None
    except RecursionError:
        raise ValueError("it is nested too deeply, or refers to itself for ever") from None
    except TypeError as error:
        raise ValueError(f"there is something in it that is no JSON: {error}") from error

    def check(value: object) -> Any:
        try:
            error = jsonschema.exceptions.best_match(validator.iter_errors(value))
        except Exception as failure:  # numbers too large to divide, schemas that refer to themselves, …
            raise _mismatch(f"it cannot be checked: {type(failure).__name__}: {failure}") from failure
        if error is not None:
            raise MismatchError(f"{_shorten(error.message)} - at `{error.json_path}`")
        return value

    return check


def write_value(value: object) -> str:
    """
    Write what a function returned as JSON, whatever defines its type.

    Raises:
        TypeError: There is something in it that cannot be written.
    """
    import msgspec

    dump = getattr(value, "model_dump", None)
    plain = dump(mode="json") if dump is not None else msgspec.to_builtins(value, str_keys=True)
    return encode_json(plain).decode()


def _is_pydantic(kind: Any) -> bool:
    return hasattr(kind, "model_json_schema") and hasattr(kind, "model_validate")


def _read_pydantic(kind: Any, value: object) -> Any:
    if _is_pydantic(kind):
        return kind.model_validate(value)
    raise NotImplementedError


def _check_references(schema: Json, registry: Any, metaschema: Json) -> None:
    referencing: Any = import_module("referencing.jsonschema")
    exceptions: Any = import_module("referencing.exceptions")
    found = list(_find_schemas(schema))
    if any("$id" in each for each in found):
        return  # names of their own; one that is not there is an answer's mismatch
    root = referencing.specification_with(metaschema["$schema"]).create_resource(schema)
    resolver = registry.resolver_with_root(root)
    for reference in (each["$ref"] for each in found if isinstance(each.get("$ref"), str)):
        try:
            resolver.lookup(reference)
        except exceptions.Unresolvable:
            raise ValueError(
                f"it refers to {reference!r}, which is not in it, and nothing is fetched"
            ) from None


def _find_schemas(schema: object) -> Iterator[Json]:
    """All objects in a schema that may be schemas, itself included."""
    left = [schema]
    while left:
        each = left.pop()
        if isinstance(each, Mapping):
            named = cast("Json", each)
            yield named
            left += [item for key, item in named.items() if key not in _DATA]
        elif isinstance(each, list):
            left += cast("list[object]", each)


def _mismatch(reason: str) -> MismatchError:
    return MismatchError(_shorten(reason))


def _shorten(reason: str) -> str:
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"


def _inline_root(schema: Json) -> Json:
    """Put the object at the root, where every provider wants it; what it refers to stays in ``$defs``."""
    definitions = cast("Json", schema.get("$defs", {}))
    name = str(schema.get("$ref", "")).removeprefix(_POINTER)
    if name not in definitions:
        return schema
    root = {**definitions[name]}
    if f'"{_POINTER}{name}"' not in repr(definitions).replace("'", '"'):
        definitions = {key: value for key, value in definitions.items() if key != name}
    return {**root, "$defs": definitions} if definitions else root


def _make_whole(value: object) -> object:
    """Some models write every number as a float: one without a fraction is a whole number here."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _make_whole(item) for key, item in cast("Json", value).items()}
    if isinstance(value, list):
        return [_make_whole(item) for item in cast("list[object]", value)]
    return value
