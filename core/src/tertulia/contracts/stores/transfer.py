"""What a store promises about conversations that come from elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from uuid import UUID

from tertulia.domain.transfer import ConversationTree


class TransferStore(ABC):
    """Whole conversations at once."""

    @abstractmethod
    async def add_trees(self, owner: str, trees: Sequence[ConversationTree]) -> list[UUID]:
        """
        Store whole conversations with all that belongs to them, in one transaction.

        They become this owner's, whoever their records name. One of an id that is there already is left as it
        is, deleted or not. Messages, branches and attempts keep their ids, names and times; counters are
        counted, and an attempt that was pending is interrupted.

        Returns:
            The conversations that were stored.

        Raises:
            StoreError: One of them is no tree: a parent is missing, a path is a circle, a branch ends with a
                message that is not there, two have the same id. Nothing was stored.
        """
