"""What a store promises about messages and their attempts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Literal
from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt
from tertulia.domain.library import MarkChange
from tertulia.domain.message import Mark, Message, MessageStatus


@attrs.frozen
class Checkpoint:
    """
    The next piece of an answer that is still coming, to survive the death of the process.

    Attributes:
        attempt_id: The attempt whose answer it is.

        message_id: The user message it answers.

        answer_id: The id the answer has, and keeps when it is settled.

        number: Its place among the answer's pieces, from 0.

        text: The words shown since the piece before.

        thoughts: The reasoning shown since the piece before.

        provider: Who is answering.

        model: With which model.

        created_at: When the piece was written, in UTC.
    """

    attempt_id: UUID
    message_id: UUID
    answer_id: UUID
    number: int
    text: str
    thoughts: str
    provider: str
    model: str
    created_at: datetime


@attrs.frozen
class Settlement:
    """
    How an attempt ended, to be stored in one transaction.

    Attributes:
        attempt: The attempt as it ended.

        user_status: What became of the user message it answers; None to leave it.

        answer: The assistant message to append after that user message; None when there is none.

        next_attempt: The attempt that follows at once; None when the send is over.

        checkpointed: Whether a piece of the answer was written before: then the answer takes its place.
    """

    attempt: Attempt
    user_status: MessageStatus | None = None
    answer: Message | None = None
    next_attempt: Attempt | None = None
    checkpointed: bool = False


class MessageStore(ABC):
    """What is said, what comes of it, and how it ends."""

    @abstractmethod
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
        """
        Write ahead: append a user message to a branch, with the attempt that will answer it.

        What tools returned is written ahead in the same way: a message of the role ``tool``.

        Args:
            expected_head: As of :meth:`add_message`.

        Returns:
            The message with its parent and depth.

        Raises:
            BranchMovedError: Another message is the newest; nothing was appended.
            ConversationBusyError: An answer is still under way on the branch.
            DuplicateMessageError: Another message has its ``client_id``; nothing was appended.
        """

    @abstractmethod
    async def find_message(self, owner: str, conversation_id: UUID, client_id: str) -> Message | None:
        """Return the message that was sent with a ``client_id``; None where there is none."""

    @abstractmethod
    async def settle(
        self, owner: str, conversation_id: UUID, branch: str, settlement: Settlement
    ) -> Message | None:
        """
        Store how an attempt ended, and the answer with it.

        The parent of an answer is always its own user message. When somebody has taken the branch over,
        because the lease ran out, the answer is kept beside it, on a branch of its own that is named
        ``{branch}-late-{answer.id}``, the first part being cut where that is more than 200 characters. What
        was checkpointed of it stays where it is and keeps the id; the whole answer then gets another one.

        An attempt is settled once: settling it again changes nothing.

        Returns:
            The answer with its id, parent and depth; None when there is none.
        """

    @abstractmethod
    async def add_message(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        message: Message,
        *,
        expected_head: UUID | Literal["any"] | None = "any",
    ) -> Message:
        """
        Append a message to a branch without asking anybody for an answer.

        Args:
            expected_head: The message it is to follow, None being the empty branch; ``"any"`` for whatever is
                the newest by then.

        Returns:
            The message with its parent and depth.

        Raises:
            BranchMovedError: Another message is the newest; nothing was appended.
            BranchNotFoundError: There is no branch of that name.
            ConversationBusyError: An answer is under way on the branch.
        """

    @abstractmethod
    async def add_attempt(self, owner: str, conversation_id: UUID, branch: str, attempt: Attempt) -> Attempt:
        """
        Write ahead: ask again about a user message that is stored, and is the newest of a branch.

        A user message that nobody had answered (failed) is pending from now on; one that has an answer on
        another branch stays complete, whatever becomes of this attempt.

        Returns:
            The attempt with its number: it follows the earlier attempts for the same message.

        Raises:
            BranchMovedError: The message is not the newest of the branch.
            BranchNotFoundError: There is no branch of that name.
            ConversationBusyError: An answer to it is under way on the branch.
        """

    @abstractmethod
    async def record_attempt(self, owner: str, conversation_id: UUID, branch: str, attempt: Attempt) -> None:
        """
        Put an attempt into the ledger that has ended already, and that no message came of: a title.

        Raises:
            ConversationNotFoundError: This owner has no such conversation.
        """

    @abstractmethod
    async def add_checkpoint(
        self, owner: str, conversation_id: UUID, branch: str, checkpoint: Checkpoint
    ) -> None:
        """
        Write down a piece of an answer that is still coming.

        The first piece appends the answer to the branch, pending. Where somebody has taken over, or the
        branch has gone on without it, nothing is written: the answer is settled beside it later.
        """

    @abstractmethod
    async def update_lease(self, owner: str, attempt_id: UUID, lease_until: datetime) -> None:
        """Say that a pending attempt is still under way."""

    @abstractmethod
    async def get_message(self, owner: str, conversation_id: UUID, message_id: UUID) -> Message:
        """
        Return one message of any branch.

        Raises:
            ConversationNotFoundError: This owner has no such conversation.
            MessageNotFoundError: It has no such message.
        """

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

        Raises:
            BranchNotFoundError: There is no branch of that name.
        """

    @abstractmethod
    async def get_attempts(self, owner: str, conversation_id: UUID) -> list[Attempt]:
        """Return every attempt of a conversation, in the order they were started."""

    @abstractmethod
    async def find_messages(
        self, owner: str, conversation_id: UUID, *, limit: int = 1000, after: UUID | None = None
    ) -> list[Message]:
        """
        Return a page of all messages of a conversation, those on branches and those that no branch leads to.

        Their order is the store's own: what follows a message on the same run does so here, and a child may
        come before its parent where they stand on different ones.

        Args:
            limit: At most so many.
            after: The last of the page before; None for the first page.

        Raises:
            ConversationNotFoundError: This owner has no such conversation.
        """

    @abstractmethod
    async def update_mark(
        self, owner: str, conversation_id: UUID, message_id: UUID, change: MarkChange
    ) -> Mark:
        """
        Change what is said of a message, in one step: what others change is not lost.

        Returns:
            The mark as it is now.

        Raises:
            ConversationNotFoundError: This owner has no such conversation, or it is deleted.
            MessageNotFoundError: It has no such message.
        """
