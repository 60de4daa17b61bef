"""
A process that writes without end and says what was acknowledged; it is meant to be killed.

Each line is a message's words, or the id of an answer that is coming and its words so far.
"""

import asyncio
import sys
import uuid

from tertulia import Text
from tertulia.builtin.sql.store import SQLStore
from tertulia.runtime.clock import SystemClock
from tertulia.testing.contracts.talk import Talk, make_record


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def append(talk: Talk) -> None:
    words = uuid.uuid4().hex
    await talk.append(words)
    say("message", words)


async def stream(talk: Talk) -> None:
    question, answer_id = uuid.uuid4().hex, talk.clock.new_id()
    attempt = await talk.ask(question)
    say("message", question)
    shown = ""
    for number in range(8):
        piece = uuid.uuid4().hex
        await talk.show(attempt, answer_id, piece, first=number)
        shown += piece
        say("answer", answer_id, shown)
    await talk.answer(attempt, Text(shown), shown_as=answer_id)
    say("message", shown)


async def main() -> None:
    clock = SystemClock()
    store = SQLStore(sys.argv[1], clock)
    await store.open()
    record = make_record(clock)
    await store.add_conversation(record)
    talk = Talk(store, clock, record.id)
    while True:
        await asyncio.gather(*(append(talk) for _ in range(8)))
        await stream(talk)


asyncio.run(main())
