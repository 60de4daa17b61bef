"""Processes that die in the middle of an answer, and what others see of it."""

from __future__ import annotations

import json

from process_cases import WORD, drip, run_program, say

from providers.raw_server import RawServer
from torture import scale

ROUNDS, AT_ONCE = scale(3), 9


async def test_a_process_killed_in_mid_stream_leaves_what_it_had_shown(database):
    """
    Killed at 27 moments, each answer is under way while its lease lives, and interrupted afterwards.

    Every whole answer is there, the last one up to its last checkpoint, and nothing in it that was not said.
    """
    scripts = [drip(0.004) if number % 3 == 2 else say(WORD) for number in range(300)]
    async with RawServer(*scripts) as server:
        program = await run_program("mortals.py", server.url, database, ROUNDS, AT_ONCE, 25)
        output, _ = await program.communicate()

    result = json.loads(output)
    assert ([], ROUNDS * AT_ONCE) == (result["wrong"], result["killed"])
    assert 0 < result["interrupted"] <= result["pending"] <= result["killed"]
    assert 1.0 > result["behind"]
