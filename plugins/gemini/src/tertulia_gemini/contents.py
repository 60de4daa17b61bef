"""
What was said, as Gemini wants it told: turns of two roles, ``user`` and ``model``, that alternate.

Thought signatures stay on exactly the part they came with, also on an empty text.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from tertulia import (
    Audio,
    Document,
    Foreign,
    Image,
    Media,
    Message,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from tertulia.wire import Json, KeptRenderings, LeftOut, guess_media_type, read_object
from tertulia_gemini.thinking import checks_signatures, takes_budget

FOREIGN_CALL_SIGNATURE = b64encode(b"skip_thought_signature_validator").decode()
"""What Google documents for calls that Gemini did not make, in base64 like every signature (recorded)."""

ABOUT_THE_ANSWER = ("citationMetadata", "groundingMetadata", "urlContextMetadata")
"""What stands beside the parts of an answer: it is kept, and is no part that could be sent again."""

LEVELS_OF_DETAIL = {
    "low": "MEDIA_RESOLUTION_LOW",
    "high": "MEDIA_RESOLUTION_HIGH",
    "original": "MEDIA_RESOLUTION_ULTRA_HIGH",
}

_SYSTEM = Role.SYSTEM  # looked up once, and not for each message
_LONGEST_NAME = 128
_UNSAFE = re.compile(r"[^A-Za-z0-9_.:-]")
_NO_DETAIL = "the detail of images was left out: {} has one for all"
_OPENING = "(The conversation begins with your message.)"


class ContentsWriter:
    """
    Renders messages as alternating turns and remembers what it could not say.

    Args:
        provider: The configured name that opaque state and uploaded files of ours are tagged with.
        model: Who is asked.
        files: Where files are that were uploaded: the address that ``files/…`` is below.
        kept: What messages were rendered to before.
    """

    def __init__(self, provider: str, model: str, files: str, kept: KeptRenderings | None = None) -> None:
        self._provider = provider
        self._model = model
        self._files = files
        self._marks_calls = checks_signatures(model)
        self._left_out = LeftOut()
        self._kept = kept or KeptRenderings()
        self._notes: dict[str, None] = {}  # each once, in order

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each thing that was changed or left out."""
        return (*self._notes, *self._left_out.notes)

    def render_system(self, messages: Iterable[Message]) -> Json | None:
        """Render the system messages, in order and wherever they stand, as one instruction; None without."""
        words = [message.text for message in messages if message.role is _SYSTEM]
        return {"parts": [{"text": text} for text in words if text]} if any(words) else None

    def render(self, messages: Iterable[Message]) -> list[Json]:
        """Render everything else as turns, of which the user's is the first."""
        variant = (self._provider, self._marks_calls)
        turns = self._kept.render(messages, self._render_turn, self._left_out, variant=variant)
        contents = _join_turns(turns)
        if not contents:
            return [
                {"role": "user", "parts": [{"text": ""}]}
            ]  # taken (recorded), while no turn at all is not
        if contents[0]["role"] == "model":
            contents.insert(0, {"role": "user", "parts": [{"text": _OPENING}]})
            self._notes["a user turn was put before the first answer, which Gemini requires"] = None
        return contents

    def _render_turn(self, message: Message) -> Sequence[Json]:
        parts = [] if message.role is Role.SYSTEM else list(self._render_parts(message))
        role = "model" if message.role is Role.ASSISTANT else "user"
        return ({"role": role, "parts": parts},) if parts else ()

    def _render_parts(self, message: Message) -> Iterator[Json]:
        is_first_call = True
        for part in message.parts:
            ours = part.opaque is not None and part.opaque.provider == self._provider
            for rendered in self._render_part(part, message.role, ours=ours):
                if isinstance(part, ToolCall):
                    # Needed in the open turn only, but taken away later it would spoil the provider's cache.
                    if is_first_call and self._marks_calls and "thoughtSignature" not in rendered:
                        rendered["thoughtSignature"] = FOREIGN_CALL_SIGNATURE
                    is_first_call = False
                yield rendered

    def _render_part(self, part: Part, role: Role, *, ours: bool) -> Sequence[Json]:
        state = read_object(part.opaque.value) if ours and part.opaque else {}
        match part:
            case Text() | Refusal():
                return [{"text": part.text, **state}] if part.text or state else []
            case ToolCall():
                return [{"functionCall": _render_call(part), **state}]
            case ToolResult():
                return [{"functionResponse": _render_result(part)}]
            case Reasoning() if ours or part.opaque is None:
                # Thoughts without a signature need not be sent again.
                return [{"text": part.text, "thought": True, **state}] if state else []
            case Foreign() if ours:
                return [state] if state and part.kind not in ABOUT_THE_ANSWER else []
            case Image() | Document() | Audio() | Video() if role is Role.USER or ours:
                return self._render_media(part, state)
            case _:
                self._left_out.add(part)
                return []

    def _render_media(self, part: Media, state: Json) -> Sequence[Json]:
        media_type = part.media_type or _guess_type(part)
        kind = {} if media_type is None else {"mimeType": media_type}
        if part.data is not None:
            rendered = {"inlineData": {**kind, "data": b64encode(part.data).decode("ascii")}}
        elif (address := self._find_address(part)) is not None:
            rendered = {"fileData": {**kind, "fileUri": address}}
        else:
            self._left_out.add(part)
            return []
        # There is no member for a file's name, and people speak of files by their names.
        named = [{"text": f"{part.name}:"}] if isinstance(part, Document) and part.name else []
        return [*named, {**rendered, **self._render_detail(part), **state}]

    def _find_address(self, part: Media) -> str | None:
        if part.file is None:
            return part.url
        if part.file.provider != self._provider:
            return None
        return f"{self._files}/{part.file.id}" if part.file.id.startswith("files/") else part.file.id

    def _render_detail(self, part: Media) -> Json:
        if not isinstance(part, Image) or part.detail in (None, "auto"):
            return {}
        if takes_budget(self._model):
            self._notes[_NO_DETAIL.format(self._model)] = None
            return {}
        return {"mediaResolution": {"level": LEVELS_OF_DETAIL[part.detail]}}


def _join_turns(turns: Iterable[Json]) -> list[Json]:
    """Make one of turns of one role that follow each other; what was kept of messages stays as it is."""
    contents: list[Json] = []
    role, is_joined = None, False
    for turn in turns:
        if turn["role"] != role:
            contents.append(turn)
            role, is_joined = turn["role"], False
        elif is_joined:
            contents[-1]["parts"] += turn["parts"]
        else:
            contents[-1] = {"role": role, "parts": [*contents[-1]["parts"], *turn["parts"]]}
            is_joined = True
    return contents


def _guess_type(part: Media) -> str | None:
    """What is at an address as its extension says; of what was uploaded Google knows it."""
    return None if part.url is None else guess_media_type(urlsplit(part.url).path)


def _render_call(call: ToolCall) -> Json:
    return {"id": call.id, "name": _render_name(call.name), "args": dict(call.arguments or {})}


def _render_result(result: ToolResult) -> Json:
    outcome = "error" if result.is_error else "output"
    return {"id": result.call_id, "name": _render_name(result.name), "response": {outcome: result.output}}


def _render_name(name: str) -> str:
    """A name as Google takes names; a call and what it returned have the same."""
    return _UNSAFE.sub("_", name)[:_LONGEST_NAME] or "unknown"
