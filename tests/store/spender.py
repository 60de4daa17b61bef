"""
A process that makes so many calls, each of which costs a dollar, as long as the budget allows it.

It prints how many were let through, and how many were refused although they would have fitted.
"""

import asyncio
import json
import sys
from datetime import timedelta

from tertulia import Account, BudgetExceededError, Money, Reservation
from tertulia.builtin.sql.store import SQLStore
from tertulia.runtime.clock import SystemClock

URL, CALLS, LIMIT = sys.argv[1:]
DOLLAR, HIGHEST = Money.from_usd(1), Money.from_usd(3)


async def main() -> None:
    clock, limit = SystemClock(), Money.from_usd(LIMIT)
    store = SQLStore(URL, clock)
    await store.open()
    made = wrong = 0
    accounts = ((Account("owner", "all"), limit), (Account("provider/one", "all"), None))
    for _ in range(int(CALLS)):
        now = clock.now()
        call = Reservation(clock.new_id(), HIGHEST, accounts, now + timedelta(minutes=10))
        try:
            await store.reserve("ann", call, now)
        except BudgetExceededError as error:
            wrong += error.spent + HIGHEST <= limit
        else:
            await store.settle_reservation("ann", call.id, DOLLAR, now)
            made += 1
    sys.stdout.write(json.dumps([made, wrong]))
    await store.aclose()


asyncio.run(main())
