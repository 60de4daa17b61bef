"""Budgets, as the contract has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tertulia.domain.budget import Account, AccountState, Reservation
from tertulia.domain.conversation import Attempt
from tertulia.domain.message import Message
from tertulia.domain.usage import Money
from tertulia.testing.memory.part import Part


class Budgets(Part):
    """What is spent and set aside, by account."""

    async def reserve(self, owner: str, reservation: Reservation, at: datetime) -> Sequence[AccountState]:
        """Set aside what a call can cost at most, in all its accounts or in none."""
        raise NotImplementedError

    async def settle_reservation(
        self, owner: str, reservation_id: UUID, spent: Money | None, at: datetime
    ) -> Sequence[AccountState]:
        """Put what a call did cost in the place of what was set aside for it."""
        raise NotImplementedError

    async def renew_reservation(self, owner: str, reservation_id: UUID, expires_at: datetime) -> None:
        """Say that the process which made a reservation lives."""
        raise NotImplementedError

    async def get_accounts(
        self, owner: str, accounts: Sequence[Account], at: datetime
    ) -> Sequence[AccountState]:
        """Return what accounts hold, in their order."""
        raise NotImplementedError

    async def claim_warning(self, owner: str, account: Account, share: float) -> bool:
        """Say whether nobody has been warned of this share of an account yet."""
        raise NotImplementedError

    async def find_message(self, owner: str, conversation_id: UUID, client_id: str) -> Message | None:
        """Return the message that was sent with a client_id."""
        raise NotImplementedError

    async def get_recent_attempts(
        self, owner: str, *, since: datetime, limit: int = 200
    ) -> Sequence[Attempt]:
        """Return the newest attempts that have ended, of all conversations."""
        raise NotImplementedError
