"""A store around another one: it fails, dawdles, and does what it has begun even when nobody waits."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from tertulia.contracts.store import Store
from tertulia.errors import StoreBusyError, StoreError

from .virtual_loop import VirtualLoop


class FragileStore(Store):
    """
    Passes every operation on, and outlives the client that closes it.

    Args:
        inner: What stores.
        chance: Decides what fails.
        trouble: The probability that an operation fails.
        is_real: Whether it does its work in threads.

    Attributes:
        failed: The operations that failed.

        calls: The operations that were called.

        fails_at: The number of one that fails, from 1; None for none.

        running: Those under way.
    """

    def __init__(
        self, inner: Store, chance: random.Random, *, trouble: float = 0.0, is_real: bool = False
    ) -> None:
        self.inner = inner
        self.trouble = trouble
        self.failed: list[str] = []
        self.calls: list[str] = []
        self.fails_at: int | None = None
        self.running: set[asyncio.Task[Any]] = set()
        self._chance = chance
        self._is_real = is_real

    @property
    def location(self) -> str:
        return self.inner.location

    async def open(self) -> None:
        pass

    async def aclose(self) -> None:
        pass

    async def call(
        self, name: str, arguments: tuple[Any, ...], named: dict[str, Any], *, safe: bool = False
    ) -> Any:
        """Do an operation, whoever is cancelled meanwhile; a safe one does not fail."""
        if not safe:
            self.calls.append(name)
        if not safe and (self._chance.random() < self.trouble or len(self.calls) == self.fails_at):
            self.failed.append(name)
            await asyncio.sleep(self._chance.choice((0, 0, 0.05)))
            raise self._chance.choice((StoreBusyError, StoreError))(f"{name} failed")
        task = asyncio.get_running_loop().create_task(
            self._do(getattr(self.inner, name)(*arguments, **named))
        )
        self.running.add(task)
        task.add_done_callback(self._end)
        return await asyncio.shield(task)

    def _end(self, task: asyncio.Task[Any]) -> None:
        self.running.discard(task)
        task.exception()  # whoever was cancelled does not ask for it

    async def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        for _ in range(self._chance.choice((0, 0, 0, 1, 5))):
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        if not self._is_real or not isinstance(loop, VirtualLoop):
            return await work
        with loop.real_work():
            return await work


def _passed_on(name: str) -> Any:
    async def operation(self: FragileStore, *arguments: Any, **named: Any) -> Any:
        return await self.call(name, arguments, named)

    return operation


for _name in Store.__abstractmethods__ - {"open", "aclose", "location"}:
    setattr(FragileStore, _name, _passed_on(_name))
FragileStore.__abstractmethods__ = frozenset()
