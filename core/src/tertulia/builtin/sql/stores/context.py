"""Long conversations read in part, and what is remembered of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tertulia.builtin.sql import contexts, paths, related
from tertulia.builtin.sql.stores.part import Part
from tertulia.builtin.sql.tree import make_keys
from tertulia.domain.context import ContextOptions, Outline, Related, Summary
from tertulia.domain.message import Message
from tertulia.domain.tokens import CalibrationRecord


class Contexts(Part):
    """What those need who choose what a model sees."""

    async def get_outline(
        self, owner: str, conversation_id: UUID, branch: str, *, before_depth: int
    ) -> Outline | None:
        """Say what a branch holds before a depth, without reading it."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._engine.read(
            lambda database: paths.get_outline(database, keys, branch, clock.now(), before_depth=before_depth)
        )

    async def get_recent(
        self, owner: str, conversation_id: UUID, branch: str, *, before_depth: int, tokens: int
    ) -> list[Message]:
        """Return the newest messages of a branch before a depth that have so many tokens together."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._engine.read(
            lambda database: paths.get_recent(
                database, keys, branch, clock.now(), before_depth=before_depth, tokens=tokens
            )
        )

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
        """Find messages of a branch before a depth that hold any of some words."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._engine.read(
            lambda database: related.find_related(
                database, keys, branch, words, clock.now(), before_depth=before_depth, limit=limit
            )
        )

    async def update_context_options(
        self, owner: str, conversation_id: UUID, options: ContextOptions, at: datetime
    ) -> None:
        """Keep how the contexts of a conversation are chosen."""
        keys = make_keys(owner, conversation_id)
        await self._engine.write(lambda database: contexts.update_options(database, keys, options, at), keys)

    async def get_calibrations(self, owner: str) -> list[CalibrationRecord]:
        """Return what was learned of how models count tokens."""
        return await self._engine.read(lambda database: contexts.get_calibrations(database, owner))

    async def save_calibrations(self, owner: str, records: Sequence[CalibrationRecord]) -> None:
        """Keep what was learned of how models count tokens; each takes the place of what was known."""
        await self._engine.write(lambda database: contexts.save_calibrations(database, owner, records))

    async def add_summary(self, owner: str, conversation_id: UUID, summary: Summary) -> None:
        """Keep a summary; one of the same kind up to the same message is replaced."""
        keys = make_keys(owner, conversation_id)
        await self._engine.write(lambda database: contexts.add_summary(database, keys, summary), keys)

    async def find_summary(
        self, owner: str, conversation_id: UUID, branch: str, kind: str, *, before_depth: int
    ) -> Summary | None:
        """Return the summary of a kind that covers most of a branch before a depth."""
        keys = make_keys(owner, conversation_id)
        return await self._engine.read(
            lambda database: contexts.find_summary(database, keys, branch, kind, before_depth=before_depth)
        )
