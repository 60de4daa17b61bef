"""What a conversation store promises."""

from __future__ import annotations

from abc import abstractmethod

from tertulia.contracts.stores.branches import BranchStore
from tertulia.contracts.stores.budgets import BudgetStore
from tertulia.contracts.stores.catalogue import CatalogueStore
from tertulia.contracts.stores.context import ContextStore
from tertulia.contracts.stores.conversations import ConversationStore
from tertulia.contracts.stores.ledger import LedgerStore
from tertulia.contracts.stores.messages import Checkpoint, MessageStore, Settlement
from tertulia.contracts.stores.transfer import TransferStore
from tertulia.contracts.stores.upkeep import UpkeepStore

__all__ = ["Checkpoint", "Settlement", "Store"]


class Store(
    ConversationStore,
    MessageStore,
    ContextStore,
    BranchStore,
    LedgerStore,
    BudgetStore,
    TransferStore,
    CatalogueStore,
    UpkeepStore,
):
    """
    Conversations that outlive the process.

    Every operation names an owner first, and what belongs to another owner is not found. What an
    operation has acknowledged survives the death of the process, and an operation that was called is
    carried out whole even when the task that waits for it is cancelled. All errors are
    :class:`tertulia.StoreError` or :class:`tertulia.ConversationNotFoundError`.

    A store keeps a conversation's counters with every operation: its messages, and the cost of each
    settled attempt, unknown costs being counted and never added.

    An attempt whose lease has run out reads as interrupted. What was checkpointed of its answer reads as an
    interrupted message, and its user message then as complete; without a checkpoint that reads as failed.
    A process that died leaves nothing pending for ever, and while its lease runs everything it does reads
    as pending. Whoever writes next on the branch settles so for good what it left, its cost being unknown.

    Messages with images come back with their bytes; equal bytes of one owner are kept once.

    Beside the conversations a store keeps a catalogue: what each provider's list said of its models.
    """

    @property
    @abstractmethod
    def location(self) -> str:
        """The store's address, without credentials, for people."""

    @abstractmethod
    async def open(self) -> None:
        """
        Make the store ready, migrating it when it is older than this version.

        Raises:
            StoreVersionError: It was written by a newer version; nothing was changed.
            StoreReadOnlyError: It would have to be created or migrated, and cannot be written.
            StoreCorruptError: It is damaged; nothing was changed.
        """

    @abstractmethod
    async def aclose(self) -> None:
        """Finish what was accepted and let go of every resource. Safe to call twice."""
