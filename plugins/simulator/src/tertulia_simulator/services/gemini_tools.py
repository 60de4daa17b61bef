"""What Google refuses of tools, of thoughts and of conversations that could not have gone like this."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from typing import Any

from tertulia_simulator.conversation import Offer
from tertulia_simulator.models import GeminiModel
from tertulia_simulator.recording import Json, as_list, as_object, is_object
from tertulia_simulator.seals import seal, unseal
from tertulia_simulator.services.chunks import compact
from tertulia_simulator.services.gemini_errors import invalid_argument, refuse_fields
from tertulia_simulator.services.gemini_schema import camel_case, decode_any
from tertulia_simulator.services.service import RefusedError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
MOST_FUNCTIONS = 512
PLACEHOLDER = b"skip_thought_signature_validator"
"""What Google documents for calls that its models did not make."""

MODES = ("AUTO", "ANY", "NONE", "VALIDATED")
LEVELS = ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH")
SCHEMA_FIELDS = """
    type format title description nullable enum maxItems minItems properties required minProperties
    maxProperties minLength maxLength pattern example anyOf propertyOrdering default items minimum maximum
""".split()  # noqa: SIM905 - a list of two dozen lines says no more
BAD_NAME = (
    "Invalid function name. Must start with a letter or an underscore. Must be alphanumeric (a-z, A-Z, 0-9), "
    "underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 128."
)
WRONG_TURN = "Please ensure that function response turn comes immediately after a function call turn."
WRONG_NUMBER = (
    "Please ensure that the number of function response parts is equal to the number of function call parts "
    "of the function call turn."
)
WRONG_CALL = (
    "Please ensure that function call turn comes immediately after a user turn or after a function response "
    "turn."
)


def read_offer(body: Json) -> Offer:
    """Read the tools of a request, how to choose among them, and the schema of the answer."""
    tools = [as_object(tool) for tool in as_list(body.get("tools"))]
    declared = [as_object(each) for tool in tools for each in as_list(tool.get("functionDeclarations"))]
    choice = as_object(as_object(body.get("toolConfig")).get("functionCallingConfig"))
    mode = str(choice.get("mode", "AUTO"))
    return Offer(
        {str(each.get("name")): read_parameters(each) for each in declared},
        [name for tool in tools for name in tool if name != "functionDeclarations"],
        {"ANY": "required", "NONE": "none"}.get(mode, "auto"),
        [str(name) for name in as_list(choice.get("allowedFunctionNames"))],
        schema=read_schema(as_object(body.get("generationConfig"))),
        text=compact({"tools": tools}) if tools else "",
    )


def read_parameters(declared: Json) -> Json:
    """Read the schema of a function's arguments, which goes by two names."""
    return as_object(declared.get("parametersJsonSchema") or declared.get("parameters"))


def read_schema(config: Json) -> Json | None:
    """Read the schema of the answer; JSON without one is an object that holds the answer."""
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema is None and config.get("responseMimeType") == "application/json":
        return {"type": "object", "properties": {"answer": {"type": "string"}}}
    return as_object(schema) if schema is not None else None


def check_request(body: Json, model: GeminiModel, version: str) -> None:
    """Refuse what Google refuses of the tools, the schema, the thoughts and the conversation."""
    config = as_object(body.get("generationConfig"))
    check_tools(as_list(body.get("tools")))
    check_choice(body, version)
    check_schema(config)
    if model.is_old and read_offer(body).tools and config.get("responseMimeType") == "application/json":
        raise invalid_argument(
            "Function calling with a response mime type: 'application/json' is unsupported"
        )
    check_thinking(as_object(config.get("thinkingConfig")), model, version)
    contents = [as_object(content) for content in as_list(body.get("contents"))]
    check_turns(contents)
    check_signatures(contents, model)


def check_tools(tools: list[Any]) -> None:
    """Refuse functions without a proper name, two of one, too many, and what their schemas may not hold."""
    names: list[object] = []
    for index, tool in enumerate(map(as_object, tools)):
        for number, declared in enumerate(map(as_object, as_list(tool.get("functionDeclarations")))):
            place = f"tools[{index}].function_declarations[{number}]"
            if not isinstance(name := declared.get("name"), str) or not NAME.fullmatch(name):
                raise invalid_argument(f"* GenerateContentRequest.{place}.name: [FIELD_INVALID] {BAD_NAME}\n")
            if name in names:
                raise invalid_argument(f"Duplicate function declaration found: {name}")
            if declared.get("parameters") is not None and "parametersJsonSchema" in declared:
                raise invalid_argument(
                    f"* GenerateContentRequest.{place}: parameters and parameters_json_schema are both set.\n"
                )
            if problems := list(find_unknown_keywords(declared.get("parameters"), f"{place}.parameters")):
                raise refuse_fields(problems)
            names.append(name)
    if len(names) > MOST_FUNCTIONS:
        raise invalid_argument(
            f"At most {MOST_FUNCTIONS} function declarations are allowed, got {len(names)}."
        )


def find_unknown_keywords(schema: object, place: str) -> Iterator[tuple[str, str]]:
    """Find what only JSON Schema has, and Google's own schemas do not."""
    if not (given := as_object(schema)):
        return
    for name in given:
        if camel_case(name) not in SCHEMA_FIELDS:
            yield (
                place,
                f"Invalid JSON payload received. Unknown name \"{name}\" at '{place}': Cannot find field.",
            )
    for name, child in as_object(given.get("properties")).items():
        yield from find_unknown_keywords(child, f"{place}.properties[{name}].value")
    yield from find_unknown_keywords(given.get("items"), f"{place}.items")
    for index, child in enumerate(as_list(given.get("anyOf"))):
        yield from find_unknown_keywords(child, f"{place}.any_of[{index}]")


def check_choice(body: Json, version: str) -> None:
    """Refuse a mode that does not exist, and names that no function has."""
    choice = as_object(as_object(body.get("toolConfig")).get("functionCallingConfig"))
    mode = choice.get("mode", "AUTO")
    if mode not in (*MODES, "MODE_UNSPECIFIED"):
        place = "tool_config.function_calling_config.mode"
        kind = f"type.googleapis.com/google.ai.generativelanguage.{version}.FunctionCallingConfig.Mode"
        raise refuse_fields([(place, f"Invalid value at '{place}' ({kind}), \"{mode}\"")])
    names = [str(name) for name in as_list(choice.get("allowedFunctionNames"))]
    if names and mode not in ("ANY", "VALIDATED"):
        raise invalid_argument("allowed_function_names should only be set when mode is ANY or VALIDATED.")
    offer = read_offer(body)
    if unknown := [name for name in names if name not in offer.tools]:
        raise invalid_argument(
            f"allowed_function_names contains a function that is not declared: {unknown[0]}"
        )
    if mode == "ANY" and not offer.tools:
        raise invalid_argument("Function calling config is set without function_declarations.")


def check_schema(config: Json) -> None:
    """Refuse two schemas of an answer, one without JSON, and what Google's own kind may not hold."""
    own, other = config.get("responseSchema"), config.get("responseJsonSchema")
    if own is not None and other is not None:
        raise invalid_argument("Only one of response_schema and response_json_schema can be set.")
    if (own or other) is None:
        return
    if config.get("responseMimeType") not in ("application/json", "text/x.enum"):
        raise invalid_argument(
            "Response schema is only supported with response mime type 'application/json'."
        )
    if problems := list(find_unknown_keywords(own, "generation_config.response_schema")):
        raise refuse_fields(problems)


def check_thinking(config: Json, model: GeminiModel, version: str) -> None:
    """Refuse to think in a way that the model does not know."""
    budget, level = config.get("thinkingBudget"), config.get("thinkingLevel")
    if budget is not None and level is not None:
        raise invalid_argument("You can only set only one of thinking budget and thinking level.")
    if level is not None:
        check_level(str(level).upper(), model, version)
    if budget == 0 and model.always_thinks:
        raise invalid_argument("Budget 0 is invalid. This model only works in thinking mode.")


def check_level(level: str, model: GeminiModel, version: str) -> None:
    """Refuse a level that does not exist, or not at this model."""
    if level not in LEVELS:
        place = "generation_config.thinking_config.thinking_level"
        kind = f"type.googleapis.com/google.ai.generativelanguage.{version}.ThinkingConfig.ThinkingLevel"
        raise refuse_fields([(place, f"Invalid value at '{place}' ({kind}), \"{level}\"")])
    if model.is_old:
        raise invalid_argument("Thinking level is not supported for this model.")
    if level not in model.levels:
        raise invalid_argument(
            f"Thinking level {level} is not supported for this model. Please retry with other thinking level."
        )


def check_turns(contents: Sequence[Json]) -> None:
    """Refuse answers of tools anywhere but right behind all their calls, and calls without answers."""
    calls: list[Json] = []
    for index, content in enumerate(contents):
        parts = [as_object(part) for part in as_list(content.get("parts"))]
        results = [as_object(part["functionResponse"]) for part in parts if "functionResponse" in part]
        if calls or results:
            check_results(calls, results, f"contents[{index}]")
        calls = [as_object(part["functionCall"]) for part in parts if "functionCall" in part]
        if calls and (content.get("role") != "model" or index == 0):
            raise invalid_argument(WRONG_CALL)
    if calls:
        raise invalid_argument(WRONG_NUMBER)


def check_results(calls: list[Json], results: list[Json], place: str) -> None:
    """Refuse answers that are not those to the calls, in their order."""
    if results and not calls:
        raise invalid_argument(WRONG_TURN)
    if len(results) != len(calls):
        raise invalid_argument(WRONG_NUMBER)
    for number, (call, result) in enumerate(zip(calls, results, strict=True)):
        where = f"{place}.parts[{number}].function_response"
        if not is_object(result.get("response")):
            kind = "type.googleapis.com/google.protobuf.Struct"
            problem = f"Invalid value at '{where}.response' ({kind}), \"{result.get('response')}\""
            raise refuse_fields([(f"{where}.response", problem)])
        if not result.get("name"):
            raise invalid_argument(f"* GenerateContentRequest.{where}.name: Name cannot be empty.\n")
        if (call.get("name"), call.get("id")) != (result.get("name"), result.get("id")):
            # The words are the simulator's own: no such answer was ever recorded.
            raise invalid_argument(
                f"Function response {number} is for '{result['name']}' ({result.get('id')}), "
                f"but function call {number} is '{call.get('name')}' ({call.get('id')})."
            )


def sign(part: Json, number: int) -> Json:
    """Put a signature on a part: it fits this part alone."""
    return {**part, "thoughtSignature": seal("gemini", content_of(part), number=number)}


def content_of(part: Json) -> Json:
    """What of a part is signed."""
    call = as_object(part.get("functionCall"))
    if call:
        return {"name": call.get("name"), "args": as_object(call.get("args"))}
    return {"text": part.get("text", "")}


def check_signatures(contents: Sequence[Json], model: GeminiModel) -> None:
    """Refuse signatures that were changed or moved, and newer models' calls of the open turn without one."""
    spoken = [index for index, content in enumerate(contents) if is_spoken(content)]
    for index, content in enumerate(contents):
        calls_seen = 0
        for place, part in enumerate(map(as_object, as_list(content.get("parts")))):
            is_call = "functionCall" in part
            signature = part.get("thoughtSignature")
            if signature is not None:
                check_signature(part, f"contents[{index}].parts[{place}].thought_signature")
            elif is_call and not calls_seen and not model.is_old and index > (spoken or [-1])[-1]:
                raise refuse_unsigned(part, index)
            calls_seen += is_call


def is_spoken(content: Json) -> bool:
    """Whether a user speaks, rather than only hands over what tools answered."""
    parts = [as_object(part) for part in as_list(content.get("parts"))]
    return content.get("role", "user") == "user" and any("functionResponse" not in part for part in parts)


def check_signature(part: Json, place: str) -> None:
    """Refuse a signature that is no base64, or not the one that this part was given."""
    signature = part["thoughtSignature"]
    if (raw := decode_any(signature)) is None:
        problem = f"Invalid value at '{place}' (TYPE_BYTES), Base64 decoding failed for \"{signature}\""
        raise refuse_fields([(place, problem)])
    if PLACEHOLDER in (raw, str(signature).encode()):
        return
    if unseal("gemini", content_of(part), b64encode(raw).decode()) is None:
        raise invalid_argument("Thought signature is not valid.")


def refuse_unsigned(part: Json, index: int) -> RefusedError:
    """Refuse a call of the open turn without a signature."""
    return invalid_argument(
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
        "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
        f"data, function call `default_api:{as_object(part['functionCall']).get('name')}` , position "
        f"{index + 1}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more "
        "details."
    )
