"""
A conversation as ChatGPT exports it, made one of ours.

Its ``mapping`` is a tree of nodes, most of them with a message; ``current_node`` is where it was left. The
leaves become branches, the one it was left on the active one. What is attached is not in the file, and a note
stands in its place. What its tools were asked is a tool call where one result follows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import MappingProxyType
from typing import cast
from uuid import UUID

import attrs

from tertulia.domain.conversation import ConversationState
from tertulia.domain.message import (
    FinishReason,
    Message,
    MessageStatus,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
)
from tertulia.domain.transfer import ConversationTree
from tertulia.services.transfer.fields import FormatError, parse_object
from tertulia.services.transfer.foreign import (
    MAIN,
    Origin,
    clean_tool_name,
    make_id,
    make_tree,
    read_model,
    read_seconds,
)
from tertulia.wire.protocol import Json, parse_arguments, read_object, read_text

SOURCE = "chatgpt"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_ROLES = MappingProxyType(
    {"system": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT, "tool": Role.TOOL}
)
_FINISHES = MappingProxyType(
    {"stop": FinishReason.STOP, "max_tokens": FinishReason.LENGTH, "interrupted": FinishReason.CANCELLED}
)
_UNSEEN = frozenset({"reasoning_recap"})
"""What the page says about an answer, and the model did not."""


def parse_conversation(body: Json, owner: str) -> ConversationTree:
    """
    Make one conversation of an element of the export.

    Raises:
        FormatError: It has no id or no messages, or they are no tree.
    """
    identifier = read_text(body, "conversation_id") or read_text(body, "id")
    if identifier is None:
        raise FormatError("it has no id")
    reading = _Reading(
        identifier, parse_object(body.get("mapping")), read_model(body.get("default_model_slug"))
    )
    reading.read(read_seconds(body.get("create_time")))
    created_at = read_seconds(body.get("create_time")) or reading.find_first_moment()
    origin = Origin(
        SOURCE,
        identifier,
        title=body.get("title"),
        created_at=created_at,
        updated_at=read_seconds(body.get("update_time")) or created_at,
        model=reading.find_model(),
        messages=list(reading.messages.values()),
        heads=reading.find_heads(read_text(body, "current_node")),
    )
    tree = make_tree(origin, owner)
    if body.get("is_archived") is not True:
        return tree
    return attrs.evolve(tree, record=attrs.evolve(tree.record, state=ConversationState.ARCHIVED))


@attrs.define
class _Reading:
    """
    The nodes of one conversation, and the messages made of them.

    Attributes:
        messages: By the node they were made of; the rest say nothing.

        kept: For each node the last one on its path that has a message.
    """

    id: str
    nodes: Json
    model: str
    messages: dict[str, Message] = attrs.field(factory=dict[str, Message])
    kept: dict[str, str | None] = attrs.field(factory=dict[str, str | None])

    def read(self, begun_at: datetime | None) -> None:
        """Make the messages, parents first."""
        children = self._find_children()
        stack = list(reversed(children.get(None, [])))
        while stack:
            name = stack.pop()
            above = self.kept.get(read_text(self.nodes[name], "parent") or "")
            parent = None if above is None else self.messages[above]
            message = self._make(name, children.get(name, []), parent, begun_at)
            if message is not None:
                self.messages[name] = message
            self.kept[name] = above if message is None else name
            stack += reversed(children.get(name, []))
        if len(self.kept) < len(self.nodes):
            raise FormatError("its messages go in a circle")

    def find_first_moment(self) -> datetime:
        """When the first of its messages was said."""
        return min((each.created_at for each in self.messages.values() if each.created_at), default=_LONG_AGO)

    def find_model(self) -> str:
        """The model that answered last."""
        answered = (each.model for each in reversed(self.messages.values()) if each.model)
        return next(answered, self.model)

    def find_heads(self, current: str | None) -> dict[str, UUID | None]:
        """The branches: first where the conversation was left, then the other ends, in the order of time."""
        parents = {message.parent_id for message in self.messages.values()}
        leaves = [message for message in self.messages.values() if message.id not in parents]
        leaves.sort(key=lambda message: message.created_at or _LONG_AGO)
        kept = self.kept.get(current or "")
        active = self.messages[kept] if kept is not None else leaves[-1] if leaves else None
        heads: dict[str, UUID | None] = {MAIN: None if active is None else active.id}
        others = (leaf.id for leaf in leaves if active is None or leaf.id != active.id)
        return heads | {f"branch-{number}": leaf for number, leaf in enumerate(others, 2)}

    def _find_children(self) -> dict[str | None, list[str]]:
        """The nodes below each one, in the order they have there; below None those that follow nothing."""
        children: dict[str | None, list[str]] = {}
        for name, node in self.nodes.items():
            above = read_text(parse_object(node), "parent")
            children.setdefault(above if above in self.nodes else None, []).append(name)
        for parent, below in children.items():
            order = self.nodes[parent].get("children") if parent is not None else None
            if isinstance(order, list):
                places = {each: place for place, each in enumerate(order) if isinstance(each, str)}  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
                below.sort(key=lambda each: places.get(each, len(places)))
        return children

    def _make(
        self, name: str, below: list[str], parent: Message | None, begun_at: datetime | None
    ) -> Message | None:
        body = read_object(self.nodes[name], "message")
        role = _ROLES.get(read_text(body, "author", "role") or "", Role.ASSISTANT)
        before = parent.created_at if parent is not None else begun_at
        moment = read_seconds(body.get("create_time")) or before or _LONG_AGO
        results = [
            each for each in below if read_text(self.nodes[each], "message", "author", "role") == "tool"
        ]
        role, parts = _make_parts(name, role, body, parent, has_result=bool(results))
        if not parts:
            return None
        message = Message(
            role,
            parts,
            id=make_id(moment, SOURCE, self.id, name),
            parent_id=None if parent is None else parent.id,
            created_at=moment,
        )
        return message if role is not Role.ASSISTANT else self._say_who(message, body)

    def _say_who(self, message: Message, body: Json) -> Message:
        finish = read_text(body, "metadata", "finish_details", "type")
        is_cut = finish == "interrupted" or read_text(body, "status") in _UNFINISHED
        return attrs.evolve(
            message,
            provider=SOURCE,
            model=read_model(read_text(body, "metadata", "model_slug"), self.model),
            status=MessageStatus.INTERRUPTED if is_cut else MessageStatus.COMPLETE,
            finish_reason=_FINISHES.get(finish or ""),
            raw_finish_reason=None if finish is None else finish[:200],
        )


_UNFINISHED = frozenset({"in_progress", "finished_partial_completion"})


def _make_parts(
    name: str, role: Role, body: Json, parent: Message | None, *, has_result: bool
) -> tuple[Role, tuple[Part, ...]]:
    """What a node says, and who says it."""
    content = read_object(body, "content")
    kind = read_text(content, "content_type") or "text"
    if kind in _UNSEEN:
        return role, ()
    if kind == "thoughts":
        thoughts = "\n\n".join(_find_thoughts(content))
        return Role.ASSISTANT, (Reasoning(thoughts),) if thoughts else ()
    if kind.endswith("_editable_context"):
        role = Role.SYSTEM
    text = "\n".join(_find_texts(kind, content)).strip("\n")
    if not text:
        return role, ()
    recipient = read_text(body, "recipient")
    if role is Role.ASSISTANT and has_result and recipient not in (None, "", "all"):
        arguments = parse_arguments(text)
        raw = text if arguments is None else None
        return role, (ToolCall(f"call-{name}"[:64], clean_tool_name(recipient or ""), arguments, raw),)
    if role is Role.TOOL:
        call = parent.tool_calls[0] if parent is not None and parent.tool_calls else None
        if call is not None:
            return role, (call.result(text),)
        who = read_text(body, "author", "name") or "tool"
        return Role.ASSISTANT, (Text(f"[{who}]\n{text}"),)
    return role, (Text(_fence(content, text) if kind == "code" else text),)


def _fence(content: Json, text: str) -> str:
    language = read_text(content, "language") or ""
    fence = "```" if "```" not in text else "`````"
    return f"{fence}{language if language.isalnum() and language != 'unknown' else ''}\n{text}\n{fence}"


def _find_thoughts(content: Json) -> Iterator[str]:
    thoughts: object = content.get("thoughts")
    for thought in cast("list[object]", thoughts) if isinstance(thoughts, list) else []:
        pieces = (read_text(thought, key) for key in ("summary", "content"))
        if said := "\n".join(filter(None, pieces)):
            yield said


def _find_texts(kind: str, content: Json) -> Iterator[str]:
    """The words in the content of a node, with a note for whatever is none."""
    parts: object = content.get("parts")
    if isinstance(parts, list):
        yield from filter(None, map(_say_part, cast("list[object]", parts)))
        return
    keys = ("title", "url", "name", "text", "result", "content", "user_profile", "user_instructions")
    found = [text for key in (*keys, "model_set_context") if (text := read_text(content, key))]
    if found:
        yield from found
    elif kind not in _EMPTY:
        yield f"[{kind[:100]}: not in the export]"


_EMPTY = frozenset({"text", "code", "execution_output", "model_editable_context", "user_editable_context"})


def _say_part(part: object) -> str | None:
    if isinstance(part, str):
        return part
    kind = read_text(part, "content_type")
    if kind is None:
        return None
    if (text := read_text(part, "text")) is not None:
        return text
    pointer = (
        read_text(part, "asset_pointer") or read_text(part, "audio_asset_pointer", "asset_pointer") or ""
    )
    return f"[{kind.removesuffix('_asset_pointer')[:100]} that is not in the export: {pointer[:200]}]"
