"""JSON Schemas in OpenAI's strict mode."""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import Any

import pytest

from tertulia.wire.strict import make_strict

TEXT = {"type": "string"}
MAYBE = {"type": ["string", "null"]}


def an_object(required: list[str] | None = None, /, **properties: Any) -> dict[str, Any]:
    names = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": names}


def closed(**properties: Any) -> dict[str, Any]:
    return {**an_object(**properties), "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param(closed(a=TEXT), closed(a=TEXT), id="one that is strict already"),
        pytest.param(an_object(a=TEXT), closed(a=TEXT), id="an open object is closed"),
        pytest.param(closed(), closed(), id="a function without parameters"),
        pytest.param({"type": "object", "properties": {}}, closed(), id="the parameters of none"),
        pytest.param(an_object([], a=MAYBE), closed(a=MAYBE), id="what may be null may be required"),
        pytest.param(
            an_object([], a={"anyOf": [TEXT, {"type": "null"}]}),
            closed(a={"anyOf": [TEXT, {"type": "null"}]}),
            id="null as a choice",
        ),
        pytest.param(
            an_object([], a={"enum": ["x", None]}), closed(a={"enum": ["x", None]}), id="null as a value"
        ),
        pytest.param(an_object([], a={"const": None}), closed(a={"const": None}), id="nothing but null"),
        pytest.param(
            an_object(["b"], a=MAYBE, b=TEXT),
            {**closed(a=MAYBE, b=TEXT), "required": ["b", "a"]},
            id="what was required comes first",
        ),
        pytest.param(
            an_object(a={"type": "array", "items": an_object(b=TEXT)}),
            closed(a={"type": "array", "items": closed(b=TEXT)}),
            id="in a list",
        ),
        pytest.param(
            {**an_object(a={"$ref": "#/$defs/A"}), "$defs": {"A": an_object(b={"$ref": "#"})}},
            {**closed(a={"$ref": "#/$defs/A"}), "$defs": {"A": closed(b={"$ref": "#"})}},
            id="in a definition",
        ),
        pytest.param(
            {
                **an_object(a={"$ref": "#/$defs/A", "description": "The first.", "default": "x"}),
                "$defs": {"A": TEXT},
            },
            {
                **closed(a={"anyOf": [{"$ref": "#/$defs/A"}], "description": "The first."}),
                "$defs": {"A": TEXT},
            },
            id="what is said beside a reference",
        ),
        pytest.param(
            {**an_object([], a={"$ref": "#/$defs/A"}), "$defs": {"A": MAYBE}},
            {**closed(a={"$ref": "#/$defs/A"}), "$defs": {"A": MAYBE}},
            id="a reference to what may be null",
        ),
        pytest.param(
            {**an_object(a={**TEXT, "default": "x", "examples": ["y"]}), "$schema": "…"},
            closed(a=TEXT),
            id="what says nothing about validity is left out",
        ),
        pytest.param(
            an_object(a={**TEXT, "format": "date-time", "pattern": "^2"}),
            closed(a={**TEXT, "format": "date-time", "pattern": "^2"}),
            id="keywords that are known",
        ),
    ],
)
def test_a_schema_is_closed_and_requires_everything(schema, expected):
    """
    The result says the same in strict mode, and the schema itself is as it was.
    """
    before = copy.deepcopy(schema)

    assert expected == make_strict(schema, require_all=False)
    assert before == schema


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": "object"}, id="any object"),
        pytest.param(an_object(a={"type": "object"}), id="any object inside"),
        pytest.param({**an_object(a=TEXT), "additionalProperties": True}, id="further members"),
        pytest.param({**an_object(a=TEXT), "additionalProperties": TEXT}, id="a mapping"),
        pytest.param(an_object(a={}), id="anything"),
        pytest.param(an_object(a=True), id="true"),
        pytest.param(an_object(a={"type": "array"}), id="a list of anything"),
        pytest.param(an_object(a={"oneOf": [TEXT]}), id="oneOf"),
        pytest.param(an_object(a={**TEXT, "minLength": 1}), id="a keyword it does not know"),
        pytest.param(an_object(a={**TEXT, "format": "uri"}), id="a format it does not know"),
        pytest.param({**an_object(a=TEXT), "anyOf": [an_object(a=TEXT)]}, id="a choice at the root"),
        pytest.param({"type": "array", "items": TEXT}, id="no object"),
        pytest.param({}, id="nothing"),
        pytest.param(an_object(["a", "b"], a=TEXT), id="something required that has no schema"),
        pytest.param(an_object(a={"$ref": "#/$defs/A"}), id="a reference to nothing"),
        pytest.param(an_object(a={"$ref": "other.json"}), id="a reference to elsewhere"),
        pytest.param(
            {**an_object(a={"$ref": "#/$defs/A", "type": "string"}), "$defs": {"A": TEXT}}, id="both"
        ),
        pytest.param({"type": "object", "properties": []}, id="properties that are none"),
        pytest.param({**an_object(a=TEXT), "required": 5}, id="a number of required ones"),
        pytest.param(an_object(a={"anyOf": 5}), id="choices that are none"),
        pytest.param(an_object(a={**TEXT, "format": []}), id="a format that is none"),
    ],
)
def test_what_strict_mode_cannot_say_is_not_strict(schema):
    """
    Free-form objects, unknown keywords and what is no schema are sent as they are.
    """
    assert make_strict(schema, require_all=True) is None


def test_a_parameter_that_may_be_missing_and_not_null_is_not_required():
    """
    A model would have to invent a value; in an answer it is filled in instead.
    """
    schema = an_object(["city"], city=TEXT, days={"type": "integer"})

    assert make_strict(schema, require_all=False) is None
    assert closed(city=TEXT, days={"type": "integer"}) == make_strict(schema, require_all=True)


def test_a_schema_that_refers_to_itself_ends():
    """
    Looking for null goes round a circle once.
    """
    schema = {
        **an_object([], a={"$ref": "#/$defs/A"}),
        "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]}, "B": TEXT},
    }

    assert make_strict(schema, require_all=False) is None


def test_a_bottomless_schema_is_not_strict():
    """
    A schema of a hundred thousand levels is for the service to refuse.
    """
    schema: dict[str, Any] = TEXT
    for _ in range(100_000):
        schema = an_object(a=schema)

    assert make_strict(schema, require_all=True) is None
    while "properties" in schema:  # taken apart step by step: so deep a value cannot be freed at once
        schema = schema["properties"].pop("a")


def test_frozen_schemas_are_read_too():
    """
    A mapping that cannot be changed, and a tuple, are objects and lists.
    """
    schema = MappingProxyType(
        {"type": "object", "properties": MappingProxyType({"a": TEXT}), "required": ("a",)}
    )

    assert closed(a=TEXT) == make_strict(schema, require_all=False)
