"""Tools: what is called, what came of it, and what no service takes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .dialects import DIALECTS
from .toolbox import TOOLBOXES, Toolbox, function

ADD = function("add", a={"type": "integer"}, b={"type": "integer"})
TELL_TIME = function("tell_time")


@pytest.fixture(params=TOOLBOXES)
def toolbox(request: pytest.FixtureRequest) -> Toolbox:
    """Each of the six ways to write tools down."""
    return TOOLBOXES[request.param]


async def test_a_text_that_asks_for_a_call_gets_it(caller, toolbox):
    """
    The mind calls the tool that is named, with the arguments as they stand there.
    """
    answer = await toolbox.ask(caller, 'Please call add with {"a": 2, "b": 3}', ADD)

    assert [("add", {"a": 2, "b": 3})] == toolbox.calls(answer)
    assert toolbox.is_call(answer)


async def test_calls_asked_for_at_once_are_made_at_once(caller, toolbox):
    """
    Several calls in one text are one answer.
    """
    answer = await toolbox.ask(
        caller, 'call add with {"a": 1, "b": 1} and call tell_time with {}', ADD, TELL_TIME
    )

    assert [("add", {"a": 1, "b": 1}), ("tell_time", {})] == toolbox.calls(answer)


async def test_the_answer_tells_what_each_tool_said(caller, simulator, toolbox):
    """
    With the results of its calls in hand, the mind quotes them in order.
    """
    text = 'call add with {"a": 2, "b": 3} and call tell_time with {}'
    first = await toolbox.ask(caller, text, ADD, TELL_TIME)
    answer = await toolbox.hand_back(caller, text, first, ["5", "noon"], ADD, TELL_TIME)

    assert "add said: 5. tell_time said: noon." == toolbox.said(answer)
    sent = simulator.sent_to(toolbox.service)
    assert (["add", "tell_time"], [("add", "5"), ("tell_time", "noon")]) == (sent.tools, sent.tool_results)
    assert [text] == sent.texts


async def test_then_begins_another_step(caller, toolbox):
    """
    What is to be called then is called only when the first tool has answered.
    """
    text = 'call tell_time with {} then call add with {"a": 1, "b": 2}'
    first = await toolbox.ask(caller, text, ADD, TELL_TIME)
    second = await toolbox.hand_back(caller, text, first, ["noon"], ADD, TELL_TIME)

    assert [("tell_time", {})] == toolbox.calls(first)
    assert [("add", {"a": 1, "b": 2})] == toolbox.calls(second)


async def test_calls_that_were_ordered_are_made(caller, simulator, toolbox):
    """
    A script answers the next request that offers tools; others pass it by.
    """
    simulator.call_tools(toolbox.service, ("add", {"a": 7}), ("ghost", {}), times=2)
    plain = await toolbox.ask(caller, "Count to 3.")
    answers = [await toolbox.ask(caller, "Count to 3.", ADD) for _ in range(3)]

    assert "1, 2, 3." == toolbox.said(plain)
    assert [("add", {"a": 7}), ("ghost", {})] == toolbox.calls(answers[0]) == toolbox.calls(answers[1])
    assert "1, 2, 3." == toolbox.said(answers[2])


async def test_a_streamed_call_is_the_whole_one(caller, simulator, toolbox):
    """
    Put together, the pieces of a stream are the calls that a whole answer has.
    """
    calls = [("add", {"a": 12345678, "b": 87654321}), ("tell_time", {})]
    simulator.call_tools(toolbox.service, *calls)
    body = await toolbox.stream(caller, "Hello", ADD, TELL_TIME)

    assert calls == toolbox.hear_calls(body)


async def test_what_is_not_offered_is_not_called(caller, toolbox):
    """
    A text asks in vain for a tool that is not there, and for any if none may be called.
    """
    unknown = await toolbox.ask(caller, "call ghost with {}", TELL_TIME)
    forbidden = await toolbox.ask(caller, "call tell_time with {}", TELL_TIME, choice="none")

    assert ([], []) == (toolbox.calls(unknown), toolbox.calls(forbidden))


async def test_a_tool_that_must_be_called_is_called(caller, toolbox):
    """
    Required, any tool is called; named, that one; the arguments follow its schema.
    """
    required = await toolbox.ask(caller, "Hello", ADD, TELL_TIME, choice="required")
    named = await toolbox.ask(caller, "Hello", ADD, TELL_TIME, choice="tell_time")

    assert [("add", {"a": 1, "b": 2})] == toolbox.calls(required)
    assert [("tell_time", {})] == toolbox.calls(named)


@pytest.mark.parametrize(("mode", "called"), [("required", ["tell_time"]), ("auto", [])])
async def test_the_tools_to_choose_from_can_be_told(caller, mode, called):
    """
    OpenAI takes a list of those that may be called, with whether one must be.
    """
    allowed = [{"type": "function", "name": "tell_time"}]
    choice = {"type": "allowed_tools", "mode": mode, "tools": allowed}
    toolbox = TOOLBOXES["openai"]
    body = toolbox.render("call add with {}", ADD, TELL_TIME) | {"tool_choice": choice}
    _, answer = await caller.post(toolbox.dialect.path, body)

    assert called == [name for name, _ in toolbox.calls(answer)]


async def test_broken_arguments_go_as_they_are(caller, simulator):
    """
    A text in place of arguments is sent as it stands, JSON or not.
    """
    simulator.call_tools("openai", ("add", '{"a": '))
    answer = await TOOLBOXES["openai-chat"].ask(caller, "Hello", ADD)

    assert '{"a": ' == answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]


def test_an_order_that_makes_no_sense_is_refused(simulator):
    """
    No calls, no times, and broken arguments where there are only objects.
    """
    with pytest.raises(ValueError, match="name the tools to call"):
        simulator.call_tools("openai")
    with pytest.raises(ValueError, match="once or more, not 0 times"):
        simulator.call_tools("openai", ("add", {}), times=0)
    with pytest.raises(ValueError, match="Gemini's arguments are objects"):
        simulator.call_tools("gemini", ("add", "{"))


async def test_one_call_at_a_time(caller):
    """
    Calls are not made at once by a model that was told not to.
    """
    for name in ("openai", "xai-chat"):
        toolbox = TOOLBOXES[name]
        answer = await toolbox.ask(
            caller, "call tell_time with {} and call add with {}", ADD, TELL_TIME, parallel_tool_calls=False
        )
        assert [("tell_time", {})] == toolbox.calls(answer)


async def test_openai_streams_arguments_in_pieces(caller, simulator):
    """
    The events of a call are the recorded ones: added, deltas, done, done.
    """
    simulator.call_tools("openai", ("add", {"a": 12345678}))
    body = await TOOLBOXES["openai"].stream(caller, "Hello", ADD, model="gpt-4o")
    events = [json.loads(line[6:]) for line in body.split("\n") if line.startswith("data: ")]
    call = [event for event in events if "item" in event or "item_id" in event]

    assert [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
    ] == [event["type"] for event in call]
    assert ("", '{"a":12345678}') == (call[0]["item"]["arguments"], call[-1]["item"]["arguments"])
    assert {"id", "type", "status", "arguments", "call_id", "name"} == call[-1]["item"].keys()
    assert call[1].keys() == {"type", "delta", "item_id", "obfuscation", "output_index", "sequence_number"}


async def test_gemini_marks_the_end_of_calls(caller):
    """
    Newer models end a stream of calls with an empty text, and say that they called.
    """
    body = await TOOLBOXES["gemini"].stream(caller, "call tell_time with {}", TELL_TIME)
    first, last = [json.loads(line[6:]) for line in body.split("\r\n") if line.startswith("data: ")]

    assert {"functionCall", "thoughtSignature"} == first["candidates"][0]["content"]["parts"][0].keys()
    assert {
        "content": {"parts": [{"text": ""}], "role": "model"},
        "finishReason": "STOP",
        "index": 0,
        "finishMessage": "Model generated function call(s).",
    } == last["candidates"][0]


# What each service says of tools it does not take: the change to a good request, and the answer.
OBJECT: Any = {"type": "object", "properties": {"a": {"type": "string"}}}
UNREADABLE = "Failed to deserialize the JSON body into the target type:"
BAD_TOOLS: list[tuple[str, Any, str]] = [
    (
        "openai",
        {"tools": [{"type": "function", "name": 1}]},
        "Invalid type for 'tools[0].name': expected a string, but got an integer instead.",
    ),
    (
        "openai",
        {"tools": [{"type": "function", "name": "a", "parameters": []}]},
        "Invalid type for 'tools[0].parameters': expected an object, but got an array instead.",
    ),
    (
        "openai",
        {"tool_choice": 1},
        "Invalid type for 'tool_choice': expected one of a string or object, but got an integer instead.",
    ),
    (
        "openai",
        {
            "tools": [{"type": "function", "name": "a"}],
            "tool_choice": {"type": "function", "function": {"name": "a"}},
        },
        "Missing required parameter: 'tool_choice.name'.",
    ),
    (
        "openai-chat",
        {"tools": [{"type": "web_search"}]},
        "Invalid value: 'web_search'. Supported values are: 'function' and 'custom'.",
    ),
    ("openai", {"tools": [{"name": "a"}]}, "Missing required parameter: 'tools[0].type'."),
    (
        "openai",
        {"tools": [1]},
        "Invalid type for 'tools[0]': expected an object, but got an integer instead.",
    ),
    ("openai", {"tools": [{"type": "function"}]}, "Missing required parameter: 'tools[0].name'."),
    (
        "openai",
        {"tools": [{"type": "function", "function": {"name": "a"}}]},
        "Missing required parameter: 'tools[0].name'.",
    ),
    (
        "openai",
        {"tools": [{"type": "function", "name": "a b"}]},
        (
            "Invalid 'tools[0].name': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        ),
    ),
    (
        "openai",
        {"tools": [{"type": "function", "name": ""}]},
        (
            "Invalid 'tools[0].name': empty string. Expected a string with minimum length 1, "
            "but got an empty string instead."
        ),
    ),
    (
        "openai",
        {"tools": [{"type": "function", "name": "a" * 65}]},
        (
            "Invalid 'tools[0].name': string too long. Expected a string with maximum length 64, "
            "but got a string with length 65 instead."
        ),
    ),
    (
        "openai",
        {"tools": [{"type": "function", "name": "a"}] * 2},
        "Invalid 'tools[1]': duplicate function name 'a'.",
    ),
    (
        "openai",
        {"tools": [{"type": "function", "name": f"t{number}"} for number in range(129)]},
        (
            "Invalid 'tools': array too long. Expected an array with maximum length 128, "
            "but got an array with length 129 instead."
        ),
    ),
    (
        "openai",
        {"tools": [{"type": "function", "name": "a", "parameters": {"type": "string"}}]},
        (
            "Invalid schema for function 'a': schema must be a JSON Schema of 'type: \"object\"', "
            "got 'type: \"string\"'."
        ),
    ),
    (
        "openai",
        {"tools": [{"type": "function", "name": "a", "parameters": OBJECT, "strict": True}]},
        (
            "Invalid schema for function 'a': In context=(), 'additionalProperties' is required to be "
            "supplied and to be false."
        ),
    ),
    (
        "openai",
        {
            "tools": [
                {
                    "type": "function",
                    "name": "a",
                    "parameters": {**OBJECT, "additionalProperties": False},
                    "strict": True,
                }
            ]
        },
        (
            "Invalid schema for function 'a': In context=(), 'required' is required to be supplied and to be "
            "an array including every key in properties. Missing 'a'."
        ),
    ),
    (
        "openai",
        {"tools": [{"type": "function", "name": "a"}], "tool_choice": {"type": "function", "name": "b"}},
        "Tool choice 'b' not found in 'tools' parameter.",
    ),
    (
        "openai",
        {"tool_choice": "any"},
        "Invalid value: 'any'. Supported values are: 'none', 'auto' and 'required'.",
    ),
    (
        "openai",
        {"tool_choice": "required"},
        "Tool choice 'required' must be specified with 'tools' parameter.",
    ),
    (
        "openai-chat",
        {"tools": []},
        (
            "Invalid 'tools': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead."
        ),
    ),
    (
        "openai-chat",
        {"tool_choice": "auto"},
        "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
    ),
    (
        "openai-chat",
        {"parallel_tool_calls": True},
        (
            "Invalid value for 'parallel_tool_calls': 'parallel_tool_calls' is only allowed when 'tools' are "
            "specified."
        ),
    ),
    (
        "openai-chat",
        {"tools": [{"type": "function", "name": "a"}]},
        "Missing required parameter: 'tools[0].function'.",
    ),
    (
        "xai",
        {"tools": [{"type": "function", "name": f"t{number}"} for number in range(129)]},
        "A maximum of 128 tools can be provided, but 129 were provided.",
    ),
    ("xai", {"tools": [{"type": "function", "name": "a"}] * 2}, "Duplicate tool name: a"),
    (
        "xai",
        {"tools": [{"type": "function", "name": "a b"}]},
        "Invalid function name: 'a b'. It must match '^[a-zA-Z0-9_-]{1,64}$'.",
    ),
    (
        "xai",
        {"tools": [{"type": "function"}]},
        f"{UNREADABLE} tools[0]: missing field `name`",
    ),
    (
        "xai-chat",
        {"tools": [{"type": "web_search"}]},
        (f"{UNREADABLE} tools[0].type: unknown variant `web_search`, expected one of `function`"),
    ),
    (
        "xai",
        {"tool_choice": "required"},
        "A tool_choice was set on the request but no tools were specified.",
    ),
    (
        "xai",
        {"tools": [{"type": "function", "name": "a"}], "tool_choice": {"type": "function", "name": "b"}},
        "Tool choice refers to a function that is not provided: b",
    ),
    (
        "xai",
        {"tools": [{"type": "function", "name": "a", "parameters": {"type": "array"}}]},
        "Invalid parameters of function 'a': the schema must be an object.",
    ),
    (
        "xai",
        {"tool_choice": "any"},
        (f"{UNREADABLE} tool_choice: data did not match any variant of untagged enum ToolChoice"),
    ),
    (
        "gemini",
        {"tools": [{"functionDeclarations": [{"name": "1a"}]}]},
        (
            "* GenerateContentRequest.tools[0].function_declarations[0].name: [FIELD_INVALID] Invalid "
            "function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), "
            "underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 128.\n"
        ),
    ),
    (
        "gemini",
        {"tools": [{"functionDeclarations": [{"name": "a"}, {"name": "a"}]}]},
        "Duplicate function declaration found: a",
    ),
    (
        "gemini",
        {"tools": [{"functionDeclarations": [{"name": f"t{number}"} for number in range(513)]}]},
        "At most 512 function declarations are allowed, got 513.",
    ),
    (
        "gemini",
        {"tools": [{"functionDeclarations": [{"name": "a", "schema": {}}]}]},
        (
            "Invalid JSON payload received. Unknown name \"schema\" at 'tools[0].function_declarations[0]': "
            "Cannot find field."
        ),
    ),
    (
        "gemini",
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "a", "parameters": {**OBJECT, "additionalProperties": False}}
                    ]
                }
            ]
        },
        (
            'Invalid JSON payload received. Unknown name "additionalProperties" at '
            "'tools[0].function_declarations[0].parameters': Cannot find field."
        ),
    ),
    (
        "gemini",
        {
            "tools": [
                {"functionDeclarations": [{"name": "a", "parameters": OBJECT, "parametersJsonSchema": {}}]}
            ]
        },
        (
            "* GenerateContentRequest.tools[0].function_declarations[0]: parameters and "
            "parameters_json_schema are both set.\n"
        ),
    ),
    (
        "gemini",
        {"toolConfig": {"functionCallingConfig": {"mode": "SOME"}}},
        (
            "Invalid value at 'tool_config.function_calling_config.mode' "
            '(type.googleapis.com/google.ai.generativelanguage.v1.FunctionCallingConfig.Mode), "SOME"'
        ),
    ),
    (
        "gemini",
        {"toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["a"]}}},
        "allowed_function_names should only be set when mode is ANY or VALIDATED.",
    ),
    (
        "gemini",
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a"]}}},
        "allowed_function_names contains a function that is not declared: a",
    ),
    (
        "gemini",
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
        "Function calling config is set without function_declarations.",
    ),
    ("local", {"tools": [{"type": "function", "name": "a"}]}, "invalid tool: a function needs a name"),
]


@pytest.mark.parametrize(("name", "change", "message"), BAD_TOOLS)
async def test_tools_of_the_wrong_shape_are_refused(caller, name, change, message):
    """
    Each service refuses them in its own words.
    """
    dialect = DIALECTS[name]
    status, answer = await caller.post(dialect.path, dialect.render("Hello", **change))

    error = answer["error"]
    assert message == (error if isinstance(error, str) else error["message"])
    assert status == (422 if message.startswith(UNREADABLE) else 400)
