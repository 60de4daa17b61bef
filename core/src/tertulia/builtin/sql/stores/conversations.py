"""Conversations: begun, found, put away and taken out again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from tertulia.builtin.sql import library, listing, reading, search, statements
from tertulia.builtin.sql.database import Database
from tertulia.builtin.sql.stores.part import Part
from tertulia.builtin.sql.tree import add_conversation, make_keys, refuse_deleted
from tertulia.domain.conversation import ConversationRecord, ConversationState
from tertulia.domain.library import ConversationFilter, Order
from tertulia.domain.message import Message


class Conversations(Part):
    """Conversations as a whole."""

    async def add_conversation(self, record: ConversationRecord, messages: Sequence[Message] = ()) -> None:
        """Store a new conversation with its first messages."""
        await self._engine.write(lambda database: add_conversation(database, record, messages))

    async def get_conversation(
        self, owner: str, conversation_id: UUID, *, deleted: bool = False
    ) -> ConversationRecord:
        """Return one conversation of this owner."""
        keys = make_keys(owner, conversation_id)
        return await self._engine.read(
            lambda database: reading.get_conversation(database, keys, deleted=deleted)
        )

    async def find_conversations(
        self,
        owner: str,
        *,
        where: ConversationFilter = ConversationFilter(),
        order: Order = Order.RECENT,
        limit: int = 50,
        after: ConversationRecord | None = None,
    ) -> list[ConversationRecord]:
        """Return a page of conversations."""
        return await self._engine.read(
            lambda database: listing.find_conversations(database, owner, where, order, limit, after)
        )

    async def update_title(self, owner: str, conversation_id: UUID, title: str | None, at: datetime) -> None:
        """Rename a conversation."""
        keys = make_keys(owner, conversation_id)

        def job(database: Database) -> None:
            refuse_deleted(database, keys)
            search.reindex_title(database, keys, title)
            database.run(statements.UPDATE_TITLE, {**keys, "title": title, "updated_at": at})

        await self._engine.write(job, keys)

    async def update_state(
        self,
        owner: str,
        conversation_id: UUID,
        state: Literal[ConversationState.ACTIVE, ConversationState.ARCHIVED],
        at: datetime,
    ) -> None:
        """Archive a conversation, or take it back; ConversationNotFoundError when it is not there."""
        keys = make_keys(owner, conversation_id)
        await self._engine.write(lambda database: library.update_state(database, keys, state, at), keys)

    async def remove_conversation(
        self, owner: str, conversation_id: UUID, at: datetime, *, purge_after: datetime | None = None
    ) -> None:
        """Delete a conversation so that it can be restored: nothing of it is lost until it is purged."""
        keys = make_keys(owner, conversation_id)
        await self._engine.write(
            lambda database: library.remove_conversation(database, keys, at, purge_after), keys
        )

    async def restore_conversation(self, owner: str, conversation_id: UUID, at: datetime) -> None:
        """Take a deleted conversation back, to where it was: an archived one is archived again."""
        keys = make_keys(owner, conversation_id)
        await self._engine.write(lambda database: library.restore_conversation(database, keys, at), keys)

    async def purge_conversation(self, owner: str, conversation_id: UUID) -> None:
        """Remove a deleted conversation for good."""
        keys = make_keys(owner, conversation_id)
        await self._engine.write(lambda database: library.begin_purge(database, keys), keys)
        await self._purge_begun(owner)

    async def purge_expired(self, owner: str, at: datetime, *, limit: int = 100) -> list[UUID]:
        """Purge deleted conversations whose time has come, at most so many, and say which."""
        expired = await self._engine.read(lambda database: library.find_expired(database, owner, at, limit))
        begun = [each for each in expired if await self._begin_purge_of_expired(owner, each, at)]
        await self._purge_begun(owner)
        return begun

    async def _begin_purge_of_expired(self, owner: str, conversation_id: UUID, at: datetime) -> bool:
        keys = make_keys(owner, conversation_id)
        return await self._engine.write(
            lambda database: library.begin_purge_of_expired(database, keys, at), keys
        )

    async def _purge_begun(self, owner: str) -> None:
        """Remove what is half gone, whoever began it: a process may have died over it."""
        while (
            found := await self._engine.read(lambda database: library.find_purged(database, owner))
        ) is not None:
            await self._purge(owner, found)

    async def _purge(self, owner: str, conversation_id: UUID) -> None:
        keys = make_keys(owner, conversation_id)
        while not await self._engine.write(lambda database: library.purge_piece(database, keys), keys):
            pass

    async def patch_metadata(
        self, owner: str, conversation_id: UUID, patch: Mapping[str, Any], at: datetime
    ) -> Mapping[str, Any]:
        """Change metadata by a JSON merge patch (RFC 7396), in one step: what others change is not lost."""
        keys = make_keys(owner, conversation_id)
        return await self._engine.write(
            lambda database: library.patch_metadata(database, keys, patch, at), keys
        )

    async def update_tags(
        self,
        owner: str,
        conversation_id: UUID,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        at: datetime,
    ) -> tuple[str, ...]:
        """Add tags and take others away. What is there is not added again, and what is not is not missed."""
        keys = make_keys(owner, conversation_id)
        return await self._engine.write(
            lambda database: library.update_tags(database, keys, add, remove, at), keys
        )

    async def find_tags(self, owner: str) -> dict[str, int]:
        """Return every tag in alphabetical order, with how many conversations have it, deleted ones aside."""
        return await self._engine.read(lambda database: library.find_tags(database, owner))
