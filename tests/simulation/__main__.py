"""Run worlds again: ``python -m tests.simulation SEED``, or ``FIRST LAST`` for many."""

from __future__ import annotations

import sys
import traceback

from .callers import is_ours, is_own
from .running import explain, run_seed

if __name__ == "__main__":
    first, last = int(sys.argv[1]), int(sys.argv[-1])
    failures = 0
    for seed in range(first, last + 1):
        problems, world = run_seed(seed)
        if first == last and world is not None:
            for told in world.told:
                print(told)  # noqa: T201  # what it is for
                if not is_ours(told.error) and not is_own(told):
                    traceback.print_exception(told.error)
        if problems:
            failures += 1
            print(explain(seed, problems))  # noqa: T201
    sys.exit(failures > 0)
