"""Answers in the shape of a JSON Schema, and the shapes that are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tertulia_simulator.schemas import fill

from .dialects import DIALECTS
from .toolbox import TOOLBOXES, function

TRIP: Any = {
    "type": "object",
    "properties": {
        "place": {"type": "string"},
        "days": {"type": "integer"},
        "hotel": {
            "type": "object",
            "properties": {"stars": {"type": "number", "minimum": 4}, "near": {"enum": ["river", "sea"]}},
            "required": ["stars", "near"],
            "additionalProperties": False,
        },
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}, "minItems": 2},
        "is_far": {"type": "boolean"},
    },
    "required": ["place", "days", "hotel", "tags", "is_far"],
    "additionalProperties": False,
}
FILLED = {
    "place": "A trip",
    "days": 1,
    "hotel": {"stars": 4, "near": "river"},
    "tags": ["A tr", "A tr"],
    "is_far": True,
}


def ask_for(dialect: str, schema: Any, **more: Any) -> Any:
    """What a request of each format needs to get an answer of a shape."""
    if dialect == "gemini":
        return {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema}}
    given_schema = {"name": "trip", "schema": schema, "strict": True} | more
    if dialect in ("openai", "xai"):
        return {"text": {"format": {"type": "json_schema", **given_schema}}}
    return {"response_format": {"type": "json_schema", "json_schema": given_schema}}


@pytest.mark.parametrize("name", DIALECTS)
async def test_an_answer_has_the_shape_that_is_asked_for(caller, name):
    """
    The answer is a document that conforms: strings quote the question, numbers count.
    """
    dialect = DIALECTS[name]
    answer = await caller.put(dialect, dialect.render("A trip", **ask_for(name, TRIP)))
    heard = await caller.hear(dialect, "Hello")

    assert json.loads(dialect.said(answer)) == FILLED
    assert heard


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_shape_quotes_what_the_tools_said(caller, name):
    """
    After a tool has answered, strings quote that instead of the question.
    """
    toolbox, tool = TOOLBOXES[name], function("tell_time")
    schema = {
        "type": "object",
        "properties": {"time": {"type": "string"}},
        "required": ["time"],
        "additionalProperties": False,
    }
    text = "call tell_time with {}"
    body = toolbox.render(text, tool) | ask_for(name, schema)
    status, first = await caller.post(toolbox.dialect.path, body)
    toolbox.add_results(body, first, ["noon"])
    _, second = await caller.post(toolbox.dialect.path, body)

    assert (200, [("tell_time", {})]) == (status, toolbox.calls(first))
    assert {"time": "tell_time said: noon."} == json.loads(toolbox.said(second))


@pytest.mark.parametrize("name", DIALECTS)
async def test_any_json_is_an_object_with_an_answer(caller, name):
    """
    Without a schema, JSON is an object of one text.
    """
    dialect = DIALECTS[name]
    kind = {"type": "json_object"}
    asked: Any = {"response_format": kind}
    if name == "gemini":
        asked = {"generationConfig": {"responseMimeType": "application/json"}}
    if name in ("openai", "xai"):
        asked = {"text": {"format": kind}}
    answer = await caller.put(dialect, dialect.render("JSON, please", **asked))

    assert {"answer": "JSON, please"} == json.loads(dialect.said(answer))


@pytest.mark.parametrize("name", DIALECTS)
async def test_what_was_ordered_is_said(caller, simulator, name):
    """
    An ordered text is said as it stands, in whatever shape, once, and in its turn.
    """
    dialect = DIALECTS[name]
    simulator.say(dialect.service, '{"place": ')
    simulator.say(dialect.service, "Later.", times=2)
    body = dialect.render("A trip", **ask_for(name, TRIP))
    said = [dialect.said(await caller.put(dialect, body)) for _ in range(4)]

    assert ['{"place": ', "Later.", "Later."] == said[:3]
    assert json.loads(said[3]) == FILLED


async def test_what_waits_can_be_forgotten(caller, simulator):
    """
    After that, the service answers for itself.
    """
    simulator.say("openai", "Never.", times=5)
    simulator.forget("openai")
    answer = await caller.put(DIALECTS["openai"], DIALECTS["openai"].render("Count to 2."))

    assert "1, 2." == DIALECTS["openai"].said(answer)


def strict(problem: str) -> str:
    return f"Invalid schema for response_format 'trip': In context={problem}"


OPEN = {**TRIP, "additionalProperties": True}
NESTED = {
    "type": "object",
    "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {}}}},
    "required": ["a"],
    "additionalProperties": False,
}
BAD_SHAPES: list[tuple[str, Any, str]] = [
    (
        "openai",
        ask_for("openai", OPEN),
        strict("(), 'additionalProperties' is required to be supplied and to be false."),
    ),
    (
        "openai",
        ask_for("openai", {**TRIP, "required": ["place"]}),
        strict(
            "(), 'required' is required to be supplied and to be an array including every key in "
            "properties. Missing 'days'."
        ),
    ),
    (
        "openai",
        ask_for("openai", {**TRIP, "required": [*TRIP["required"], "ghost"]}),
        strict(
            "(), 'required' is required to be supplied and to be an array including every key in "
            "properties. Extra required key 'ghost' supplied."
        ),
    ),
    (
        "openai-chat",
        ask_for("openai-chat", NESTED),
        strict(
            "('properties', 'a', 'items'), 'additionalProperties' is required to be supplied and to be false."
        ),
    ),
    (
        "openai",
        ask_for("openai", {"type": "string"}),
        (
            "Invalid schema for response_format 'trip': schema must be a JSON Schema of 'type: \"object\"', "
            "got 'type: \"string\"'."
        ),
    ),
    ("openai", ask_for("openai", TRIP, name=None), "Missing required parameter: 'text.format.name'."),
    ("openai", ask_for("openai", None), "Missing required parameter: 'text.format.schema'."),
    (
        "openai-chat",
        ask_for("openai-chat", TRIP, name="a b"),
        (
            "Invalid 'response_format.json_schema.name': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        ),
    ),
    (
        "openai-chat",
        {"response_format": {"type": "json_schema"}},
        "Missing required parameter: 'response_format.json_schema'.",
    ),
    (
        "openai",
        {"text": {"format": {"type": "yaml"}}},
        "Invalid value: 'yaml'. Supported values are: 'text', 'json_object' and 'json_schema'.",
    ),
    (
        "openai",
        {"text": {"format": "json"}},
        "Invalid type for 'text.format': expected an object, but got a string instead.",
    ),
    ("openai", {"text": {"format": {}}}, "Missing required parameter: 'text.format.type'."),
    (
        "openai",
        {"text": {"format": {"type": "json_object"}}},
        (
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
            "'json_object'."
        ),
    ),
    (
        "openai-chat",
        {"response_format": {"type": "json_object"}},
        (
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type "
            "'json_object'."
        ),
    ),
    (
        "gemini",
        {"generationConfig": {"responseJsonSchema": TRIP}},
        "Response schema is only supported with response mime type 'application/json'.",
    ),
    (
        "gemini",
        {"generationConfig": {"responseJsonSchema": TRIP, "responseSchema": TRIP}},
        "Only one of response_schema and response_json_schema can be set.",
    ),
    (
        "gemini",
        {"generationConfig": {"responseMimeType": "application/json", "responseSchema": {"$ref": "#"}}},
        (
            "Invalid JSON payload received. Unknown name \"$ref\" at 'generation_config.response_schema': "
            "Cannot find field."
        ),
    ),
]


@pytest.mark.parametrize(("name", "change", "message"), BAD_SHAPES)
async def test_a_shape_that_is_none_is_refused(caller, name, change, message):
    """
    Each service refuses it in its own words.
    """
    dialect = DIALECTS[name]
    status, answer = await caller.post(dialect.path, dialect.render("Hello", **change))

    assert (400, message) == (status, answer["error"]["message"])


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("xai", {"text": {"format": {"type": "yaml"}}}),
        ("xai", {"text": {"format": {"type": "json_schema"}}}),
        ("xai-chat", {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}),
    ],
)
async def test_xai_cannot_read_a_shape_that_is_none(caller, name, change):
    """
    An unknown format and one without its schema are no request at all.
    """
    dialect = DIALECTS[name]
    status, _ = await caller.post(dialect.path, dialect.render("Hello", **change))

    assert 422 == status


async def test_older_models_of_gemini_have_tools_or_a_shape(caller):
    """
    Both at once is refused.
    """
    toolbox = TOOLBOXES["gemini"]
    body = toolbox.render("Hello", function("add"), **ask_for("gemini", TRIP))
    status, answer = await caller.post("/gemini/v1/models/gemini-2.5-flash:generateContent", body)

    assert (400, "Function calling with a response mime type: 'application/json' is unsupported") == (
        status,
        answer["error"]["message"],
    )


@pytest.mark.parametrize(
    ("schema", "document"),
    [
        ({"type": "STRING"}, "Hi"),
        ({"type": ["null", "integer"]}, 1),
        ({"type": "null"}, None),
        ({"const": 7}, 7),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"type": "integer", "maximum": 0}, 0),
        ({"type": "string", "minLength": 4}, "Hi.."),
        ({"type": "string", "format": "date"}, "2026-11-22"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 3}, [1, 2, 3]),
        ({"type": "array", "maxItems": 0}, []),
        ({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"type": "boolean"}}}, {"a": True}),
        ({"$ref": "#/$defs/nowhere"}, "Hi"),
        ({}, "Hi"),
    ],
)
def test_each_kind_of_schema_is_filled(schema, document):
    """
    The document conforms to the schema and is always the same.
    """
    assert document == fill(schema, "Hi")


def test_a_schema_that_contains_itself_ends():
    """
    Where it may, a list stays empty and a property is left out, once it is deep enough.
    """
    tree: Any = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["name", "children"],
    }
    chain: Any = {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}}
    circle: Any = {"anyOf": [{"$ref": "#"}]}
    endless: Any = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}

    assert '"children": []' in json.dumps(fill(tree, "Hi"))
    assert json.dumps(fill(chain, "Hi"))
    assert fill(circle, "Hi") is None
    assert json.dumps(fill(endless, "Hi"))


LEAVES = st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": "boolean"}, {"enum": ["a"]}])
SCHEMAS: Any = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(
            lambda properties: {
                "type": "object",
                "properties": properties,
                "required": list(properties),
                "additionalProperties": False,
            },
            st.dictionaries(st.sampled_from("abc"), inner),
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=40)
@given(SCHEMAS, st.text(max_size=20))
def test_every_document_conforms(schema, question):
    """
    Whatever the schema, its document conforms to it.
    """
    assert [] == list(Draft202012Validator(schema).iter_errors(fill(schema, question)))
