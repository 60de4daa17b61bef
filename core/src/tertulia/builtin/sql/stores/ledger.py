"""What was spent, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tertulia.builtin.sql.stores.part import Part
from tertulia.domain.statistics import CostAnalysis, CostGroup, Statistics


class Ledger(Part):
    """Costs and statistics."""

    async def get_statistics(
        self,
        owner: str,
        *,
        conversation_id: UUID | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        time_zone: str = "UTC",
    ) -> Statistics:
        """Count messages and attempts. Attempts count by when they were started, once they have ended."""
        raise NotImplementedError

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
        """Add up what attempts cost that have ended, by when they were started."""
        raise NotImplementedError
