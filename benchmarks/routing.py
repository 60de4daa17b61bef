"""
Falling back, without and with a store, and what a provider that is down costs.

Without a store it is what the core does between two drivers: whom to ask, what a failure means, what is
remembered of it. Nobody is asked twice here: a wait would be measured instead.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import aiohttp

from benchmarks import raw
from benchmarks.clients import open_client, start_conversations
from benchmarks.surfaces import make_request
from benchmarks.table import Goal, Row
from benchmarks.timing import Work, compare
from tertulia import (
    AttemptOutcome,
    Client,
    Conversation,
    ProviderError,
    ProviderReply,
    Reply,
    Request,
    Routing,
    Target,
)
from tertulia.domain.routing import make_routing
from tertulia.services.core import Core
from tertulia.services.routing.router import Others, Route

TIMES = 10
DEAD_SENDS = 100
AT_ONCE = Routing(max_retries=0)
_ROUTING = make_routing(AT_ONCE, Routing())
_BODY = raw.render_body([("user", raw.QUESTION)])
_FAILURES = {"broken": "500", "limited": "429"}


async def measure_falling_back(url: str, rounds: int) -> list[Row]:
    """One target that fails and one that answers, against the same two calls by hand."""
    rows: list[Row] = []
    for scenario, status in _FAILURES.items():
        async with open_client(url, [scenario, "whole"]) as client, aiohttp.ClientSession() as session:
            rows += await _compare_fallback(client, session, url, scenario, status, rounds)
    return rows


async def _compare_fallback(
    client: Client, session: aiohttp.ClientSession, url: str, scenario: str, status: str, rounds: int
) -> list[Row]:
    core = find_core(client)
    targets = [Target(name, raw.MODEL) for name in (scenario, "whole")]
    conversations = await start_conversations(client, scenario, rounds * TIMES)

    async def call_twice() -> None:
        assert await raw.call(session, f"{url}/{scenario}", _BODY) is None
        await raw.call(session, f"{url}/whole", _BODY)

    works: dict[str, Work] = {
        "drivers": lambda: ask_in_turn(core, targets),
        "send": lambda: fall_back(core, conversations.pop(), "whole"),
        "raw": call_twice,
    }
    spent = await compare(works, rounds=rounds, times=TIMES)
    plain = spent["raw"]
    return [
        Row(f"fallback after {status}, drivers, CPU", spent["drivers"].cpu, plain.cpu, "µs", (Goal(1.5),)),
        Row(f"fallback after {status}, durable send, CPU", spent["send"].cpu, plain.cpu, "µs"),
        Row(
            f"fallback after {status}, durable send, wall",
            spent["send"].wall / 1000,
            plain.wall / 1000,
            "ms",
            (Goal(50, "ours"),),
        ),
    ]


async def ask_in_turn(core: Core, targets: Sequence[Target]) -> ProviderReply:
    """Ask one target after another as a send does, keeping nothing of it."""
    core.health.reset()  # else the first one would be passed over after a few failures
    route = Route(_ROUTING, core.health, core.plugins, random.random)
    left = list(route.line_up(targets))
    while True:
        target = left.pop(0)
        route.begin(target)
        try:
            return await _ask(core, target)
        except ProviderError as error:
            core.health.fail(target, error)
            decision = route.decide(error, target, left, 60.0)
            assert isinstance(decision, Others), "there was nobody left to ask"
            left = list(decision.targets)


async def _ask(core: Core, target: Target) -> ProviderReply:
    guard = core.health.guard(target.provider)
    assert guard.try_enter(0), "nothing limits it"
    core.health.begin(target)
    try:
        iterator, _ = core.plugins.send_message(Request(target, _REQUEST.messages))
        replies = [delta async for delta in iterator if isinstance(delta, ProviderReply)]
    finally:
        guard.leave()
    core.health.succeed(target, None)
    return replies[-1]


_REQUEST = make_request([("user", raw.QUESTION)], stream=False)


async def fall_back(core: Core, conversation: Conversation, fallback: str) -> Reply:
    """Send something that the first target does not answer."""
    core.health.reset()
    reply = await conversation.send(raw.QUESTION, fallback=[fallback], routing=AT_ONCE)
    assert len(reply.attempts) == 2, "the failing target was not asked first"
    return reply


async def measure_dead_provider(url: str, rounds: int) -> list[Row]:
    """How often a provider is asked that has stopped answering, and what it costs to pass it over."""
    async with open_client(url, ["broken", "whole"]) as client:
        dead = await start_conversations(client, "broken", DEAD_SENDS)
        replies = [await each.send(raw.QUESTION, fallback=["whole"], routing=AT_ONCE) for each in dead]
        attempts = [attempt for reply in replies for attempt in reply.attempts]
        asked = sum(attempt.outcome is AttemptOutcome.FAILED for attempt in attempts)
        passing = await start_conversations(client, "broken", rounds * TIMES)
        direct = await start_conversations(client, "whole", rounds * TIMES)
        works: dict[str, Work] = {
            "passed over": lambda: passing.pop().send(raw.QUESTION, fallback=["whole"], routing=AT_ONCE),
            "direct": lambda: direct.pop().send(raw.QUESTION),
        }
        spent = await compare(works, rounds=rounds, times=TIMES)
    return [
        Row(f"calls to a dead provider in {DEAD_SENDS} sends", asked, DEAD_SENDS, "", (Goal(6, "ours"),)),
        Row(
            "send past a dead provider (raw: without one), CPU",
            spent["passed over"].cpu,
            spent["direct"].cpu,
            "µs",
            (Goal(1.2),),
        ),
    ]


def find_core(client: Client) -> Core:
    """What the services of a client share."""
    core = client._core  # a benchmark looks inside
    assert core is not None, "the client is open"
    return core
