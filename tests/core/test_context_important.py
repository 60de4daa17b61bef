"""The strategy ``important``: what was said last, and what somebody marked."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

import tertulia
from tertulia import ContextOptions, Message, Role
from tertulia.services import path

IMPORTANT = ContextOptions(strategy="important", max_tokens=900)
ANSWER = "Fine. " * 12


def opens(one: Any, database: str) -> Any:
    return tertulia.open(store=database, providers={}, plugins=[one], environ={})


async def begin(client: Any, context: ContextOptions = IMPORTANT) -> Any:
    return await client.start(provider="one", system="Be brief.", context=context)


async def talk(trip: Any, one: Any, turns: int, *, first: int = 0, tail: str = "") -> tertulia.Reply:
    """Say so many things; a turn has 66 tokens."""
    reply: Any = None
    for at in range(first, first + turns):
        one.says(ANSWER)
        reply = await trip.send(f"Turn {at}: " + "word " * 30 + tail)
    return reply


async def find(trip: Any, beginning: str) -> Message:
    return next(each for each in await trip.history() if each.text.startswith(beginning))


def sent(one: Any) -> list[str]:
    """What the last request says, a word or two of each message."""
    return [" ".join(each.text.split()[:2]) for each in one.requests[-1].messages]


@pytest.fixture(params=["whole", "in part"])
def reading(request, monkeypatch):
    """A branch is read whole while it is short; here also a short one is read as a long one is."""
    if request.param == "in part":
        monkeypatch.setattr(path, "WHOLE", 20)


async def test_what_is_marked_is_sent_before_what_was_said_last(one, database, reading):
    """In the order it was said, however long ago that was."""
    async with opens(one, database) as client:
        trip = await begin(client)
        await talk(trip, one, 14)
        await trip.mark(await find(trip, "Turn 3:"), importance=0.9)
        await trip.mark(await find(trip, "Turn 1:"), importance=0.2)

        reply = await talk(trip, one, 1, first=14)

    said = [each for each in sent(one) if each.startswith("Turn")]
    assert ["Turn 1:", "Turn 3:"] == said[:2]
    recent = [int(each[5:-1]) for each in said[2:]]
    assert list(range(recent[0], 15)) == recent
    assert "important" == reply.context.strategy
    (dropped,) = reply.context.dropped
    assert 2 * recent[0] - 2 == dropped.count


async def test_an_answer_comes_with_what_it_answers(one, database, reading):
    """Also a call with its result, so that no half of either is sent."""

    def weather() -> str:
        """Tell the weather."""
        return "Rain in Lisbon."

    async with opens(one, database) as client:
        trip = await begin(client)
        one.calls(("weather", {})).says("It rains.")
        await trip.send("Weather?", tools=[weather])
        await talk(trip, one, 14)
        result = next(each for each in await trip.history() if each.role is Role.TOOL)
        await trip.mark(result, importance=1)

        await talk(trip, one, 1, first=14)

    assert ["Be brief.", "Weather?", "", "", "Turn"] == [
        each.split()[0] if each.startswith("Turn") else each for each in sent(one)[:5]
    ]
    assert [Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.TOOL, Role.USER] == [
        each.role for each in one.requests[-1].messages[:5]
    ]


async def test_where_not_all_fits_the_more_important_and_the_newer_is_sent(one, database):
    """The rest is left out, and the report says how much."""
    async with opens(one, database) as client:
        trip = await begin(client)
        await talk(trip, one, 30)
        for at in range(20):
            await trip.mark(await find(trip, f"Turn {at}:"), importance=1 if at == 2 else 0.5)

        reply = await talk(trip, one, 1, first=30)

    said = [int(each[5:-1]) for each in sent(one) if each.startswith("Turn")]
    marked = [at for at in said if at < 20]
    assert marked == [2, *range(21 - len(marked), 20)]
    assert len(marked) > 5
    assert reply.context.tokens <= 900 < reply.context.tokens + 66


async def test_without_marks_the_whole_room_is_for_what_was_said_last(one, database):
    """Half of it is kept free for marks only where there are any."""
    async with opens(one, database) as client:
        trip = await begin(client)
        most = max([(await talk(trip, one, 1, first=at)).context.tokens for at in range(30)][14:])

    assert most > 600


async def test_a_long_message_leaves_room_for_what_is_marked(one, database):
    """What was said last takes half of what there is left beside it."""
    async with opens(one, database) as client:
        trip = await begin(client)
        await talk(trip, one, 14)
        await trip.mark(await find(trip, "Turn 3:"), importance=0.9)
        one.says(ANSWER)

        await trip.send("word " * 700)

    assert ["Turn 3:", "Turn 13:"] == [each for each in sent(one) if each.startswith("Turn")]


async def test_pins_and_hidden_messages_are_what_they_are_everywhere(one, database):
    """A pin is sent whatever it is worth; what is hidden is not sent, however important."""
    async with opens(one, database) as client:
        trip = await begin(client)
        await talk(trip, one, 14)
        for at in (1, 2, 3):
            await trip.mark(await find(trip, f"Turn {at}:"), importance=1)
        await trip.pin(await find(trip, "Turn 2:"))
        await trip.hide(await find(trip, "Turn 3:"))

        reply = await talk(trip, one, 1, first=14)

    assert ["Turn 1:", "Turn 2:"] == [each for each in sent(one) if each.startswith("Turn")][:2]
    assert "Turn 3:" not in sent(one)
    assert reply.context.parts["pinned"] == 38


async def test_a_limit_of_messages_is_for_what_was_said_last(one, database):
    """Marked messages come on top of it."""
    async with opens(one, database) as client:
        trip = await begin(client, attrs.evolve(IMPORTANT, max_tokens=None, max_messages=3))
        await talk(trip, one, 6)
        await trip.mark(await find(trip, "Turn 0:"), importance=1)

        await talk(trip, one, 1, first=6)

    assert ["Be brief.", "Turn 0:", "Turn 5:", "Fine. Fine.", "Turn 6:"] == sent(one)
