"""What a conversation store promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import attrs

from tertulia.domain.catalogue import ModelChanges
from tertulia.domain.conversation import Attempt, Branch, ConversationRecord
from tertulia.domain.message import Message, MessageStatus
from tertulia.domain.model import ModelInfo


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


class Store(ABC):
    """
    Conversations that outlive the process.

    Every operation names an owner first, and what belongs to another owner is not found. What an
    operation has acknowledged survives the death of the process, and an operation that was called is
    carried out whole even when the task that waits for it is cancelled. All errors are
    :class:`tertulia.StoreError` or :class:`tertulia.ConversationNotFoundError`.

    A store keeps a conversation's counters with every operation: its messages, and the cost of each
    settled attempt, unknown costs being counted and never added.

    An attempt whose lease has run out reads as interrupted. What was checkpointed of its answer reads as an
    interrupted message, and its user message then as complete; without a checkpoint that reads as failed.
    A process that died leaves nothing pending for ever, and while its lease runs everything it does reads
    as pending. Whoever writes next on the branch settles so for good what it left, its cost being unknown.

    Messages with images come back with their bytes; equal bytes of one owner are kept once.

    Beside the conversations a store keeps a catalogue: what each provider's list said of its models.
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
        """

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
    async def add_checkpoint(
        self, owner: str, conversation_id: UUID, branch: str, checkpoint: Checkpoint
    ) -> None:
        """
        Write down a piece of an answer that is still coming.

        The first piece appends the answer to the branch, pending. Where somebody has taken over, or the
        branch has gone on without it, nothing is written: the answer is settled beside it later.
        """

    @abstractmethod
    async def get_message(self, owner: str, conversation_id: UUID, message_id: UUID) -> Message:
        """
        Return one message of any branch.

        Raises:
            ConversationNotFoundError: This owner has no such conversation.
            MessageNotFoundError: It has no such message.
        """

    @abstractmethod
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
        """
        Fork: give a place in the tree a name of its own, in constant time and without copying a message.

        Provider and model are those of the source branch.

        Args:
            branch: The name of the new branch, of 1 to 200 characters.
            source: The branch it is forked from.
            at: The newest message of the new branch, on any branch; ``"head"`` for the source's newest one,
                ``"root"`` for before the first.

        Raises:
            BranchError: That is no name.
            BranchExistsError: There is one of that name.
            BranchNotFoundError: There is no source branch.
            MessageNotFoundError: The conversation has no message ``at``.
            ConversationBusyError: The message ``at`` is an answer that is still coming.
        """

    @abstractmethod
    async def get_branch(self, owner: str, conversation_id: UUID, branch: str) -> Branch:
        """Return one branch; BranchNotFoundError when there is none of that name."""

    @abstractmethod
    async def find_branches(self, owner: str, conversation_id: UUID) -> list[Branch]:
        """Return every branch of a conversation, in the order they were made."""

    @abstractmethod
    async def update_active_branch(
        self, owner: str, conversation_id: UUID, branch: str, at: datetime
    ) -> None:
        """Let a branch be the one a conversation is opened on; BranchNotFoundError when there is none."""

    @abstractmethod
    async def update_branch_name(
        self, owner: str, conversation_id: UUID, branch: str, name: str, at: datetime
    ) -> None:
        """
        Rename a branch, also where it is the active one or others were forked from it.

        Raises:
            BranchError: That is no name.
            BranchExistsError: Another one has that name.
            BranchNotFoundError: There is no branch to rename.
            ConversationBusyError: An answer is under way on the branch.
        """

    @abstractmethod
    async def remove_branch(self, owner: str, conversation_id: UUID, branch: str, at: datetime) -> None:
        """
        Take a branch's name away. Its messages stay in the tree, and what it shares with others stays theirs.

        What was forked from it counts from then on as forked from where it was forked itself.

        Raises:
            BranchError: It is the active branch.
            BranchNotFoundError: There is no branch of that name.
            ConversationBusyError: An answer is under way on the branch.
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

        Raises:
            BranchNotFoundError: There is no branch of that name.
        """

    @abstractmethod
    async def get_attempts(self, owner: str, conversation_id: UUID) -> list[Attempt]:
        """Return every attempt of a conversation, in the order they were started."""

    @abstractmethod
    async def replace_models(
        self, owner: str, provider: str, models: Sequence[ModelInfo], at: datetime
    ) -> ModelChanges:
        """
        Take over a provider's list of models, whole or not at all.

        ``tertulia.domain.catalogue.compare_models`` decides what becomes of each entry: a model that is not
        in the list is marked as gone, and never removed.

        Args:
            provider: The configured name.
            models: The whole list.
            at: When it was fetched.

        Returns:
            What is different from now on.
        """

    @abstractmethod
    async def get_models(self, owner: str, provider: str | None = None) -> list[ModelInfo]:
        """
        Return the catalogue, gone models included, by provider and then by id.

        Args:
            provider: The configured name; None for all.
        """
