"""
What xAI refuses of tools and of conversations that could not have gone like this.

None of these refusals was ever recorded: the words are the simulator's own, but for those about encrypted
content, which xAI's users report.
"""

from __future__ import annotations

import re

from tertulia_simulator.orders import StoredFile
from tertulia_simulator.recording import Json, as_list, as_object, is_object
from tertulia_simulator.seals import seal, unseal
from tertulia_simulator.services.offers import read_choice, read_function
from tertulia_simulator.services.service import RefusedError
from tertulia_simulator.services.xai_schema import NOT_FOUND, refuse_argument, refuse_body, render_error

MOST_TOOLS = 128
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
HOSTED = (
    "web_search",
    "x_search",
    "code_interpreter",
    "code_execution",
    "file_search",
    "collections_search",
    "mcp",
    "image_generation",
)
CHOICES = ("auto", "none", "required")
FORMATS = ("text", "json_object", "json_schema")
UNREADABLE = (
    "Could not decrypt the provided encrypted_content. Please ensure the value is the unmodified "
    "encrypted_content from a previous response."
)


def check_tools(body: Json, *, is_chat: bool) -> None:
    """Refuse too many tools, two of one name, those of the wrong shape, and choices among others."""
    tools = as_list(body.get("tools"))
    if len(tools) > MOST_TOOLS:
        raise refuse_argument(
            f"A maximum of {MOST_TOOLS} tools can be provided, but {len(tools)} were provided."
        )
    names: list[str] = []
    for index, tool in enumerate(map(as_object, tools)):
        kind = tool.get("type")
        if kind in HOSTED and not is_chat:
            continue
        if kind != "function":
            known = ", ".join(f"`{name}`" for name in (("function",) if is_chat else ("function", *HOSTED)))
            raise refuse_body(f"tools[{index}].type: unknown variant `{kind}`, expected one of {known}")
        function = as_object(tool.get("function")) if is_chat else tool
        check_function(function, f"tools[{index}]")
        names.append(str(function["name"]))
    for name in names:
        if names.count(name) > 1:
            raise refuse_argument(f"Duplicate tool name: {name}")
    check_choice(body, names)


def check_function(function: Json, place: str) -> None:
    """Refuse a function without a name, and parameters that are no object."""
    name, parameters = function.get("name"), function.get("parameters")
    if not isinstance(name, str):
        raise refuse_body(f"{place}: missing field `name`")
    if not NAME.fullmatch(name):
        raise refuse_argument(f"Invalid function name: '{name}'. It must match '^[a-zA-Z0-9_-]{{1,64}}$'.")
    if parameters is not None and as_object(parameters).get("type", "object") != "object":
        raise refuse_argument(f"Invalid parameters of function '{name}': the schema must be an object.")


def check_choice(body: Json, names: list[str]) -> None:
    """Refuse a choice that is none, or of a tool that is not offered."""
    choice = body.get("tool_choice")
    mode, chosen = read_choice(choice)
    if choice is not None and mode not in CHOICES:
        raise refuse_body("tool_choice: data did not match any variant of untagged enum ToolChoice")
    if missing := [name for name in chosen if name not in names]:
        raise refuse_argument(f"Tool choice refers to a function that is not provided: {missing[0]}")
    if mode == "required" and not names and not body.get("tools"):
        raise refuse_argument("A tool_choice was set on the request but no tools were specified.")


def check_format(answer_format: object, *, is_chat: bool) -> None:
    """Refuse the format of an answer that is none, or lacks its schema."""
    given = as_object(answer_format)
    if answer_format is None:
        return
    if given.get("type") not in FORMATS:
        known = ", ".join(f"`{name}`" for name in FORMATS)
        raise refuse_body(f"response_format: unknown variant `{given.get('type')}`, expected one of {known}")
    schema = as_object(given.get("json_schema")) if is_chat else given
    if given["type"] == "json_schema" and not is_object(schema.get("schema")):
        raise refuse_body("response_format: missing field `schema`")


def check_items(items: list[Json]) -> None:
    """Refuse calls without an answer, answers without a call, and thoughts that xAI did not seal."""
    waiting: list[str] = []
    known: set[str] = set()
    for item in items:
        match item.get("type"):
            case "function_call":
                call_id = str(item.get("call_id"))
                if not isinstance(item.get("arguments"), str):
                    raise refuse_body("input: data did not match any variant of untagged enum ModelInputItem")
                waiting.append(call_id)
                known.add(call_id)
            case "function_call_output":
                if str(item.get("call_id")) not in known:
                    raise refuse_argument(f"No tool call found for call_id {item.get('call_id')}.")
                waiting = [call_id for call_id in waiting if call_id != item["call_id"]]
            case "reasoning":
                check_reasoning(item)
            case _ if item.get("role") == "user" and waiting:
                break
            case _:
                pass
    refuse_waiting(waiting)


def check_messages(messages: list[Json]) -> None:
    """Refuse calls without an answer right behind them, and answers without a call."""
    waiting: list[str] = []
    for message in messages:
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in waiting:
                raise refuse_argument(f"No tool call found for tool_call_id {message.get('tool_call_id')}.")
            waiting.remove(str(message["tool_call_id"]))
            continue
        refuse_waiting(waiting)
        calls = [as_object(call) for call in as_list(message.get("tool_calls"))]
        for call in calls:
            if not isinstance(read_function(call).get("arguments"), str):
                raise refuse_body("messages: tool_calls: missing field `arguments`")
        waiting = [str(call.get("id")) for call in calls]
    refuse_waiting(waiting)


def refuse_waiting(waiting: list[str]) -> None:
    """Refuse a conversation in which calls wait for their answers."""
    if waiting:
        raise refuse_argument(f"No tool output found for function call {waiting[0]}.")


def seal_thought(model: str, reasoning: str, number: int) -> str:
    """Seal a thought of a model."""
    return seal("xai", "", thought=reasoning, model=model, number=number)


def check_reasoning(item: Json) -> None:
    """Refuse a thought that xAI did not seal; one that is not sealed is not read."""
    sealed = item.get("encrypted_content")
    if sealed is not None and (not isinstance(sealed, str) or unseal("xai", "", sealed) is None):
        raise refuse_argument(UNREADABLE)


def check_file_id(file_id: object, files: dict[str, StoredFile]) -> None:
    """Refuse the id of a file that was never uploaded, or is gone."""
    if file_id is not None and str(file_id) not in files:
        raise RefusedError(render_error(404, NOT_FOUND, f"File not found: {file_id}"))
