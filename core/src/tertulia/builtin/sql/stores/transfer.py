"""Whole conversations at once."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from tertulia.builtin.sql.stores.part import Part
from tertulia.builtin.sql.trees import add_trees as store_trees
from tertulia.domain.transfer import ConversationTree


class Transfer(Part):
    """Conversations that come from elsewhere."""

    async def add_trees(self, owner: str, trees: Sequence[ConversationTree]) -> list[UUID]:
        """Store whole conversations with all that belongs to them, in one transaction."""
        return await self._engine.write(lambda database: store_trees(database, owner, trees))
