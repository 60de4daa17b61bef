"""
A process whose children ask for answers until it kills them, and who then look at what is left.

Each child is a copy of this process, so that it need not load anything. What this process prints at the end
is how many died, what was wrong, and how far behind the shown words the stored ones ever were.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from process_cases import WORD, open_at

import tertulia
from tertulia import AttemptOutcome, ConversationBusyError, Message, MessageStatus, Role, TextDelta
from tertulia.testing import StandingClock

LONGEST_LIFE_SECONDS = 0.8
Say = Callable[..., None]
Lines = list[list[str]]


class Child:
    """A copy of this process, and the whole lines it says."""

    def __init__(self, live: Callable[[Say], Coroutine[Any, Any, None]]) -> None:
        self._reading, writing = os.pipe()
        self._id = os.fork()
        self.killed_at = 0.0
        if self._id == 0:
            _be_child(live, writing)
        os.close(writing)

    def kill(self) -> None:
        """End it, wherever it is."""
        os.kill(self._id, signal.SIGKILL)
        self.killed_at = time.monotonic()

    def read(self) -> Lines:
        """All it has said, once it is dead."""
        said = b""
        while piece := os.read(self._reading, 65_536):
            said += piece
        os.close(self._reading)
        os.waitpid(self._id, 0)
        return [line.split(" ", 3) for line in said.decode().rpartition("\n")[0].splitlines()]


def _be_child(live: Callable[[Say], Coroutine[Any, Any, None]], writing: int) -> None:
    def say(*words: object) -> None:
        os.write(writing, (" ".join(map(str, words)) + "\n").encode())

    try:
        asyncio.run(live(say))
    except BaseException:  # noqa: BLE001  # it is the child's end, and its parent is to know why
        say("wrong", "-", "-", traceback.format_exc().replace("\n", " | "))
    os._exit(0)


async def ask_once(url: str, store: str) -> None:
    """Ask for one answer, of one word."""
    async with open_at(url, store) as client:
        assert (await (await client.start(provider="mine")).send("Go.")).text == WORD


async def ask_on(url: str, store: str, say: Say) -> None:
    """Ask for one answer after another, and tell what is shown, what is written down and what is whole."""
    async with open_at(url, store) as client:
        trip = await client.start(provider="mine")
        _tell_of_checkpoints(client, str(trip.id), say)
        while True:
            shown = 0
            stream = trip.stream("Go.")
            async for event in stream:
                if isinstance(event, TextDelta):
                    shown += len(event.text)
                    say("shown", trip.id, shown, time.monotonic())
            say("whole", trip.id, len(stream.reply.text), stream.reply.message.id)


def _tell_of_checkpoints(client: tertulia.Client, conversation_id: str, say: Say) -> None:
    store = client._core.store
    add, kept = store.add_checkpoint, 0

    async def add_and_tell(*place: Any) -> None:
        nonlocal kept
        await add(*place)
        checkpoint = place[-1]
        kept = len(checkpoint.text) + (kept if checkpoint.number else 0)
        say("kept", conversation_id, kept, checkpoint.answer_id)

    store.add_checkpoint = add_and_tell


async def look(store: str, said: Mapping[str, tuple[Lines, float]], say: Say) -> None:
    """See the dead from another process: while their leases live, and an hour later."""
    async with open_at("http://127.0.0.1:9", store) as client:
        for conversation_id in said:
            await _look_at_once(await client.get(conversation_id), say)
    clock = StandingClock(datetime.now(UTC) + timedelta(hours=1))
    async with open_at("http://127.0.0.1:9", store, clock=clock) as client:
        for conversation_id, (lines, killed_at) in said.items():
            await _look_later(await client.get(conversation_id), lines, killed_at, say)
        for problem in (await client._core.store.verify()).problems:
            say("wrong", "-", "-", problem)


async def _look_at_once(trip: tertulia.Conversation, say: Say) -> None:
    pending = [each for each in await trip.attempts() if each.outcome is AttemptOutcome.PENDING]
    statuses = {message.status for message in await trip.history()}
    if MessageStatus.INTERRUPTED in statuses:
        say("wrong", trip.id, "-", "interrupted while its lease lives")
    if pending:
        try:
            await trip.append(Message.of("user", "I do not wait."))
        except ConversationBusyError:
            say("pending", trip.id)
        else:
            say("wrong", trip.id, "-", "somebody else could go on while its lease lives")


async def _look_later(trip: tertulia.Conversation, lines: Lines, killed_at: float, say: Say) -> None:
    messages = await trip.history()
    found = {str(message.id): message for message in messages}
    last = messages[-1] if messages else None
    if MessageStatus.PENDING in {message.status for message in messages}:
        say("wrong", trip.id, "-", "pending for ever")
    for message in messages:
        if message.role is Role.ASSISTANT and message.text != WORD * (len(message.text) // len(WORD)):
            say("wrong", trip.id, "-", "not what was said")
    behind = 0.0
    for kind, _, length, more in lines:
        if kind == "shown":
            # What was shown last is of the last answer, the one that the process died of.
            is_kept = last is not None and last.role is Role.ASSISTANT and len(last.text) >= int(length)
            behind = max(behind, 0.0 if is_kept else killed_at - float(more))
        elif kind == "whole":
            behind = 0.0
            if more not in found or found[more].status is not MessageStatus.COMPLETE:
                say("wrong", trip.id, "-", "a whole answer is lost")
        elif len(found[more].text) < int(length):
            say("wrong", trip.id, "-", "words that were written down are lost")
    say("behind", trip.id, behind)
    if last is not None and last.status is MessageStatus.INTERRUPTED:
        say("interrupted", trip.id, len(last.text))


def main(url: str, store: str, rounds: int, at_once: int, seed: int) -> None:
    """Let some live at a time, and look at each round of them."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    counts: dict[str, float] = {"killed": 0, "pending": 0, "interrupted": 0, "behind": 0.0}
    wrong: list[str] = []
    asyncio.run(ask_once(url, store))  # so that the children need not load what this loads
    for _ in range(rounds):
        children = [Child(lambda say: ask_on(url, store, say)) for _ in range(at_once)]
        began = time.monotonic()
        for child, life in zip(
            children, sorted(chance.uniform(0.05, LONGEST_LIFE_SECONDS) for _ in children), strict=True
        ):
            time.sleep(max(0.0, began + life - time.monotonic()))
            child.kill()
        said: dict[str, tuple[Lines, float]] = {}
        for child in children:
            lines = child.read()
            counts["killed"] += 1
            wrong += [" ".join(line) for line in lines if line[0] == "wrong"]
            if lines:
                said[lines[0][1]] = (lines, child.killed_at)
        looking = Child(lambda say, said=said: look(store, said, say))  # type: ignore[misc]
        for kind, *words in looking.read():
            if kind == "wrong":
                wrong.append(" ".join(words))
            elif kind == "behind":
                counts["behind"] = max(counts["behind"], float(words[1]))
            else:
                counts[kind] += 1
    sys.stdout.write(json.dumps({**counts, "wrong": wrong}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
