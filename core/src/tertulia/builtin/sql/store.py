"""
The conversation store on SQL: a tree of immutable messages and the ledger of attempts.

One thread writes, taking what waits for it as one transaction; a few read, each with a connection of its
own. The operations themselves are in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import Connection

from tertulia.builtin.sql import answers, branches, catalogue, reading, statements
from tertulia.builtin.sql.address import Address
from tertulia.builtin.sql.database import Database
from tertulia.builtin.sql.errors import opening
from tertulia.builtin.sql.lane import Lane
from tertulia.builtin.sql.sqlite import make_engine
from tertulia.builtin.sql.transactions import prepare, read_each, write_together
from tertulia.builtin.sql.tree import add_conversation, explain_no_conversation, make_keys
from tertulia.contracts.store import Checkpoint, Settlement, Store
from tertulia.domain.catalogue import ModelChanges
from tertulia.domain.conversation import Attempt, Branch, ConversationRecord
from tertulia.domain.message import Message
from tertulia.domain.model import ModelInfo
from tertulia.runtime.clock import Clock

LARGEST_GROUP = 128
"""Jobs that are written in one transaction at most."""

READERS = 4
"""Threads that read at most."""


class SQLStore(Store):
    """
    Conversations in a SQLite database.

    Args:
        url: ``sqlite:///PATH`` or ``memory:``.
        clock: For deciding whether a lease has run out.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._address = Address.parse(url)
        self._clock = clock
        self._writer = Lane(
            "tertulia-writer", self._connect_writer, write_together(self._address), group=LARGEST_GROUP
        )
        self._reader = self._writer  # a database in memory is the connection: there is only one
        if self._address.path is not None:
            self._reader = Lane(
                "tertulia-reader", self._connect_reader, read_each(self._address), threads=READERS
            )

    @property
    def location(self) -> str:
        """The file's path, or ``memory:``."""
        return str(self._address)

    async def open(self) -> None:
        """Open the database, creating or migrating it where needed."""
        try:
            await self._writer.open()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Finish what was accepted and close every connection."""
        await self._writer.aclose()
        await self._reader.aclose()

    async def add_conversation(self, record: ConversationRecord, messages: Sequence[Message] = ()) -> None:
        """Store a new conversation with its first messages."""
        await self._writer.run(lambda database: add_conversation(database, record, messages))

    async def get_conversation(self, owner: str, conversation_id: UUID) -> ConversationRecord:
        """Return one conversation of this owner."""
        keys = make_keys(owner, conversation_id)
        return await self._reader.run(lambda database: reading.get_conversation(database, keys))

    async def find_conversations(
        self, owner: str, *, limit: int = 50, after: ConversationRecord | None = None
    ) -> list[ConversationRecord]:
        """Return a page of conversations, the most recently used first."""
        return await self._reader.run(
            lambda database: reading.find_conversations(database, owner, limit, after)
        )

    async def update_title(self, owner: str, conversation_id: UUID, title: str | None, at: datetime) -> None:
        """Rename a conversation."""
        values = {**make_keys(owner, conversation_id), "title": title, "updated_at": at}

        def job(database: Database) -> None:
            if database.run(statements.UPDATE_TITLE, values) == 0:
                raise explain_no_conversation(conversation_id)

        await self._writer.run(job)

    async def update_target(
        self, owner: str, conversation_id: UUID, branch: str, *, provider: str, model: str, at: datetime
    ) -> None:
        """Let a branch go on with another provider and model."""
        keys = make_keys(owner, conversation_id)
        await self._writer.run(
            lambda database: branches.update_target(
                database, keys, branch, provider=provider, model=model, at=at
            )
        )

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
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._writer.run(
            lambda database: answers.add_message(
                database, keys, branch, message, clock.now(), expected_head=expected_head, attempt=attempt
            )
        )

    async def settle(
        self, owner: str, conversation_id: UUID, branch: str, settlement: Settlement
    ) -> Message | None:
        """Store how an attempt ended, and the answer with it."""
        keys, clock, spare_id = make_keys(owner, conversation_id), self._clock, self._clock.new_id()
        return await self._writer.run(
            lambda database: answers.settle(database, keys, branch, settlement, clock.now(), spare_id)
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
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._writer.run(
            lambda database: answers.add_message(
                database, keys, branch, message, clock.now(), expected_head=expected_head
            )
        )

    async def add_attempt(self, owner: str, conversation_id: UUID, branch: str, attempt: Attempt) -> Attempt:
        """Ask again about the newest message of a branch."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._writer.run(
            lambda database: answers.add_attempt(database, keys, branch, attempt, clock.now())
        )

    async def add_checkpoint(
        self, owner: str, conversation_id: UUID, branch: str, checkpoint: Checkpoint
    ) -> None:
        """Write down a piece of an answer that is still coming."""
        keys = make_keys(owner, conversation_id)
        await self._writer.run(lambda database: answers.add_checkpoint(database, keys, branch, checkpoint))

    async def update_lease(self, owner: str, attempt_id: UUID, lease_until: datetime) -> None:
        """Say that a pending attempt is still under way."""
        values = {"owner_id": owner, "id": attempt_id, "lease_until": lease_until}
        await self._writer.run(lambda database: database.run(statements.UPDATE_LEASE, values))

    async def get_message(self, owner: str, conversation_id: UUID, message_id: UUID) -> Message:
        """Return one message of any branch."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._reader.run(
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
        return await self._reader.run(
            lambda database: reading.get_messages(
                database, keys, branch, clock.now(), limit=limit, before_depth=before_depth
            )
        )

    async def get_attempts(self, owner: str, conversation_id: UUID) -> list[Attempt]:
        """Return every attempt of a conversation, in the order they were started."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._reader.run(lambda database: reading.get_attempts(database, keys, clock.now()))

    async def add_branch(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        *,
        source: str,
        at: UUID | Literal["head", "root"] = "head",
        created_at: datetime,
    ) -> Branch:
        """Fork: give a place in the tree a name of its own."""
        keys, clock, new_segment = make_keys(owner, conversation_id), self._clock, self._clock.new_id()
        return await self._writer.run(
            lambda database: branches.add_branch(
                database,
                keys,
                branch,
                source=source,
                at=at,
                created_at=created_at,
                now=clock.now(),
                new_segment=new_segment,
            )
        )

    async def get_branch(self, owner: str, conversation_id: UUID, branch: str) -> Branch:
        """Return one branch."""
        keys = make_keys(owner, conversation_id)
        return await self._reader.run(lambda database: reading.get_branch(database, keys, branch))

    async def find_branches(self, owner: str, conversation_id: UUID) -> list[Branch]:
        """Return every branch of a conversation, in the order they were made."""
        keys = make_keys(owner, conversation_id)
        return await self._reader.run(lambda database: reading.find_branches(database, keys))

    async def update_active_branch(
        self, owner: str, conversation_id: UUID, branch: str, at: datetime
    ) -> None:
        """Let a branch be the one a conversation is opened on."""
        keys = make_keys(owner, conversation_id)
        await self._writer.run(lambda database: branches.update_active_branch(database, keys, branch, at))

    async def update_branch_name(
        self, owner: str, conversation_id: UUID, branch: str, name: str, at: datetime
    ) -> None:
        """Rename a branch."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        await self._writer.run(
            lambda database: branches.update_branch_name(database, keys, branch, name, at, clock.now())
        )

    async def remove_branch(self, owner: str, conversation_id: UUID, branch: str, at: datetime) -> None:
        """Take a branch's name away."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        await self._writer.run(
            lambda database: branches.remove_branch(database, keys, branch, at, clock.now())
        )

    async def replace_models(
        self, owner: str, provider: str, models: Sequence[ModelInfo], at: datetime
    ) -> ModelChanges:
        """Take over a provider's list of models."""
        return await self._writer.run(
            lambda database: catalogue.replace_models(database, owner, provider, models, at)
        )

    async def get_models(self, owner: str, provider: str | None = None) -> list[ModelInfo]:
        """Return the catalogue."""
        return await self._reader.run(lambda database: catalogue.get_models(database, owner, provider))

    def _connect_writer(self) -> Connection:
        with opening(self._address):
            connection = make_engine(self._address, writes=True).connect()
        try:
            prepare(connection, self._address)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_reader(self) -> Connection:
        with opening(self._address):
            return make_engine(self._address, writes=False).connect()
