"""What a store promises about the ledger of attempts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tertulia.domain.conversation import Attempt
from tertulia.domain.statistics import CostAnalysis, CostGroup, Statistics


class LedgerStore(ABC):
    """What was spent, and what came of it."""

    @abstractmethod
    async def get_statistics(
        self,
        owner: str,
        *,
        conversation_id: UUID | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        time_zone: str = "UTC",
    ) -> Statistics:
        """
        Count messages and attempts. Attempts count by when they were started, once they have ended.

        An attempt whose lease has run out has ended: it was interrupted, and its cost is unknown.

        Args:
            conversation_id: Only of one conversation; None for all of this owner.
            since: Only from then on; None for no bound.
            until: Only before; None for no bound.
            time_zone: Of the days, an IANA name.

        Raises:
            ConversationNotFoundError: This owner has no such conversation; a deleted one is there until it is
                purged.
            ConfigurationError: A moment has no time zone, or there is no such zone.
        """

    @abstractmethod
    async def get_recent_attempts(
        self, owner: str, *, since: datetime, limit: int = 200
    ) -> Sequence[Attempt]:
        """
        Return the newest attempts that have ended, of all conversations, the newest first.

        Args:
            since: Only those that were started then or later.
            limit: At most so many.
        """

    @abstractmethod
    async def get_costs(
        self,
        owner: str | None,
        by: Sequence[CostGroup] = (),
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        time_zone: str = "UTC",
        provider: str | None = None,
        model: str | None = None,
        conversation_id: UUID | None = None,
        tag: str | None = None,
    ) -> CostAnalysis:
        """
        Add up what attempts cost that have ended, by when they were started.

        Args:
            owner: Whose; None for everybody's, for who runs the store.
            by: What to add up by, each once; nothing for the total alone.
            since: Only from then on; None for no bound.
            until: Only before; None for no bound.
            time_zone: Of the days, an IANA name.
            provider: Only of this one.
            model: Only for this one.
            conversation_id: Only of this one.
            tag: Only of conversations with it, which are then in the rows of all their tags.

        Raises:
            ConfigurationError: A moment has no time zone, or there is no such zone.
        """
