"""
What is spent and set aside.

An account's row is held while it is read and changed, so that no two calls are let through for what only one
of them may cost; accounts are taken in one order, so that nobody waits for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import ColumnElement, and_, delete, exists, insert, null, select, update

from tertulia.builtin.sql import schema
from tertulia.builtin.sql.binding import Selection, bind, is_
from tertulia.builtin.sql.costs import get_costs
from tertulia.builtin.sql.database import LARGEST, Database, Row
from tertulia.builtin.sql.ledger import Scope
from tertulia.builtin.sql.schema import PENDING
from tertulia.domain.budget import Account, AccountState, Reservation
from tertulia.domain.periods import Period
from tertulia.domain.usage import Money
from tertulia.errors import BudgetExceededError

_ACCOUNT = schema.budget_account.c
_RESERVATION = schema.budget_reservation.c
_WARNING = schema.budget_warning.c
_ATTEMPT = schema.attempt.c

_NEAR = timedelta(days=1)
"""An attempt begins when its cost is set aside; clocks differ by less, and its place in time is indexed."""


@attrs.define(eq=False)
class _Balance:
    """
    What an account holds.

    Attributes:
        is_new: Whether it has no row yet.

        dead: What was reserved in it by processes that died, with what each is taken for.
    """

    account: Account
    spent: int
    reserved: int
    is_new: bool = False
    dead: list[Row] = attrs.field(factory=list[Row])

    def render(self, owner: str) -> Row:
        """Its row; a sum that no column holds stays at the most one does."""
        return {
            **_render_account(owner, self.account),
            "spent_pico": min(self.spent, LARGEST),
            "reserved_pico": min(max(self.reserved, 0), LARGEST),
        }

    def make_state(self) -> AccountState:
        """The same as a value."""
        return AccountState(self.account, Money(self.spent), Money(self.reserved))


def reserve(database: Database, owner: str, reservation: Reservation, at: datetime) -> Sequence[AccountState]:
    """Set aside what a call can cost at most, in all its accounts or in none."""
    in_turn = sorted((account for account, _ in reservation.accounts), key=_sort)
    balances = {each: _read(database, owner, each, at, _HOLD_ACCOUNT) for each in in_turn}
    for account, limit in reservation.accounts:
        _refuse_excess(balances[account], reservation.amount, limit)
    for balance in balances.values():
        balance.reserved += reservation.amount.pico
        _write(database, owner, balance)
        _add_reservation(database, owner, balance.account, reservation, at)
    return [balances[account].make_state() for account, _ in reservation.accounts]


def settle(
    database: Database, owner: str, reservation_id: UUID, spent: Money | None, at: datetime
) -> Sequence[AccountState]:
    """Put what a call did cost in the place of what was set aside for it."""
    values = {"owner_id": owner, "id": reservation_id}
    accounts = [Account(row["scope"], row["period"]) for row in database.all(_FIND_RESERVATION, values)]
    return [
        state
        for account in sorted(accounts, key=_sort)
        if (state := _settle_in(database, owner, account, reservation_id, spent, at)) is not None
    ]


def renew(database: Database, owner: str, reservation_id: UUID, expires_at: datetime) -> None:
    """Say that the process which made a reservation lives."""
    values = {"owner_id": owner, "id": reservation_id, "expires_at": expires_at}
    database.run(_RENEW_RESERVATION, values)


def get_accounts(
    database: Database, owner: str, accounts: Sequence[Account], at: datetime
) -> Sequence[AccountState]:
    """What accounts hold, in their order."""
    return [_read(database, owner, each, at, _GET_ACCOUNT).make_state() for each in accounts]


def claim_warning(database: Database, owner: str, account: Account, level: Money) -> bool:
    """Say whether nobody has been warned yet that an account reached a level."""
    values = {**_render_account(owner, account), "level_pico": min(level.pico, LARGEST)}
    return database.run(_ADD_WARNING, values) == 1


def _settle_in(
    database: Database, owner: str, account: Account, reservation_id: UUID, spent: Money | None, at: datetime
) -> AccountState | None:
    values = {**_render_account(owner, account), "id": reservation_id}
    held = database.first(_HOLD_ACCOUNT, {**values, "now": at})
    removed = database.first(_REMOVE_RESERVATION, values)
    if held is None or removed is None:
        return None  # somebody settled it a moment ago
    cost = removed["amount_pico"] if spent is None else spent.pico
    balance = _Balance(account, held["spent_pico"] + cost, held["reserved_pico"])
    if removed["expires_at"] is None:
        balance.spent -= removed["amount_pico"]
    else:
        balance.reserved -= removed["amount_pico"]
    _write(database, owner, balance)
    return _read(database, owner, account, at, _GET_ACCOUNT).make_state()


def _refuse_excess(balance: _Balance, amount: Money, limit: Money | None) -> None:
    held = Money(balance.spent + balance.reserved)
    if limit is not None and (held + amount).pico > limit.pico:
        account = balance.account
        raise BudgetExceededError(
            f"{held} of {limit} are spent or set aside ({account.scope}, {account.period}), "
            f"and the call may cost {amount}",
            account=account,
            limit=limit,
            spent=held,
            needed=amount,
            kept="nothing was set aside",
        )


def _read(database: Database, owner: str, account: Account, at: datetime, statement: Selection) -> _Balance:
    """What an account holds, those who died being done with it."""
    values = {**_render_account(owner, account), "now": at}
    row = database.first(statement, values)
    if row is None:
        return _Balance(account, _count_ledger(database, owner, account, at), 0, is_new=True)
    balance = _Balance(account, row["spent_pico"], row["reserved_pico"])
    for dead in database.all(_FIND_DEAD, values) if row["has_dead"] else ():
        cost = _find_cost(database, owner, dead)
        balance.dead.append({**dead, "amount_pico": cost})
        balance.reserved -= dead["amount_pico"]
        balance.spent += cost
    return balance


def _count_ledger(database: Database, owner: str, account: Account, at: datetime) -> int:
    """What attempts are known to have cost."""
    kind, _, name = account.scope.partition("/")
    scope = Scope(
        owner,
        Period.of(account.starts_at, None),
        provider=name if kind == "provider" else None,
        conversation_id=UUID(name) if kind == "conversation" else None,
    )
    return get_costs(database, scope, (), at).total.cost.money.pico


def _find_cost(database: Database, owner: str, dead: Row) -> int:
    """What a call of a process that died is taken for: what the ledger says, or all that was set aside."""
    begun = dead["created_at"]
    values = {"owner_id": owner, "id": dead["id"], "since": begun - _NEAR, "until": begun + _NEAR}
    row = database.first(_FIND_COST, values)
    return int(dead["amount_pico"] if row is None else row["cost_pico"])


def _write(database: Database, owner: str, balance: _Balance) -> None:
    row = balance.render(owner)
    database.run(_ADD_ACCOUNT if balance.is_new else _UPDATE_ACCOUNT, row)
    for dead in balance.dead:
        database.run(_TAKE_FOR_SPENT, {**row, **dead})


def _add_reservation(
    database: Database, owner: str, account: Account, reservation: Reservation, at: datetime
) -> None:
    facts = {"id": reservation.id, "amount_pico": reservation.amount.pico, "created_at": at}
    row = {**_render_account(owner, account), **facts, "expires_at": reservation.expires_at}
    database.run(_ADD_RESERVATION, row)


def _render_account(owner: str, account: Account) -> dict[str, Any]:
    return {"owner_id": owner, "scope": account.scope, "period": account.period}


def _sort(account: Account) -> tuple[str, str]:
    return account.scope, account.period


def _of(columns: Any) -> ColumnElement[bool]:
    """Rows of one account."""
    return and_(is_(columns.owner_id), is_(columns.scope), is_(columns.period))


_IS_RESERVATION = and_(_of(_RESERVATION), is_(_RESERVATION.id))
_IS_DEAD = and_(_of(_RESERVATION), _RESERVATION.expires_at <= bind(_RESERVATION.expires_at, "now"))
_GET_ACCOUNT = select(
    _ACCOUNT.spent_pico, _ACCOUNT.reserved_pico, exists().where(_IS_DEAD).label("has_dead")
).where(_of(_ACCOUNT))
_HOLD_ACCOUNT = _GET_ACCOUNT.with_for_update(of=schema.budget_account)
_ADD_ACCOUNT = insert(schema.budget_account).values(
    {column.name: bind(column) for column in schema.budget_account.c}
)
_UPDATE_ACCOUNT = (
    update(schema.budget_account)
    .where(_of(_ACCOUNT))
    .values(spent_pico=bind(_ACCOUNT.spent_pico), reserved_pico=bind(_ACCOUNT.reserved_pico))
)
_ADD_RESERVATION = insert(schema.budget_reservation).values(
    {column.name: bind(column) for column in schema.budget_reservation.c}
)
_FIND_RESERVATION = select(_RESERVATION.scope, _RESERVATION.period).where(
    is_(_RESERVATION.owner_id), is_(_RESERVATION.id)
)
_REMOVE_RESERVATION = (
    delete(schema.budget_reservation)
    .where(_IS_RESERVATION)
    .returning(_RESERVATION.amount_pico, _RESERVATION.expires_at)  # of IS NULL, SQLite 3.40 returns nonsense
)
_RENEW_RESERVATION = (
    update(schema.budget_reservation)
    .where(is_(_RESERVATION.owner_id), is_(_RESERVATION.id), _RESERVATION.expires_at.is_not(None))
    .values(expires_at=bind(_RESERVATION.expires_at))
)
_FIND_DEAD = select(_RESERVATION.id, _RESERVATION.amount_pico, _RESERVATION.created_at).where(_IS_DEAD)
_TAKE_FOR_SPENT = (
    update(schema.budget_reservation)
    .where(_IS_RESERVATION)
    .values(amount_pico=bind(_RESERVATION.amount_pico), expires_at=null())
)
_FIND_COST = select(_ATTEMPT.cost_pico).where(
    is_(_ATTEMPT.owner_id),
    is_(_ATTEMPT.id),
    _ATTEMPT.started_at >= bind(_ATTEMPT.started_at, "since"),
    _ATTEMPT.started_at <= bind(_ATTEMPT.started_at, "until"),
    _ATTEMPT.outcome != PENDING,
    _ATTEMPT.cost_pico.is_not(None),
)
_ADD_WARNING = insert(schema.budget_warning).from_select(
    [column.name for column in schema.budget_warning.c],
    select(*map(bind, schema.budget_warning.c)).where(
        ~exists().where(_of(_WARNING), is_(_WARNING.level_pico))
    ),
)
