"""The store as a whole: all its parts, on one set of dictionaries."""

from __future__ import annotations

from tertulia.contracts.store import Store
from tertulia.runtime.clock import Clock, SystemClock
from tertulia.testing.memory.branches import Branches
from tertulia.testing.memory.budgets import Budgets
from tertulia.testing.memory.catalogue import Catalogue
from tertulia.testing.memory.context import Contexts
from tertulia.testing.memory.conversations import Conversations
from tertulia.testing.memory.ledger import Ledger
from tertulia.testing.memory.messages import Messages
from tertulia.testing.memory.part import LOCATION
from tertulia.testing.memory.transfer import Transfer
from tertulia.testing.memory.upkeep import Upkeep


class MemoryStore(
    Conversations, Messages, Contexts, Branches, Ledger, Budgets, Transfer, Catalogue, Upkeep, Store
):
    """
    Conversations in dictionaries, for one event loop and as long as the process lives.

    It is for reading, and for tests of what stands on a store. It derives whatever it can, so each operation
    takes as long as the conversation is; ``memory:``, the store of a client, does not.

    Args:
        clock: For deciding whether a lease has run out; None for the machine's.

    Example:
        >>> MemoryStore().location
        'memory'
    """

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock or SystemClock())

    @property
    def location(self) -> str:
        """Nowhere else."""
        return LOCATION

    async def open(self) -> None:
        """Nothing is to be made ready."""

    async def aclose(self) -> None:
        """Nothing is to be let go of."""
