"""What a store promises about its own state."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tertulia.domain.upkeep import StoreReport


class UpkeepStore(ABC):
    """Whether all is well, and what can be made anew."""

    @abstractmethod
    async def verify(self, owner: str | None = None) -> StoreReport:
        """
        Examine everything: whether it can be read, is a tree, and adds up. Nothing is changed.

        Args:
            owner: Whose conversations; None for everybody's, for who runs the store.
        """

    @abstractmethod
    async def rebuild_statistics(self, owner: str | None = None) -> int:
        """Count every counter again from messages and attempts, and say how many conversations were wrong."""

    @abstractmethod
    async def rebuild_search(self, owner: str | None = None) -> int:
        """Make the index of :meth:`search` anew from titles and messages, and say how many are in it."""
