"""Whatever a history holds, however small the budget: what is sent can be sent, and is what it should be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from context_checks import find_problems
from context_listeners import SERVICES, listen
from context_stores import SHARED, Opener
from context_worlds import World, ask, make_world

import tertulia
from tertulia import Client, Message
from tertulia.testing import MemoryStore, StandingClock
from torture import TORTURED, scale

BATCH = 25
SEEDS = scale(2500) if TORTURED else 300
"""A hundred thousand with ``make torture``."""


class Summariser:
    """Sums up without asking a model."""

    @tertulia.hookimpl
    def summarise(self, messages: Sequence[Message], before: str | None) -> str:
        return f"{before or 'They talked.'} Then {len(messages)} things were said."


@asynccontextmanager
async def opened(store: tertulia.Store, clock: StandingClock) -> AsyncIterator[tuple[Client, dict[str, Any]]]:
    """A client of providers that nobody is behind, and those."""
    providers = {service: listen(service) for service in SERVICES}
    plugins = [Opener(store), Summariser(), *providers.values()]
    async with tertulia.open(store=SHARED, providers={}, plugins=plugins, environ={}, clock=clock) as client:
        yield client, providers


def make_store(first: int, clock: StandingClock) -> tertulia.Store:
    """One in memory, or every fourth time a database there."""
    if first // BATCH % 4:
        return MemoryStore(clock)
    from tertulia.builtin.sql.store import SQLStore

    return SQLStore("memory:", clock)


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
async def test_whatever_was_said_what_is_sent_can_be_sent(first):
    """
    Nothing over the budget, no pin lost, no pair split, nothing changed or out of order, the same every time.
    """
    clock = StandingClock()
    store = make_store(first, clock)
    failures: list[str] = []
    async with opened(store, clock) as (client, providers), opened(store, clock) as (other, _):
        for seed in range(first, first + BATCH):
            world = await make_world(client, clock, seed)
            seen = [await look_ahead(client, world), await look_ahead(other, world)]
            outcome = await ask(world, providers[world.service])
            problems = find_problems(world, outcome, providers[world.service])
            sent = shown(outcome.heard[0].messages[:-1]) if outcome.heard else message_of(outcome.error)
            is_foretold = world.options.strategy != "summary"  # which is not written to look ahead
            if is_foretold and any(each != sent for each in seen):
                problems.append("what is sent is not what was foretold")
            failures += [f"seed {seed} ({world.service}, {world.options}): {each}" for each in problems]

    assert "" == "\n".join(failures)


async def test_no_service_refuses_what_is_sent(simulator):
    """The same conversations over HTTP, to services that check what they are sent."""
    chat = simulator.providers(api="chat")
    providers = {**simulator.providers(), "openai-chat": chat["openai"], "xai-chat": chat["xai"]}
    clock = StandingClock()
    plugins = [Opener(MemoryStore(clock)), Summariser()]
    settings: Any = {"store": SHARED, "providers": providers, "plugins": plugins, "environ": {}}
    answered = 0
    async with tertulia.open(**settings, clock=clock) as client:
        for seed in range(1_000_000, 1_000_025):
            world = await make_world(client, clock, seed)
            try:
                reply = await world.talk.send(
                    world.question, tools=world.tools, context=world.options, fallback=()
                )
            except tertulia.ContextOverflowError:
                continue
            answered += 1
            assert reply.provider == world.service

    assert answered > 12


async def look_ahead(client: Client, world: World) -> Any:
    """What would be sent, besides the newest message; or why nothing would be."""
    talk = await client.get(world.talk.id, branch=world.talk.branch)
    try:
        context = await talk.preview_context(world.question, tools=world.tools, context=world.options)
    except tertulia.TertuliaError as error:
        return message_of(error)
    return shown(context.messages[:-1])


def shown(messages: Sequence[Message]) -> list[Any]:
    """What a model would see of messages."""
    return [(message.id, message.role, message.parts) for message in messages]


def message_of(error: tertulia.TertuliaError | None) -> str | None:
    """What happened, besides what became of the message."""
    return None if error is None else error.message
