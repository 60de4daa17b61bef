"""Budgets, as the contract has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tertulia.builtin.sql import budgets
from tertulia.builtin.sql.stores.part import Part
from tertulia.domain.budget import Account, AccountState, Reservation
from tertulia.domain.usage import Money


class Budgets(Part):
    """What is spent and set aside, by account."""

    async def reserve(self, owner: str, reservation: Reservation, at: datetime) -> Sequence[AccountState]:
        """Set aside what a call can cost at most, in all its accounts or in none."""
        return await self._engine.write(lambda database: budgets.reserve(database, owner, reservation, at))

    async def settle_reservation(
        self, owner: str, reservation_id: UUID, spent: Money | None, at: datetime
    ) -> Sequence[AccountState]:
        """Put what a call did cost in the place of what was set aside for it."""
        return await self._engine.write(
            lambda database: budgets.settle(database, owner, reservation_id, spent, at)
        )

    async def renew_reservation(self, owner: str, reservation_id: UUID, expires_at: datetime) -> None:
        """Say that the process which made a reservation lives."""
        await self._engine.write(lambda database: budgets.renew(database, owner, reservation_id, expires_at))

    async def get_accounts(
        self, owner: str, accounts: Sequence[Account], at: datetime
    ) -> Sequence[AccountState]:
        """Return what accounts hold, in their order."""
        return await self._engine.read(lambda database: budgets.get_accounts(database, owner, accounts, at))

    async def claim_warning(self, owner: str, account: Account, level: Money) -> bool:
        """Say whether nobody has been warned yet that an account reached a level."""
        return await self._engine.write(
            lambda database: budgets.claim_warning(database, owner, account, level)
        )
