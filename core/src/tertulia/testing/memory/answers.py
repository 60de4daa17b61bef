"""Who may write on a branch, and where an answer goes when it comes."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import attrs

from tertulia.contracts.store import Checkpoint, Settlement
from tertulia.domain.conversation import Attempt, AttemptOutcome, Branch
from tertulia.domain.message import Message, MessageStatus, Role
from tertulia.domain.usage import Usage
from tertulia.errors import ErrorKind
from tertulia.testing.memory.kept import ENDED, Kept, count, is_partial
from tertulia.testing.memory.refusals import explain_busy, explain_stored

LONGEST_NAME = 200


def append(kept: Kept, branch: str, message: Message) -> Message:
    """Add a message after a branch's head, and make it the head."""
    head = kept.get_branch(branch)
    placed = place(message, head.head_id, kept.measure(head.head_id) + 1)
    assert placed.id is not None
    if placed.id in kept.messages:
        raise explain_stored(placed.id)
    kept.messages[placed.id] = placed
    kept.branches[branch] = attrs.evolve(head, head_id=placed.id, version=head.version + 1)
    return placed


def place(message: Message, parent_id: UUID | None, depth: int) -> Message:
    """The message as it will be read: counted, and with a usage, if only an unknown one, for an answer."""
    usage = message.usage or (Usage() if message.role is Role.ASSISTANT else None)
    return count(attrs.evolve(message, parent_id=parent_id, depth=depth, usage=usage))


def find_asked(kept: Kept, head_id: UUID | None) -> UUID | None:
    """The message that is being answered where a branch ends: its head, or what the head is the answer to."""
    if head_id is None or not is_partial(kept.messages[head_id]):
        return head_id
    return kept.messages[head_id].parent_id


def refuse_while_busy(
    kept: Kept, head_id: UUID | None, now: datetime, what: str, branch: str | None = None
) -> None:
    """Raise a ConversationBusyError when an answer is under way, for a branch or any, where that ends."""
    if kept.is_asked(find_asked(kept, head_id), now, branch):
        raise explain_busy(what)


def make_way(kept: Kept, head_id: UUID | None, now: datetime, branch: str | None = None) -> None:
    """
    Let something follow a branch's head.

    What a process that died left there is settled for good: its words as an interrupted answer, which its
    user message then has, and its cost as unknown.

    Args:
        branch: Where only what is meant for it may not be under way: the others go on, and nothing is settled
            before they are through; None for whatever is meant to follow the head.
    """
    refuse_while_busy(kept, head_id, now, "the message was not added", branch)
    asked = find_asked(kept, head_id)
    if branch is not None and kept.is_asked(asked, now):
        return
    left = kept.find_pending(asked)
    for attempt in left:
        kept.attempts[attempt.id] = _take_over(attempt)
    if left and asked is not None:
        is_answered = keep_partials(kept, asked)
        update_status(kept, asked, MessageStatus.COMPLETE if is_answered else MessageStatus.FAILED)


def _take_over(attempt: Attempt) -> Attempt:
    """What was thought dead keeps its lease: that tells it from what was settled, and it may come yet."""
    return attrs.evolve(
        attempt,
        outcome=AttemptOutcome.INTERRUPTED,
        error_kind=ErrorKind.INTERRUPTED,
        error_message=ENDED,
        lease_until=attempt.lease_until or attempt.started_at,
    )


def keep_partials(kept: Kept, message_id: UUID) -> bool:
    """Let what came of the answers to a message be all there is of them, and say whether there is any."""
    partials = list(kept.find_partials(message_id))
    for partial in partials:
        assert partial.id is not None
        ended = attrs.evolve(
            partial, parts=kept.join_pieces(partial), status=MessageStatus.INTERRUPTED, tokens=None
        )
        kept.messages[partial.id] = count(ended)
        kept.pieces.pop(partial.id, None)
    return bool(partials)


def update_status(kept: Kept, message_id: UUID, status: MessageStatus | None) -> None:
    """Say what became of a message; what is complete stays so."""
    message = kept.messages[message_id]
    if status is not None and message.status is not MessageStatus.COMPLETE:
        kept.messages[message_id] = attrs.evolve(message, status=status)


def reopen(kept: Kept, message_id: UUID) -> None:
    """Let a message be pending again, unless it has an answer already."""
    if not any(each.role is Role.ASSISTANT for each in kept.find_children(message_id)):
        message = kept.messages[message_id]
        kept.messages[message_id] = attrs.evolve(message, status=MessageStatus.PENDING)


def add_attempt(kept: Kept, branch: str | None, attempt: Attempt) -> Attempt:
    """Put an attempt into the ledger of a branch."""
    placed = attrs.evolve(attempt, branch=branch)
    kept.attempts[placed.id] = placed
    return placed


def begin_answer(kept: Kept, branch: str, piece: Checkpoint) -> None:
    """Append an answer with its first piece, unless somebody took over or the branch has gone on."""
    attempt = kept.attempts.get(piece.attempt_id)
    head = kept.branches.get(branch)
    if attempt is None or attempt.outcome is not AttemptOutcome.PENDING:
        return
    if head is None or head.head_id != piece.message_id:
        return
    answer = Message(
        Role.ASSISTANT,
        (),
        id=piece.answer_id,
        status=MessageStatus.PENDING,
        provider=piece.provider,
        model=piece.model,
        created_at=piece.created_at,
    )
    append(kept, branch, answer)
    kept.touch(piece.created_at)


def settle(kept: Kept, branch: str, settlement: Settlement, now: datetime, spare_id: UUID) -> Message | None:
    """
    Store how an attempt ended, and the answer with it.

    Args:
        spare_id: For an answer whose own id a partial one has that was taken over.
    """
    stored = kept.attempts.get(settlement.attempt.id)
    if stored is None or (stored.outcome is not AttemptOutcome.PENDING and stored.lease_until is None):
        return None  # it was never stored, or is settled already
    kept.attempts[stored.id] = _end(stored, settlement.attempt)
    if stored.outcome is AttemptOutcome.PENDING:
        placed = _settle_in_time(kept, branch, settlement, now)
    else:
        placed = _settle_late(kept, branch, settlement, now, spare_id)
    if settlement.next_attempt is not None:
        add_attempt(kept, stored.branch, settlement.next_attempt)
    kept.touch(now)
    return placed


def _end(stored: Attempt, ended: Attempt) -> Attempt:
    """How it ended, of what it is."""
    return attrs.evolve(
        ended,
        message_id=stored.message_id,
        number=stored.number,
        provider=stored.provider,
        model=stored.model,
        started_at=stored.started_at,
        branch=stored.branch,
        purpose=stored.purpose,
        is_fallback=stored.is_fallback,
        lease_until=None,
    )


def _settle_in_time(kept: Kept, branch: str, settlement: Settlement, now: datetime) -> Message | None:
    message_id, answer = settlement.attempt.message_id, settlement.answer
    update_status(kept, message_id, settlement.user_status)
    if answer is None:
        if settlement.checkpointed:
            keep_partials(kept, message_id)
        return None
    if settlement.checkpointed and (placed := _complete(kept, answer)) is not None:
        return placed
    head = kept.branches.get(branch)
    if head is not None and head.head_id == message_id:
        return append(kept, branch, answer)
    return _append_beside(kept, branch, answer, settlement.attempt, now)


def _settle_late(
    kept: Kept, branch: str, settlement: Settlement, now: datetime, spare_id: UUID
) -> Message | None:
    """The same when somebody has taken over: the answer goes beside."""
    message_id, answer = settlement.attempt.message_id, settlement.answer
    if answer is None:
        return None
    update_status(kept, message_id, settlement.user_status)
    if answer.id in kept.messages:  # what was checkpointed of it stays where it is
        answer = attrs.evolve(answer, id=spare_id)
    return _append_beside(kept, branch, answer, settlement.attempt, now)


def _complete(kept: Kept, answer: Message) -> Message | None:
    """Put an answer in the place of what was checkpointed of it; None where that is nothing any more."""
    assert answer.id is not None
    partial = kept.messages.get(answer.id)
    if partial is None or not is_partial(partial):
        return None
    assert partial.depth is not None
    placed = attrs.evolve(place(answer, partial.parent_id, partial.depth), mark=partial.mark)
    kept.messages[answer.id] = placed
    kept.pieces.pop(answer.id, None)
    return placed


def _append_beside(kept: Kept, branch: str, answer: Message, attempt: Attempt, at: datetime) -> Message:
    """
    Add an answer whose branch went on without it to a branch of its own, forked at its question.

    Args:
        branch: What that branch was called when the question was asked; its attempt says what it is by now.
    """
    suffix = f"-late-{answer.id}"
    late = Branch(
        branch[: LONGEST_NAME - len(suffix)] + suffix,
        answer.provider or "",
        answer.model or "",
        segment=kept.record.branch.segment,
        head_id=attempt.message_id,
        forked_from=kept.attempts[attempt.id].branch,
        created_at=at,
    )
    kept.branches[late.name] = late
    return append(kept, late.name, answer)
