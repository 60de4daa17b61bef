"""A process that is sent more than it can hold, and tells how it ended and how much it had grown."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from process_cases import open_at

import tertulia
from providers.driver_cases import DRIVERS
from tertulia import Timeouts


def peak(*, afresh: bool = False) -> int:
    """The most this process has had in memory, in kB; what getrusage says begins with its parent's."""
    if afresh:
        Path("/proc/self/clear_refs").write_text("5")  # the most is what it has now
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


async def main(dialect: str, urls: list[str], store: str) -> None:
    told: list[dict[str, object]] = []
    async with open_at(urls[0], store, DRIVERS[dialect]) as client:
        await (await client.start(provider="mine")).send("Hello")  # so that all is loaded
    for url in urls[1:]:
        before, began = peak(afresh=True), time.monotonic()
        async with open_at(url, store, DRIVERS[dialect]) as client:
            trip = await client.start(provider="mine")
            error: tertulia.TertuliaError | None = None
            try:
                await trip.send("Hello", timeouts=Timeouts(total=30))
            except tertulia.TertuliaError as raised:
                error = raised
            attempts = [each.error_kind for each in await trip.attempts()]
        told.append(
            {
                "kind": None if error is None else error.kind,
                "grown": (peak() - before) // 1024,
                "seconds": time.monotonic() - began,
                "attempts": attempts,
            }
        )
    sys.stdout.write(json.dumps(told))


asyncio.run(main(sys.argv[1], sys.argv[3:], sys.argv[2]))
