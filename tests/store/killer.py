"""
A process whose children write to a database until it kills them, at random moments, and who then look at it.

Each child is a copy of this process, so that it need not load anything and a thousand can die in minutes. It
knows what those before it had acknowledged, and looks whether all of it is there before it goes on. What
this process prints at the end is how many died, and what was wrong.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from operations import WRITING, World

from tertulia import ConversationNotFoundError, StoreError, TertuliaError
from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import OWNER

BEGAN = datetime(2027, 1, 1, tzinfo=UTC)
PER_DATABASE = 25
LONGEST_LIFE_SECONDS, MOST_DEEDS = 0.01, 30
PATIENCE_SECONDS = 60

CHURN = sorted(set(WRITING) - {"write_statistics", "write_search"})
"""All but what makes a wrong counter first, and what empties the index first."""

Say = Callable[..., None]
Live = Callable[[Say], Coroutine[Any, Any, None]]


def run_child(live: Live, life_seconds: float | None, deeds: int = 0) -> tuple[list[list[str]], bool]:
    """
    Let a child live until its time has come, and return its whole lines and whether it was killed.

    Args:
        life_seconds: Once it has said ``ready`` and done so many things; None to let it live.
        deeds: So many.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(live, writing)
    os.close(writing)
    said, end = b"", time.monotonic() + PATIENCE_SECONDS
    is_counting = False
    while (left := end - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            if not (piece := os.read(reading, 65_536)):
                break
            said += piece
        _, is_ready, done = said.partition(b"ready\n")
        if life_seconds is not None and is_ready and not is_counting and done.count(b"\n") >= deeds:
            is_counting, end = True, time.monotonic() + life_seconds
    os.kill(child, signal.SIGKILL)
    while piece := os.read(reading, 65_536):
        said += piece
    os.close(reading)
    _, status = os.waitpid(child, 0)
    lines = said.decode().rpartition("\n")[0].splitlines()
    return [line.split(" ", 2) for line in lines], os.WIFSIGNALED(status)


def _be_child(live: Live, writing: int) -> None:
    def say(*words: object) -> None:
        os.write(writing, (" ".join(map(str, words)) + "\n").encode())

    try:
        asyncio.run(live(say))
    except BaseException:  # noqa: BLE001  # it is the child's end, and its parent is to know why
        say("wrong", "-", traceback.format_exc().replace("\n", " | "))
    os._exit(0)


async def write(url: str, number: int, seed: int, known: list[list[str]], say: Say) -> None:
    """Look at what those before have left, then do whatever there is, some at a time, without end."""
    store = SQLStore(url, clock := StandingClock(BEGAN + timedelta(days=number)))
    await store.open()
    await look(store, known, say)
    chance = random.Random(seed)  # noqa: S311  # no secret
    world = await World.make(store, clock)
    say("ready")
    await asyncio.gather(
        append(world, say), append(world, say), *(churn(world, chance, say) for _ in range(2))
    )


async def append(world: World, say: Say) -> None:
    """Say one thing after another, on a conversation of one's own."""
    world = await World.make(world.store, world.clock)
    while True:
        message = await world.talk.append("Once more, with feeling.")
        say("message", world.talk.id, message.id)


async def churn(world: World, chance: random.Random, say: Say) -> None:
    """Do any operation, again and again; what is refused since another was faster is left."""
    while True:
        name = chance.choice(CHURN)
        each = await World.make(world.store, world.clock)
        try:
            act = await getattr(each, name)()
            result = await act()
        except StoreError:
            raise
        except TertuliaError:
            continue
        say("did", name)
        if name == "write_expiry":
            for conversation_id in result:
                say("purged", conversation_id)
        if name == "write_trees":
            say("imported", *result)
        if name == "write_answer":
            say("message", each.talk.id, result.id)


async def look(store: SQLStore, known: list[list[str]], say: Say) -> None:
    """Hold a store against what was acknowledged."""
    for problem in (await store.verify()).problems:
        say("wrong", problem.kind, f"{problem} ({problem.conversation_id})")
    messages: dict[str, set[str]] = {}
    for kind, conversation_id, *message_id in known:
        try:
            if conversation_id not in messages:
                found = await store.find_messages(OWNER, UUID(conversation_id), limit=100_000)
                messages[conversation_id] = {str(message.id) for message in found}
        except ConversationNotFoundError:
            messages[conversation_id] = set()
        if (kind == "purged") == bool(messages[conversation_id]):
            say("wrong", "lost", f"{kind} {conversation_id}")
        elif not messages[conversation_id].issuperset(message_id):
            say("wrong", "lost", f"{message_id}")


def kill_writers(folder: Path, times: int, seed: int) -> dict[str, Any]:
    """Kill so many children that write, one after another."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    acknowledged, killed = 0, 0
    wrong: list[object] = []
    known: list[list[str]] = []
    for number in range(times):
        path = folder / f"{number // PER_DATABASE}.db"
        if number % PER_DATABASE == 0:
            known = []
        args = (f"sqlite:///{path}", number, chance.randrange(2**32), list(known))
        life, deeds = chance.random() * LONGEST_LIFE_SECONDS, chance.randrange(MOST_DEEDS)
        lines, was_killed = run_child(lambda say, args=args: write(*args, say), life, deeds)
        killed += was_killed
        wrong += [(number, line) for line in lines if line[0] == "wrong"]
        news = [line for line in lines if line[0] in ("message", "purged", "imported")]
        acknowledged += len(news)
        known += news
        if number % PER_DATABASE == PER_DATABASE - 1 or number == times - 1:
            wrong += check(path, number + 1, known)
    return {"killed": killed, "acknowledged": acknowledged, "wrong": wrong[:5]}


def check(path: Path, number: int, known: list[list[str]]) -> list[object]:
    """Let a last child look, which is not killed."""

    async def live(say: Say) -> None:
        store = SQLStore(f"sqlite:///{path}", StandingClock(BEGAN + timedelta(days=number)))
        await store.open()
        await look(store, known, say)
        await store.aclose()
        say("well")

    lines, _ = run_child(live, None)
    return [] if lines == [["well"]] else [(number, lines[:5])]


def kill_migrations(old: Path, folder: Path, times: int, seed: int) -> dict[str, Any]:
    """Kill so many children that bring a database to this version, and let another finish."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    path = folder / "old.db"

    async def migrate(say: Say) -> None:
        say("ready")
        store = SQLStore(f"sqlite:///{path}", StandingClock(BEGAN))
        await store.open()
        say("open")
        await store.aclose()

    began, seconds = time.monotonic(), 0.0
    outcomes: list[str] = []
    wrong: list[object] = []
    for number in range(times + 1):
        with suppress(FileNotFoundError):
            for beside in ("-wal", "-shm"):
                path.with_name(path.name + beside).unlink()
        shutil.copy(old, path)
        life = None if number == 0 else seconds * (number - chance.random()) / times
        lines, _ = run_child(migrate, life)
        seconds = seconds or time.monotonic() - began
        outcomes.append("finished" if ["open"] in lines else "killed")
        wrong += [line for line in lines if line[0] == "wrong"]
        wrong += check(path, number, [])
    return {"killed": outcomes.count("killed"), "seconds": round(seconds, 2), "wrong": wrong[:5]}


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    times, seed = int(rest[-2]), int(rest[-1])
    places = [Path(each) for each in rest[:-2]]
    result = (kill_writers if what == "writers" else kill_migrations)(*places, times, seed)
    sys.stdout.write(json.dumps(result))
