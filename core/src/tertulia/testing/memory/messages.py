"""What is said, what comes of it, and how it ends."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import attrs

from tertulia.contracts.stores.messages import Checkpoint, MessageStore, Settlement
from tertulia.domain.conversation import Attempt, AttemptOutcome
from tertulia.domain.library import MarkChange
from tertulia.domain.message import Mark, Message
from tertulia.testing.memory import answers
from tertulia.testing.memory.kept import is_partial
from tertulia.testing.memory.part import Part
from tertulia.testing.memory.refusals import explain_duplicate, explain_moved


class Messages(Part, MessageStore):
    """Messages and the attempts to answer them."""

    async def add_user_message(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        message: Message,
        attempt: Attempt,
        *,
        expected_head: UUID | Literal["any"] | None = "any",
    ) -> Message:
        """Append a user message to a branch, with the attempt that will answer it."""
        placed = self._append(owner, conversation_id, branch, message, expected_head)
        answers.add_attempt(self._find(owner, conversation_id), branch, attempt)
        return placed

    async def find_message(self, owner: str, conversation_id: UUID, client_id: str) -> Message | None:
        """Return the message that was sent with a client_id."""
        kept = self._owners.get(owner, {}).get(conversation_id)
        sent = None if kept is None else kept.find_sent(client_id)
        return None if kept is None or sent is None else kept.read_message(sent, self._clock.now())

    async def add_message(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        message: Message,
        *,
        expected_head: UUID | Literal["any"] | None = "any",
    ) -> Message:
        """Append a message to a branch."""
        return self._append(owner, conversation_id, branch, message, expected_head)

    def _append(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        message: Message,
        expected_head: UUID | Literal["any"] | None,
    ) -> Message:
        kept = self._find_open(owner, conversation_id)
        head_id = kept.get_branch(branch).head_id
        if message.client_id is not None and (sent := kept.find_sent(message.client_id)) is not None:
            assert sent.id is not None
            raise explain_duplicate(conversation_id, message.client_id, sent.id)
        if expected_head not in ("any", head_id):
            raise explain_moved(branch, expected_head, head_id, "the message was not added")
        answers.make_way(kept, head_id, self._clock.now())
        kept.touch(message.created_at)
        return answers.append(kept, branch, message)

    async def add_attempt(self, owner: str, conversation_id: UUID, branch: str, attempt: Attempt) -> Attempt:
        """Ask again about the newest message of a branch."""
        kept, now = self._find_open(owner, conversation_id), self._clock.now()
        head_id = kept.get_branch(branch).head_id
        if attempt.message_id != head_id:
            raise explain_moved(branch, attempt.message_id, head_id, "it was not asked again")
        answers.make_way(kept, head_id, now, branch)
        earlier = [each.number for each in kept.attempts.values() if each.message_id == head_id]
        numbered = attrs.evolve(attempt, number=max(earlier, default=0) + 1)
        answers.reopen(kept, attempt.message_id)
        kept.touch(now)
        return answers.add_attempt(kept, branch, numbered)

    async def record_attempt(self, owner: str, conversation_id: UUID, branch: str, attempt: Attempt) -> None:
        """Put an attempt into the ledger that has ended already."""
        kept = self._find(owner, conversation_id)
        answers.add_attempt(kept, branch if branch in kept.branches else None, attempt)
        kept.touch(self._clock.now())

    async def settle(
        self, owner: str, conversation_id: UUID, branch: str, settlement: Settlement
    ) -> Message | None:
        """Store how an attempt ended, and the answer with it."""
        kept = self._owners.get(owner, {}).get(conversation_id)
        if kept is None:
            return None
        return answers.settle(kept, branch, settlement, self._clock.now(), self._clock.new_id())

    async def add_checkpoint(
        self, owner: str, conversation_id: UUID, branch: str, checkpoint: Checkpoint
    ) -> None:
        """Write down a piece of an answer that is still coming."""
        kept = self._owners.get(owner, {}).get(conversation_id)
        if kept is None:
            return
        if checkpoint.number == 0:
            answers.begin_answer(kept, branch, checkpoint)
        answer = kept.messages.get(checkpoint.answer_id)
        if answer is not None and is_partial(answer):
            kept.pieces.setdefault(checkpoint.answer_id, []).append(checkpoint)

    async def update_lease(self, owner: str, attempt_id: UUID, lease_until: datetime) -> None:
        """Say that a pending attempt is still under way."""
        for kept in self._find_all(owner):
            attempt = kept.attempts.get(attempt_id)
            if attempt is not None and attempt.outcome is AttemptOutcome.PENDING:
                kept.attempts[attempt_id] = attrs.evolve(attempt, lease_until=lease_until)

    async def get_message(self, owner: str, conversation_id: UUID, message_id: UUID) -> Message:
        """Return one message of any branch."""
        kept = self._find(owner, conversation_id)
        return kept.read_message(kept.get_message(message_id), self._clock.now())

    async def get_messages(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        *,
        limit: int | None = None,
        before_depth: int | None = None,
    ) -> list[Message]:
        """Return a branch's messages, oldest first."""
        kept, now = self._find(owner, conversation_id), self._clock.now()
        path = list(kept.climb(kept.get_branch(branch).head_id))[::-1]  # depths have no gaps
        wanted = path if before_depth is None else path[: max(before_depth, 0)]
        newest = wanted if limit is None else wanted[max(len(wanted) - limit, 0) :]
        return [kept.read_message(message, now) for message in newest]

    async def get_attempts(self, owner: str, conversation_id: UUID) -> list[Attempt]:
        """Return every attempt of a conversation, in the order they were started."""
        kept, now = self._owners.get(owner, {}).get(conversation_id), self._clock.now()
        return [] if kept is None else [kept.read_attempt(each, now) for each in kept.attempts.values()]

    async def find_messages(
        self, owner: str, conversation_id: UUID, *, limit: int = 1000, after: UUID | None = None
    ) -> list[Message]:
        """Return a page of all messages of a conversation, in the order they were stored."""
        kept, now = self._find(owner, conversation_id), self._clock.now()
        ids = list(kept.messages)
        start = 0 if after is None else ids.index(kept.get_message(after).id or after) + 1
        return [kept.read_message(kept.messages[each], now) for each in ids[start : start + limit]]

    async def update_mark(
        self, owner: str, conversation_id: UUID, message_id: UUID, change: MarkChange
    ) -> Mark:
        """Change what is said of a message."""
        kept = self._find_open(owner, conversation_id)
        message = kept.get_message(message_id)
        wanted = {name: value for name, value in attrs.asdict(change).items() if value != "keep"}
        mark = attrs.evolve(message.mark, **wanted)
        kept.messages[message_id] = attrs.evolve(message, mark=mark)
        return mark
