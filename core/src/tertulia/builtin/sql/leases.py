"""
Who is answering right now, and what remains of an answer whose process died.

A pending attempt is under way until its lease runs out. From then on what it left *reads* as interrupted or
failed; who next writes on the branch settles it so for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from uuid import UUID

import attrs

from tertulia.builtin.sql import search, statements
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.path_tokens import change_status
from tertulia.builtin.sql.rows import ENDED, count_tokens, render_parts
from tertulia.builtin.sql.tree import count
from tertulia.domain.conversation import AttemptOutcome
from tertulia.domain.message import Message, MessageStatus, Part, Reasoning, Role, Text
from tertulia.errors import ConversationBusyError, ErrorKind


@attrs.frozen
class _Partial:
    """
    What is kept of an answer that is not settled.

    Attributes:
        id: Its own.

        message_id: Of the user message it answers.
    """

    id: UUID
    message_id: UUID
    parts: tuple[Part, ...]

    @property
    def tokens(self) -> int:
        """Of what came of it."""
        return count_tokens(Message(Role.ASSISTANT, self.parts))


def resolve(database: Database, keys: Values, rows: Sequence[Row], now: datetime) -> None:
    """Let rows of messages say what became of what was pending, and how far its answer came."""
    pending = [row for row in rows if row["status"] == MessageStatus.PENDING.value]
    if not pending:
        return
    alive = {row["message_id"] for row in _find_running(database, keys, now)}
    partials = {partial.id: partial for partial in _find_partials(database, keys)}
    answered = {partial.message_id for partial in partials.values()}
    for row in pending:
        if row["role"] == Role.ASSISTANT.value:
            status = MessageStatus.PENDING if row["parent_id"] in alive else MessageStatus.INTERRUPTED
            if (partial := partials.get(row["id"])) is not None:
                row["text"], row["parts"], _ = render_parts(partial.parts)
                row["tokens"] = partial.tokens
        elif row["id"] in alive:
            status = MessageStatus.PENDING
        else:
            status = MessageStatus.COMPLETE if row["id"] in answered else MessageStatus.FAILED
        row["status"] = status.value


def refuse_while_busy(
    database: Database,
    keys: Values,
    head_id: UUID | None,
    now: datetime,
    what: str,
    branch: str | None = None,
) -> None:
    """
    Raise a ConversationBusyError when an answer is under way where a branch ends.

    Args:
        branch: Only where that answer is meant for it; None for whichever ends there.
    """
    asked = find_asked(database, keys, head_id)
    running = (row for row in _find_running(database, keys, now) if row["message_id"] == asked)
    if any(branch in (None, row["branch"]) for row in running):
        raise ConversationBusyError(
            f"an answer is still under way on this branch, so {what}",
            kept="everything said so far is stored",
            next_step="wait for the answer, or fork the conversation",
        )


def make_way(
    database: Database, keys: Values, head_id: UUID | None, now: datetime, branch: str | None = None
) -> None:
    """
    Let something follow a branch's head.

    What a process that died left there is settled for good: its words as an interrupted answer, which its
    user message then has, and its cost as unknown.

    Args:
        branch: Where only what is meant for it may not be under way: the others go on, and nothing is settled
            before they are through; None for whatever is meant to follow the head.

    Raises:
        ConversationBusyError: Its answer is still under way; nothing was changed.
    """
    refuse_while_busy(database, keys, head_id, now, "the message was not added", branch)
    asked = find_asked(database, keys, head_id)
    if branch is not None and any(row["message_id"] == asked for row in _find_running(database, keys, now)):
        return
    left = {
        "message_id": asked,
        "outcome": AttemptOutcome.INTERRUPTED.value,
        "error_kind": ErrorKind.INTERRUPTED.value,
        "error_message": ENDED,
    }
    attempts = database.run(statements.TAKE_OVER_ATTEMPTS, {**keys, **left})
    if attempts == 0:
        return
    is_answered = keep_partials(database, keys, asked)
    status = MessageStatus.COMPLETE if is_answered else MessageStatus.FAILED
    change_status(database, keys, asked, statements.UPDATE_STATUS, status.value)
    count(database, keys, at=now, unknown_costs=attempts)


def keep_partials(database: Database, keys: Values, message_id: UUID | None) -> bool:
    """Let what came of the answers to a message be all there is of them, and say whether there is any."""
    partials = [each for each in _find_partials(database, keys) if each.message_id == message_id]
    for partial in partials:
        text, parts, _ = render_parts(partial.parts)
        values = {**keys, "message_id": partial.id}
        status = MessageStatus.INTERRUPTED.value
        kept = {"text": text, "parts": parts, "status": status, "tokens": partial.tokens}
        database.run(statements.INTERRUPT_MESSAGE, {**values, **kept})
        database.run(statements.REMOVE_PIECES, values)
        search.index_stored(database, keys, partial.id)
    return bool(partials)


def find_asked(database: Database, keys: Values, head_id: UUID | None) -> UUID | None:
    """The message that is being answered where a branch ends: its head, or what the head is the answer to."""
    place = database.first(statements.GET_PLACE, {**keys, "message_id": head_id})
    if place is None or not is_partial(place):
        return head_id
    asked: UUID | None = place["parent_id"]
    return asked


def is_partial(place: Row) -> bool:
    """Whether a row is that of an answer which is not settled."""
    return bool(place["role"] == Role.ASSISTANT.value and place["status"] == MessageStatus.PENDING.value)


def _find_running(database: Database, keys: Values, now: datetime) -> list[Row]:
    """The attempts whose lease runs: which messages they answer, and on which branches."""
    rows = database.all(statements.GET_PENDING_ATTEMPTS, keys)
    return [row for row in rows if row["lease_until"] is not None and row["lease_until"] > now]


def _find_partials(database: Database, keys: Values) -> list[_Partial]:
    partials: list[_Partial] = []
    for (answer_id, message_id), group in groupby(
        database.all(statements.GET_PIECES, keys), itemgetter("message_id", "parent_id")
    ):
        pieces = list(group)
        thoughts, text = ("".join(piece[name] for piece in pieces) for name in ("thoughts", "text"))
        parts: tuple[Part, ...] = (Reasoning(thoughts),) if thoughts else ()
        partials.append(_Partial(answer_id, message_id, (*parts, Text(text)) if text else parts))
    return partials
