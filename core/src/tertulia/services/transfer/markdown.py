"""
A branch as a page of Markdown, for people to read.

Headings of the first two levels are the page's own: what somebody said can neither look like the beginning of
another message nor swallow one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from tertulia.domain.conversation import ConversationRecord
from tertulia.domain.media import Media
from tertulia.domain.message import (
    Foreign,
    Message,
    MessageStatus,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
)
from tertulia.runtime.serialization import encode_json

_DEEPEST = 6
_FENCE = re.compile(r" {0,3}(?P<fence>`{3,}(?=[^`]*$)|~{3,})")
_HEADING = re.compile(r"( {0,3})(#{1,6})(?=\s|$)")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)\s*$")
_HTML = re.compile(r"( {0,3})<(?=[a-zA-Z/!?])")


def render_markdown(record: ConversationRecord, messages: Sequence[Message]) -> str:
    """
    Write a branch as a page, with who said what and when, and what it cost.

    Args:
        record: The conversation; its active branch is the one that is named.
        messages: What was said on the branch, oldest first.
    """
    title = record.title or "Untitled conversation"
    blocks = ["\n".join(_render_front_matter(record, messages)), f"# {_flatten(title)}"]
    for message in messages:
        blocks.append(f"## {_render_heading(message)}")
        blocks += filter(None, map(_render_part, message.parts))
    return "\n\n".join(blocks) + "\n"


def _render_front_matter(record: ConversationRecord, messages: Sequence[Message]) -> Iterator[str]:
    """YAML, of which JSON is a part."""
    facts = {
        "title": record.title,
        "id": str(record.id),
        "branch": record.branch.name,
        "created": record.created_at.isoformat(),
        "updated": record.updated_at.isoformat(),
        "messages": len(messages),
        "cost": str(record.cost),
        "tags": list(record.tags),
        "metadata": dict(record.metadata),
    }
    yield "---"
    for name, fact in facts.items():
        if fact not in (None, [], {}):
            yield f"{name}: {encode_json(fact).decode()}"
    yield "---"


def _render_heading(message: Message) -> str:
    said = [message.role.value.capitalize()]
    if message.provider is not None:
        said.append("/".join(filter(None, (message.provider, message.resolved_model or message.model))))
    if message.created_at is not None:
        said.append(f"{message.created_at:%Y-%m-%d %H:%M:%S} UTC")
    if message.provider is not None:
        said.append("cost unknown" if message.cost is None else str(message.cost))
    if message.status is not MessageStatus.COMPLETE:
        said.append(message.status.value)
    said += [word for word in ("pinned", "hidden") if getattr(message.mark, word)]
    return " · ".join(map(_flatten, said))


def _render_part(part: Part) -> str:
    match part:
        case Text(text):
            return _contain(text)
        case Refusal(text):
            return f"*Refused:*\n\n{_contain(text)}"
        case Reasoning(text):
            return _quote(f"*Reasoning*\n\n{text}") if text else ""
        case ToolCall():
            return f"*Calls* {_code(part.name)}\n\n{_render_arguments(part)}"
        case ToolResult():
            verb = "failed with" if part.is_error else "returned"
            return f"{_code(part.name)} *{verb}*\n\n{_fence(part.output)}"
        case Foreign(kind):
            return f"*A part that only its provider understands:* {_code(kind)}"
        case media:
            return _render_media(media)


def _render_arguments(part: ToolCall) -> str:
    if part.raw_arguments is not None:
        return _fence(part.raw_arguments)
    arguments = dict(part.arguments or {})
    return _fence(json.dumps(arguments, indent=2, ensure_ascii=False, default=str), "json")


def _render_media(part: Media) -> str:
    return f"*Attached:* {_code(str(part))}"


def _contain(text: str) -> str:
    """A text as it is, but for what would reach beyond it: its headings are two levels deeper."""
    lines: list[str] = []
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if fence:
            if found and found["fence"].startswith(fence) and not line[found.end() :].strip():
                fence = ""
        elif found:
            fence = found["fence"]
        else:
            lines.append(_lower(line, follows=bool(lines and lines[-1].strip())))
            continue
        lines.append(line)
    return "\n".join((*lines, fence) if fence else lines).strip("\n")


def _lower(line: str, *, follows: bool) -> str:
    """
    One line outside code.

    Args:
        follows: Whether words stand right above it, which a line of dashes would make a heading.
    """
    if found := _HEADING.match(line):
        depth = min(len(found[2]) + 2, _DEEPEST)
        return f"{found[1]}{'#' * depth}{line[found.end() :]}"
    if follows and _UNDERLINE.match(line):
        return "\\" + line.lstrip()
    return _HTML.sub(r"\1&lt;", line)


def _quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in _contain(text).splitlines())


def _fence(text: str, language: str = "") -> str:
    """A block of code, between fences longer than any that it holds."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", text) or [""]))
    return f"{fence}{language}\n{text}\n{fence}"


def _code(text: str) -> str:
    """A name between more backticks than it holds."""
    fence = "`" * (1 + max(map(len, re.findall(r"`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{_flatten(text)}{space}{fence}"


def _flatten(text: str) -> str:
    """Words on one line."""
    return " ".join(text.split())
