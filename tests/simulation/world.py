"""A world from a seed: its providers, its store, its rules, its callers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any

import attrs

import tertulia
from tertulia import Client, Conversation, Limits, Message, Notice, Request, Routing
from tertulia.domain.budget import Budget, BudgetPeriod, BudgetScope, BudgetState
from tertulia.domain.config import Config, ProviderConfig
from tertulia.domain.health import ProviderHealth
from tertulia.domain.options import Timeouts
from tertulia.testing import MemoryStore

from .callers import Caller, Told
from .fickle import FATES, UNPRICED, Fickle
from .fragile_store import FragileStore
from .virtual_loop import LoopClock, VirtualLoop

NAMES = ("one", "two", "three")
TOTAL = 600.0
LONG = 3 * 3600.0
"""Longer than any lease, even one that was made when the time of day was wrong."""


def make_chance(seed: float) -> Random:
    """Chance that can be repeated."""
    return Random(seed)  # noqa: S311  # that is what it is for


class Observer:
    """Remembers every notice, and brings the store; a second one only makes trouble."""

    def __init__(self, store: FragileStore) -> None:
        self._store = store
        self.notices: list[Notice] = []

    @tertulia.hookimpl
    def open_store(self, url: str) -> FragileStore:
        return self._store

    @tertulia.hookimpl
    def observe(self, notice: Notice) -> None:
        self.notices.append(notice)


class Nuisance:
    """A plugin whose hooks fail now and then."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def _trouble(self) -> Any:
        if self._chance.random() < 0.1:
            raise self._chance.choice((ValueError, KeyError, tertulia.TertuliaError))("of a plugin")
        return None

    @tertulia.hookimpl
    def observe(self, notice: Notice) -> None:
        self._trouble()

    @tertulia.hookimpl
    def order_targets(self, request: Request, targets: Any, failed: Any) -> Any:
        self._trouble()
        return self._chance.choice(
            (None, targets[::-1], targets[:1], 42 if self._chance.random() < 0.1 else None)
        )

    @tertulia.hookimpl
    async def format_context(self, view: Any, request: Request, window: Any) -> Any:
        self._trouble()
        return tertulia.DEFER

    @tertulia.hookimpl
    def calculate_cost(self, model: str) -> Any:
        return self._trouble()


class World:
    """
    Everything there is, made by chance.

    Attributes:
        told: What every caller did, and what it was told.

        complaints: What the event loop was told of that nobody else was.

        unannounced: Calls of providers whose attempt was not in the store.

        health: What the client says of its providers in the end.

        spent: What it says of its budgets.
    """

    def __init__(self, seed: int, loop: VirtualLoop) -> None:
        self.chance = chance = make_chance(seed)
        self.loop = loop
        self.clock = LoopClock(loop)
        self.told: list[Told] = []
        self.appended: list[Message] = []
        self.complaints: list[str] = []
        self.unannounced: list[str] = []
        self.health: Sequence[ProviderHealth] = ()
        self.spent: Sequence[BudgetState] = ()
        self.clock_jumps = chance.random() < 0.1
        self.total = TOTAL
        self.has_nuisance = chance.random() < 0.15
        self.has_titles = chance.random() < 0.2
        self.is_real = seed % 10 == 9
        store_trouble = chance.choice((0, 0, 0, 0.02, 0.1))
        self.store = FragileStore(
            self._make_store(), self._chance(), trouble=store_trouble, is_real=self.is_real
        )
        self.providers = [self._make_provider(name) for name in NAMES[: chance.randint(1, 3)]]
        self.routing = self.make_routing(chance)
        self.max_attempts = self.routing.max_attempts or 6
        self.has_comparisons = seed % 7 == 4
        self.budgets = self._make_budgets(make_chance(seed)) if seed % 7 == 3 else ()
        self.observer = Observer(self.store)
        self._texts = 0

    def _chance(self) -> Random:
        """A source of its own for each part, so that what one part does is not decided by another."""
        return make_chance(self.chance.random())

    def _make_store(self) -> Any:
        if not self.is_real:
            return MemoryStore(self.clock)
        from tertulia.builtin.sql.store import SQLStore

        return SQLStore("memory:", self.clock)

    def _make_provider(self, name: str) -> Fickle:
        chance = self.chance
        limits = Limits()
        if chance.random() < 0.3:
            limits = Limits(
                concurrent=chance.choice((None, 1, 2, 3)),
                requests_per_minute=chance.choice((None, None, 2, 10)),
                max_wait=chance.choice((None, 0, 5.0, 100.0)),
            )
        config = ProviderConfig(
            name,
            "fickle",
            model=chance.choice((None, None, UNPRICED)),
            limits=limits,
            timeouts=Timeouts(total=TOTAL),
        )
        fates = chance.choice(((), (), chance.sample(tuple(FATES), 3), ("refuses",), ("dies",)))
        trouble = chance.choice((0, 0.2, 0.5, 1))
        return Fickle(config, self._chance(), trouble=trouble, fates=fates, witness=self._witness)

    async def _witness(self, request: Request) -> None:
        """Look for the attempt of a call that begins: it was written before."""
        if self.clock_jumps or request.conversation_id is None or self.has_titles:
            return  # a lease may have run out by the time of day; titles are written afterwards
        attempts = await self.store.call("get_attempts", ("local", request.conversation_id), {}, safe=True)
        asked = [
            each
            for each in attempts
            if (each.provider, each.model) == (request.target.provider, request.target.model)
            and each.outcome is tertulia.AttemptOutcome.PENDING
        ]
        if not asked:
            self.unannounced.append(f"a call of {request.target} has no pending attempt")

    def _make_budgets(self, chance: Random) -> tuple[Budget, ...]:
        scopes, periods = tuple(BudgetScope), tuple(BudgetPeriod)
        return tuple(
            Budget(
                chance.choice(("0.0045", "0.05", "1")),
                scope=chance.choice(scopes),
                period=chance.choice(periods),
                is_hard=chance.random() < 0.7,
            )
            for _ in range(chance.randint(1, 2))
        )

    def make_routing(self, chance: Random) -> Routing:
        """Rules by chance."""
        return Routing(
            strategy=chance.choice((None, "configured", "cheapest", "fastest", "capable")),
            sticky=chance.choice((None, False, True)),
            on_interrupt=chance.choice((None, "keep", "restart", "continue")),
            max_retries=chance.choice((None, None, 0, 1, 5)),
            max_attempts=chance.choice((None, None, 1, 3, 9)),
            fall_back_on=chance.choice((None, ("content_filter",), ("invalid_request", "too_large"))),
        )

    def make_config(self) -> Config:
        """How the client is opened."""
        chance = self.chance
        names = [provider.name for provider in self.providers]
        return Config(
            providers={},
            default_provider="one",
            fallback=tuple(chance.sample(names, chance.randint(0, len(names)))),
            max_context_tokens=chance.choice((None, None, None, 600)),
            auto_title=self.has_titles,
            routing=self.routing,
            budgets=self.budgets,
            store="world:",
        )

    def new_text(self, who: str) -> str:
        """Words that nobody has said yet."""
        self._texts += 1
        return f"{who} says {self._texts}" + " and more" * self.chance.choice((0, 0, 100))

    def open(self, config: Config, providers: Sequence[Fickle], plugins: Sequence[object] = ()) -> Client:
        """A client of this world."""
        client = Client(config, plugins=[self.observer, *plugins, *providers], environ={}, clock=self.clock)
        client._has_loaded = True  # what else is installed plays no part, and takes long to look for
        return client

    async def live(self) -> Records:
        """Let everybody do what they do; then see what is left of it."""
        asyncio.get_running_loop().set_exception_handler(self._complain)
        trouble, self.store.trouble = self.store.trouble, 0.0
        config = self.make_config()
        plugins = [Nuisance(self._chance())] if self.has_nuisance else []
        with self.loop.real_work():
            await self.store.inner.open()
        try:
            async with self.open(config, self.providers, plugins) as client:
                await self._gather_callers(client, trouble)
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            self.clock.offset = 0.0
            await asyncio.sleep(LONG)
            quiet = [Fickle(each.config, self._chance(), trouble=0) for each in self.providers]
            noticed, self.observer.notices = self.observer.notices, []
            async with self.open(config, quiet) as client:
                records = await Records.read(client, self, tasks)
            self.observer.notices = noticed
            return records
        finally:
            await self._close_store()

    async def _gather_callers(self, client: Client, trouble: float) -> None:
        conversations = [await client.start(system=self.chance.choice((None, "Be brief."))) for _ in range(2)]
        callers = [
            Caller(self, name, await client.get(self.chance.choice(conversations).id), self._chance())
            for name in "ABCDE"[: self.chance.randint(1, 5)]
        ]
        self.store.trouble = trouble
        lives = [asyncio.create_task(caller.live()) for caller in callers]
        closes_early = self.chance.random() < 0.1
        if closes_early:  # the client is closed while they are at it
            await asyncio.wait(lives, timeout=self.chance.choice((0, 0.1, 10)))
            self.store.trouble = 0.0
            await client.aclose()
        await asyncio.gather(*lives)
        self.store.trouble = 0.0
        await asyncio.sleep(1.0)  # sooner than what is set aside for a call counts as spent
        if not closes_early:
            self.spent = await client.budgets()
        await asyncio.sleep(TOTAL)
        if not closes_early:
            self.health = await client.health()

    async def _close_store(self) -> None:
        with self.loop.real_work():
            await self.store.inner.aclose()

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.complaints.append(f"{context.get('message')}: {context.get('exception')!r}")


@attrs.frozen
class Book:
    """One conversation, as it is stored in the end."""

    record: tertulia.ConversationRecord
    attempts: Sequence[tertulia.Attempt]
    messages: dict[Any, Message]
    branches: dict[str, Sequence[Message]]
    cost: tertulia.CostReport


@attrs.frozen
class Records:
    """
    What is left of a world.

    Attributes:
        tasks: What was still running after the client was closed.
    """

    books: Sequence[Book]
    problems: Sequence[str]
    statistics: tertulia.Statistics
    tasks: Sequence[asyncio.Task[Any]]

    @classmethod
    async def read(cls, client: Client, world: World, tasks: Sequence[asyncio.Task[Any]]) -> Records:
        """Read all there is."""
        listed = await client.list(limit=100)
        books = [await _read_book(client, world, await client.get(each.id)) for each in listed]
        report = await world.store.verify()
        return cls(books, report.problems, await client.statistics(), tasks)


async def _read_book(client: Client, world: World, conversation: Conversation) -> Book:
    branches = {
        each.name: await (await client.get(conversation.id, branch=each.name)).history()
        for each in await conversation.branches()
    }
    messages = await world.store.find_messages("local", conversation.id, limit=100_000)
    return Book(
        await world.store.get_conversation("local", conversation.id),
        await conversation.attempts(),
        {message.id: message for message in messages},
        branches,
        await conversation.cost(),
    )
