"""A message that was sent before, under the same ``client_id``: its answer is there already."""

from __future__ import annotations

from collections.abc import Sequence

from tertulia.domain.conversation import Attempt, AttemptOutcome
from tertulia.domain.exchange import Reply
from tertulia.domain.message import FinishReason, Message, MessageStatus, Role
from tertulia.domain.usage import Usage
from tertulia.errors import ConversationBusyError, DuplicateMessageError
from tertulia.runtime.serialization import decode_json
from tertulia.services.core import Core
from tertulia.services.questions import Question
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


async def find_reply(core: Core, question: Question, sent: Message) -> Reply | None:
    """
    Make the reply of a message that was answered before.

    Returns:
        None where nobody answered it to the end: it can be asked again.

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
        if attempt.message_id == sent.id
    ]
    branch = next((each.branch for each in reversed(attempts) if each.branch is not None), None)
    answer = None if branch is None else await _find_answer(core, question, sent, branch)
    if answer is None:
        return None
    mine = [each for each in attempts if each.outcome is AttemptOutcome.SUCCEEDED]
    return _make_reply(answer, attempts, mine[-1] if mine else None)


async def _find_answer(core: Core, question: Question, sent: Message, branch: str) -> Message | None:
    """The last whole answer before somebody says the next thing: tools may have been called in between."""
    depth, answer = (sent.depth or 0) + 1, None
    while True:
        page = await core.store.get_messages(
            core.owner, question.tree.id, branch, before_depth=depth + _AT_A_TIME, limit=_AT_A_TIME
        )
        following = [each for each in page if (each.depth or 0) >= depth]
        for message in following:
            if message.role is Role.USER:
                return answer
            if message.role is Role.ASSISTANT and message.status is MessageStatus.COMPLETE:
                answer = message
        if len(following) < _AT_A_TIME:
            return answer
        depth += _AT_A_TIME


def _make_reply(answer: Message, attempts: Sequence[Attempt], answered: Attempt | None) -> Reply:
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
        attempts=tuple(attempts),
        latency_seconds=answer.latency_seconds,
        first_content_seconds=None if answered is None else answered.first_content_seconds,
        request_id=None if answered is None else answered.request_id,
        safety=None,
        context=None,
        was_stored=True,
    )
