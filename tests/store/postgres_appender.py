"""A process that appends so many messages to a conversation, one after another."""

import asyncio
import sys
from uuid import UUID

import attrs

from tertulia import Message
from tertulia.builtin.sql.store import SQLStore
from tertulia.runtime.clock import SystemClock

URL, CONVERSATION, APPENDS, NAME = sys.argv[1:]


async def main() -> None:
    clock = SystemClock()
    store = SQLStore(URL, clock)
    await store.open()
    for number in range(int(APPENDS)):
        message = Message.of("user", f"{NAME}-{number}")
        message = attrs.evolve(message, id=clock.new_id(), created_at=clock.now())
        await store.add_message("ann", UUID(CONVERSATION), "main", message)
    await store.aclose()


asyncio.run(main())
