"""What is said, what comes of it, and how it ends."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from tertulia.builtin.sql import answers, marks, reading, statements, trees
from tertulia.builtin.sql.appends import Append
from tertulia.builtin.sql.stores.part import Part
from tertulia.builtin.sql.tree import make_keys
from tertulia.contracts.store import Checkpoint, Settlement
from tertulia.domain.conversation import Attempt
from tertulia.domain.library import MarkChange
from tertulia.domain.message import Mark, Message


class Messages(Part):
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
        """Append a user message to a branch, together with the attempt that will answer it."""
        keys = make_keys(owner, conversation_id)
        append = Append(keys, branch, message, self._clock, expected_head, attempt)
        return await self._engine.write(append, keys)

    async def find_message(self, owner: str, conversation_id: UUID, client_id: str) -> Message | None:
        """Return the message that was sent with a client_id."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._engine.read(
            lambda database: reading.find_message(database, keys, client_id, clock.now())
        )

    async def settle(
        self, owner: str, conversation_id: UUID, branch: str, settlement: Settlement
    ) -> Message | None:
        """Store how an attempt ended, and the answer with it."""
        keys, clock, spare_id = make_keys(owner, conversation_id), self._clock, self._clock.new_id()
        return await self._engine.write(
            lambda database: answers.settle(database, keys, branch, settlement, clock.now(), spare_id), keys
        )

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
        keys = make_keys(owner, conversation_id)
        return await self._engine.write(Append(keys, branch, message, self._clock, expected_head), keys)

    async def add_attempt(self, owner: str, conversation_id: UUID, branch: str, attempt: Attempt) -> Attempt:
        """Ask again about the newest message of a branch."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._engine.write(
            lambda database: answers.add_attempt(database, keys, branch, attempt, clock.now()), keys
        )

    async def record_attempt(self, owner: str, conversation_id: UUID, branch: str, attempt: Attempt) -> None:
        """Put an attempt into the ledger that has ended already."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        await self._engine.write(
            lambda database: answers.record_attempt(database, keys, branch, attempt, clock.now()), keys
        )

    async def add_checkpoint(
        self, owner: str, conversation_id: UUID, branch: str, checkpoint: Checkpoint
    ) -> None:
        """Write down a piece of an answer that is still coming."""
        keys = make_keys(owner, conversation_id)
        await self._engine.write(
            lambda database: answers.add_checkpoint(database, keys, branch, checkpoint), keys
        )

    async def update_lease(self, owner: str, attempt_id: UUID, lease_until: datetime) -> None:
        """Say that a pending attempt is still under way."""
        values = {"owner_id": owner, "id": attempt_id, "lease_until": lease_until}
        await self._engine.write(lambda database: database.run(statements.UPDATE_LEASE, values))

    async def get_message(self, owner: str, conversation_id: UUID, message_id: UUID) -> Message:
        """Return one message of any branch."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._engine.read(
            lambda database: reading.get_message(database, keys, message_id, clock.now())
        )

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
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._engine.read(
            lambda database: reading.get_messages(
                database, keys, branch, clock.now(), limit=limit, before_depth=before_depth
            )
        )

    async def find_messages(
        self, owner: str, conversation_id: UUID, *, limit: int = 1000, after: UUID | None = None
    ) -> list[Message]:
        """Return a page of all messages of a conversation."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._engine.read(
            lambda database: trees.find_messages(database, keys, clock.now(), limit=limit, after=after)
        )

    async def get_attempts(self, owner: str, conversation_id: UUID) -> list[Attempt]:
        """Return every attempt of a conversation, in the order they were started."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._engine.read(lambda database: reading.get_attempts(database, keys, clock.now()))

    async def update_mark(
        self, owner: str, conversation_id: UUID, message_id: UUID, change: MarkChange
    ) -> Mark:
        """Change what is said of a message, in one step: what others change is not lost."""
        keys = make_keys(owner, conversation_id)
        return await self._engine.write(
            lambda database: marks.update_mark(database, keys, message_id, change), keys
        )
