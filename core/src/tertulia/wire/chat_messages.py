"""
Requests of Chat Completions: OpenAI's older format, and the one that most other servers speak.

Stateless by nature: the whole history is in the request. There is no way to send reasoning back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import attrs

from tertulia.domain.exchange import Request
from tertulia.domain.media import Audio, Document, Image
from tertulia.domain.message import Message, Part, Reasoning, Refusal, Role, Text, ToolCall, ToolResult
from tertulia.domain.tool import Tool
from tertulia.wire.kept import KeptRenderings
from tertulia.wire.openai_body import (
    Body,
    is_elsewhere,
    name_document,
    render_arguments,
    render_audio,
    render_function,
    render_name,
    render_output,
    render_schema,
)
from tertulia.wire.protocol import Json, LeftOut, Rendered, render_media_url

_OF_TOOLS = ("tool_choice", "parallel_tool_calls")

OPTIONS = frozenset(
    {
        "temperature",
        "top_p",
        "max_output_tokens",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "service_tier",
        "reasoning_effort",
        "verbosity",
        "end_user",
        "tools",
        "response_schema",
        *_OF_TOOLS,
    }
)
"""The options of :class:`tertulia.Options`, and the parts of a request, that the format has."""


@attrs.frozen
class Dialect:
    """
    Where the speakers of the format differ. The defaults are what most servers understand.

    Attributes:
        answer_limit: The member that limits the tokens of an answer.

        reasoning_in_completion: Whether ``completion_tokens`` includes reasoning, where the total of an
            answer does not tell.

        members: What is in every request besides, such as ``{"store": False}``.

        end_user: The member that names the person an answer is for.

        strict_tools: Whether models can be held to the parameters of functions.

        prompt_cache_key: Whether a request may say which conversation it belongs to.

        documents: Whether there are PDFs.

        audio: Whether there is sound.

        without: The options that this speaker does not have.
    """

    answer_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    reasoning_in_completion: bool = True
    members: Mapping[str, Any] = MappingProxyType({})
    end_user: Literal["safety_identifier", "user"] = "user"
    strict_tools: bool = False
    prompt_cache_key: bool = False
    documents: bool = True
    audio: bool = True
    without: frozenset[str] = frozenset()


def render_request(request: Request, dialect: Dialect, *, kept: KeptRenderings | None = None) -> Rendered:
    """
    Render a request.

    Args:
        dialect: The speaker's habits.
        kept: What messages were rendered to before, in the same dialect.
    """
    writer = _MessagesWriter(request.target.provider, dialect)
    body = Body(request)
    body.add(dialect.members)
    body.members["messages"] = (kept or KeptRenderings()).render(
        request.messages, writer.render_message, writer.left_out, variant=request.target.provider
    )
    if dialect.prompt_cache_key and request.conversation_id is not None:
        body.add({"prompt_cache_key": str(request.conversation_id)})
    _ask(body, request, dialect)
    if request.stream:
        body.members["stream"] = True
        body.add({"stream_options": {"include_usage": True}})
    return body.render(writer.left_out.notes)


def _ask(body: Body, request: Request, dialect: Dialect) -> None:
    tools = [
        {"type": "function", "function": render_function(tool, strict=dialect.strict_tools)}
        for tool in request.tools
        if isinstance(tool, Tool)
    ]
    if tools:
        body.members["tools"] = tools
    if hosted := len(request.tools) - len(tools):
        body.notes.append(f"{hosted} hosted tool(s) were left out: the format has none")
    if request.response_schema is not None:
        shape = render_schema(request.response_schema)
        body.members["response_format"] = {"type": "json_schema", "json_schema": shape}
    names = {"max_output_tokens": dialect.answer_limit, "end_user": dialect.end_user}
    for option, value in request.options.chosen().items():
        if option in _OF_TOOLS and not tools:
            body.leave_out(option, "the request has no functions")
        elif option == "tool_choice":
            body.ask(option, (option,), _choose_tool(str(value)))
        else:
            body.ask(option, (names.get(option, option),), value)


def _choose_tool(choice: str) -> str | Json:
    if choice in ("auto", "none", "required"):
        return choice
    return {"type": "function", "function": {"name": choice}}


class _MessagesWriter:
    """Renders messages for one provider and remembers what it could not say."""

    def __init__(self, provider: str, dialect: Dialect) -> None:
        self._provider = provider
        self._dialect = dialect
        self.left_out = LeftOut()

    def render_message(self, message: Message) -> Sequence[Json]:
        match message.role:
            case Role.SYSTEM:
                return ({"role": "system", "content": message.text},) if message.text else ()
            case Role.USER:
                return ({"role": "user", "content": self._render_content(message.parts)},)
            case Role.ASSISTANT:
                return self._render_answer(message)
            case Role.TOOL:
                return [_render_result(part) for part in message.parts if isinstance(part, ToolResult)]

    def _render_content(self, parts: tuple[Part, ...]) -> str | list[Json]:
        """A plain string where there is one text: some servers understand nothing else."""
        if len(parts) == 1 and isinstance(words := parts[0], Text):
            return words.text
        return [item for part in parts if (item := self._render_input(part)) is not None]

    def _render_input(self, part: Part) -> Json | None:
        if isinstance(part, Text):
            return {"type": "text", "text": part.text}
        item: Json | None = None
        if isinstance(part, Image | Document | Audio) and not is_elsewhere(part, self._provider):
            item = self._render_media(part)
        if item is None:
            self.left_out.add(part)
        return item

    def _render_media(self, part: Image | Document | Audio) -> Json | None:
        match part:
            case Image():
                detail = {} if part.detail is None else {"detail": part.detail}
                image = {"url": render_media_url(part), **detail}
                return {"type": "image_url", "image_url": image} if part.file is None else None
            case Document():
                return _render_document(part) if self._dialect.documents else None
            case Audio():
                return render_audio(part) if self._dialect.audio else None

    def _render_answer(self, message: Message) -> Sequence[Json]:
        words = message.text
        calls = [_render_call(part) for part in message.parts if isinstance(part, ToolCall)]
        for part in message.parts:
            # A provider's own thoughts are not missed: the format has no place for them.
            is_own_thought = isinstance(part, Reasoning) and message.provider == self._provider
            if not is_own_thought and not isinstance(part, Text | Refusal | ToolCall):
                self.left_out.add(part)
        if not words and not calls:
            return ()
        item: Json = {"role": "assistant", "content": words or None}
        return ({**item, "tool_calls": calls} if calls else item,)


def _render_document(document: Document) -> Json | None:
    """A PDF in the request, or a file that was uploaded; the format fetches no addresses."""
    if document.file is not None:
        return {"type": "file", "file": {"file_id": document.file.id}}
    if document.data is None or document.media_type != "application/pdf":
        return None
    file = {"filename": name_document(document), "file_data": render_media_url(document)}
    return {"type": "file", "file": file}


def _render_call(call: ToolCall) -> Json:
    function = {"name": render_name(call.name), "arguments": render_arguments(call)}
    return {"id": call.id, "type": "function", "function": function}


def _render_result(result: ToolResult) -> Json:
    return {"role": "tool", "tool_call_id": result.call_id, "content": render_output(result)}
