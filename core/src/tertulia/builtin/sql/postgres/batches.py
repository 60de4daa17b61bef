"""Appends that wait at the same time become one statement."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tertulia.builtin.sql.appends import Append
from tertulia.builtin.sql.postgres.appending import Left
from tertulia.domain.message import Message

LARGEST_BATCH = 64
MOST_BATCHES = 2
"""Statements that are under way at the same time: while one commits, the next ones are gathered."""


class Batches:
    """
    Gathers appends, of which no two are of one conversation.

    Args:
        write: Writes some in one statement.
    """

    def __init__(self, write: Callable[[Sequence[Append]], Awaitable[Sequence[Message | Left]]]) -> None:
        self._write = write
        self._waiting: list[tuple[Append, asyncio.Future[Message | Left]]] = []
        self._writers: set[asyncio.Task[None]] = set()

    async def add(self, append: Append) -> Message | Left:
        """Append a message as soon as there is room."""
        future: asyncio.Future[Message | Left] = asyncio.get_running_loop().create_future()
        self._waiting.append((append, future))
        if len(self._writers) < MOST_BATCHES:
            writer = asyncio.ensure_future(self._work())
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        return await future

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:LARGEST_BATCH], self._waiting[LARGEST_BATCH:]
            try:
                results = await self._write([append for append, _ in batch])
            except Exception as error:  # noqa: BLE001  # each who waits is told
                for _, future in batch:
                    future.set_exception(error)
            else:
                for (_, future), result in zip(batch, results, strict=True):
                    future.set_result(result)
