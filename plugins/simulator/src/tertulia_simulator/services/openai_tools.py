"""What OpenAI refuses of tools, choices and schemas, at both of its APIs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tertulia_simulator.conversation import Message
from tertulia_simulator.recording import Json, as_list, as_object, is_object
from tertulia_simulator.services.offers import read_choice, read_function
from tertulia_simulator.services.openai_schema import refuse, refuse_missing, refuse_type, refuse_value
from tertulia_simulator.services.service import RefusedError

NAME = re.compile(r"[a-zA-Z0-9_-]+")
LONGEST_NAME = 64
MOST_TOOLS = 128
CHOICES = ("none", "auto", "required")
HOSTED = (
    "web_search",
    "web_search_preview",
    "file_search",
    "code_interpreter",
    "image_generation",
    "mcp",
    "shell",
    "local_shell",
    "apply_patch",
    "computer_use_preview",
    "custom",
)
FORMATS = ("text", "json_object", "json_schema")


def check_tools(body: Json, *, is_chat: bool) -> None:
    """Refuse tools of the wrong shape, too many of them, two of one name, and choices among others."""
    tools = as_list(body.get("tools"))
    if len(tools) > MOST_TOOLS:
        message = (
            f"Invalid 'tools': array too long. Expected an array with maximum length {MOST_TOOLS}, "
            f"but got an array with length {len(tools)} instead."
        )
        raise refuse(message, param="tools", code="array_above_max_length")
    if is_chat:
        check_needed_tools(body)
    seen: set[object] = set()
    for index, tool in enumerate(tools):
        if not is_object(tool):
            raise refuse_type(f"tools[{index}]", "an object", tool)
        name = check_tool(tool, f"tools[{index}]", is_chat=is_chat)
        if name in seen:
            # The words are the simulator's own: no such answer was ever recorded.
            message = f"Invalid 'tools[{index}]': duplicate function name '{name}'."
            raise refuse(message, param=f"tools[{index}]", code="invalid_value")
        seen.add(name if name is not None else index)
    check_choice(body, {str(name) for name in seen}, is_chat=is_chat)


def check_needed_tools(body: Json) -> None:
    """Refuse an empty list of tools, and what makes no sense without one."""
    if body.get("tools") == []:
        message = (
            "Invalid 'tools': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead."
        )
        raise refuse(message, param="tools", code="empty_array")
    for name in ("tool_choice", "parallel_tool_calls"):
        if body.get(name) is not None and not body.get("tools"):
            message = f"Invalid value for '{name}': '{name}' is only allowed when 'tools' are specified."
            raise refuse(message, param=name)


def check_tool(tool: Json, place: str, *, is_chat: bool) -> str | None:
    """Refuse a tool that is none; the name of its function, if it is one."""
    kind = tool.get("type")
    if kind is None:
        raise refuse_missing(f"{place}.type")
    if kind != "function":
        supported = ("function", "custom") if is_chat else ("function", *HOSTED)
        if kind not in supported:
            raise refuse_value(f"{place}.type", kind, supported)
        return None
    if is_chat and not is_object(tool.get("function")):
        raise refuse_missing(f"{place}.function")
    if not is_chat and "function" in tool:
        raise refuse_missing(f"{place}.name")
    function = read_function(tool)
    place = f"{place}.function" if is_chat else place
    check_name(function.get("name"), f"{place}.name")
    check_parameters(function, f"{place}.parameters")
    return str(function["name"])


def check_name(name: object, place: str) -> None:
    """Refuse no name, and one that no function may have."""
    if name is None:
        raise refuse_missing(place)
    if not isinstance(name, str):
        raise refuse_type(place, "a string", name)
    if not name:
        message = (
            f"Invalid '{place}': empty string. Expected a string with minimum length 1, "
            "but got an empty string instead."
        )
        raise refuse(message, param=place, code="empty_string")
    if len(name) > LONGEST_NAME:
        message = (
            f"Invalid '{place}': string too long. Expected a string with maximum length {LONGEST_NAME}, "
            f"but got a string with length {len(name)} instead."
        )
        raise refuse(message, param=place, code="string_above_max_length")
    if not NAME.fullmatch(name):
        message = (
            f"Invalid '{place}': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        )
        raise refuse(message, param=place, code="invalid_value")


def check_parameters(function: Json, place: str) -> None:
    """Refuse parameters that are no object, and in strict mode those that leave something open."""
    schema, name = function.get("parameters"), function["name"]
    if schema is None:
        return
    if not is_object(schema):
        raise refuse_type(place, "an object", schema)
    if schema and schema.get("type") != "object":
        kind = repr(schema.get("type")).replace("'", '"')
        problem = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: {kind}'."
    else:
        problem = next(find_open(schema), "") if function.get("strict") is True else ""
    if problem:
        message = f"Invalid schema for function '{name}': {problem}"
        raise refuse(message, param=place, code="invalid_function_parameters")


def find_open(schema: Json, context: tuple[str, ...] = ()) -> Iterator[str]:
    """Find what strict mode refuses: objects that take more, or less, than their properties."""
    place = f"In context={context}, "
    if schema.get("type") == "object" or "properties" in schema:
        properties, required = as_object(schema.get("properties")), schema.get("required")
        if schema.get("additionalProperties") is not False:
            yield f"{place}'additionalProperties' is required to be supplied and to be false."
        needs = f"{place}'required' is required to be supplied and to be an array including every key in "
        missing = [name for name in properties if name not in as_list(required)]
        if properties and missing:
            yield f"{needs}properties. Missing '{missing[0]}'."
        extra = [name for name in as_list(required) if name not in properties]
        if extra:
            yield f"{needs}properties. Extra required key '{extra[0]}' supplied."
        for name, child in properties.items():
            yield from find_open(as_object(child), (*context, "properties", name))
    if is_object(items := schema.get("items")):
        yield from find_open(items, (*context, "items"))
    for index, choice in enumerate(as_list(schema.get("anyOf"))):
        yield from find_open(as_object(choice), (*context, "anyOf", str(index)))
    for name, child in as_object(schema.get("$defs")).items():
        yield from find_open(as_object(child), (*context, "$defs", name))


def check_choice(body: Json, names: set[str], *, is_chat: bool) -> None:
    """Refuse a choice that is none, or of a tool that is not offered."""
    choice: Any = body.get("tool_choice")
    if choice is None:
        return
    if isinstance(choice, str):
        if choice not in CHOICES:
            raise refuse_value("tool_choice", choice, CHOICES)
        if choice == "required" and not body.get("tools"):
            message = "Tool choice 'required' must be specified with 'tools' parameter."
            raise refuse(message, param="tool_choice")
        return
    if not is_object(choice):
        raise refuse_type("tool_choice", "one of a string or object", choice)
    for name in read_choice(choice)[1]:
        if name not in names:
            raise refuse(f"Tool choice '{name}' not found in 'tools' parameter.", param="tool_choice")
    is_nested = is_object(choice.get("function"))
    if choice.get("type") == "function" and is_nested is not is_chat:
        raise refuse_missing("tool_choice.function" if is_chat else "tool_choice.name")


def check_format(
    answer_format: object, place: str, read: Callable[[], Sequence[Message]], *, is_chat: bool
) -> None:
    """
    Refuse the format of an answer that is none, or whose schema leaves something open in strict mode.

    Args:
        answer_format: The format.
        place: Where it stands.
        read: Reads the messages, where the word JSON has to occur if any JSON at all is asked for.
        is_chat: Whether the schema stands in an object of its own.
    """
    if answer_format is None:
        return
    if not is_object(answer_format):
        raise refuse_type(place, "an object", answer_format)
    kind = answer_format.get("type")
    if kind not in FORMATS:
        raise (
            refuse_missing(f"{place}.type") if kind is None else refuse_value(f"{place}.type", kind, FORMATS)
        )
    if kind == "json_object" and not any("json" in message.text.lower() for message in read()):
        raise refuse(NO_JSON_IN_CHAT if is_chat else NO_JSON, param="messages" if is_chat else "input")
    if kind == "json_schema":
        check_json_schema(answer_format, place, is_chat=is_chat)


def check_json_schema(answer_format: Json, place: str, *, is_chat: bool) -> None:
    """Refuse a schema without a name, and one that is no schema."""
    given = as_object(answer_format.get("json_schema")) if is_chat else answer_format
    place = f"{place}.json_schema" if is_chat else place
    if not given:
        raise refuse_missing(place)
    check_name(given.get("name"), f"{place}.name")
    schema = given.get("schema")
    if schema is None and not is_chat:
        raise refuse_missing(f"{place}.schema")
    if schema is not None and not is_object(schema):
        raise refuse_type(f"{place}.schema", "an object", schema)
    if problem := find_format_problem(as_object(schema), is_strict=given.get("strict") is True):
        where = "response_format" if is_chat else f"{place}.schema"
        message = f"Invalid schema for response_format '{given['name']}': {problem}"
        raise refuse(message, param=where, code="invalid_json_schema")


def find_format_problem(schema: Json, *, is_strict: bool) -> str:
    """What is wrong with the schema of an answer; nothing is the empty string."""
    if not is_strict:
        return ""
    if schema.get("type") != "object":
        kind = repr(schema.get("type")).replace("'", '"')
        return f"schema must be a JSON Schema of 'type: \"object\"', got 'type: {kind}'."
    return next(find_open(schema), "")


def refuse_parameter(name: str) -> RefusedError:
    """Refuse a parameter as one that the model does not know."""
    message = f"Unsupported parameter: '{name}' is not supported with this model."
    return refuse(message, param=name, code="unsupported_parameter")


NO_JSON = (
    "Response input messages must contain the word 'json' in some form to use 'text.format' of type "
    "'json_object'."
)
NO_JSON_IN_CHAT = (
    "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
)
