"""Making a world of a seed, and saying what went wrong in it."""

from __future__ import annotations

import asyncio
import gc
import logging
import random

from .invariants import find_problems
from .virtual_loop import VirtualLoop
from .world import World


def run_seed(seed: int) -> tuple[list[str], World | None]:
    """Let the world of a seed live, and return what is wrong with it, and the world."""
    random.seed(seed)
    worlds: list[World] = []

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        world = World(seed, loop)
        worlds.append(world)
        return find_problems(world, await world.live())

    log = logging.getLogger("tertulia")
    level, log.level = log.level, logging.CRITICAL  # it has a lot to say
    gc.disable()  # what nobody holds any more would go at another moment each time
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(main()), worlds[0]
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # it is reported with its seed
        return [f"{type(error).__name__}: {error}"], worlds[0] if worlds else None
    finally:
        log.level = level
        gc.enable()
        gc.collect(0)


def explain(seed: int, problems: list[str]) -> str:
    """What went wrong, and how to see it again."""
    return "\n  ".join((f"python -m tests.simulation {seed} shows what happened in this world:", *problems))
