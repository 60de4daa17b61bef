"""The benchmarks run, and measure what they say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from benchmarks.imports import HEAVY, LATE, count_loaded
from benchmarks.peer import running_peer
from benchmarks.suite import SUITE, Benchmark
from benchmarks.surfaces import SURFACES

from benchmarks import (
    appends,
    conversations,
    driver,
    estimator,
    libraries,
    limits,
    parallel,
    peers,
    routing,
    server,
    sizes,
    streams,
    switching,
)

pytestmark = pytest.mark.no_cover  # much of the same: measuring it would take longer than doing it

MEASURED = (SURFACES[0], SURFACES[2])  # the first one, and the one that is least like it
ROWS = {
    "measure_imports": ["import tertulia, CPU", "from tertulia import open, Client, CPU"],
    "measure_hooks": ["hook send_message, 3 providers", "hook calculate_cost, 50 providers"],
    "measure_estimator": ["estimate, English (raw: splintr)"],
    "measure_call": [f"one call, {surface.name}, driver, CPU" for surface in MEASURED],
    "measure_history": [
        f"call with 1,000 earlier messages, {surface.name}, driver, CPU" for surface in MEASURED
    ],
    "measure_bursts": [f"per delta, burst, {surface.name}, driver, CPU" for surface in MEASURED],
    "measure_streams": ["per delta, burst, driver, CPU", "per delta, paced, conversation, CPU"],
    "measure_durable_send": ["durable send, CPU", "durable send, wall"],
    "measure_fallback": ["durable send with fallback after 503, CPU"],
    "measure_falling_back": ["fallback after 500, drivers, CPU", "fallback after 429, durable send, wall"],
    "measure_dead_provider": ["calls to a dead provider in 8 sends"],
    "measure_limits": ["20 sends, 8 at a time, most under way", "20 sends, 8 at a time, failed"],
    "measure_unlimited": ["20 at once without a limit, driver, CPU of each"],
    "measure_parallel": ["200 parallel, driver", "200 parallel, durable sends, peak memory"],
    "measure_switching": ["switch in a conversation of 20 messages, wall", "start a conversation, wall"],
    "measure_appends": ["append, 2 tasks (raw: executemany)", "append, one task, wall"],
    "measure_paths": [
        "append at depth 200 (raw: at depth 4), CPU",
        "newest 2 of 20 messages, CPU",
        "all of 20 messages, CPU",
        "fork at depth 20 (raw: at depth 10), CPU",
    ],
    "measure_lists": [f"list of 50, {name}, of 200 (raw: of 100), CPU" for name in libraries.PAGES],
    "measure_search": ["search 200 messages, a rare word, 99 of 100, CPU"],
    "measure_ledger": ["costs of 106 attempts by provider and day, CPU"],
    "measure_opening": ["open a store of 200 messages (raw: an empty one), CPU"],
    "measure_import": ["import, values to rows (raw: executemany), CPU"],
    "measure_files": ["export (raw: rows as JSON), CPU", "import of a file (raw: its JSON), CPU"],
    "measure_server": [
        "PostgreSQL: append, one task, wall",
        "PostgreSQL: import, values to rows (raw: COPY)",
    ],
    "measure_peers": [],
    "measure_late_turn": ["send at turn 2,000 (raw: at turn 10), all sent, CPU"],
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A peer."""
    with running_peer() as url:
        yield url


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Amounts that take no time."""
    little = sizes.Sizes(few=100, many=200, messages=200, deep=200, imported=2, queries=1)
    monkeypatch.setattr(sizes, "_chosen", little)
    monkeypatch.delenv(peers.VARIABLE, raising=False)
    for name, amount in {"TASKS": 2, "APPENDS": 2, "TIMES": 1, "NEWEST": 2, "SHORT": 4}.items():
        monkeypatch.setattr(appends, name, amount)
    for name, amount in {"TASKS": 2, "APPENDS": 2, "TIMES": 1, "NEWEST": 2, "LONG": 4}.items():
        monkeypatch.setattr(server, name, amount)
    monkeypatch.setattr(libraries, "TIMES", 1)
    monkeypatch.setattr(conversations, "LATE_TURN", 20)
    monkeypatch.setattr(conversations, "TIMES", 1)
    monkeypatch.setattr(driver, "SURFACES", MEASURED)
    monkeypatch.setattr(driver, "EARLIER", 10)
    monkeypatch.setattr(driver, "DELTAS", 10)
    monkeypatch.setattr(estimator, "REPEAT", 2)
    monkeypatch.setattr(estimator, "TURNS", 2)
    monkeypatch.setattr(limits, "CALLS", 20)
    monkeypatch.setattr(parallel, "CALLS", 2)
    monkeypatch.setattr(routing, "TIMES", 1)
    monkeypatch.setattr(routing, "DEAD_SENDS", 8)
    monkeypatch.setattr(streams, "DELTAS", 10)
    monkeypatch.setattr(switching, "TIMES", 1)
    monkeypatch.setattr(streams, "MANY_DELTAS", 20)


@pytest.mark.parametrize("benchmark", SUITE, ids=lambda benchmark: benchmark.__name__)
async def test_a_single_round_gives_the_named_rows(benchmark: Benchmark, url: str):
    """
    Every benchmark runs, and returns the rows it is known by.
    """
    rows = await benchmark(url, 1)

    assert set(ROWS[benchmark.__name__]) <= {row.name for row in rows}


async def test_a_dead_provider_is_left_alone(url: str):
    """
    After five failures it is asked no more, and every send is answered.
    """
    asked, _ = await routing.measure_dead_provider(url, 1)

    assert (5, 8) == (asked.ours, asked.raw)


async def test_a_limit_is_kept_and_nobody_times_out(url: str):
    """
    As the service counts it there are eight calls at once, no more and no fewer.
    """
    rows = {row.name.partition(", 8 at a time, ")[2]: row.ours for row in await limits.measure_limits(url, 1)}

    assert (8, 0) == (rows["most under way"], rows["failed"])


@pytest.mark.parametrize(
    ("code", "modules"), [("import tertulia", HEAVY), ("from tertulia import open, Client", LATE)]
)
def test_what_is_large_is_loaded_when_it_is_used(code: str, modules: tuple[str, ...]):
    """
    Importing the framework loads no network, no database and no schemas.
    """
    assert 0 == count_loaded(code, modules)
