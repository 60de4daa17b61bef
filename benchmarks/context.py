"""
Measure what contexts keep, and print the tables: ``python -m benchmarks.context``.

``--every N`` asks every N-th question only. With words behind it, only those parts: ``evidence``, ``kinds``,
``cache``, ``speed``, and ``server``, the speed on a PostgreSQL of its own.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.context_cache import POLICIES, Spent, make_turns, simulate
from benchmarks.context_cache import slide as slide_turns
from benchmarks.context_kinds import make_talks
from benchmarks.context_ours import House, make_contexts, make_ranking, open_house
from benchmarks.context_peers import open_peers
from benchmarks.context_plain import make_search, slide
from benchmarks.context_scores import Score, Select, score
from benchmarks.context_speed import measure_speed
from benchmarks.context_table import render_columns, render_scores
from benchmarks.context_talks import Talk, read_sets, sample_talks
from benchmarks.server import run_server
from benchmarks.table import render_table
from tertulia import ContextOptions

PARTS = ("evidence", "kinds", "cache", "speed", "server")
BUDGETS: Mapping[str, Sequence[int]] = {
    "planted": (300, 500),
    "locomo": (2_000, 8_000),
    "beam-100k": (8_000, 32_000),
}
KINDS_BUDGET = 500
WINDOWS = (16_000, 64_000)
_PEERS_EVERY = 10
"""They take seconds for what takes milliseconds elsewhere: of many questions they are asked every tenth."""

_MANY = 100


async def main(parts: Sequence[str], every: int) -> None:
    if "evidence" in parts:
        for name, talks in read_sets().items():
            for budget in BUDGETS[name]:
                print(await compare(name, sample_talks(talks, every), budget), flush=True)
    if "kinds" in parts:
        for name, talks in make_talks().items():
            print(await compare(name, sample_talks(talks, every), KINDS_BUDGET, peers=False), flush=True)
    if "cache" in parts:
        print(await compare_caches(), flush=True)
    if "speed" in parts:
        print(f"\n{render_table(await measure_speed())}", flush=True)
    if "server" in parts:
        with run_server() as server:
            rows = await measure_speed(store=await server.make_database(), name="PostgreSQL")
        print(f"\n{render_table(rows)}")


async def compare(name: str, talks: Sequence[Talk], budget: int, *, peers: bool = True) -> str:
    """Let all contenders cut the same conversations, and lay out how they did."""
    async with open_house() as house:
        contenders = make_contenders(house)
        scores = {title: await score(select, talks, budget) for title, select in contenders.items()}
    if peers:
        scores |= await score_peers(talks, budget)
    return render_scores(f"{name}, {budget:,} tokens", scores)


async def score_peers(talks: Sequence[Talk], budget: int) -> dict[str, Score]:
    """Let the other packages cut them, or some of them where they are many."""
    is_sample = sum(len(talk.questions) for talk in talks) > _MANY
    some = sample_talks(talks, _PEERS_EVERY) if is_sample else talks
    which = f", 1 in {_PEERS_EVERY}" if is_sample else ""
    async with open_peers() as contenders:
        return {title + which: await score(select, some, budget) for title, select in contenders.items()}


def make_contenders(house: House) -> dict[str, Select]:
    """Everybody who needs no other package, by name."""
    return {
        "sliding window": slide,
        "FTS5, words and their stems": make_search("porter unicode61"),
        "FTS5, runs of three characters": make_search("trigram"),
        "Tertulia, recent": make_contexts(house, ContextOptions(strategy="recent")),
        "Tertulia, ranking of everything": make_ranking(),
        "Tertulia": make_contexts(house, ContextOptions()),
        "Tertulia, by the store's index": make_contexts(house, ContextOptions(), index=True),
    }


async def compare_caches() -> str:
    """Send a long conversation by each policy, and lay out what it costs."""
    beam = read_sets().get("beam-100k", ())[:2]
    turns = make_turns(beam)
    rows = [("", "window", "cached", "cost, of sliding", "million tokens", "recalling")]
    for window in WINDOWS:
        sliding = slide_turns(turns, window)
        rows += _render_spent(
            window, sliding, {"sliding": sliding, "whole history": slide_turns(turns, None)}
        )
        spent = {name: await simulate(turns, options, window) for name, options in POLICIES.items()}
        rows += _render_spent(window, sliding, spent)
    return f"\nprefix caches over {len(turns)} turns, a cached token at a tenth\n{render_columns(rows)}"


def _render_spent(window: int, sliding: Spent, spent: Mapping[str, Spent]) -> Iterator[tuple[str, ...]]:
    for name, each in spent.items():
        yield (
            name,
            f"{window:,}",
            f"{each.share:.1f} %",
            f"{each.cost / sliding.cost:.2f}",
            f"{each.tokens / 1e6:.2f}",
            str(each.recalling),
        )


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []])
    parser.add_argument("--every", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = read_arguments()
    asyncio.run(main(arguments.parts or PARTS, arguments.every))
