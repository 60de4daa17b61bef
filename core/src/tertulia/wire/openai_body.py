"""What the two formats of OpenAI have in common on the way out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from tertulia.domain.exchange import Request
from tertulia.domain.media import Audio, Document, Image, OpaqueState, ProviderFile
from tertulia.domain.message import ToolCall, ToolResult
from tertulia.domain.tool import HostedTool, ResponseSchema, Tool
from tertulia.wire.protocol import Json, Rendered, merge_extra, render_base64
from tertulia.wire.strict import make_strict

_AUDIO_FORMATS: Mapping[str | None, str] = {
    **dict.fromkeys(("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"), "wav"),
    **dict.fromkeys(("audio/mpeg", "audio/mp3"), "mp3"),
}
_DEFAULT_NAMES: Mapping[str | None, str] = {"application/pdf": "document.pdf", "text/plain": "document.txt"}

_STORE = "store"
_LONGEST_NAME = 64
_SAFE_NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{_LONGEST_NAME}}}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")

Path: TypeAlias = tuple[str, ...]
"""Where a member is: the names of the objects around it, then its own."""


class Body:
    """
    The body of a request while it is made.

    It remembers which members were asked for, by which option, and which nobody asked for, so that they
    can be left out when a model refuses them.
    """

    def __init__(self, request: Request) -> None:
        self.members: Json = {"model": request.target.model}
        self.notes: list[str] = []
        self._request = request
        self._added: set[str] = set()
        self._asked: dict[str, str] = {}

    def add(self, members: Mapping[str, Any]) -> None:
        """Put in what nobody asked for."""
        self.members.update(members)
        self._added.update(name for name in members if name != _STORE)
        if _STORE in members:
            # Without it the service may keep what is said: only a caller who knows can do without.
            self._asked[_STORE] = _STORE

    def ask(self, option: str, path: Path, value: object) -> None:
        """Put in what an option asks for."""
        owner = self.members
        for name in path[:-1]:
            owner = owner.setdefault(name, {})
        owner[path[-1]] = _plain(value)
        self._asked[".".join(path)] = option

    def leave_out(self, option: str, why: str) -> None:
        """Say that an option was not sent."""
        self.notes.append(f"option {option!r} was left out: {why}")

    def render(self, notes: tuple[str, ...]) -> Rendered:
        """Return the request, with the notes of its messages before the others."""
        merge_extra(self.members, self._request)
        own = (self._request.options.extra or {}).get(self._request.target.provider, {})
        added = frozenset(self._added.difference(own))
        asked = {path: option for path, option in self._asked.items() if path not in own}
        return Rendered(self.members, (*notes, *self.notes), added, asked)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return list(value) if isinstance(value, tuple) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def find_tool(request: Request, name: str) -> Tool | HostedTool | None:
    """Find what a request calls by a name."""
    return next((tool for tool in request.tools if tool.name == name), None)


def render_function(tool: Tool, *, strict: bool) -> Json:
    """
    Write a function as a model is told of it.

    Args:
        strict: Whether to hold the model to the parameters, where they can be said so.
    """
    exact = make_strict(tool.parameters, require_all=False) if strict else None
    function: Json = {"name": tool.name, "description": tool.description}
    function["parameters"] = dict(tool.parameters) if exact is None else exact
    return {**function, "strict": exact is not None} if strict else function


def render_schema(schema: ResponseSchema) -> Json:
    """Write the shape of an answer; the model is held to it where strict mode can say it."""
    exact = make_strict(schema.schema, require_all=True)
    described = {} if schema.description is None else {"description": schema.description}
    return {
        "name": schema.name,
        **described,
        "schema": dict(schema.schema) if exact is None else exact,
        "strict": exact is not None,
    }


def render_name(name: str) -> str:
    """Write the name of a call as OpenAI takes names: another provider's may be longer, and have dots."""
    return name if _SAFE_NAME.fullmatch(name) else _UNSAFE.sub("_", name)[:_LONGEST_NAME] or "unknown"


def render_arguments(call: ToolCall) -> str:
    """Write the arguments of a call as models do, so that what they find in their cache is the same."""
    if call.arguments is None:
        return call.raw_arguments or ""
    return json.dumps(dict(call.arguments), ensure_ascii=False, separators=(",", ":"))


def render_output(result: ToolResult) -> str:
    """Write what a call returned; that it failed can be said in words only."""
    if result.is_error and not result.output.lower().startswith("error"):
        return f"Error: {result.output}"
    return result.output


def render_audio(audio: Audio) -> Json | None:
    """Write sound; None for what is not there in bytes, or of another kind than WAV and MP3."""
    kind = _AUDIO_FORMATS.get(audio.media_type)
    if audio.data is None or kind is None:
        return None
    return {"type": "input_audio", "input_audio": {"data": render_base64(audio.data), "format": kind}}


def name_document(document: Document) -> str:
    """The name a model is told, which the formats demand."""
    return document.name or _DEFAULT_NAMES.get(document.media_type, "document")


def is_elsewhere(part: Image | Document | Audio, provider: str) -> bool:
    """Whether a part is a file that another provider has."""
    return isinstance(part.file, ProviderFile) and part.file.provider != provider


def is_ours(opaque: OpaqueState | None, provider: str) -> bool:
    """Whether a provider wrote a state, and so gets it back."""
    return opaque is not None and opaque.provider == provider
