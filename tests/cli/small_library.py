"""A small library: three conversations on three days, with everything that can be asked of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import pytest

import tertulia
from tertulia.testing import StandingClock
from tertulia_simulator import Simulator

FIRST_DAY = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = 86_400


class Library(NamedTuple):
    """Where it is, and the ids of its conversations."""

    url: str
    trip: str
    dinner: str
    count: str


async def make_library(url: str, simulator: Simulator) -> Library:
    """
    Keep a trip with two providers, an archived dinner a day later, and a count that broke off on the third.

    The trip costs $0.0001255 and the dinner $0.00014; what the count cost nobody knows.
    """
    clock = StandingClock(FIRST_DAY)
    async with tertulia.open(store=url, providers=simulator.providers(), environ={}, clock=clock) as client:
        trip = await _travel(client)
        clock.advance(DAY)
        dinner = await client.start("Dinner", provider="xai")
        await dinner.send("My name is Mary.")
        await client.tag(dinner.id, "food", "travel")
        await client.archive(dinner.id)
        clock.advance(DAY)
        count = await _count(client, simulator)
    return Library(url, *map(str, (trip, dinner.id, count)))


async def _travel(client: tertulia.Client) -> UUID:
    trip = await client.start("Trip to\n\x1b[2J Lisbon", provider="openai")
    await trip.send("My name is John.")
    await trip.switch("gemini")
    await trip.send("What is my name?")
    await client.tag(trip.id, "travel", "2026")
    await client.patch_metadata(trip.id, {"customer": {"plan": "pro", "seats": 7}})
    return trip.id


async def _count(client: tertulia.Client, simulator: Simulator) -> UUID:
    count = await client.start(provider="openai")
    simulator.fail("openai", "cut_stream", after=2)
    with pytest.raises(tertulia.StreamInterruptedError):
        await count.stream("Count to 5.")
    return count.id
