"""Callers who say things in conversations, and now and then leave before they have their answer."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import attrs

import tertulia
from tertulia import Conversation, Event, Reply, ReplyStream, Role, Timeouts
from tertulia.errors import TertuliaError

from .fickle import PRICED, UNPRICED

if TYPE_CHECKING:
    from .world import World


@attrs.define(eq=False)
class Told:
    """
    One thing a caller did, and what it was told.

    Attributes:
        what: Its name, with how it was done.

        text: The new words it said; None where it said none.

        paused: Seconds that the caller itself took between two events.

        waits_unseen: Whether it may wait for its place under a limit without being told.

        interrupted: How the caller was kept from waiting for the end; None when it was not.

        left: How it left an answer before the end of it; None when it did not.
    """

    who: str
    what: str
    began: float
    text: str | None = None
    client_id: str | None = None
    total: float | None = None
    max_attempts: int = 6
    conversation: Conversation | None = None
    events: list[Event] = attrs.field(factory=list[Event])
    paused: float = 0.0
    waits_unseen: bool = False
    interrupted: str | None = None
    left: str | None = None
    ended: float | None = None
    reply: Reply | None = None
    error: BaseException | None = None

    def __str__(self) -> str:
        end = "for ever" if self.ended is None else f"{self.ended - self.began:.3f} s"
        came = f"{type(self.error).__name__}: {self.error}" if self.error else self.reply and self.reply.text
        return f"{self.began:10.3f} {self.who} {self.what} {self.text or '':.20} ({end}) -> {came!r:.200}"


class Caller:
    """One task that does one thing after another in a conversation that others are in as well."""

    def __init__(self, world: World, name: str, conversation: Conversation, chance: random.Random) -> None:
        self.world = world
        self.name = name
        self.conversation = conversation
        self.chance = chance

    async def live(self) -> None:
        """Do a few things; nobody cancels the task they are done in."""
        task = asyncio.current_task()
        try:
            for _ in range(self.chance.randint(1, 5)):
                if self.chance.random() < 0.3:
                    await asyncio.sleep(self.chance.choice((0, 0.01, 3, 70)))
                await self.act()
        except asyncio.CancelledError:
            self.world.complaints.append(f"{self.name} was cancelled, and nobody had cancelled it")
        if task is not None and task.cancelling():
            self.world.complaints.append(f"{self.name} still counts as cancelled")

    async def act(self) -> None:
        """Do one thing, and remember what it was told."""
        chance = self.chance
        what = chance.choices(tuple(ACTS), tuple(weight for weight, _ in ACTS.values()))[0]
        told = Told(self.name, what, asyncio.get_running_loop().time(), conversation=self.conversation)
        self.world.told.append(told)
        try:
            await self._interruptibly(told, lambda: ACTS[what][1](self, told))
        except BaseException as error:
            told.error = error
            if is_own(told):  # its traceback would hold on to a stream that was left
                error.__traceback__ = error.__context__ = error.__cause__ = None
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
        finally:
            told.ended = told.ended or asyncio.get_running_loop().time()
            if told.left == "drop" and told.interrupted is not None:
                gc.collect(1)  # a cycle of traceback and frame held on to the stream

    async def _interruptibly(self, told: Told, act: Callable[[], Awaitable[None]]) -> None:
        chance = self.chance
        moment = chance.choice(
            (0, 0.0001, chance.uniform(0, 0.5), chance.uniform(0, 3), chance.uniform(0, 90))
        )
        way = chance.choices(("stays", "times out", "is cancelled", "is cancelled twice"), (6, 1, 1, 1))[0]
        if way == "stays":
            await act()
            return
        told.what += f" and {way} after {moment:.4f}"
        if way == "times out":
            told.interrupted = way
            async with asyncio.timeout(moment):
                await act()
            return
        told.interrupted = way
        task = asyncio.ensure_future(act())
        await asyncio.wait([task], timeout=moment)
        task.cancel()
        if way == "is cancelled twice":
            for _ in range(chance.randint(0, 4)):
                await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()):
            raise error

    def ask(self, told: Told, *, says: bool = True) -> dict[str, Any]:
        """How to ask, by chance."""
        chance, world = self.chance, self.world
        settings: dict[str, Any] = {}
        names = [provider.name for provider in world.providers]
        if chance.random() < 0.5:
            others = chance.sample(names, chance.randint(0, len(names)))
            settings["fallback"] = [
                name + chance.choice(("", f"/{PRICED}", f"/{UNPRICED}")) for name in others
            ]
        told.total = world.total
        told.waits_unseen = not all(each.config.limits.are_none for each in world.providers)
        if chance.random() < 0.7:
            told.total = chance.choice((0.05, 3.0, 30.0, 200.0))
            settings["timeouts"] = Timeouts(total=told.total)
        told.max_attempts = world.max_attempts
        if chance.random() < 0.4:
            settings["routing"] = routing = world.make_routing(chance)
            told.max_attempts = routing.max_attempts or world.max_attempts
        if chance.random() < 0.1:
            settings["budget"] = chance.choice(("0.0000001", "0.002", "1"))
        if says:
            told.text = world.new_text(self.name)
            if chance.random() < 0.3:
                settings["client_id"] = told.client_id = chance.choice(("a", "b", "c"))
                if chance.random() < 0.8:
                    told.text = f"what {told.client_id} always says"
        return settings

    async def send(self, told: Told) -> None:
        settings = self.ask(told)
        told.reply = await self.conversation.send(told.text or "", **settings)

    async def stream(self, told: Told) -> None:
        settings = self.ask(told)
        await self.read(told, self.conversation.stream(told.text or "", **settings))

    async def edit(self, told: Told) -> None:
        message = await self._pick(Role.USER)
        if message is not None:
            settings = self.ask(told)
            await self.read(told, self.conversation.edit(message, told.text or "", **settings))

    async def regenerate(self, told: Told) -> None:
        message = await self._pick(Role.ASSISTANT) if self.chance.random() < 0.5 else None
        await self.read(told, self.conversation.regenerate(message, **self.ask(told, says=False)))

    async def resume(self, told: Told) -> None:
        await self.read(told, self.conversation.resume(**self.ask(told, says=False)))

    async def retry(self, told: Told) -> None:
        await self.read(told, self.conversation.retry(**self.ask(told, says=False)))

    async def read(self, told: Told, stream: ReplyStream) -> None:
        """Read an answer in one of the ways there are."""
        way = self.chance.choice(("read", "iterate", "iterate", "leave", "drop", "close", "unread"))
        told.what += f", {way}"
        if way == "read":
            told.reply = await stream.read()
        elif way == "unread":
            told.left = way
            await stream.aclose()
        elif way == "close":
            told.left = way
            closing = asyncio.create_task(self._close(stream))
            try:
                told.reply = await stream.read()
            finally:
                told.ended = asyncio.get_running_loop().time()
                await asyncio.wait([closing])
        elif way == "drop":
            told.left = way
            await self._iterate(told, stream, self.chance.randint(0, 6))
        else:
            async with stream:
                most = None if way == "iterate" else self.chance.randint(0, 6)
                told.left = told.left if most is None else way
                await self._iterate(told, stream, most)

    async def _iterate(self, told: Told, stream: ReplyStream, most: int | None) -> None:
        async for event in stream:
            told.events.append(event)
            if most is not None and len(told.events) > most:
                return
            if self.chance.random() < 0.1:
                pause = self.chance.choice((0, 0.1, 20))
                told.paused += pause
                await asyncio.sleep(pause)
        told.reply = stream.reply

    async def _close(self, stream: ReplyStream) -> None:
        await asyncio.sleep(self.chance.choice((0, 0.001, 0.2, 10)))
        await stream.aclose()

    async def switch(self, told: Told) -> None:
        name = self.chance.choice(self.world.providers).name
        await self.conversation.switch(name, self.chance.choice((None, PRICED, UNPRICED)))

    async def fork(self, told: Told) -> None:
        at = await self._pick(None) if self.chance.random() < 0.5 else None
        forked = await self.conversation.fork(at=at)
        if self.chance.random() < 0.7:
            self.conversation = forked

    async def switch_branch(self, told: Told) -> None:
        branch = self.chance.choice(await self.conversation.branches())
        await self.conversation.switch_branch(branch.name)

    async def append(self, told: Told) -> None:
        text = self.world.new_text(self.name)
        message = await self.conversation.append(tertulia.Message.of(Role.USER, text))
        self.world.appended.append(message)

    async def save(self, told: Told) -> None:
        """Save again what could not be stored."""
        lost = [each.error for each in self.world.told if getattr(each.error, "reply", None) is not None]
        if lost:
            await self.conversation.save(self.chance.choice(lost).reply)  # type: ignore[union-attr]

    async def look(self, told: Told) -> None:
        if self.world.has_comparisons:
            told.text = self.world.new_text(self.name)
            names = [provider.name for provider in self.world.providers]
            await self.conversation.compare(told.text, [*names, "one"])
        await self.conversation.history()
        await self.conversation.cost()

    async def jump(self, told: Told) -> None:
        """The time of day is corrected."""
        if self.world.clock_jumps:
            self.world.clock.offset += self.chance.choice((-3600, -1, 1, 30, 3600))

    async def _pick(self, role: Role | None) -> Any:
        messages = [each for each in await self.conversation.history() if role in (None, each.role)]
        return self.chance.choice(messages) if messages else None


ACTS: dict[str, tuple[int, Callable[[Caller, Told], Awaitable[None]]]] = {
    "send": (10, Caller.send),
    "stream": (10, Caller.stream),
    "edit": (2, Caller.edit),
    "regenerate": (3, Caller.regenerate),
    "resume": (5, Caller.resume),
    "retry": (3, Caller.retry),
    "switch": (2, Caller.switch),
    "fork": (2, Caller.fork),
    "switch branch": (1, Caller.switch_branch),
    "append": (1, Caller.append),
    "save": (1, Caller.save),
    "look": (1, Caller.look),
    "jump": (1, Caller.jump),
}


def is_own(told: Told) -> bool:
    """Whether what a caller was told is what it did itself."""
    own = TimeoutError if told.interrupted == "times out" else asyncio.CancelledError
    return told.interrupted is not None and isinstance(told.error, own)


def is_ours(error: BaseException | None) -> bool:
    """Whether an error is one of the library's own."""
    return error is None or isinstance(error, TertuliaError)
