"""What is spent and set aside, by account."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import attrs

from tertulia.contracts.stores.budgets import BudgetStore
from tertulia.domain.budget import Account, AccountState, Reservation
from tertulia.domain.conversation import Attempt, AttemptOutcome
from tertulia.domain.usage import Money
from tertulia.runtime.clock import Clock
from tertulia.testing.memory.part import Part
from tertulia.testing.memory.refusals import explain_exceeded


@attrs.define(eq=False)
class Entry:
    """
    What a call adds to an account.

    Attributes:
        amount: What was set aside, or is taken for spent.

        expires_at: From when on it counts as spent; None when it does already.

        is_open: Whether what it did cost may still be told.
    """

    amount: Money
    expires_at: datetime | None
    is_open: bool = True

    def is_over(self, at: datetime) -> bool:
        """Whether it counts as spent."""
        return self.expires_at is None or self.expires_at <= at


@attrs.define(eq=False)
class Book:
    """An account: what the ledger said when it was first used, and what calls added since, by their ids."""

    first: Money
    entries: dict[UUID, Entry] = attrs.field(factory=dict[UUID, Entry])


class Budgets(Part, BudgetStore):
    """Accounts whose sums are counted each time."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._books: dict[str, dict[Account, Book]] = {}
        self._warned: dict[str, dict[Account, set[Money]]] = {}

    async def reserve(self, owner: str, reservation: Reservation, at: datetime) -> Sequence[AccountState]:
        """Set aside what a call can cost at most, in all its accounts or in none."""
        for account, limit in reservation.accounts:
            state = self._read(owner, account, at)
            held = state.spent + state.reserved
            if limit is not None and (held + reservation.amount).pico > limit.pico:
                raise explain_exceeded(account, limit, held, reservation.amount)
        for account, _ in reservation.accounts:
            book = self._open(owner, account, at)
            self._bury(owner, book, at)
            book.entries[reservation.id] = Entry(reservation.amount, reservation.expires_at)
        return [self._read(owner, account, at) for account, _ in reservation.accounts]

    async def settle_reservation(
        self, owner: str, reservation_id: UUID, spent: Money | None, at: datetime
    ) -> Sequence[AccountState]:
        """Put what a call did cost in the place of what was set aside for it."""
        settled: list[AccountState] = []
        for account, book in self._books.get(owner, {}).items():
            entry = book.entries.get(reservation_id)
            if entry is not None and entry.is_open:
                amount = entry.amount if spent is None else spent
                book.entries[reservation_id] = Entry(amount, None, is_open=False)
                settled.append(self._read(owner, account, at))
        return settled

    async def renew_reservation(self, owner: str, reservation_id: UUID, expires_at: datetime) -> None:
        """Say that the process which made a reservation lives."""
        for book in self._books.get(owner, {}).values():
            entry = book.entries.get(reservation_id)
            if entry is not None and entry.expires_at is not None:
                entry.expires_at = expires_at

    async def get_accounts(
        self, owner: str, accounts: Sequence[Account], at: datetime
    ) -> Sequence[AccountState]:
        """Return what accounts hold, in their order."""
        return [self._read(owner, account, at) for account in accounts]

    async def claim_warning(self, owner: str, account: Account, level: Money) -> bool:
        """Say whether nobody has been warned yet that an account reached a level."""
        warned = self._warned.setdefault(owner, {}).setdefault(account, set())
        is_first = level not in warned
        warned.add(level)
        return is_first

    def _open(self, owner: str, account: Account, at: datetime) -> Book:
        books = self._books.setdefault(owner, {})
        if account not in books:
            books[account] = Book(_add(self._find_costs(owner, account, at)))
        return books[account]

    def _read(self, owner: str, account: Account, at: datetime) -> AccountState:
        book = self._books.get(owner, {}).get(account)
        if book is None:
            return AccountState(account, _add(self._find_costs(owner, account, at)), Money(0))
        reserved = [each.amount for each in book.entries.values() if not each.is_over(at)]
        spent = [self._find_cost(owner, *each) for each in book.entries.items() if each[1].is_over(at)]
        return AccountState(account, _add([book.first, *spent]), _add(reserved))

    def _bury(self, owner: str, book: Book, at: datetime) -> None:
        """Take for spent, for good, what was set aside by processes that died."""
        for call_id, entry in book.entries.items():
            if entry.is_over(at):
                entry.amount, entry.expires_at = self._find_cost(owner, call_id, entry), None

    def _find_cost(self, owner: str, call_id: UUID, entry: Entry) -> Money:
        """What a call is taken for: where its process died, what the ledger says, else all of it."""
        attempts = [kept.attempts.get(call_id) for kept in self._find_all(owner)]
        known = [_get_cost(each) for each in attempts if each is not None and _is_known(each)]
        return known[0] if known and entry.expires_at is not None else entry.amount

    def _find_costs(self, owner: str, account: Account, at: datetime) -> Iterable[Money]:
        kind, _, name = account.scope.partition("/")
        for kept in self._find_all(owner):
            for attempt in kept.attempts.values():
                is_counted = account.starts_at is None or attempt.started_at >= account.starts_at
                is_in_scope = {
                    "owner": True,
                    "conversation": str(kept.record.id) == name,
                    "provider": attempt.provider == name,
                }[kind]
                if is_counted and is_in_scope and _is_known(kept.read_attempt(attempt, at)):
                    yield _get_cost(attempt)


def _is_known(attempt: Attempt) -> bool:
    return attempt.outcome is not AttemptOutcome.PENDING and attempt.cost is not None


def _get_cost(attempt: Attempt) -> Money:
    assert attempt.cost is not None
    return attempt.cost.money


def _add(amounts: Iterable[Money]) -> Money:
    return sum(amounts, Money(0))
