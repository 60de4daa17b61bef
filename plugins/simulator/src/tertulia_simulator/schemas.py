"""Documents made for a JSON Schema, always the same for the same question."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from tertulia_simulator.recording import as_list, as_object

MOST = 1_000
"""So many items or characters a document has at most."""

DEEPEST = 6
"""So deep, a schema that contains itself is followed only where it must be; twice as deep, nowhere."""


def fill(schema: Mapping[str, Any], question: str) -> Any:
    """
    Make a document that conforms to a schema.

    Strings quote the question, an enumeration gives its first value, numbers count from 1 in the order of
    the properties, a boolean is true and a list has as many items as it must, at least one.
    """
    return _fill(schema, question, count(1), schema, 0)


def resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference within a schema; an unknown one leads to anything at all."""
    seen: set[str] = set()
    while isinstance(reference := schema.get("$ref"), str) and reference not in seen:
        seen.add(reference)
        target: Any = root
        for name in reference.removeprefix("#").strip("/").split("/"):
            target = as_object(target).get(name) if name else target
        schema = as_object(target)
    return schema


def type_of(schema: Mapping[str, Any]) -> str:
    """The type of a schema in JSON Schema's words; of several, the first that is not null."""
    kind = schema.get("type")
    named = [str(name).lower() for name in (as_list(kind) or [kind]) if name]
    given = [name for name in named if name != "null"] or named
    return given[0] if given else "object" if "properties" in schema else "string"


def read_count(schema: Mapping[str, Any], name: str) -> int | None:
    """Read a limit on a length; what is no number is none, and a large one is more than anybody needs."""
    count = schema.get(name)
    return min(max(count, 0), MOST) if isinstance(count, int) else None


def _fill(
    schema: Mapping[str, Any], question: str, numbers: Iterator[int], root: Mapping[str, Any], depth: int
) -> Any:
    if depth > 2 * DEEPEST:
        return None
    schema = resolve(schema, root)
    for name in ("anyOf", "oneOf", "allOf"):
        if choices := [as_object(choice) for choice in as_list(schema.get(name))]:
            # So deep, the choice that goes no deeper is the better one: null, where it is allowed.
            chosen = choices[-1] if depth > DEEPEST else choices[0]
            return _fill(chosen, question, numbers, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if values := as_list(schema.get("enum")):
        return values[0]
    return _fill_type(schema, question, numbers, root, depth)


def _fill_type(
    schema: Mapping[str, Any], question: str, numbers: Iterator[int], root: Mapping[str, Any], depth: int
) -> Any:
    match type_of(schema):
        case "object":
            return _fill_object(schema, question, numbers, root, depth)
        case "array":
            items = as_object(schema.get("items"))
            amount = max(read_count(schema, "minItems") or 0, 0 if depth > DEEPEST else 1)
            longest = read_count(schema, "maxItems")
            amount = amount if longest is None else min(amount, longest)
            return [_fill(items, question, numbers, root, depth + 1) for _ in range(amount)]
        case "integer" | "number":
            return _fit_number(schema, next(numbers))
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return _fit_text(schema, question)


def _fill_object(
    schema: Mapping[str, Any], question: str, numbers: Iterator[int], root: Mapping[str, Any], depth: int
) -> dict[str, Any]:
    properties, required = as_object(schema.get("properties")), as_list(schema.get("required"))
    wanted = [name for name in properties if depth <= DEEPEST or name in required]
    return {name: _fill(as_object(properties[name]), question, numbers, root, depth + 1) for name in wanted}


def _fit_number(schema: Mapping[str, Any], number: int) -> Any:
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    if isinstance(lowest, int | float) and number < lowest:
        return lowest
    return highest if isinstance(highest, int | float) and number > highest else number


def _fit_text(schema: Mapping[str, Any], question: str) -> str:
    if text := FORMATS.get(str(schema.get("format"))):
        return text
    shortest, longest = read_count(schema, "minLength") or 0, read_count(schema, "maxLength")
    text = question if longest is None else question[:longest]
    return text.ljust(shortest, ".")


FORMATS = {
    "date": "2026-11-22",
    "time": "12:00:00Z",
    "date-time": "2026-11-22T12:00:00Z",
    "duration": "PT1H",
    "email": "simulator@example.com",
    "hostname": "example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000001",
}
