"""What a store promises to those who choose what a model sees."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tertulia.domain.context import ContextOptions, Outline, Related, Summary
from tertulia.domain.message import Message
from tertulia.domain.tokens import CalibrationRecord


class ContextStore(ABC):
    """
    Long conversations read in part, and what is remembered of them.

    A store that leaves out the first three reads whole branches whenever a context is chosen, and an index is
    made of what it reads.
    """

    async def get_outline(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        *,
        before_depth: int,
    ) -> Outline | None:
        """
        Say what a branch holds before a depth, without reading it.

        Returns:
            The outline; None where this store has none.

        Raises:
            BranchNotFoundError: There is no branch of that name.
        """
        return None

    async def get_recent(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        *,
        before_depth: int,
        tokens: int,
    ) -> list[Message]:
        """
        Return the newest messages of a branch before a depth that have so many tokens together, oldest first.

        Their tokens are those of ``Message.tokens``, and a message that nobody answered has none. What would
        make them more is left out, with everything before it. They may also be more than asked for.
        """
        return await self.get_messages(owner, conversation_id, branch, before_depth=before_depth)

    async def find_related(
        self,
        owner: str,
        conversation_id: UUID,
        branch: str,
        words: Sequence[Sequence[str]],
        *,
        before_depth: int,
        limit: int,
    ) -> Related | None:
        """
        Find messages of a branch before a depth that hold any of some words, those with the rarest first.

        Args:
            words: For each sought word its forms, any of which will do, as ``domain.terms`` makes terms.
            limit: At most so many messages, their neighbours among them.

        Returns:
            What was found; None where this store has no index.
        """
        return None

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
        """As of :class:`tertulia.contracts.stores.messages.MessageStore`."""

    @abstractmethod
    async def update_context_options(
        self, owner: str, conversation_id: UUID, options: ContextOptions, at: datetime
    ) -> None:
        """
        Keep how the contexts of a conversation are chosen.

        Raises:
            ConversationNotFoundError: This owner has none of that id, or it is deleted.
        """

    @abstractmethod
    async def get_calibrations(self, owner: str) -> list[CalibrationRecord]:
        """Return what was learned of how models count tokens."""

    @abstractmethod
    async def save_calibrations(self, owner: str, records: Sequence[CalibrationRecord]) -> None:
        """Keep what was learned of how models count tokens; each takes the place of what was known."""

    @abstractmethod
    async def add_summary(self, owner: str, conversation_id: UUID, summary: Summary) -> None:
        """
        Keep a summary; one of the same kind up to the same message is replaced.

        Raises:
            ConversationNotFoundError: This owner has no such conversation.
            MessageNotFoundError: It has no such message.
        """

    @abstractmethod
    async def find_summary(
        self, owner: str, conversation_id: UUID, branch: str, kind: str, *, before_depth: int
    ) -> Summary | None:
        """
        Return the summary of a kind that covers most of a branch before a depth.

        Returns:
            One whose last message is on the branch; None where there is none.
        """
