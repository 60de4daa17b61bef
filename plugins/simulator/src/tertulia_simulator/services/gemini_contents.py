"""What a ``generateContent`` request says."""

from __future__ import annotations

from collections.abc import Mapping

from tertulia_simulator.conversation import Call, Message, Result, SentFile
from tertulia_simulator.images import SentImage, identify
from tertulia_simulator.orders import StoredFile
from tertulia_simulator.recording import Json, as_list, as_object
from tertulia_simulator.services import gemini_schema
from tertulia_simulator.services.service import Bounds
from tertulia_simulator.tools import write


def read_contents(body: object, files: Mapping[str, StoredFile]) -> list[Message]:
    """Read ``systemInstruction`` and ``contents``; those that hold nothing are left out."""
    request = gemini_schema.canonical(as_object(body))
    system = as_object(request.get("systemInstruction"))
    contents = [{**system, "role": "system"}, *as_list(request.get("contents"))]
    messages = [read_content(as_object(content), files) for content in contents]
    return [message for message in messages if not message.is_empty]


def read_content(content: Json, files: Mapping[str, StoredFile]) -> Message:
    """Read one content; Google takes one without a role for the user's, and reads no thoughts."""
    role = content.get("role", "user")
    parts = [part for part in map(as_object, as_list(content.get("parts"))) if not part.get("thought")]
    media = [as_object(part.get("inlineData") or part.get("fileData")) for part in parts]
    results = tuple(read_result(as_object(part["functionResponse"])) for part in parts if is_result(part))
    texts = tuple(str(part["text"]) for part in parts if part.get("text"))
    is_answer = bool(results) and not texts and not any(media)
    return Message(
        "assistant" if role == "model" else "tool" if is_answer else str(role),
        texts,
        tuple(read_image(medium, files) for medium in media if is_image(medium, files)),
        tuple(read_file(medium, files) for medium in media if medium and not is_image(medium, files)),
        tuple(read_call(as_object(part["functionCall"])) for part in parts if "functionCall" in part),
        results,
    )


def is_image(medium: Json, files: Mapping[str, StoredFile]) -> bool:
    """Whether it is an image that was sent; of a file that was uploaded its type is known."""
    stored = find_stored(medium, files)
    return stored.media_type.startswith("image/") if stored else gemini_schema.is_image(medium)


def find_stored(medium: Json, files: Mapping[str, StoredFile]) -> StoredFile | None:
    """The uploaded file that is referred to; None for anything else."""
    return files.get(gemini_schema.name_file(medium.get("fileUri")))


def is_result(part: Json) -> bool:
    """Whether a part is what a tool answered."""
    return "functionResponse" in part


def read_call(call: Json) -> Call:
    """Read the call of a tool."""
    return Call(str(call.get("name")), write(as_object(call.get("args"))), str(call.get("id", "")))


def read_result(given: Json) -> Result:
    """Read what a tool answered: the output or the error, or all of it where it has another name."""
    response = as_object(given.get("response"))
    is_error = "error" in response and "output" not in response
    output = response.get("error" if is_error else "output", response)
    text = output if isinstance(output, str) else write(output)
    return Result(str(given.get("id", "")), str(given.get("name")), text, is_error)


def read_image(medium: Json, files: Mapping[str, StoredFile]) -> SentImage:
    """Read an image that was sent, or uploaded before, or its address."""
    if stored := find_stored(medium, files):
        return identify(stored.content)
    if "fileUri" in medium:
        return SentImage(url=str(medium["fileUri"]))
    return identify(gemini_schema.decode_any(medium.get("data")) or b"")


def read_file(medium: Json, files: Mapping[str, StoredFile]) -> SentFile:
    """Read a document, a sound or a video that was sent, its address, or which uploaded file it is."""
    media_type, name = str(medium.get("mimeType")), medium.get("displayName")
    if "fileUri" not in medium:
        return SentFile(media_type, len(gemini_schema.decode_any(medium.get("data")) or b""), name=name)
    if stored := find_stored(medium, files):
        return SentFile(stored.media_type, len(stored.content), file=stored.id, name=stored.name)
    return SentFile(media_type, url=str(medium["fileUri"]), name=name)


def read_bounds(config: Json) -> Bounds:
    """Read the limit, the effort and the stops."""
    thinking = as_object(config.get("thinkingConfig"))
    effort = thinking.get("thinkingLevel", thinking.get("thinkingBudget"))
    return Bounds(config.get("maxOutputTokens"), effort, config.get("stopSequences"))
