"""What every store promises."""

from __future__ import annotations

import pytest

from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.answers import AnswerContract
from tertulia.testing.contracts.branches import BranchContract
from tertulia.testing.contracts.budgets import BudgetContract
from tertulia.testing.contracts.catalogue import CatalogueContract
from tertulia.testing.contracts.checkpoints import CheckpointContract
from tertulia.testing.contracts.contexts import ContextContract
from tertulia.testing.contracts.conversations import ConversationContract
from tertulia.testing.contracts.fast_forward import FastForwardContract
from tertulia.testing.contracts.ledger import LedgerContract
from tertulia.testing.contracts.library import LibraryContract
from tertulia.testing.contracts.listing import ListContract
from tertulia.testing.contracts.marks import MarkContract
from tertulia.testing.contracts.repeats import RepeatContract
from tertulia.testing.contracts.search import SearchContract
from tertulia.testing.contracts.texts import TextContract
from tertulia.testing.contracts.transfer import TransferContract
from tertulia.testing.contracts.upkeep import UpkeepContract


@pytest.mark.asyncio
class StoreContract(
    ConversationContract,
    AnswerContract,
    CheckpointContract,
    BranchContract,
    BudgetContract,
    CatalogueContract,
    ListContract,
    LibraryContract,
    MarkContract,
    RepeatContract,
    UpkeepContract,
    FastForwardContract,
    LedgerContract,
    TransferContract,
    SearchContract,
    TextContract,
    ContextContract,
):
    """
    What every store promises.

    Fixtures to give: ``store``, open and empty, which reads the time from the fixture ``clock``.
    """

    @pytest.fixture
    def clock(self) -> StandingClock:
        """The time the store goes by."""
        return StandingClock()
