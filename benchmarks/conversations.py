"""Whole sends on SQLite: written ahead, asked, settled."""

from __future__ import annotations

import aiohttp

from benchmarks import raw
from benchmarks.clients import Seed, open_client, start_conversations
from benchmarks.driver import make_turns
from benchmarks.routing import fall_back, find_core
from benchmarks.table import Goal, Row
from benchmarks.timing import Work, compare

TIMES = 10
EARLY_TURN, LATE_TURN = 10, 2000
WINDOW = 20
_BODY = raw.render_body([("user", raw.QUESTION)])


async def measure_durable_send(url: str, rounds: int) -> list[Row]:
    """A first message, on disk before and after, against a call that keeps nothing."""
    async with open_client(url, ["whole"]) as client, aiohttp.ClientSession() as session:
        conversations = await start_conversations(client, "whole", rounds * TIMES)
        works: dict[str, Work] = {
            "ours": lambda: conversations.pop().send(raw.QUESTION),
            "raw": lambda: raw.call(session, f"{url}/whole", _BODY),
        }
        spent = await compare(works, rounds=rounds, times=TIMES)
    ours, plain = spent["ours"], spent["raw"]
    return [
        Row("durable send, CPU", ours.cpu, plain.cpu, "µs", (Goal(4),)),
        Row("durable send, CPU of the event loop alone", ours.loop, plain.loop, "µs"),
        Row("durable send, wall", ours.wall, plain.wall, "µs"),
    ]


async def measure_fallback(url: str, rounds: int) -> list[Row]:
    """
    A send whose first target answers 503, against two calls.

    What the fallback adds is such a send less one that is answered at once, against one call.
    """
    async with open_client(url, ["overloaded", "whole"]) as client, aiohttp.ClientSession() as session:
        failing = await start_conversations(client, "overloaded", rounds * TIMES)
        healthy = await start_conversations(client, "whole", rounds * TIMES)

        core = find_core(client)

        async def call_twice() -> None:
            assert await raw.call(session, f"{url}/overloaded", _BODY) is None
            await raw.call(session, f"{url}/whole", _BODY)

        works: dict[str, Work] = {
            "ours": lambda: fall_back(core, failing.pop(), "whole"),
            "direct": lambda: healthy.pop().send(raw.QUESTION),
            "raw": call_twice,
        }
        spent = await compare(works, rounds=rounds, times=TIMES)
    ours, direct, plain = spent["ours"], spent["direct"], spent["raw"]
    return [
        Row("durable send with fallback after 503, CPU", ours.cpu, plain.cpu, "µs", (Goal(1.5),)),
        Row("what the fallback adds, CPU", ours.cpu - direct.cpu, plain.cpu / 2, "µs"),
        Row(
            "fallback past Retry-After: 20, wall",
            ours.wall / 1000,
            plain.wall / 1000,
            "ms",
            (Goal(50, "ours"),),
        ),
    ]


async def measure_late_turn(url: str, rounds: int) -> list[Row]:
    """A send at turn 2,000 against one at turn 10, with the whole history and with the newest messages."""
    windows = [("all sent", None), (f"newest {WINDOW} sent", WINDOW)]
    return [await _compare_turns(url, rounds, name, window) for name, window in windows]


async def _compare_turns(url: str, rounds: int, name: str, window: int | None) -> Row:
    seeds = [Seed(make_turns(2 * turn), "whole") for turn in (EARLY_TURN, LATE_TURN)]
    async with open_client(url, ["whole"], context_window=window, seeds=seeds) as client:
        early, late = [await client.get(seed.id) for seed in seeds]
        works: dict[str, Work] = {
            "early": lambda: early.send(raw.QUESTION),
            "late": lambda: late.send(raw.QUESTION),
        }
        spent = await compare(works, rounds=rounds, times=1)
    return Row(
        f"send at turn 2,000 (raw: at turn 10), {name}, CPU",
        spent["late"].cpu,
        spent["early"].cpu,
        "µs",
        (Goal(1.5),),
    )
