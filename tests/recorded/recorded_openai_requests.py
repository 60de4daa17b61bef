"""The requests of OpenAI's two formats, read back into our own domain, and their normal forms."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from recorded_requests import Json, NotExpressibleError, RecordedRequest

from tertulia import (
    Audio,
    Document,
    Foreign,
    HostedTool,
    Image,
    Message,
    OpaqueState,
    Options,
    Part,
    ProviderFile,
    Reasoning,
    Request,
    ResponseSchema,
    Role,
    Target,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)

NAME = "mine"
"""What the provider is called that the requests are for."""

AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}
SERVER_STATE = {"previous_response_id", "conversation", "background", "prompt"}
LATER = {"tool_search_call", "tool_search_output", "additional_tools"}
"""Items of tools that are loaded when the model looks for them."""

NEUTRAL = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "seed": "seed",
    "service_tier": "service_tier",
    "parallel_tool_calls": "parallel_tool_calls",
    "user": "end_user",
    "reasoning_effort": "reasoning_effort",
}
OURS = {"model", "input", "messages", "instructions", "stream", "store", "tools", "tool_choice"}
"""What is no option, or is read by itself."""


def parse_responses(recorded: RecordedRequest) -> Request:
    """Read a request to the Responses API."""
    body = recorded.body
    refuse_server_state(body)
    items = body["input"]
    items = [{"role": "user", "content": items}] if isinstance(items, str) else items
    messages = [Message.of("system", body["instructions"])] if body.get("instructions") else []
    messages += read_items(items)
    settings: Json = {}
    extra: Json = {}
    read_reasoning(body, settings, extra)
    schema = read_text_settings(body, settings, extra)
    handled = OURS | {"reasoning", "text", "include"}
    read_rest(body, handled, settings, extra)
    included = [name for name in body.get("include") or [] if name != "reasoning.encrypted_content"]
    if included:
        extra["include"] = included
    return make_request(body, messages, settings, extra, schema)


def parse_chat(recorded: RecordedRequest) -> Request:
    """Read a request for a chat completion."""
    body = recorded.body
    settings: Json = {}
    extra: Json = {}
    schema = None
    if body.get("stop"):
        settings["stop"] = tuple(body["stop"])
    if (shape := body.get("response_format")) is not None:
        if shape["type"] == "json_schema":
            schema = read_schema(shape["json_schema"])
        else:
            extra["response_format"] = shape
    read_rest(body, OURS | {"stop", "stream_options", "response_format"}, settings, extra)
    if extra.get("n") == 1:
        del extra["n"]  # one answer is what there is anyway
    return make_request(body, list(read_messages(body["messages"])), settings, extra, schema)


def refuse_server_state(body: Json) -> None:
    for name in sorted(SERVER_STATE):
        if body.get(name):
            raise NotExpressibleError(f"{name}: what the server keeps")


def make_request(
    body: Json, messages: list[Message], settings: Json, extra: Json, schema: ResponseSchema | None
) -> Request:
    first_other = next((i for i, m in enumerate(messages) if m.role is not Role.SYSTEM), len(messages))
    if any(message.role is Role.SYSTEM for message in messages[first_other:]):
        raise NotExpressibleError("a system message in the middle")
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        if choice["type"] == "allowed_tools":
            raise NotExpressibleError("tool_choice: allowed_tools")
        choice = choice.get("name") or choice["function"]["name"]
    if choice is not None:
        settings["tool_choice"] = choice
    return Request(
        Target(NAME, body["model"]),
        tuple(messages),
        Options(**settings, extra={NAME: extra} if extra else None),
        stream=bool(body.get("stream")),
        tools=tuple(read_tool(tool) for tool in body.get("tools") or []),
        response_schema=schema,
    )


def read_rest(body: Json, handled: set[str], settings: Json, extra: Json) -> None:
    for name, value in body.items():
        if name not in handled and value is not None:
            if name in NEUTRAL:
                settings[NEUTRAL[name]] = value
            else:
                extra[name] = value


def read_reasoning(body: Json, settings: Json, extra: Json) -> None:
    names = {"effort": "reasoning_effort", "summary": "reasoning_summary"}
    for name, value in (body.get("reasoning") or {}).items():
        if name in names and value is not None:
            settings[names[name]] = value
        elif value is not None:
            extra.setdefault("reasoning", {})[name] = value


def read_text_settings(body: Json, settings: Json, extra: Json) -> ResponseSchema | None:
    text = body.get("text") or {}
    if text.get("verbosity"):
        settings["verbosity"] = text["verbosity"]
    shape = text.get("format") or {"type": "text"}
    if shape["type"] == "json_schema":
        return read_schema(shape)
    if shape["type"] != "text":
        extra["text"] = {"format": shape}
    return None


def read_schema(shape: Json) -> ResponseSchema:
    return ResponseSchema(shape["name"], shape["schema"], shape.get("description"))


def read_tool(tool: Json) -> Tool | HostedTool:
    if tool["type"] != "function":
        if tool["type"] == "tool_search":
            raise NotExpressibleError("tools that are loaded later")
        return HostedTool(tool["type"], {name: value for name, value in tool.items() if name != "type"})
    function = tool.get("function", tool)
    if function.get("defer_loading"):
        raise NotExpressibleError("tools that are loaded later")
    return Tool(function["name"], function.get("description") or "", function["parameters"])


def read_items(items: list[Json]) -> Iterator[Message]:
    """Turns: what the assistant said and called in a row is one message, and so are results in a row."""
    parts: list[Part] = []
    role: Role | None = None
    names = {item["call_id"]: item["name"] for item in items if item.get("type") == "function_call"}
    for item in items:
        item_role, item_parts = read_item(item, names)
        if parts and role is not None and (item_role is not role or role in (Role.USER, Role.SYSTEM)):
            yield Message(role, tuple(parts))
            parts = []
        role = item_role
        parts += item_parts
    if parts and role is not None:
        yield Message(role, tuple(parts))


def read_item(item: Json, names: dict[str, str]) -> tuple[Role, list[Part]]:
    match item.get("type", "message"):
        case "message":
            return read_message_item(item)
        case "function_call":
            if "namespace" in item:
                raise NotExpressibleError("tools that are loaded later")
            return Role.ASSISTANT, [read_call(item["call_id"], item["name"], item["arguments"])]
        case "function_call_output":
            if not isinstance(item["output"], str):
                raise NotExpressibleError("a result of a tool that is no text")
            return Role.TOOL, [ToolResult(item["call_id"], names.get(item["call_id"], ""), item["output"])]
        case "reasoning":
            if not item.get("encrypted_content"):
                raise NotExpressibleError("reasoning: what the server keeps")
            return Role.ASSISTANT, [Reasoning("", OpaqueState(NAME, item))]
        case kind if kind in LATER:
            raise NotExpressibleError("tools that are loaded later")
        case kind:
            return Role.ASSISTANT, [Foreign(kind, OpaqueState(NAME, item))]


def read_message_item(item: Json) -> tuple[Role, list[Part]]:
    role = Role.SYSTEM if item["role"] == "developer" else Role(item["role"])
    content = item["content"]
    if isinstance(content, str):
        return role, [Text(content)]
    return role, [read_part(part) for part in content]


def read_call(identifier: str, name: str, arguments: str) -> ToolCall:
    return ToolCall(identifier, name, json.loads(arguments or "{}"))


def read_part(part: Json) -> Part:
    match part["type"]:
        case "input_text" | "output_text" | "text":
            return Text(part["text"])
        case "input_image":
            return Image(**read_source(part["image_url"]), detail=part.get("detail"))
        case "image_url":
            image = part["image_url"]
            return Image(**read_source(image["url"]), detail=image.get("detail"))
        case "input_file" | "file":
            return read_file(part.get("file", part))
        case "input_audio":
            sound = part["input_audio"]
            return Audio(base64.b64decode(sound["data"]), AUDIO_TYPES[sound["format"]])
        case kind:
            raise NotExpressibleError(f"content: {kind}")


def read_file(file: Json) -> Document:
    if "file_id" in file:
        return Document(file=ProviderFile(NAME, file["file_id"]))
    if "file_url" in file:
        return Document(url=file["file_url"])
    return Document(**read_source(file["file_data"]), name=file.get("filename"))


def read_source(url: str) -> Json:
    """Bytes of a data URL, or an address."""
    if not url.startswith("data:"):
        return {"url": url}
    head, _, data = url.removeprefix("data:").partition(",")
    return {"data": base64.b64decode(data), "media_type": head.removesuffix(";base64")}


def read_messages(messages: list[Json]) -> Iterator[Message]:
    names = {call["id"]: call["function"]["name"] for m in messages for call in m.get("tool_calls") or []}
    results: list[Part] = []
    for message in messages:
        if results and message["role"] != "tool":
            yield Message(Role.TOOL, tuple(results))
            results = []
        if message["role"] == "tool":
            identifier = message["tool_call_id"]
            results.append(ToolResult(identifier, names.get(identifier, ""), message["content"]))
            continue
        content = message.get("content") or []
        parts = [Text(content)] if isinstance(content, str) else [read_part(part) for part in content]
        calls = [
            read_call(call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in message.get("tool_calls") or []
        ]
        role = Role.SYSTEM if message["role"] == "developer" else Role(message["role"])
        yield Message(role, (*parts, *calls))
    if results:
        yield Message(Role.TOOL, tuple(results))


UNSAID = {"store", "include", "prompt_cache_key", "stream_options"}
"""What the framework puts there; ``include`` is compared without what it always asks for."""


def normalise(body: Json) -> Any:
    """
    A body without what makes no difference.

    Defaults and nulls go; a text and a list of one text are the same; so are instructions and system
    messages at the beginning; names of items go, which nothing refers to where nothing is stored. ``user``
    is the older name of ``safety_identifier``.
    """
    plain = {name: value for name, value in drop_nulls(body).items() if name not in UNSAID}
    included = [name for name in body.get("include") or [] if name != "reasoning.encrypted_content"]
    if included:
        plain["include"] = included
    plain["stream"] = bool(plain.get("stream"))
    if "user" in plain:
        plain["safety_identifier"] = plain.pop("user")
    if plain.get("n") == 1:
        del plain["n"]
    if "input" in plain:
        plain["input"] = normal_input(plain)
        plain.pop("instructions", None)
    if "messages" in plain:
        plain["messages"] = [normal_message(message) for message in plain["messages"]]
    plain["tools"] = [normal_tool(tool) for tool in plain.get("tools", [])]
    for place in ("text", "response_format"):
        if place in plain:
            plain[place] = normal_shape(plain[place])
    return {name: value for name, value in plain.items() if name not in ("tools", "text") or value}


def drop_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: drop_nulls(member) for name, member in value.items() if member is not None}
    return [drop_nulls(item) for item in value] if isinstance(value, list) else value


def normal_input(body: Json) -> list[Json]:
    items = body["input"]
    items = [{"role": "user", "content": items}] if isinstance(items, str) else items
    if body.get("instructions"):
        items = [{"role": "system", "content": text} for text in body["instructions"].split("\n\n")] + items
    return [normal for item in items for normal in normal_item(item)]


def normal_item(item: Json) -> list[Json]:
    kind = item.get("type", "message")
    if kind == "message":
        role = "system" if item["role"] == "developer" else item["role"]
        content = normal_content(item["content"])
        if role == "system":
            return [
                {"role": role, "content": words} for part in content for words in part["text"].split("\n\n")
            ]
        phase = {"phase": item["phase"]} if "phase" in item else {}
        if role == "assistant":
            return [{"role": role, "content": [part], **phase} for part in content]
        return [{"role": role, "content": content}]
    if kind == "function_call":
        named = {name: value for name, value in item.items() if name not in ("id", "status")}
        return [{**named, "arguments": json.loads(item["arguments"] or "{}")}]
    return [item]


def normal_content(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    kinds = {"input_text": "text", "output_text": "text"}
    return [
        {
            **{name: value for name, value in part.items() if name not in ("annotations", "logprobs")},
            "type": kinds.get(part["type"], part["type"]),
        }
        for part in content
    ]


def normal_message(message: Json) -> Json:
    normal = {**message, "role": "system" if message["role"] == "developer" else message["role"]}
    if "content" in message:
        normal["content"] = normal_content(message["content"])
    if "tool_calls" in message:
        normal["tool_calls"] = [
            {
                **call,
                "function": {
                    **call["function"],
                    "arguments": json.loads(call["function"]["arguments"] or "{}"),
                },
            }
            for call in message["tool_calls"]
        ]
    return normal


def normal_tool(tool: Json) -> Json:
    """Whether models are held to the parameters is not compared: see the test of strict schemas."""
    normal = {name: value for name, value in tool.items() if name not in ("strict", "defer_loading")}
    for name in ("function", "parameters"):
        if name in normal:
            normal[name] = normal_schema(normal_tool(normal[name]) if name == "function" else normal[name])
    if tool["type"] == "function" if "type" in tool else True:
        normal.setdefault("description", "")
    return normal


def normal_shape(shape: Json) -> Json:
    """``{"type": "text"}`` is what every answer has."""
    if shape.get("format", {}).get("type") == "text":
        shape = {name: value for name, value in shape.items() if name != "format"}
    return normal_schema(shape)


def normal_schema(schema: Any) -> Any:
    """Closed and open objects are the same, and the order of what is required."""
    if isinstance(schema, list):
        return [normal_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: sorted(value) if name == "required" else normal_schema(value)
        for name, value in schema.items()
        if name != "strict"
        and (name, value) != ("additionalProperties", False)
        and (name, value) != ("required", [])
    }
