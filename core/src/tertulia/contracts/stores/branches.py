"""What a store promises about branches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Literal
from uuid import UUID

from tertulia.domain.conversation import Branch


class BranchStore(ABC):
    """Names for places in the tree."""

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
    async def update_target(
        self, owner: str, conversation_id: UUID, branch: str, *, provider: str, model: str, at: datetime
    ) -> None:
        """Let a branch go on with another provider and model."""

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
    async def update_branch_head(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        *,
        to: UUID,
        expected_head: UUID | None,
        at: datetime,
    ) -> Branch:
        """
        Let a branch end with another message that follows its newest one: fast forward, without a copy.

        Args:
            to: A message whose path leads over the branch's newest one.
            expected_head: What is the branch's newest message; None for an empty branch.

        Raises:
            BranchMovedError: Another message is the newest; nothing was changed.
            BranchError: The message does not follow it.
            BranchNotFoundError: There is no branch of that name.
            MessageNotFoundError: The conversation has no message ``to``.
            ConversationBusyError: An answer is under way on the branch, or ``to`` is one.
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
