"""A process that appends so many messages, and writes down beside the database what was acknowledged."""

import asyncio
import os
import sqlite3
import sys
from functools import partial
from typing import Any

from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import Talk

FOLDER, TIMES, SYNCHRONOUS = sys.argv[1:]


class Connection(sqlite3.Connection):
    """A connection that lets less of a database be synchronised than the store asks for."""

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        return super().execute(sql.replace("synchronous=FULL", f"synchronous={SYNCHRONOUS}"), parameters)


async def main() -> None:
    store = SQLStore(f"sqlite:///{FOLDER}/conversations.db", clock := StandingClock())
    await store.open()
    talk = await Talk.begin(store, clock)
    acknowledged = os.open(f"{FOLDER}/acknowledged", os.O_WRONLY | os.O_CREAT)

    async def append(number: int) -> None:
        await talk.append(f"{number} " * 40)
        os.write(acknowledged, f"{number}\n".encode())

    for number in range(0, int(TIMES), 4):
        await asyncio.gather(*(append(number + each) for each in range(4)))
    os._exit(0)  # the log is not tidied up


sqlite3.connect = partial(sqlite3.connect, factory=Connection)
asyncio.run(main())
