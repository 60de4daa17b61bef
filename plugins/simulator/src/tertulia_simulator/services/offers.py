"""Tools, choices and schemas as OpenAI writes them, and those that speak as it does."""

from __future__ import annotations

from typing import Any

from tertulia_simulator.conversation import Offer
from tertulia_simulator.recording import Json, as_list, as_object
from tertulia_simulator.services.chunks import compact


def read_offer(body: Json, answer_format: Json) -> Offer:
    """Read the tools of either API, how to choose among them, and the schema of a format."""
    tools = [as_object(tool) for tool in as_list(body.get("tools"))]
    functions = [read_function(tool) for tool in tools if tool.get("type") == "function"]
    mode, names = read_choice(body.get("tool_choice"))
    return Offer(
        {str(function.get("name")): as_object(function.get("parameters")) for function in functions},
        [str(tool.get("type")) for tool in tools if tool.get("type") != "function"],
        mode,
        names,
        body.get("parallel_tool_calls") is not False,
        read_schema(answer_format),
        compact(tools) if tools else "",
    )


def read_function(tool: Json) -> Json:
    """The function of a tool, which Chat Completions keep in an object of its own."""
    return as_object(tool.get("function")) or tool


def read_choice(choice: Any) -> tuple[str, list[str]]:
    """Read whether a tool is to be called, and which may be."""
    if isinstance(choice, str):
        return choice, []
    given = as_object(choice)
    allowed = as_object(given.get("allowed_tools")) or given
    if given.get("type") == "allowed_tools":
        names = [read_function(as_object(tool)).get("name") for tool in as_list(allowed.get("tools"))]
        return str(allowed.get("mode", "auto")), [str(name) for name in names]
    name = read_function(given).get("name")
    return ("required", [str(name)]) if name else ("auto", [])


def read_schema(answer_format: Json) -> Json | None:
    """Read the schema of a format; any JSON at all is an object that holds the answer."""
    match answer_format.get("type"):
        case "json_schema":
            return as_object((as_object(answer_format.get("json_schema")) or answer_format).get("schema"))
        case "json_object":
            return {"type": "object", "properties": {"answer": {"type": "string"}}}
        case _:
            return None
