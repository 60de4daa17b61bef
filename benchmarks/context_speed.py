"""How long choosing a context takes in long conversations, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence

import attrs

from benchmarks.context_ours import House, open_house
from benchmarks.context_talks import Talk, Turn
from benchmarks.library import VOCABULARY, word, write_text
from benchmarks.table import Goal, Row
from tertulia import ContextOptions

LENGTHS = (1_000, 10_000, 100_000)
GOALS_MS = {1_000: 5, 10_000: 15, 100_000: 50}
BUDGET = 16_000
TIMES = 15
_WORDS = (12, 90)


@attrs.frozen
class Took:
    """
    What choosing takes, in milliseconds.

    Attributes:
        first: In a conversation that nobody has opened before, by the clock.

        cpu: What half of the others take at most, each with another question, of the whole process.

        wall: The same by the clock, with what a server takes and whoever else is busy on this machine.
    """

    first: float
    cpu: float
    wall: float


async def measure_speed(
    lengths: Sequence[int] = LENGTHS, *, store: str | None = None, name: str = "SQLite"
) -> list[Row]:
    """Choose contexts of conversations of some lengths, most of which was said long before."""
    rows: list[Row] = []
    async with open_house(store) as house:
        for length in lengths:
            took = await choose(house, make_talk(length))
            goals = (Goal(GOALS_MS[length], "ours"),) if length in GOALS_MS and store is None else ()
            rows += (
                Row(f"{name}: context of {length:,} messages, CPU", took.cpu, None, "ms", goals),
                Row(f"{name}: context of {length:,} messages, wall", took.wall, None, "ms"),
                Row(f"{name}: the first one of {length:,} messages, wall", took.first, None, "ms"),
            )
    return rows


async def choose(house: House, talk: Talk) -> Took:
    """Ask for the contexts of questions that look back, one after the other."""
    conversation, _ = await house.find(talk)
    chance = random.Random(7)  # noqa: S311  # the same for everybody
    options = ContextOptions(max_tokens=BUDGET)
    spent: list[tuple[float, float]] = []
    for _ in range(TIMES + 1):
        question = " ".join(word(chance.randrange(50, VOCABULARY)) for _ in range(6))
        began = _read_clocks()
        await conversation.preview_context(f"What did I say about {question}?", context=options)
        ended = _read_clocks()
        spent.append((1000 * (ended[0] - began[0]), 1000 * (ended[1] - began[1])))
    cpu, wall = ([each[clock] for each in spent] for clock in (0, 1))
    return Took(wall[0], statistics.median(cpu[1:]), statistics.median(wall[1:]))


def _read_clocks() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def make_talk(length: int) -> Talk:
    """Make a conversation of words as often as they are in a language; users say less than assistants."""
    chance = random.Random(length)  # noqa: S311  # the same for everybody
    turns = tuple(
        Turn(str(number), ("user", "assistant")[number % 2], write_text(chance, _WORDS[number % 2]))
        for number in range(length)
    )
    return Talk(f"long-{length}", turns, ())
