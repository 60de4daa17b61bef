"""A process that talks without end and says which messages were acknowledged; it is meant to be killed."""

import asyncio
import sys
import uuid

import tertulia
from tertulia.testing import ScriptedProvider


async def main() -> None:
    provider = ScriptedProvider("fake")
    async with tertulia.open(store=sys.argv[1], providers={}, plugins=[provider], environ={}) as client:
        conversation = await client.start(provider="fake")
        while True:
            question, answer = uuid.uuid4().hex, uuid.uuid4().hex
            provider.says(answer)
            await conversation.send(question)
            sys.stdout.write(f"{question}\n{answer}\n")
            sys.stdout.flush()


asyncio.run(main())
