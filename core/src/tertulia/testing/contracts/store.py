"""What every store promises."""

from __future__ import annotations

import pytest

from tertulia.testing.clock import StandingClock
from tertulia.testing.contracts.answers import AnswerContract
from tertulia.testing.contracts.branches import BranchContract
from tertulia.testing.contracts.catalogue import CatalogueContract
from tertulia.testing.contracts.checkpoints import CheckpointContract
from tertulia.testing.contracts.conversations import ConversationContract


@pytest.mark.asyncio
class StoreContract(
    ConversationContract, AnswerContract, CheckpointContract, BranchContract, CatalogueContract
):
    """
    What every store promises.

    Fixtures to give: ``store``, open and empty, which reads the time from the fixture ``clock``.
    """

    @pytest.fixture
    def clock(self) -> StandingClock:
        """The time the store goes by."""
        return StandingClock()
