"""Whole worlds from a seed, in which anything may fail at any time: what must hold holds in all of them."""

from __future__ import annotations

import gc

import pytest

from torture import TORTURED, scale

from .running import explain, run_seed

BATCH = 50
SEEDS = scale(2500) if TORTURED else 300
"""A hundred thousand with ``make torture``."""


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_whatever_fails_in_a_world_its_promises_are_kept(first):
    """
    Nothing acknowledged is lost, no half answer is whole, each cost is counted once, every send ends in time.
    """
    failures, complaints = [], {}
    for seed in range(first, first + BATCH):
        problems, world = run_seed(seed)
        if world is not None:
            complaints[seed] = world.complaints
        if problems:
            failures.append(explain(seed, problems))
    del world
    gc.collect()  # a task that nobody asked how it ended says so when it goes

    assert "" == "\n".join(failures)
    assert {} == {seed: said for seed, said in complaints.items() if said}


def test_a_world_is_the_same_whenever_its_seed_is():
    """What is told of a seed can be looked at again."""
    stories = [[str(told) for told in world.told] for _, world in (run_seed(3), run_seed(3)) if world]

    assert stories[0] == stories[1]
    assert stories[0]
