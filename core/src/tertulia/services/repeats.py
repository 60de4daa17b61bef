"""A message that was sent before, under the same ``client_id``: its answer is there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import dropwhile, islice

import attrs

from tertulia.domain.conversation import Attempt, AttemptOutcome, AttemptPurpose
from tertulia.domain.exchange import Reply
from tertulia.domain.message import FinishReason, Message, MessageStatus, Role
from tertulia.domain.usage import Usage
from tertulia.errors import BranchNotFoundError, ConversationBusyError, DuplicateMessageError
from tertulia.runtime.serialization import decode_json
from tertulia.services.core import Core
from tertulia.services.questions import Question, RepeatedQuestion
from tertulia.services.stream import NOTHING_SENT

_AT_A_TIME = 50


async def find_sent(core: Core, question: Question) -> Message | None:
    """
    Find the message that was sent with the ``client_id`` of a question; None where it is new, or has none.

    Raises:
        DuplicateMessageError: It says something else.
    """
    asked = question.message
    if asked.client_id is None or question.is_stored:
        return None
    found = await core.store.find_message(core.owner, question.tree.id, asked.client_id)
    if found is not None and (found.role, found.parts) != (asked.role, asked.parts):
        raise DuplicateMessageError(
            f"another message was sent with the client_id {asked.client_id!r}",
            message_id=found.id,
            kept=NOTHING_SENT,
            next_step="give each message a client_id of its own, and repeat it with the very same words",
        )
    return found


async def find_reply(core: Core, question: Question, sent: Message) -> Reply | Question:
    """
    Make the reply of a message that was answered before.

    Returns:
        Where nobody answered it to the end, what is to be asked instead: the message, where it is, or what
        the tools returned that were called since, so that nothing is called twice.

    Raises:
        ConversationBusyError: Another process is answering it.
    """
    if sent.status is MessageStatus.PENDING:
        raise ConversationBusyError(
            "an answer to this message is still coming",
            kept="the message is stored",
            next_step="send it again with the same client_id when the answer is there",
        )
    attempts = [
        attempt
        for attempt in await core.store.get_attempts(core.owner, question.tree.id)
        if attempt.purpose is AttemptPurpose.ANSWER
    ]
    turns: dict[str, Sequence[Message]] = {}
    for name in _find_branches(attempts, sent):
        if turn := await _read_turn(core, question, sent, name):
            if _is_whole(turn[-1]):
                return _make_reply(turn, attempts)
            turns[name] = turn
    return await _ask_again(core, question, sent, turns)


def _find_branches(attempts: Sequence[Attempt], sent: Message) -> Iterator[str]:
    """Where the message was asked, or what followed it: the newest place first."""
    since = dropwhile(lambda attempt: attempt.message_id != sent.id, attempts)
    places = dict.fromkeys(attempt.branch for attempt in reversed(list(since)))
    return (name for name in places if name is not None)


async def _ask_again(
    core: Core, question: Question, sent: Message, turns: Mapping[str, Sequence[Message]]
) -> Question:
    """What to ask where no turn ended with an answer; the newest turn comes first."""
    line, asked = question.origin, sent
    for name, turn in islice(turns.items(), 1):
        line = question.tree.line(await core.store.get_branch(core.owner, question.tree.id, name))
        asked = next(each for each in reversed(turn) if each.role is not Role.ASSISTANT)
    return AskedAgain(core, question.tree, line, question.move, answer=asked.id)


class AskedAgain(RepeatedQuestion):
    """A message that was sent before and not answered, to which the conversation goes with the answer."""

    async def settled(self, answer: Message | None) -> None:
        """Go to the answer, on whichever branch the message is, or take the branch away."""
        if answer is None:
            await self.give_up()
        else:
            await self._go_there()


async def _read_turn(core: Core, question: Question, sent: Message, branch: str) -> Sequence[Message]:
    """A message and all that followed it until the user spoke again; nothing where the branch lacks it."""
    depth, turn = sent.depth or 0, list[Message]()
    while True:
        try:
            page = await core.store.get_messages(
                core.owner, question.tree.id, branch, before_depth=depth + _AT_A_TIME, limit=_AT_A_TIME
            )
        except BranchNotFoundError:
            return ()
        following = [each for each in page if (each.depth or 0) >= depth]
        for message in following:
            if not turn and message.id != sent.id:
                return ()
            if turn and message.role is Role.USER:
                return turn
            turn.append(message)
        if len(following) < _AT_A_TIME:
            return turn
        depth += _AT_A_TIME


def _is_whole(message: Message) -> bool:
    return message.role is Role.ASSISTANT and message.status is MessageStatus.COMPLETE


def _make_reply(turn: Sequence[Message], attempts: Sequence[Attempt]) -> Reply:
    """The reply of the last answer of a turn, with those before it that called tools."""
    *steps, last = [_read_answer(each, attempts) for each in turn if _is_whole(each)]
    return attrs.evolve(last, steps=tuple(steps))


def _read_answer(answer: Message, attempts: Sequence[Attempt]) -> Reply:
    mine = [each for each in attempts if each.message_id == answer.parent_id]
    answered = next((each for each in reversed(mine) if each.outcome is AttemptOutcome.SUCCEEDED), None)
    raw = None if answered is None or answered.raw_usage is None else decode_json(answered.raw_usage.encode())
    return Reply(
        message=answer,
        provider=answer.provider or "",
        model=answer.model or "",
        resolved_model=answer.resolved_model,
        finish_reason=answer.finish_reason or FinishReason.UNKNOWN,
        raw_finish_reason=answer.raw_finish_reason,
        usage=answer.usage or Usage(),
        raw_usage=raw,
        cost=answer.cost,
        attempts=tuple(mine),
        latency_seconds=answer.latency_seconds,
        first_content_seconds=None if answered is None else answered.first_content_seconds,
        request_id=None if answered is None else answered.request_id,
        safety=None,
        context=None,
        queued_seconds=sum(each.queued_seconds or 0.0 for each in mine),
        was_stored=True,
    )
