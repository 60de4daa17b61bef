"""What the parts of the store have in common."""

from __future__ import annotations

from uuid import UUID

from tertulia.domain.model import ModelInfo
from tertulia.domain.tokens import CalibrationRecord
from tertulia.runtime.clock import Clock
from tertulia.testing.memory.kept import Kept
from tertulia.testing.memory.refusals import explain_no_conversation

LOCATION = "memory"
"""There is only one, in each process."""


class Part:
    """
    Some operations of a store.

    None of them awaits anything between its first and its last line, so on the one event loop each happens
    at once, or raises before it has changed anything.

    Args:
        clock: For deciding whether a lease has run out.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._owners: dict[str, dict[UUID, Kept]] = {}
        self._models: dict[str, dict[str, dict[str, ModelInfo]]] = {}
        self._calibrations: dict[str, dict[tuple[str, str, bool], CalibrationRecord]] = {}

    def _find_all(self, owner: str | None) -> list[Kept]:
        """Every conversation of an owner, deleted ones included, or everybody's."""
        shelves = list(self._owners.values()) if owner is None else [self._owners.get(owner, {})]
        return [kept for shelf in shelves for kept in shelf.values()]

    def _find(self, owner: str, conversation_id: UUID) -> Kept:
        """A conversation, also a deleted one."""
        kept = self._owners.get(owner, {}).get(conversation_id)
        if kept is None:
            raise explain_no_conversation(conversation_id)
        return kept

    def _find_open(self, owner: str, conversation_id: UUID) -> Kept:
        """A conversation that can be gone on with."""
        kept = self._find(owner, conversation_id)
        if kept.is_deleted:
            raise explain_no_conversation(conversation_id, deleted=True)
        return kept
