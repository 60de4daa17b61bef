"""What is asked, what comes of it, and how it ends."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import attrs

from tertulia.builtin.sql import search, statements
from tertulia.builtin.sql.blobs import add_blobs
from tertulia.builtin.sql.branches import explain_duplicate, explain_moved
from tertulia.builtin.sql.database import Database, Values
from tertulia.builtin.sql.leases import keep_partials, make_way
from tertulia.builtin.sql.path_tokens import change_status
from tertulia.builtin.sql.rows import own_cost, render_attempt, render_message, with_tokens
from tertulia.builtin.sql.tree import (
    add_attempt_row,
    append,
    append_beside,
    count,
    explain_no_conversation,
    get_open_head,
    place,
    render_path_cost,
)
from tertulia.contracts.store import Checkpoint, Settlement
from tertulia.domain.conversation import Attempt
from tertulia.domain.message import Message, MessageStatus, Role


def add_message(
    database: Database,
    keys: Values,
    branch: str,
    message: Message,
    now: datetime,
    *,
    expected_head: UUID | Literal["any"] | None = "any",
    attempt: Attempt | None = None,
) -> Message:
    """Append a message to a branch, together with the attempt that will answer it, if any."""
    head = get_open_head(database, keys, branch)
    if message.client_id is not None:
        _refuse_duplicate(database, keys, message.client_id)
    if expected_head not in ("any", head["head_id"]):
        raise explain_moved(branch, expected_head, head["head_id"], "the message was not added")
    if head["is_pending"]:
        make_way(database, keys, head["head_id"], now)
        head = get_open_head(database, keys, branch)  # what was left there counts as what it is now
    placed = append(database, keys, branch, head, message)
    if attempt is not None:
        add_attempt_row(database, keys, branch, attempt)
    count(database, keys, messages=1, at=message.created_at)
    return placed


def _refuse_duplicate(database: Database, keys: Values, client_id: str) -> None:
    row = database.first(statements.GET_ID_OF_CLIENT, {**keys, "client_id": client_id})
    if row is not None:
        raise explain_duplicate(keys["conversation_id"], client_id, row["id"])


def add_attempt(database: Database, keys: Values, branch: str, attempt: Attempt, now: datetime) -> Attempt:
    """Ask again about the newest message of a branch."""
    head = get_open_head(database, keys, branch)
    if attempt.message_id != head["head_id"]:
        raise explain_moved(branch, attempt.message_id, head["head_id"], "it was not asked again")
    if head["is_pending"]:
        make_way(database, keys, head["head_id"], now, branch)
    last = database.first(statements.GET_LAST_NUMBER, {**keys, "message_id": attempt.message_id})
    assert last is not None  # noqa: S101  # it is a maximum
    numbered = attrs.evolve(attempt, number=last["number"] + 1)
    numbered = add_attempt_row(database, keys, branch, numbered)
    pending = MessageStatus.PENDING.value
    change_status(database, keys, attempt.message_id, statements.REOPEN_MESSAGE, pending)
    count(database, keys, at=now)
    return numbered


def add_checkpoint(database: Database, keys: Values, branch: str, checkpoint: Checkpoint) -> None:
    """Write down a piece of an answer; its first one begins the answer, unless somebody took over."""
    if checkpoint.number == 0:
        _begin_answer(database, keys, branch, checkpoint)
    piece = {
        "message_id": checkpoint.answer_id,
        "number": checkpoint.number,
        "text": checkpoint.text,
        "thoughts": checkpoint.thoughts,
    }
    database.run(statements.ADD_CHECKPOINT, {**keys, **piece})


def _begin_answer(database: Database, keys: Values, branch: str, checkpoint: Checkpoint) -> None:
    if database.first(statements.GET_PENDING_ATTEMPT, {**keys, "id": checkpoint.attempt_id}) is None:
        return
    answer = Message(
        Role.ASSISTANT,
        (),
        id=checkpoint.answer_id,
        status=MessageStatus.PENDING,
        provider=checkpoint.provider,
        model=checkpoint.model,
        created_at=checkpoint.created_at,
    )
    if _append_after(database, keys, branch, answer, checkpoint.message_id) is not None:
        count(database, keys, messages=1, at=checkpoint.created_at)


def settle(
    database: Database, keys: Values, branch: str, settlement: Settlement, now: datetime, spare_id: UUID
) -> Message | None:
    """
    Store how an attempt ended, and the answer with it.

    Args:
        spare_id: For an answer whose own id a partial one has that was taken over.
    """
    ended = settlement.attempt
    row = {**keys, **render_attempt(attrs.evolve(ended, lease_until=None))}
    if database.run(statements.SETTLE_ATTEMPT, row) == 1:
        placed, messages = _settle_in_time(database, keys, branch, settlement, now)
    elif database.run(statements.SETTLE_TAKEN_OVER, row) == 1:
        placed, messages = _settle_late(database, keys, branch, settlement, now, spare_id)
    else:
        return None  # it was never stored, or is settled already
    if settlement.next_attempt is not None:
        add_attempt_row(database, keys, _find_branch(database, keys, ended), settlement.next_attempt)
    _count_ended(database, keys, ended, now, messages)
    return placed


def record_attempt(database: Database, keys: Values, branch: str, attempt: Attempt, now: datetime) -> None:
    """Put an attempt into the ledger that has ended already."""
    if database.first(statements.GET_STATE, keys) is None:
        raise explain_no_conversation(keys["conversation_id"])
    is_there = database.first(statements.GET_BRANCH, {**keys, "branch": branch}) is not None
    add_attempt_row(database, keys, branch if is_there else None, attempt)
    _count_ended(database, keys, attempt, now)


def _count_ended(database: Database, keys: Values, ended: Attempt, now: datetime, messages: int = 0) -> None:
    unknown = int(ended.cost is None)
    count(
        database,
        keys,
        messages=messages,
        at=now,
        cost=ended.cost,
        unknown_costs=unknown,
        usage=ended.usage,
    )


def _settle_in_time(
    database: Database, keys: Values, branch: str, settlement: Settlement, now: datetime
) -> tuple[Message | None, int]:
    """Store the answer where it belongs, and return it with how many messages there are now more."""
    message_id, answer = settlement.attempt.message_id, settlement.answer
    _update_status(database, keys, message_id, settlement.user_status)
    if answer is None:
        if settlement.checkpointed:
            keep_partials(database, keys, message_id)
        return None, 0
    if settlement.checkpointed and (placed := _complete(database, keys, answer, message_id)) is not None:
        return placed, 0
    placed = _append_after(database, keys, branch, answer, message_id)
    if placed is None:
        origin = _find_branch(database, keys, settlement.attempt)
        placed = append_beside(database, keys, branch, answer, message_id, now, origin)
    return placed, 1


def _settle_late(
    database: Database, keys: Values, branch: str, settlement: Settlement, now: datetime, spare_id: UUID
) -> tuple[Message | None, int]:
    """The same when somebody has taken over, and counted the cost as unknown: the answer goes beside."""
    message_id, answer = settlement.attempt.message_id, settlement.answer
    count(database, keys, at=now, unknown_costs=-1)
    if answer is None:
        return None, 0
    _update_status(database, keys, message_id, settlement.user_status)
    if database.first(statements.GET_PLACE, {**keys, "message_id": answer.id}) is not None:
        answer = attrs.evolve(answer, id=spare_id)  # what was checkpointed of it stays where it is
    origin = _find_branch(database, keys, settlement.attempt)
    return append_beside(database, keys, branch, answer, message_id, now, origin), 1


def _find_branch(database: Database, keys: Values, attempt: Attempt) -> str | None:
    """The branch an attempt was made on, as it is called by now; None where it was removed meanwhile."""
    row = database.first(statements.GET_BRANCH_OF_ATTEMPT, {**keys, "id": attempt.id})
    assert row is not None  # noqa: S101  # it was settled just now
    name: str | None = row["branch"]
    return name


def _append_after(
    database: Database, keys: Values, branch: str, answer: Message, message_id: UUID
) -> Message | None:
    """Append an answer where its question is the newest message of the branch; None where it is not."""
    head = database.first(statements.GET_HEAD, {**keys, "branch": branch})
    if head is None or head["head_id"] != message_id:
        return None
    return append(database, keys, branch, head, answer)


def _complete(database: Database, keys: Values, answer: Message, parent_id: UUID) -> Message | None:
    """Put an answer in the place of what was checkpointed of it; None where that is nothing any more."""
    answer = with_tokens(answer)
    row, blobs = render_message(answer, segment=None)
    values = {**keys, **row, **render_path_cost(own_cost(answer))}
    completed = database.first(statements.COMPLETE_MESSAGE, values)
    if completed is None:
        return None
    database.run(statements.UPDATE_PATH_COST, {**values, **completed})
    add_blobs(database, keys, answer.id, blobs)
    database.run(statements.REMOVE_PIECES, {**keys, "message_id": answer.id})
    search.index_messages(database, [(keys, answer)])
    return place(answer, parent_id, completed["depth"])


def _update_status(database: Database, keys: Values, message_id: UUID, status: MessageStatus | None) -> None:
    if status is not None:
        change_status(database, keys, message_id, statements.UPDATE_STATUS, status.value)
