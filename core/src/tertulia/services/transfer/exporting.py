"""Writing conversations to a file."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from tertulia.domain.conversation import ConversationRecord, ConversationState
from tertulia.domain.library import ConversationFilter, Order
from tertulia.errors import ConversationNotFoundError, TransferError
from tertulia.services.core import Core
from tertulia.services.transfer.files import Progress, in_thread
from tertulia.services.transfer.jsonl import Writer

MESSAGES_AT_ONCE = 500
CONVERSATIONS_AT_ONCE = 100
_EVERYTHING = ConversationFilter(states=(ConversationState.ACTIVE, ConversationState.ARCHIVED))


async def export_conversations(
    core: Core,
    target: Path,
    *,
    conversations: Sequence[UUID] | None = None,
    progress: Progress | None = None,
) -> int:
    """
    Write conversations to a file, which is there once it is whole.

    In memory is a page of messages at a time, and the attempts of one conversation.

    Args:
        conversations: Which, deleted ones too; None for all but the deleted ones, the oldest first.

    Returns:
        How many were written.

    Raises:
        ConversationNotFoundError: There is none of that id.
        TransferError: The file cannot be written. What was there is there still.
    """
    chosen = None if conversations is None else tuple(dict.fromkeys(conversations))
    total = None if chosen is None else len(chosen)
    writer = Writer()
    try:
        target = await in_thread(core, _find_place, target)
        draft = target.with_name(f".{core.clock.new_id().hex}.part")
        file = await in_thread(core, _create, draft)
        try:
            await in_thread(core, file.write, writer.begin())
            async for record in _find_records(core, chosen):
                async for lines in _export(core, writer, record):
                    await in_thread(core, file.write, lines)
                if progress is not None:
                    progress(writer.counts["conversation"], total)
            await in_thread(core, file.write, writer.end())
            await in_thread(core, _publish, file, draft, target)
        except BaseException:
            with suppress(OSError):  # where the disk is full, closing writes what is left, and fails again
                file.close()
            with suppress(OSError):
                draft.unlink()
            raise
    except OSError as error:
        raise TransferError(
            f"{target} cannot be written: {error.strerror or error}",
            location=str(target),
            kept="no part of it was left behind, and a file of that name is as it was",
            next_step="name a file in a folder that can be written",
        ) from error
    return writer.counts["conversation"]


async def _find_records(core: Core, chosen: Sequence[UUID] | None) -> AsyncIterator[ConversationRecord]:
    if chosen is not None:
        for identifier in chosen:
            yield await core.store.get_conversation(core.owner, identifier, deleted=True)
        return
    last: ConversationRecord | None = None
    while page := await core.store.find_conversations(
        core.owner, where=_EVERYTHING, order=Order.OLDEST, limit=CONVERSATIONS_AT_ONCE, after=last
    ):
        for record in page:
            # One that was purged since the page was read is not missed.
            with suppress(ConversationNotFoundError):
                yield await core.store.get_conversation(core.owner, record.id, deleted=True)
        last = page[-1]


async def _export(core: Core, writer: Writer, record: ConversationRecord) -> AsyncIterator[bytes]:
    """The lines of a conversation; others may add to it meanwhile."""
    # What an attempt or a branch names is in the tree already, so the messages come last.
    attempts = await core.store.get_attempts(core.owner, record.id)
    branches = await core.store.find_branches(core.owner, record.id)
    yield writer.render_conversation(record, branches)
    last: UUID | None = None
    while messages := await core.store.find_messages(
        core.owner, record.id, limit=MESSAGES_AT_ONCE, after=last
    ):
        yield b"".join(map(writer.render_message, messages))
        last = messages[-1].id
    yield writer.render_attempts(attempts)


def _find_place(target: Path) -> Path:
    """
    The file itself where a link was named; nothing but a file is replaced by one.

    Raises:
        OSError: It is there, and no file: putting a file in the place of a device would break it.
    """
    place = Path(os.path.realpath(target))
    try:
        mode = place.stat().st_mode
    except FileNotFoundError:
        return place
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no file")
    return place


def _create(draft: Path) -> BinaryIO:
    """What people said is nobody else's to read."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(descriptor, "wb")


def _publish(file: BinaryIO, draft: Path, target: Path) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
    draft.replace(target)
