"""What a conversation store promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt, ConversationRecord
from tertulia.domain.message import Message, MessageStatus


@attrs.frozen
class Settlement:
    """
    How an attempt ended, to be stored in one transaction.

    Attributes:
        attempt: The attempt as it ended.

        user_status: What became of the user message it answers; None to leave it.

        answer: The assistant message to append after that user message; None when there is none.

        next_attempt: The attempt that follows at once; None when the send is over.
    """

    attempt: Attempt
    user_status: MessageStatus | None = None
    answer: Message | None = None
    next_attempt: Attempt | None = None


class Store(ABC):
    """
    Conversations that outlive the process.

    Every operation names an owner first, and what belongs to another owner is not found. What an
    operation has acknowledged survives the death of the process, and an operation that was called is
    carried out whole even when the task that waits for it is cancelled. All errors are
    :class:`tertulia.StoreError` or :class:`tertulia.ConversationNotFoundError`.

    A store keeps a conversation's counters with every operation: its messages, and the cost of each
    settled attempt, unknown costs being counted and never added.

    An attempt whose lease has run out reads as interrupted, and its user message as failed: a process
    that died leaves nothing pending for ever.
    """

    @property
    @abstractmethod
    def location(self) -> str:
        """The store's address, without credentials, for people."""

    @abstractmethod
    async def open(self) -> None:
        """
        Make the store ready, migrating it when it is older than this version.

        Raises:
            StoreVersionError: It was written by a newer version; nothing was changed.
            StoreReadOnlyError: It would have to be created or migrated, and cannot be written.
            StoreCorruptError: It is damaged; nothing was changed.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Finish what was accepted and let go of every resource. Safe to call twice."""

    @abstractmethod
    async def add_conversation(self, record: ConversationRecord, messages: Sequence[Message] = ()) -> None:
        """Store a new conversation with its first messages, which have ids, parents and depths."""

    @abstractmethod
    async def get_conversation(self, owner: str, conversation_id: UUID) -> ConversationRecord:
        """
        Return one conversation.

        Raises:
            ConversationNotFoundError: This owner has none of that id.
        """

    @abstractmethod
    async def find_conversations(
        self, owner: str, *, limit: int = 50, after: ConversationRecord | None = None
    ) -> list[ConversationRecord]:
        """
        Return conversations, the most recently used first.

        Args:
            limit: At most so many.
            after: The last of the page before; None for the first page.
        """

    @abstractmethod
    async def update_title(self, owner: str, conversation_id: UUID, title: str | None, at: datetime) -> None:
        """Rename a conversation; ConversationNotFoundError when this owner has none of that id."""

    @abstractmethod
    async def update_target(
        self, owner: str, conversation_id: UUID, branch: str, *, provider: str, model: str, at: datetime
    ) -> None:
        """Let a branch go on with another provider and model."""

    @abstractmethod
    async def add_user_message(
        self, owner: str, conversation_id: UUID, branch: str, message: Message, attempt: Attempt
    ) -> Message:
        """
        Write ahead: append a user message to a branch, with the attempt that will answer it.

        Returns:
            The message with its parent and depth.

        Raises:
            ConversationBusyError: An answer is still under way on the branch.
        """

    @abstractmethod
    async def settle(
        self, owner: str, conversation_id: UUID, branch: str, settlement: Settlement
    ) -> Message | None:
        """
        Store how an attempt ended, and the answer with it.

        The parent of an answer is always its own user message. When somebody has taken the branch over,
        because the lease ran out, the answer is kept beside it, on a branch of its own that is named
        ``{branch}-late-{answer.id}``.

        Returns:
            The answer with its parent and depth; None when there is none.
        """

    @abstractmethod
    async def update_lease(self, owner: str, attempt_id: UUID, lease_until: datetime) -> None:
        """Say that a pending attempt is still under way."""

    @abstractmethod
    async def get_messages(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        *,
        limit: int | None = None,
        before_depth: int | None = None,
    ) -> list[Message]:
        """
        Return a branch's messages, oldest first.

        Args:
            limit: The newest so many; None for all.
            before_depth: Only what is above this depth; None for no bound.
        """

    @abstractmethod
    async def get_attempts(self, owner: str, conversation_id: UUID) -> list[Attempt]:
        """Return every attempt of a conversation, in the order they were started."""
