"""What Google takes for a ``generateContent`` request, and how it says no to anything else."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, TypeAlias, cast

from tertulia_simulator.images import decode, identify
from tertulia_simulator.recording import Json, as_list, as_object, is_object
from tertulia_simulator.services.gemini_errors import invalid_argument, refuse_fields, refuse_file

CATEGORIES = (
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
)
ACCEPTED_CATEGORIES = (*CATEGORIES, "HARM_CATEGORY_CIVIC_INTEGRITY")
IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
OTHER_MEDIA = ("application/pdf", "audio/", "video/", "text/")
FILES = "https://generativelanguage.googleapis.com/"
"""With this begin the addresses of uploaded files."""

_FILE = re.compile(r"(?:https://generativelanguage\.googleapis\.com|http://[^/]+/gemini)/v1\w*/(files/.+)")

NO_IMAGE = (
    "Unable to process input image. Please retry or report in "
    "https://developers.generativeai.google/guide/troubleshooting"
)
THRESHOLDS = ("BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF")

Shape: TypeAlias = "dict[str, Any] | list[Any] | None"
"""The names an object may have with the shape of each, a list of one shape, or None for anything."""


def fields(names: str, **shapes: Shape) -> dict[str, Shape]:
    """Shape an object with fields of any content, and some whose shape is given."""
    return {**dict.fromkeys(names.split(), None), **shapes}


CONTENT = fields(
    "role",
    parts=[
        fields(
            "text executableCode codeExecutionResult toolCall toolResponse "
            "thought thoughtSignature videoMetadata mediaResolution",
            functionCall=fields("id name args"),
            functionResponse=fields("id name response willContinue scheduling parts"),
            inlineData=fields("mimeType data displayName"),
            fileData=fields("mimeType fileUri displayName"),
        )
    ],
)
REQUEST = fields(
    "model cachedContent serviceTier labels store continuationToken",
    tools=[
        fields(
            "googleSearch googleSearchRetrieval codeExecution urlContext computerUse googleMaps fileSearch "
            "mcpServers",
            functionDeclarations=[
                fields(
                    "name description parameters parametersJsonSchema response responseJsonSchema behavior"
                )
            ],
        )
    ],
    toolConfig=fields(
        "retrievalConfig includeServerSideToolInvocations",
        functionCallingConfig=fields("mode allowedFunctionNames streamFunctionCallArguments"),
    ),
    contents=[CONTENT],
    systemInstruction=CONTENT,
    safetySettings=[fields("category threshold method")],
    generationConfig=fields(
        "temperature topP topK candidateCount maxOutputTokens stopSequences seed presencePenalty "
        "frequencyPenalty responseLogprobs logprobs responseMimeType responseSchema responseJsonSchema "
        "responseModalities mediaResolution speechConfig imageConfig",
        thinkingConfig=fields("includeThoughts thinkingBudget thinkingLevel"),
    ),
)


def check(body: object, version: str, files: Collection[str] = ()) -> Json:
    """Refuse what Google refuses; return the request with its names in camel case."""
    if not is_object(body):
        raise invalid_argument("Invalid JSON payload received. Unexpected token.")
    problems = list(find_unknown(body, REQUEST))
    request = canonical(body)
    problems += find_invalid_limit(as_object(request.get("generationConfig")))
    problems += find_invalid_safety(as_list(request.get("safetySettings")), version)
    contents = [as_object(content) for content in as_list(request.get("contents"))]
    problems += find_invalid_data(contents)
    if problems:
        raise refuse_fields(problems)
    check_safety(as_list(request.get("safetySettings")))
    check_contents(contents)
    for content in contents:
        check_media([as_object(part) for part in as_list(content.get("parts"))], files)
    return request


def canonical(body: Json, shape: Shape = REQUEST) -> Json:
    """Rename known fields to camel case; Google takes snake case too."""
    return cast("Json", _rename(body, shape))


def find_unknown(value: object, shape: Shape, path: str = "") -> Iterator[tuple[str, str]]:
    """Find the fields that do not exist: the place of each and what Google says."""
    if isinstance(shape, list):
        for index, element in enumerate(as_list(value)):
            yield from find_unknown(element, shape[0], f"{path}[{index}]")
    elif shape is not None:
        for name, child in as_object(value).items():
            if camel_case(name) in shape:
                yield from find_unknown(
                    child, shape[camel_case(name)], f"{path}.{snake_case(name)}".strip(".")
                )
            else:
                place = f" at '{path}'" if path else ""
                yield path, f'Invalid JSON payload received. Unknown name "{name}"{place}: Cannot find field.'


def find_invalid_limit(config: Json) -> Iterator[tuple[str, str]]:
    """Find a limit on the answer that is no number."""
    limit = config.get("maxOutputTokens")
    if type(limit) not in (int, type(None)):
        place = "generation_config.max_output_tokens"
        yield place, f"Invalid value at '{place}' (TYPE_INT32), \"{limit}\""


def find_invalid_safety(settings: list[Any], version: str) -> Iterator[tuple[str, str]]:
    """Find the categories and thresholds that do not exist."""
    package = f"type.googleapis.com/google.ai.generativelanguage.{version}"
    types = {
        "category": ("HarmCategory", "HARM_CATEGORY_"),
        "threshold": ("SafetySetting.HarmBlockThreshold", ""),
    }
    for index, setting in enumerate(settings):
        for name, (kind, prefix) in types.items():
            value = str(as_object(setting).get(name, ""))
            known = value.startswith(prefix) if prefix else value in THRESHOLDS
            if not known or value.startswith("HARM_CATEGORY_IMAGE_"):
                place = f"safety_settings[{index}].{name}"
                yield place, f"Invalid value at '{place}' ({package}.{kind}), \"{value}\""


def find_invalid_data(contents: list[Json]) -> Iterator[tuple[str, str]]:
    """Find the data that are no base64."""
    for index, content in enumerate(contents):
        for place, part in enumerate(map(as_object, as_list(content.get("parts")))):
            data = as_object(part.get("inlineData")).get("data", "")
            if decode_any(data) is None:
                name = f"contents[{index}].parts[{place}].inline_data.data"
                yield name, f"Invalid value at '{name}' (TYPE_BYTES), Base64 decoding failed for \"{data}\""


def decode_any(data: object) -> bytes | None:
    """Decode base64 of either alphabet, padded or not, as protocol buffers do; None where it is none."""
    if not isinstance(data, str):
        return None
    text = data.replace("-", "+").replace("_", "/").rstrip("=")
    return decode(text + "=" * (-len(text) % 4))


def is_image(medium: Json) -> bool:
    """Whether inline data or a file is sent as an image; a file need not say."""
    return bool(medium) and str(medium.get("mimeType", "image/")).startswith("image/")


def name_file(uri: object) -> str:
    """The address that Google knows a file by, which may be written with another version or our own host."""
    found = _FILE.fullmatch(str(uri))
    return f"{FILES}v1beta/{found[1]}" if found else str(uri)


def check_media(parts: list[Json], files: Collection[str]) -> None:
    """Refuse types of media that Google does not read, images that are none, and files it does not have."""
    for part in parts:
        inline, file = as_object(part.get("inlineData")), as_object(part.get("fileData"))
        for medium in filter(None, (inline, file)):
            check_type(str(medium.get("mimeType", "" if medium is inline else IMAGE_TYPES[0])))
        uri = name_file(file.get("fileUri", ""))
        if file and not uri.startswith("https://"):
            raise invalid_argument(f"Invalid or unsupported file uri: {uri}")
        if file and uri.startswith(FILES) and uri not in files:
            raise refuse_file(uri)
        if is_image(inline) and not identify(decode_any(inline.get("data")) or b"").media_type:
            raise invalid_argument(NO_IMAGE)


def check_type(media_type: str) -> None:
    """Refuse a type of media that Google does not read."""
    if media_type not in IMAGE_TYPES and not media_type.startswith(OTHER_MEDIA):
        raise invalid_argument(f"Unsupported MIME type: {media_type}")


def check_safety(settings: list[Any]) -> None:
    """Refuse categories of other services, and two settings for one."""
    categories = [as_object(setting).get("category") for setting in settings]
    for index, category in enumerate(categories):
        if category not in ACCEPTED_CATEGORIES:
            accepted = ", ".join(f"HarmCategory.{name}" for name in ACCEPTED_CATEGORIES)
            raise invalid_argument(
                f"* GenerateContentRequest.safety_settings[{index}]: element predicate failed: "
                f"$.category in ({accepted})\n"
            )
    if len(set(categories)) < len(categories):
        raise invalid_argument("Multiple safety settings with the same category.")


def check_contents(contents: list[Json]) -> None:
    """Refuse no contents, empty ones, roles but user and model, and a model that speaks first."""
    if not contents:
        raise invalid_argument("* GenerateContentRequest.contents: contents is not specified\n")
    for index, content in enumerate(contents):
        if content.get("role", "user") not in ("user", "model"):
            raise invalid_argument("Please use a valid role: user, model.")
        if not content.get("parts"):
            place = f"GenerateContentRequest.contents[{index}].parts"
            raise invalid_argument(f"* {place}: contents.parts must not be empty.\n")
    if contents[0].get("role", "user") != "user":
        raise invalid_argument("Please ensure that multiturn requests start with a user turn.")


def camel_case(name: str) -> str:
    """Write ``system_instruction`` as ``systemInstruction``."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def snake_case(name: str) -> str:
    """Write ``systemInstruction`` as ``system_instruction``."""
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)


def _rename(value: object, shape: Shape) -> object:
    if isinstance(shape, list):
        return [_rename(element, shape[0]) for element in as_list(value)]
    if shape is None or not is_object(value):
        return value
    renamed = {camel_case(name): child for name, child in value.items()}
    return {name: _rename(child, shape.get(name)) for name, child in renamed.items()}
