"""What a store promises about conversations as a whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from tertulia.domain.conversation import ConversationRecord, ConversationState
from tertulia.domain.library import ConversationFilter, Order, SearchHit
from tertulia.domain.message import Message, Role


class ConversationStore(ABC):
    """Conversations: begun, found, put away and taken out again."""

    @abstractmethod
    async def add_conversation(self, record: ConversationRecord, messages: Sequence[Message] = ()) -> None:
        """
        Store a new conversation with its first messages, which have ids, parents and depths.

        Cost and usage begin with what the record says; its messages are counted.
        """

    @abstractmethod
    async def update_title(self, owner: str, conversation_id: UUID, title: str | None, at: datetime) -> None:
        """Rename a conversation; ConversationNotFoundError when this owner has none of that id."""

    @abstractmethod
    async def get_conversation(
        self, owner: str, conversation_id: UUID, *, deleted: bool = False
    ) -> ConversationRecord:
        """
        Return one conversation.

        Args:
            deleted: Whether one that is deleted is returned as well.

        Raises:
            ConversationNotFoundError: This owner has none of that id, or it is deleted.
        """

    @abstractmethod
    async def find_conversations(
        self,
        owner: str,
        *,
        where: ConversationFilter = ConversationFilter(),
        order: Order = Order.RECENT,
        limit: int = 50,
        after: ConversationRecord | None = None,
    ) -> list[ConversationRecord]:
        """
        Return a page of conversations.

        Pages are stable: what is added or changed meanwhile moves nothing between them but itself.

        Args:
            where: Which are meant.
            order: Which come first.
            limit: At most so many.
            after: The last of the page before, with the same order; None for the first page.
        """

    @abstractmethod
    async def search(
        self,
        owner: str,
        query: str,
        *,
        limit: int = 20,
        conversation_id: UUID | None = None,
        role: Role | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[SearchHit]:
        """
        Find messages and titles that hold every word of a query, the best first.

        Any text is a query; one without a word finds nothing. Whole words rank before longer ones that begin
        with them; where there are as many as are wanted, the others need not be looked for. Deleted
        conversations are not searched, and of very many hits only the newest few thousand are ranked. An
        answer is found once it is settled.

        Args:
            query: Words, as :class:`tertulia.SearchHit` says.
            limit: At most so many hits.
            conversation_id: Only there; None for everywhere.
            role: Only messages of it; None for all, and titles.
            since: Only of then or later; None for no bound.
            until: Only of before; None for no bound.
        """

    @abstractmethod
    async def update_state(
        self,
        owner: str,
        conversation_id: UUID,
        state: Literal[ConversationState.ACTIVE, ConversationState.ARCHIVED],
        at: datetime,
    ) -> None:
        """Archive a conversation, or take it back; ConversationNotFoundError when it is not there."""

    @abstractmethod
    async def remove_conversation(
        self, owner: str, conversation_id: UUID, at: datetime, *, purge_after: datetime | None = None
    ) -> None:
        """
        Delete a conversation so that it can be restored: nothing of it is lost until it is purged.

        An answer that is under way is still stored when it is settled.

        Args:
            purge_after: From when on :meth:`purge_expired` removes it; None for never.

        Raises:
            ConversationNotFoundError: This owner has none of that id, or it is deleted already.
        """

    @abstractmethod
    async def restore_conversation(self, owner: str, conversation_id: UUID, at: datetime) -> None:
        """
        Take a deleted conversation back, to where it was: an archived one is archived again.

        Raises:
            ConversationNotFoundError: This owner has none of that id.
        """

    @abstractmethod
    async def purge_conversation(self, owner: str, conversation_id: UUID) -> None:
        """
        Remove a deleted conversation for good, with its messages, its ledger and what only it had attached.

        A long one goes in pieces: others can write meanwhile, and nobody finds what is half gone. What an
        interrupted purge has left goes with the next one.

        Raises:
            ConversationNotFoundError: This owner has none of that id, or it is not deleted.
        """

    @abstractmethod
    async def purge_expired(self, owner: str, at: datetime, *, limit: int = 100) -> list[UUID]:
        """Purge deleted conversations whose time has come, at most so many, and say which."""

    @abstractmethod
    async def patch_metadata(
        self, owner: str, conversation_id: UUID, patch: Mapping[str, Any], at: datetime
    ) -> Mapping[str, Any]:
        """
        Change metadata by a JSON merge patch (RFC 7396), in one step: what others change is not lost.

        Returns:
            The metadata as it is now.

        Raises:
            ConversationNotFoundError: This owner has none of that id, or it is deleted.
        """

    @abstractmethod
    async def update_tags(
        self,
        owner: str,
        conversation_id: UUID,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        at: datetime,
    ) -> tuple[str, ...]:
        """
        Add tags and take others away. What is there is not added again, and what is not is not missed.

        Returns:
            The tags as they are now, in alphabetical order.

        Raises:
            ConversationNotFoundError: This owner has none of that id, or it is deleted.
        """

    @abstractmethod
    async def find_tags(self, owner: str) -> dict[str, int]:
        """Return every tag in alphabetical order, with how many conversations have it, deleted ones aside."""
