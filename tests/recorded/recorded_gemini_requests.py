"""The recorded requests to Gemini as requests of ours, and the normal form in which both are compared."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from itertools import groupby
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
    ProviderConfig,
    Reasoning,
    Request,
    ResponseSchema,
    Role,
    Target,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Video,
)
from tertulia_gemini import GeminiProvider

NAME = "gemini"
MADE_UP = "made-up-"

_MEDIA = {"image": Image, "audio": Audio, "video": Video}
_SAMPLING = {"temperature": "temperature", "topP": "top_p", "maxOutputTokens": "max_output_tokens"}
_MODES = {"AUTO": "auto", "NONE": "none", "ANY": "required"}
# What is below these is the caller's own, and is compared as it is.
_VALUES = {"args", "response", "parametersJsonSchema", "parameters", "responseJsonSchema", "responseSchema"}


def parse(recorded: RecordedRequest) -> Request:
    """Say in our words what was asked; what has no word but is a member of the body is ``extra``."""
    body = canonical(recorded.body)
    model = recorded.path.split("/models/")[1].partition(":")[0]
    asked, extra = parse_config(body.get("generationConfig", {}))
    tools, config = parse_tools(body.get("tools", [])), dict(body.get("toolConfig", {}))
    if (choice := parse_choice(config.get("functionCallingConfig"))) is not None:
        asked["tool_choice"] = choice
        del config["functionCallingConfig"]
    members = {"generationConfig": extra, "toolConfig": config, "cachedContent": body.get("cachedContent")}
    safety = {setting["category"]: setting["threshold"] for setting in body.get("safetySettings", [])}
    options = Options(
        safety_settings=safety or None,
        extra={NAME: {name: value for name, value in members.items() if value}},
        **asked,
    )
    system = [
        Message.of("system", part["text"]) for part in body.get("systemInstruction", {}).get("parts", [])
    ]
    messages = [message for content in body["contents"] for message in parse_content(content)]
    schema = body.get("generationConfig", {}).get("responseJsonSchema")
    return Request(
        Target(NAME, model),
        (*system, *messages),
        options,
        tools=tools,
        response_schema=None if schema is None else ResponseSchema("answer", schema),
    )


def parse_config(config: Json) -> tuple[dict[str, Any], Json]:
    """Split the configuration into our options and what has no word of ours."""
    asked = {ours: config[theirs] for theirs, ours in _SAMPLING.items() if theirs in config}
    known = {*_SAMPLING, "responseJsonSchema", "thinkingConfig"}
    if "responseJsonSchema" in config:
        known.add("responseMimeType")
    extra = {name: value for name, value in config.items() if name not in known}
    thinking = config.get("thinkingConfig", {})
    if thinking.get("includeThoughts"):
        asked["reasoning_summary"] = "auto"
    if "thinkingLevel" in thinking:
        asked["reasoning_effort"] = thinking["thinkingLevel"].lower()
    if thinking.get("thinkingBudget") == 0:
        asked["reasoning_effort"] = "none"
    return asked, extra


def parse_choice(config: Json | None) -> str | None:
    """A tool choice of ours; None where there is none, or none that we have a word for."""
    allowed = (config or {}).get("allowedFunctionNames", [])
    if config is None or len(allowed) > 1:
        return None
    return allowed[0] if allowed else _MODES.get(config["mode"].upper())


def parse_tools(tools: list[Json]) -> tuple[Tool | HostedTool, ...]:
    return tuple(
        tool
        for entry in tools
        for name, value in entry.items()
        for tool in (
            [Tool(**parse_declaration(item)) for item in value]
            if name == "functionDeclarations"
            else [HostedTool(name, value)]
        )
    )


def parse_declaration(declaration: Json) -> Json:
    return {
        "name": declaration["name"],
        "description": declaration.get("description", ""),
        "parameters": declaration["parametersJsonSchema"],
    }


def parse_content(content: Json) -> Iterator[Message]:
    """A turn: one answer, or what was said and what functions returned, each by itself."""
    if content["role"] == "model":
        yield Message(Role.ASSISTANT, tuple(map(parse_part, content["parts"])))
        return
    for role, parts in groupby(
        content["parts"], lambda part: "tool" if "functionResponse" in part else "user"
    ):
        yield Message(Role(role), tuple(map(parse_part, parts)))


def parse_part(part: Json) -> Part:
    state = {name: part[name] for name in ("thoughtSignature",) if name in part}
    opaque = OpaqueState(NAME, state) if state and not is_placeholder(part) else None
    match part:
        case {"videoMetadata": _}:
            raise NotExpressibleError("a video with a frame rate")
        case {"functionResponse": {"parts": _}}:
            raise NotExpressibleError("a picture or a document in a tool's result")
        case {"text": text, "thought": True}:
            return Reasoning(text, opaque)
        case {"text": text}:
            return Text(text, opaque)
        case {"functionCall": call}:
            return ToolCall(call["id"], call["name"], call["args"], opaque=opaque)
        case {"functionResponse": {"response": {"error": str(error)}} as result}:
            return ToolResult(result["id"], result["name"], error, is_error=True)
        case {"functionResponse": result}:
            return ToolResult(result["id"], result["name"], result["response"]["output"])
        case {"inlineData": blob}:
            kind = _MEDIA.get(blob["mimeType"].partition("/")[0], Document)
            return kind(data=b64decode(blob["data"]), media_type=blob["mimeType"])
        case {"fileData": blob}:
            kind = _MEDIA.get(blob["mimeType"].partition("/")[0], Document)
            return kind(url=blob["fileUri"], media_type=blob["mimeType"])
        case _:
            return Foreign("part", OpaqueState(NAME, part))


def is_placeholder(part: Json) -> bool:
    """Whether a signature is the word that stands for one."""
    return part.get("thoughtSignature", "").startswith("c2tpcF90aG91Z2h0")


def render(request: Request) -> Json:
    return GeminiProvider(ProviderConfig(NAME, "gemini")).wire.render_request(request).body


def normalise(body: Json) -> Json:
    """Compare bodies without what Google says means the same."""
    body = canonical(body)
    system = body.get("systemInstruction", {}).get("parts")
    tools: dict[str, Any] = {}
    for entry in body.pop("tools", []):
        for name, value in entry.items():
            tools[name] = tools.get(name, []) + value if isinstance(value, list) else value
    body |= {"systemInstruction": system, "tools": tools, "contents": merge(body["contents"])}
    return {name: value for name, value in body.items() if value}


def merge(contents: list[Json]) -> list[Json]:
    """Neighbours of one role are one turn; thoughts that nobody signed, and empty texts, say nothing."""
    merged: list[Json] = []
    for content in contents:
        parts = [part for part in content["parts"] if part.keys() > {"text"} or part != {"text": ""}]
        parts = [part for part in parts if "thought" not in part or "thoughtSignature" in part]
        if merged and merged[-1]["role"] == content["role"]:
            merged[-1]["parts"] += parts
        elif parts:
            merged.append({"role": content["role"], "parts": parts})
    return merged


def canonical(body: Json) -> Json:
    """Write all names in one way, and every value that can be written in several in one of them."""
    body = rename(body)
    for place, content in enumerate(body["contents"]):
        content.setdefault("role", "user")
        for index, part in enumerate(content["parts"]):
            fix_part(part, f"{MADE_UP}{place}-{index}")
    for entry in body.get("tools", []):
        for declaration in entry.get("functionDeclarations", []):
            fix_declaration(declaration)
    fix_config(body.get("generationConfig", {}))
    if "functionCallingConfig" in body.get("toolConfig", {}):
        config = body["toolConfig"]["functionCallingConfig"]
        config["mode"] = config["mode"].upper()
    return body


def rename(value: Any) -> Any:
    """Names in camel case, down to where they are the caller's own."""
    if isinstance(value, list):
        return [rename(item) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {camel_case(name): item for name, item in value.items()}
    return {name: item if name in _VALUES else rename(item) for name, item in renamed.items()}


def camel_case(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def fix_part(part: Json, made_up: str) -> None:
    if "thoughtSignature" in part:
        part["thoughtSignature"] = standard(part["thoughtSignature"])
    if "inlineData" in part:
        part["inlineData"]["data"] = standard(part["inlineData"]["data"])
    if "functionCall" in part:
        call = part["functionCall"]
        call.setdefault("id", made_up)
        call.setdefault("args", {})
    if "functionResponse" in part:
        result = part["functionResponse"]
        result.setdefault("id", made_up)
        if result["response"].keys() not in ({"error"}, {"output"}) or not isinstance(
            next(iter(result["response"].values())), str
        ):
            result["response"] = {"output": json.dumps(result["response"], sort_keys=True)}


def standard(text: str) -> str:
    """Base64 in its first alphabet, with its padding."""
    text = text.replace("-", "+").replace("_", "/").rstrip("=")
    return b64encode(b64decode(text + "=" * (-len(text) % 4))).decode()


def fix_declaration(declaration: Json) -> None:
    schema = declaration.pop("parameters", None) or declaration.pop("parametersJsonSchema", None)
    declaration["parametersJsonSchema"] = lower_types(schema or {"type": "object", "properties": {}})
    if not declaration.get("description"):
        declaration.pop("description", None)


def lower_types(schema: Any) -> Any:
    """An OpenAPI schema has its types in capitals."""
    if isinstance(schema, list):
        return [lower_types(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: value.lower() if name == "type" and isinstance(value, str) else lower_types(value)
        for name, value in schema.items()
    }


def fix_config(config: Json) -> None:
    if "responseSchema" in config:
        config["responseJsonSchema"] = config.pop("responseSchema")
    thinking = config.get("thinkingConfig", {})
    if "thinkingLevel" in thinking:
        thinking["thinkingLevel"] = thinking["thinkingLevel"].upper()
