"""Whether all is well, and what can be made anew."""

from __future__ import annotations

from tertulia.builtin.sql import rebuilding, verify
from tertulia.builtin.sql.stores.part import Part
from tertulia.domain.upkeep import StoreReport


class Upkeep(Part):
    """Examination and repair."""

    async def verify(self, owner: str | None = None) -> StoreReport:
        """Examine everything: whether it can be read, is a tree, and adds up. Nothing is changed."""
        return await verify.verify(self._engine, owner)

    async def rebuild_statistics(self, owner: str | None = None) -> int:
        """Count every counter again from messages and attempts, and say how many conversations were wrong."""
        return await rebuilding.rebuild_statistics(self._engine, owner)

    async def rebuild_search(self, owner: str | None = None) -> int:
        """Make the index of :meth:`search` anew from titles and messages, and say how many are in it."""
        return await rebuilding.rebuild_search(self._engine, owner)
