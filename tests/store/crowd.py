"""A process whose disk is nearly full, and which appends ten messages at once; one fits only later."""

import asyncio
import json
import resource
import signal
import sys

from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER, Talk


async def main() -> None:
    store = SQLStore(sys.argv[1], clock := StandingClock())
    await store.open()
    talk = await Talk.begin(store, clock)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    messages = [talk.make_message(str(number)) for number in range(10)]
    messages[5] = talk.make_message("x" * 2_000_000)
    outcomes = await asyncio.gather(
        *(store.add_message(OWNER, talk.id, MAIN, message) for message in messages), return_exceptions=True
    )
    assert () == (await store.verify()).problems
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    outcomes.append(await store.add_message(OWNER, talk.id, MAIN, messages[5]))
    assert () == (await store.verify()).problems
    sys.stdout.write(json.dumps([type(outcome).__name__ for outcome in outcomes]))
    await store.aclose()


asyncio.run(main())
