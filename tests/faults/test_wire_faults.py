"""Every fault of the wire ends as it must, from the socket to the store."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import pytest
from fault_cases import FAULTS
from fault_page import read_tables, render_tables
from fault_player import Fault, find_recorded_faults
from fault_runs import Played, find_problems, play_all, render_table

AT_ONCE = 8
RECORDED = find_recorded_faults()
TIMEOUTS = {"connect": 1.0, "first_content": 1.0, "idle": 1.0, "total": 3.0}
RECORDED_TIMEOUTS = {"connect": 2.0, "first_content": 2.0, "idle": 2.0, "total": 6.0}


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Mapping[str, Played]:
    """All faults, played at the same time."""

    async def play() -> list[Played]:
        turns = asyncio.Semaphore(AT_ONCE)
        ours, recorded = await asyncio.gather(
            play_all(FAULTS, tmp_path_factory.mktemp("ours"), TIMEOUTS, turns),
            play_all(RECORDED, tmp_path_factory.mktemp("recorded"), RECORDED_TIMEOUTS, turns),
        )
        return [*ours, *recorded]

    played = asyncio.run(play())
    sys.stdout.write(f"\n{render_table(played)}\n")
    return {each.fault.id: each for each in played}


@pytest.mark.parametrize("fault", [*FAULTS, *RECORDED], ids=lambda fault: fault.id)
def test_a_fault_ends_as_it_must(played, fault: Fault):
    """
    The outcome, what was shown, who was asked how often and when, what is stored, and in time.
    """
    assert [] == list(find_problems(played[fault.id]))


def test_the_page_has_what_is_played():
    """
    The tables in the documentation are those of the faults here.
    """
    assert render_tables() == read_tables()
