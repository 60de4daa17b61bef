"""Merging two branches: by going on where the other ends, or by quoting what it has."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from uuid import UUID

from tertulia.domain.library import MergeReport
from tertulia.domain.media import Audio, Document, Image, Media, Video
from tertulia.domain.message import Message, MessageStatus, Part, Role, Text, ToolCall, ToolResult
from tertulia.errors import ConversationBusyError
from tertulia.runtime.serialization import encode_json
from tertulia.services.core import Core
from tertulia.services.path import may_be_sent
from tertulia.services.tree import Line, Tree


async def merge(core: Core, tree: Tree, line: Line, source: str) -> MergeReport:
    """Bring into a branch what another one has; see :meth:`tertulia.Conversation.merge`."""
    ours = await core.store.get_messages(core.owner, tree.id, line.name)
    theirs = await core.store.get_messages(core.owner, tree.id, source)
    shared = sum(1 for _ in takewhile(_is_same, zip(ours, theirs, strict=False)))
    head, added = ours[-1].id if ours else None, theirs[shared:]
    if not added:
        return MergeReport("nothing", line.name, source)
    if added[-1].status is MessageStatus.PENDING:
        raise ConversationBusyError(
            f"an answer is still under way on branch {source!r}, so it was not merged",
            kept="both branches are as they were",
            next_step="wait for the answer",
        )
    if shared == len(ours):
        await _go_on(core, tree, line, added[-1].id, head)
        return MergeReport("fast_forward", line.name, source, len(added))
    now = core.clock.now()
    # What nobody wants sent is not sent in quotation marks either.
    shown = [message for message in added if may_be_sent(message, now)]
    if not shown:
        return MergeReport("nothing", line.name, source)
    message = await core.store.add_message(
        core.owner, tree.id, line.name, _quote(core, source, shown), expected_head=head
    )
    return MergeReport("cited", line.name, source, len(shown), message)


async def _go_on(core: Core, tree: Tree, line: Line, to: UUID | None, head: UUID | None) -> None:
    assert to is not None  # noqa: S101  # it was read from the store
    await core.store.update_branch_head(
        core.owner, tree.id, line.name, to=to, expected_head=head, at=core.clock.now()
    )


def _is_same(pair: tuple[Message, Message]) -> bool:
    return pair[0].id == pair[1].id


def _quote(core: Core, source: str, messages: Sequence[Message]) -> Message:
    """
    One message that says what was said on another branch, and holds what was attached there.

    Every line of it begins with a sign, so that nothing quoted can be taken for what the user says.
    """
    said = "\n>\n".join(_quote_one(message) for message in messages)
    text = f"Material from the branch {source!r} of this conversation, quoted:\n\n{said}"
    attached = (part for message in messages for part in message.parts if isinstance(part, Media))
    return Message(Role.USER, (Text(text), *attached), id=core.clock.new_id(), created_at=core.clock.now())


def _quote_one(message: Message) -> str:
    who = message.role.value if message.provider is None else f"{message.role.value} ({message.provider})"
    said = "\n".join(filter(None, map(_say, message.parts)))
    return "\n".join(f"> {line}".rstrip() for line in f"{who}: {said}".splitlines())


def _say(part: Part) -> str:
    match part:
        case ToolCall():
            arguments = part.raw_arguments or encode_json(part.arguments or {}).decode()
            return f"[called {part.name} with {arguments}]"
        case ToolResult():
            return f"[{part.name} returned {part.output}]"
        case Image() | Document() | Audio() | Video():
            return "[attached below]"
        case _:
            return getattr(part, "text", "")
