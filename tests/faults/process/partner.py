"""A process that goes on with a conversation others go on with too, and tells what happens to it."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import Any

from process_cases import open_at

import tertulia
from tertulia import ConversationBusyError, TextDelta
from tertulia.services import keeping

LEASE_SECONDS = 0.4


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def stream(client: tertulia.Client, trip: tertulia.Conversation) -> None:
    """Ask once, and tell each word; the lease is short, and each renewal is told too."""
    keeping.LEASE, keeping.RENEW_SECONDS = timedelta(seconds=LEASE_SECONDS), LEASE_SECONDS / 4
    store = client._core.store
    update = store.update_lease

    async def update_and_tell(*arguments: Any) -> None:
        await update(*arguments)
        tell("renewed")

    store.update_lease = update_and_tell
    answer = trip.stream("Hello")
    async for event in answer:
        if isinstance(event, TextDelta):
            tell("shown", event.text)
    tell("whole", answer.reply.text)


async def send(trip: tertulia.Conversation, name: str) -> None:
    """Say three things as soon as it is this process's turn, beginning when the others do."""
    tell("ready")
    await asyncio.to_thread(sys.stdin.readline)
    for number in range(3):
        while True:
            try:
                await trip.send(f"{name}{number}")
                break
            except ConversationBusyError:
                await asyncio.sleep(0.005)
    tell("done")


async def main(what: str, url: str, store: str, conversation_id: str, name: str) -> None:
    async with open_at(url, store) as client:
        trip = await client.get(conversation_id)
        await (stream(client, trip) if what == "stream" else send(trip, name))


asyncio.run(main(*sys.argv[1:]))
