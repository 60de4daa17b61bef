"""What is measured, in the order it is printed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from benchmarks.appends import measure_appends, measure_paths
from benchmarks.conversations import measure_durable_send, measure_fallback, measure_late_turn
from benchmarks.driver import measure_bursts, measure_call, measure_history
from benchmarks.estimator import measure_estimator
from benchmarks.hooks import measure_hooks
from benchmarks.imports import measure_imports
from benchmarks.libraries import measure_ledger, measure_lists, measure_opening, measure_search
from benchmarks.limits import measure_limits, measure_unlimited
from benchmarks.parallel import measure_parallel
from benchmarks.peers import measure_peers
from benchmarks.routing import measure_dead_provider, measure_falling_back
from benchmarks.server import measure_server
from benchmarks.streams import measure_streams
from benchmarks.switching import measure_switching
from benchmarks.table import Row
from benchmarks.transfers import measure_files, measure_import

Benchmark = Callable[[str, int], Awaitable[list[Row]]]
"""Takes the peer's URL and a number of rounds."""

SUITE: Mapping[Benchmark, int] = {
    measure_imports: 10,
    measure_hooks: 20,
    measure_estimator: 5,
    measure_call: 20,
    measure_history: 15,
    measure_bursts: 12,
    measure_streams: 12,
    measure_durable_send: 15,
    measure_fallback: 8,
    measure_falling_back: 8,
    measure_dead_provider: 8,
    measure_limits: 1,
    measure_unlimited: 8,
    measure_parallel: 3,
    measure_late_turn: 4,
    measure_switching: 8,
    measure_appends: 12,
    measure_paths: 8,
    measure_lists: 8,
    measure_search: 1,
    measure_ledger: 5,
    measure_opening: 8,
    measure_import: 8,
    measure_files: 4,
    measure_server: 8,
    measure_peers: 8,
}
"""Every benchmark, with the rounds it takes to be steady on a machine that is not idle."""
