"""Names for places in the tree."""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from uuid import UUID

import attrs

from tertulia.contracts.stores.branches import BranchStore
from tertulia.domain.conversation import Branch
from tertulia.testing.memory.answers import LONGEST_NAME, refuse_while_busy
from tertulia.testing.memory.kept import Kept, is_partial
from tertulia.testing.memory.part import Part
from tertulia.testing.memory.refusals import (
    explain_active,
    explain_astray,
    explain_moved,
    explain_no_name,
    explain_taken,
)


class Branches(Part, BranchStore):
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
        kept = self._find_open(owner, conversation_id)
        origin = kept.get_branch(source)
        _check_name(kept, branch)
        head_id = origin.head_id if at == "head" else None if at == "root" else at
        if head_id is not None and is_partial(kept.get_message(head_id)):
            refuse_while_busy(kept, head_id, self._clock.now(), "it cannot be forked there")
        kept.branches[branch] = Branch(
            branch,
            origin.provider,
            origin.model,
            segment=origin.segment,
            head_id=head_id,
            forked_from=source,
            created_at=created_at,
        )
        return kept.read_branch(branch)

    async def get_branch(self, owner: str, conversation_id: UUID, branch: str) -> Branch:
        """Return one branch."""
        return self._find(owner, conversation_id).read_branch(branch)

    async def find_branches(self, owner: str, conversation_id: UUID) -> list[Branch]:
        """Return every branch of a conversation, in the order they were made."""
        kept = self._find(owner, conversation_id)
        return [kept.read_branch(name) for name in kept.branches]

    async def update_target(
        self, owner: str, conversation_id: UUID, branch: str, *, provider: str, model: str, at: datetime
    ) -> None:
        """Let a branch go on with another provider and model."""
        kept = self._find_open(owner, conversation_id)
        kept.branches[branch] = attrs.evolve(kept.get_branch(branch), provider=provider, model=model)
        kept.touch(at)

    async def update_active_branch(
        self, owner: str, conversation_id: UUID, branch: str, at: datetime
    ) -> None:
        """Let a branch be the one a conversation is opened on."""
        kept = self._find_open(owner, conversation_id)
        kept.active = kept.get_branch(branch).name
        kept.touch(at)

    async def update_branch_name(
        self, owner: str, conversation_id: UUID, branch: str, name: str, at: datetime
    ) -> None:
        """Rename a branch wherever it is named, and leave it at its place among the others."""
        kept = self._find_open(owner, conversation_id)
        renamed = attrs.evolve(kept.get_branch(branch), name=name)
        if name == branch:
            return
        _check_name(kept, name)
        _refuse_while_answered(kept, branch, self._clock.now(), "it was not renamed")
        all_branches = [renamed if each.name == branch else each for each in kept.branches.values()]
        kept.branches = {
            each.name: attrs.evolve(each, forked_from=name) if each.forked_from == branch else each
            for each in all_branches
        }
        kept.active = name if kept.active == branch else kept.active
        _rename_attempts(kept, branch, name)
        kept.touch(at)

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
        """Let a branch end with another message that follows its newest one."""
        kept, now = self._find_open(owner, conversation_id), self._clock.now()
        before, target = kept.get_branch(branch), kept.get_message(to)
        if is_partial(target):
            refuse_while_busy(kept, to, now, "no other branch can end with it yet")
        if before.head_id != expected_head:
            raise explain_moved(branch, expected_head, before.head_id, "it stays where it is")
        if to == expected_head or (
            expected_head and expected_head not in {each.id for each in kept.climb(to)}
        ):
            raise explain_astray(branch, to)
        _refuse_while_answered(kept, branch, now, "it stays where it is")
        kept.branches[branch] = attrs.evolve(before, head_id=to, version=before.version + 1)
        kept.touch(at)
        return kept.read_branch(branch)

    async def remove_branch(self, owner: str, conversation_id: UUID, branch: str, at: datetime) -> None:
        """Take a branch's name away; what was forked from it counts as forked from where it was forked."""
        kept = self._find_open(owner, conversation_id)
        removed = kept.get_branch(branch)
        if kept.active == branch:
            raise explain_active(branch)
        _refuse_while_answered(kept, branch, self._clock.now(), "it was not removed")
        del kept.branches[branch]
        for heir in [each for each in kept.branches.values() if each.forked_from == branch]:
            kept.branches[heir.name] = attrs.evolve(heir, forked_from=removed.forked_from)
        _rename_attempts(kept, branch, None)
        kept.touch(at)


def _check_name(kept: Kept, name: str) -> None:
    if not 1 <= len(name) <= LONGEST_NAME:
        raise explain_no_name(name, LONGEST_NAME)
    if name in kept.branches:
        raise explain_taken(name)


def _refuse_while_answered(kept: Kept, branch: str, now: datetime, what: str) -> None:
    """Raise a ConversationBusyError when an answer is under way that is meant for this branch."""
    refuse_while_busy(kept, kept.branches[branch].head_id, now, what, branch)


def _rename_attempts(kept: Kept, branch: str, name: str | None) -> None:
    for attempt in [each for each in kept.attempts.values() if each.branch == branch]:
        kept.attempts[attempt.id] = attrs.evolve(attempt, branch=name)
