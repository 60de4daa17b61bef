"""
Requests of OpenAI's Responses API, which xAI speaks as well.

Always stateless: ``store`` is false and the whole history is in the request. Opaque reasoning items go
back to the provider that wrote them, directly before the item that followed them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs

from tertulia.domain.exchange import Request
from tertulia.domain.media import Audio, Document, Image, OpaqueState
from tertulia.domain.message import (
    Foreign,
    Message,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
)
from tertulia.domain.tool import HostedTool, Tool
from tertulia.wire.kept import KeptRenderings
from tertulia.wire.openai_body import (
    Body,
    Path,
    find_tool,
    is_elsewhere,
    is_ours,
    name_document,
    render_arguments,
    render_audio,
    render_function,
    render_name,
    render_output,
    render_schema,
)
from tertulia.wire.protocol import Json, LeftOut, Rendered, read_list, render_media_url

_PATHS: dict[str, Path] = {
    "reasoning_effort": ("reasoning", "effort"),
    "reasoning_summary": ("reasoning", "summary"),
    "verbosity": ("text", "verbosity"),
}
"""Where an option goes that is no member of its own name."""

_SYSTEM = Role.SYSTEM  # the member of an enum takes five times as long to look up: once for each message
_OF_TOOLS = ("tool_choice", "parallel_tool_calls")

ABOUT_THE_ANSWER = "annotations"
"""The sources of an answer, which stand beside its words: they are kept, and are no item to send again."""

OPTIONS = frozenset(
    {
        "temperature",
        "top_p",
        "max_output_tokens",
        "service_tier",
        "end_user",
        "metadata",
        "tools",
        "hosted_tools",
        "response_schema",
        *_OF_TOOLS,
        *_PATHS,
    }
)
"""The options of :class:`tertulia.Options`, and the parts of a request, that the format has."""


@attrs.frozen
class Dialect:
    """
    Where the speakers of the format differ.

    Attributes:
        system_as_instructions: System messages go into ``instructions``; else they are items of ``input``.

        assistant_as_string: Earlier answers are sent as plain strings; else as ``output_text`` parts.

        end_user: The member that names the person an answer is for.

        strict_tools: Whether models can be held to the parameters of functions.

        file_data: Whether documents may be in the request; else they are addresses or uploaded files.

        audio: Whether there is sound.

        without: The options that this speaker does not have.
    """

    system_as_instructions: bool = True
    assistant_as_string: bool = False
    end_user: Literal["safety_identifier", "user"] = "safety_identifier"
    strict_tools: bool = True
    file_data: bool = True
    audio: bool = True
    without: frozenset[str] = frozenset()


def render_request(
    request: Request, dialect: Dialect, *, reasons: bool | None, kept: KeptRenderings | None = None
) -> Rendered:
    """
    Render a request.

    Args:
        dialect: The speaker's habits.
        reasons: Whether the model reasons, and so may be asked for reasoning items that can be sent back;
            one that does not refuses the question, and the items. None: nobody knows.
        kept: What messages were rendered to before, in the same dialect.
    """
    provider, takes_reasoning = request.target.provider, reasons is not False
    writer = _InputWriter(provider, dialect, takes_reasoning=takes_reasoning)
    system = [message.text for message in request.messages if message.role is _SYSTEM]
    body = Body(request)
    body.add({"store": False})
    if any(system) and dialect.system_as_instructions:
        body.members["instructions"] = "\n\n".join(filter(None, system))
    body.members["input"] = (kept or KeptRenderings()).render(
        request.messages, writer.render_message, writer.left_out, variant=(provider, takes_reasoning)
    )
    if reasons:
        body.add({"include": ["reasoning.encrypted_content"]})
    if request.conversation_id is not None:
        body.add({"prompt_cache_key": str(request.conversation_id)})
    _ask(body, request, dialect)
    if request.stream:
        body.members["stream"] = True
    return body.render(writer.left_out.notes)


def _ask(body: Body, request: Request, dialect: Dialect) -> None:
    if request.tools:
        body.members["tools"] = [_render_tool(tool, dialect) for tool in request.tools]
    if request.response_schema is not None:
        shape = {"type": "json_schema", **render_schema(request.response_schema)}
        body.members["text"] = {"format": shape}
    for option, value in request.options.chosen().items():
        if option in _OF_TOOLS and not request.tools:
            body.leave_out(option, "the request has no tools")
        elif option == "tool_choice":
            body.ask(option, (option,), _choose_tool(request, str(value)))
        else:
            path = (dialect.end_user,) if option == "end_user" else _PATHS.get(option, (option,))
            body.ask(option, path, value)


def _render_tool(tool: Tool | HostedTool, dialect: Dialect) -> Json:
    if isinstance(tool, HostedTool):
        return {"type": tool.name, **tool.settings}
    return {"type": "function", **render_function(tool, strict=dialect.strict_tools)}


def _choose_tool(request: Request, choice: str) -> str | Json:
    tool = find_tool(request, choice)
    if isinstance(tool, HostedTool):
        return {"type": choice}
    # A function may be called "none", but then the word still means that none is called.
    return choice if choice in ("auto", "none", "required") else {"type": "function", "name": choice}


class _InputWriter:
    """Renders messages for one provider and remembers what it could not say."""

    def __init__(self, provider: str, dialect: Dialect, *, takes_reasoning: bool) -> None:
        self._provider = provider
        self._dialect = dialect
        self._takes_reasoning = takes_reasoning
        self.left_out = LeftOut()

    def render_message(self, message: Message) -> Sequence[Json]:
        if message.role is Role.USER:
            content = [item for part in message.parts if (item := self._render_input(part)) is not None]
            return ({"role": "user", "content": content},)
        if message.role is Role.ASSISTANT:
            return self._render_answer(message.parts)
        if message.role is Role.TOOL:
            return [_render_result(part) for part in message.parts if isinstance(part, ToolResult)]
        if self._dialect.system_as_instructions or not message.text:
            return ()
        return ({"role": "system", "content": message.text},)

    def _render_input(self, part: Part) -> Json | None:
        if isinstance(part, Text):
            return {"type": "input_text", "text": part.text}
        item: Json | None = None
        if isinstance(part, Image | Document | Audio) and not is_elsewhere(part, self._provider):
            item = self._render_media(part)
        if item is None:
            self.left_out.add(part)
        return item

    def _render_media(self, part: Image | Document | Audio) -> Json | None:
        match part:
            case Image():
                source = (
                    {"image_url": render_media_url(part)} if part.file is None else {"file_id": part.file.id}
                )
                detail = {} if part.detail is None else {"detail": part.detail}
                return {"type": "input_image", **source, **detail}
            case Document():
                return self._render_document(part)
            case Audio():
                return render_audio(part) if self._dialect.audio else None

    def _render_document(self, document: Document) -> Json | None:
        if document.file is not None:
            return {"type": "input_file", "file_id": document.file.id}
        if document.url is not None:
            return {"type": "input_file", "file_url": document.url}
        if not self._dialect.file_data:
            return None
        url = render_media_url(document)
        return {"type": "input_file", "filename": name_document(document), "file_data": url}

    def _render_answer(self, parts: tuple[Part, ...]) -> Sequence[Json]:
        if len(parts) == 1 and isinstance(words := parts[0], Text) and words.text:
            return (self._render_words(words),)  # the usual answer, a thousand times in a long history
        items: list[Json] = []
        is_missed = False
        for part in parts:
            item = self._render_part(part)
            if item is not None:
                items.append(_without_id(item) if is_missed and isinstance(part, Foreign) else item)
            elif isinstance(part, Reasoning):
                is_missed = is_missed or is_ours(part.opaque, self._provider)
            elif not isinstance(part, Text | Refusal):
                _drop_orphans(items)  # what they were followed by is not sent
        _drop_orphans(items)
        return items

    def _render_part(self, part: Part) -> Json | None:
        match part:
            case Text() | Refusal():
                # An empty text is there for another provider's signature; xAI answers 400 to one.
                return self._render_words(part) if part.text else None
            case ToolCall():
                return {
                    "type": "function_call",
                    "call_id": part.id,
                    "name": render_name(part.name),
                    "arguments": render_arguments(part),
                }
            case Reasoning() if is_ours(part.opaque, self._provider):
                return self._render_reasoning(part.opaque)
            case Foreign() if part.opaque is not None and is_ours(part.opaque, self._provider):
                return None if part.kind == ABOUT_THE_ANSWER else dict(part.opaque.value)
            case _:
                self.left_out.add(part)
                return None

    def _render_reasoning(self, opaque: OpaqueState | None) -> Json | None:
        """The item as it came; one without its thoughts is a name for what the service has not kept."""
        item: Json = dict(opaque.value) if opaque else {}
        has_thoughts = bool(item.get("encrypted_content")) or bool(read_list(item, "content"))
        return item if self._takes_reasoning and has_thoughts else None

    def _render_words(self, part: Text | Refusal) -> Json:
        if self._dialect.assistant_as_string:
            return {"role": "assistant", "content": part.text}
        kind, member = ("output_text", "text") if isinstance(part, Text) else ("refusal", "refusal")
        item: Json = {"role": "assistant", "content": [{"type": kind, member: part.text}]}
        if part.opaque is not None and is_ours(part.opaque, self._provider):
            item.update(part.opaque.value)
        return item


def _without_id(item: Json) -> Json:
    """By its id the service would look for the reasoning before it, which is not sent."""
    return {name: value for name, value in item.items() if name != "id"}


def _drop_orphans(items: list[Json]) -> None:
    """A reasoning item without its follower is a 400: an answer that broke off may end with one."""
    while items and items[-1].get("type") == "reasoning":
        items.pop()


def _render_result(result: ToolResult) -> Json:
    return {
        "type": "function_call_output",
        "call_id": result.call_id,
        "output": render_output(result),
    }
