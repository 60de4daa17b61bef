"""Searching titles and messages."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tertulia.builtin.sql import search
from tertulia.builtin.sql.stores.part import Part
from tertulia.domain.library import SearchHit
from tertulia.domain.message import Role


class Search(Part):
    """What holds the words of a query."""

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
        """Find messages and titles that hold every word of a query, the best first."""
        return await self._engine.read(
            lambda database: search.find(
                database,
                owner,
                query,
                limit=limit,
                conversation_id=conversation_id,
                role=role,
                since=since,
                until=until,
            )
        )
