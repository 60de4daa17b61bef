"""A process whose disk fills up in the middle of an answer, and has room again later."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys

from process_cases import WORD, open_at

import tertulia
from tertulia import TextDelta

ROOM = 40_000
"""Bytes that the files may still grow by: enough for the question, too little for the answer."""


async def main(url: str, store: str, path: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    told: dict[str, object] = {}
    async with open_at(url, store) as client:
        trip = await client.start(provider="mine")
        shown, error = "", None
        try:
            async for event in trip.stream("Hello"):
                if isinstance(event, TextDelta):
                    shown += event.text
                if shown == WORD:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (0, unlimited[1]))
        except tertulia.StoreError as raised:
            error = raised
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        assert error is not None
        assert error.reply is not None
        told |= {"shown": shown, "reply": error.reply.text, "location": error.location, "kept": error.kept}
        told["next_step"] = error.next_step
        again = await client.get(trip.id)
        told["before"] = [message.text for message in await again.history()]
        saved = await again.save(error.reply)
        told["saved"] = saved.text
        told["after"] = [message.text for message in await again.history()]
        told["problems"] = len((await client._core.store.verify()).problems)
    sys.stdout.write(json.dumps(told))


asyncio.run(main(*sys.argv[1:]))
