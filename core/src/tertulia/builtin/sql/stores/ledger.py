"""What was spent, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tertulia.builtin.sql.costs import get_costs
from tertulia.builtin.sql.ledger import Scope, get_recent_attempts
from tertulia.builtin.sql.statistics import get_statistics
from tertulia.builtin.sql.stores.part import Part
from tertulia.domain.conversation import Attempt
from tertulia.domain.periods import Period
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
        clock = self._clock
        scope = Scope(owner, Period.of(since, until, time_zone), conversation_id=conversation_id)
        return await self._engine.read(lambda database: get_statistics(database, scope, clock.now()))

    async def get_recent_attempts(
        self, owner: str, *, since: datetime, limit: int = 200
    ) -> Sequence[Attempt]:
        """Return the newest attempts that have ended, of all conversations, the newest first."""
        clock, scope = self._clock, Scope(owner, Period.of(since, None))
        return await self._engine.read(
            lambda database: get_recent_attempts(database, scope, limit, clock.now())
        )

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
        clock, period = self._clock, Period.of(since, until, time_zone)
        scope = Scope(owner, period, provider, model, conversation_id, tag)
        return await self._engine.read(lambda database: get_costs(database, scope, by, clock.now()))
