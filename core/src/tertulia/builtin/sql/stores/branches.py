"""Names for places in the tree."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

from tertulia.builtin.sql import branches, reading
from tertulia.builtin.sql.stores.part import Part
from tertulia.builtin.sql.tree import make_keys
from tertulia.domain.conversation import Branch


class Branches(Part):
    """Branches."""

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
        """Fork: give a place in the tree a name of its own."""
        keys, clock, new_segment = make_keys(owner, conversation_id), self._clock, self._clock.new_id()
        return await self._engine.write(
            lambda database: branches.add_branch(
                database,
                keys,
                branch,
                source=source,
                at=at,
                created_at=created_at,
                now=clock.now(),
                new_segment=new_segment,
            ),
            keys,
        )

    async def get_branch(self, owner: str, conversation_id: UUID, branch: str) -> Branch:
        """Return one branch."""
        keys = make_keys(owner, conversation_id)
        return await self._engine.read(lambda database: reading.get_branch(database, keys, branch))

    async def find_branches(self, owner: str, conversation_id: UUID) -> list[Branch]:
        """Return every branch of a conversation, in the order they were made."""
        keys = make_keys(owner, conversation_id)
        return await self._engine.read(lambda database: reading.find_branches(database, keys))

    async def update_target(
        self, owner: str, conversation_id: UUID, branch: str, *, provider: str, model: str, at: datetime
    ) -> None:
        """Let a branch go on with another provider and model."""
        keys = make_keys(owner, conversation_id)
        await self._engine.write(
            lambda database: branches.update_target(
                database, keys, branch, provider=provider, model=model, at=at
            ),
            keys,
        )

    async def update_active_branch(
        self, owner: str, conversation_id: UUID, branch: str, at: datetime
    ) -> None:
        """Let a branch be the one a conversation is opened on."""
        keys = make_keys(owner, conversation_id)
        await self._engine.write(
            lambda database: branches.update_active_branch(database, keys, branch, at), keys
        )

    async def update_branch_name(
        self, owner: str, conversation_id: UUID, branch: str, name: str, at: datetime
    ) -> None:
        """Rename a branch."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        await self._engine.write(
            lambda database: branches.update_branch_name(database, keys, branch, name, at, clock.now()), keys
        )

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
        """Let a branch end with another message that follows its newest one: fast forward, without a copy."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        return await self._engine.write(
            lambda database: branches.update_branch_head(
                database, keys, branch, to=to, expected_head=expected_head, at=at, now=clock.now()
            ),
            keys,
        )

    async def remove_branch(self, owner: str, conversation_id: UUID, branch: str, at: datetime) -> None:
        """Take a branch's name away."""
        keys, clock = make_keys(owner, conversation_id), self._clock
        await self._engine.write(
            lambda database: branches.remove_branch(database, keys, branch, at, clock.now()), keys
        )
