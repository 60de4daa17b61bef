"""What a store promises about budgets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from tertulia.domain.budget import Account, AccountState, Reservation
from tertulia.domain.usage import Money


class BudgetStore(ABC):
    """
    What is spent and set aside, by account.

    An account begins, when it is first used, with what the ledger says was spent in its scope and period:
    the known costs of attempts that were started then and have ended. From then on it grows by what is
    reserved and settled, whatever becomes of the conversations.
    """

    @abstractmethod
    async def reserve(self, owner: str, reservation: Reservation, at: datetime) -> Sequence[AccountState]:
        """
        Set aside what a call can cost at most, in all its accounts or in none.

        However many processes do so at once, no account with a limit ever holds more than that. What was
        reserved by a process that died is taken for spent from its ``expires_at`` on: what its attempt did
        cost, where that is in the ledger, else all of it.

        Args:
            at: Now, in UTC.

        Returns:
            The accounts as they are now, in the order of the reservation.

        Raises:
            BudgetExceededError: An account would hold more than its limit; nothing was set aside. The error
                names the first such account, and has no ``budget``, which the caller knows.
        """

    @abstractmethod
    async def settle_reservation(
        self, owner: str, reservation_id: UUID, spent: Money | None, at: datetime
    ) -> Sequence[AccountState]:
        """
        Put what a call did cost in the place of what was set aside for it.

        Args:
            spent: What it cost; None where that is not known: then all that was set aside counts as spent.

        Where it has been taken for spent meanwhile, as of a process that died, that is set right.

        Returns:
            Its accounts as they are now; none for a reservation that is not there, or settled already.
        """

    @abstractmethod
    async def renew_reservation(self, owner: str, reservation_id: UUID, expires_at: datetime) -> None:
        """
        Say that the process which made a reservation lives; one that is not there is not missed.

        One that has expired is set aside again, unless somebody has reserved in its accounts since: then it
        stays what it was taken for until it is settled.
        """

    @abstractmethod
    async def get_accounts(
        self, owner: str, accounts: Sequence[Account], at: datetime
    ) -> Sequence[AccountState]:
        """Return what accounts hold, in their order; one that was never used holds what the ledger says."""

    @abstractmethod
    async def claim_warning(self, owner: str, account: Account, level: Money) -> bool:
        """
        Say whether nobody has been warned yet that an account reached a level; from now on somebody has.

        Args:
            level: How much is spent by then: budgets of different limits may be counted by one account.
        """
