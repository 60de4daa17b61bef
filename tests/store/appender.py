"""
A process that appends so many messages to a conversation, one after another.

It prints how its connection is set up, the longest of its waits, and the longest of 99 in 100.
"""

import asyncio
import json
import sys
import time
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
    waits: list[float] = []
    for number in range(int(APPENDS)):
        message = Message.of("user", f"{NAME}-{number}")
        message = attrs.evolve(message, id=clock.new_id(), created_at=clock.now())
        began = time.monotonic()
        await store.add_message("ann", UUID(CONVERSATION), "main", message)
        waits.append(time.monotonic() - began)
    names = ("journal_mode", "synchronous")
    pragmas = await store._engine.write(
        lambda database: [database.connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
    )
    rare = sorted(waits)[len(waits) * 99 // 100]
    sys.stdout.write(json.dumps({"pragmas": pragmas, "rare": rare, "longest": max(waits)}))
    await store.aclose()


asyncio.run(main())
