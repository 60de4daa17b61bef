"""Whole conversations at once."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import attrs

from tertulia.contracts.stores.transfer import TransferStore
from tertulia.domain.transfer import ConversationTree, end_pending, find_fault
from tertulia.domain.usage import CostTotal, Usage
from tertulia.errors import StoreError
from tertulia.testing.memory.answers import place
from tertulia.testing.memory.kept import Kept
from tertulia.testing.memory.part import Part


class Transfer(Part, TransferStore):
    """Conversations that come from elsewhere."""

    async def add_trees(self, owner: str, trees: Sequence[ConversationTree]) -> list[UUID]:
        """Store whole conversations, all of them or none."""
        _refuse_faults(trees)
        shelf = self._owners.setdefault(owner, {})
        new = [tree for tree in trees if tree.record.id not in shelf]
        shelf.update({tree.record.id: _plant(owner, end_pending(tree)) for tree in new})
        return [tree.record.id for tree in new]


def _refuse_faults(trees: Sequence[ConversationTree]) -> None:
    seen: set[UUID] = set()
    for tree in trees:
        identifier = tree.record.id
        fault = "there are two of it" if identifier in seen else find_fault(tree)
        if fault is not None:
            raise StoreError(
                f"conversation {identifier} cannot be stored: {fault}",
                kept="nothing was stored",
                next_step="leave it out, or repair it where it comes from",
            )
        seen.add(identifier)


def _plant(owner: str, tree: ConversationTree) -> Kept:
    """Make of a tree what is kept; what it counted where it comes from is counted again."""
    tags = tuple(sorted(set(tree.record.tags)))
    record = attrs.evolve(tree.record, owner=owner, tags=tags, cost=CostTotal(), usage=Usage(0, 0, 0, 0, 0))
    kept = Kept(record, record.branch.name)
    for message in tree.messages:
        assert message.id is not None
        placed = place(message, message.parent_id, kept.measure(message.parent_id) + 1)
        created_at = message.created_at or record.created_at
        kept.messages[message.id] = attrs.evolve(placed, created_at=created_at)
    for branch in tree.branches:
        created_at = branch.created_at or record.created_at
        kept.branches[branch.name] = attrs.evolve(branch, created_at=created_at)
    kept.attempts = {attempt.id: attempt for attempt in tree.attempts}
    return kept
