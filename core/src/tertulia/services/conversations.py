"""Conversations as people use them."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self
from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt, ConversationRecord, CostReport, ProviderSession
from tertulia.domain.exchange import Completed, Event, Options, Reply, Target, TextDelta, Timeouts
from tertulia.domain.message import Message
from tertulia.domain.notice import Switched
from tertulia.errors import (
    ConfigurationError,
    ConversationBusyError,
    ErrorKind,
    StreamInterruptedError,
    TertuliaError,
)
from tertulia.services.analysis import derive_sessions, report_costs
from tertulia.services.asking import Outgoing
from tertulia.services.core import Core
from tertulia.services.path import Path
from tertulia.services.routing.policy import parse_target
from tertulia.services.sending import Send

MAX_TITLE = 200


class ReplyStream:
    """
    An answer as it comes: an async iterator of events, and an async context manager.

    Leaving early keeps what was shown, as an interrupted message, and closes the connection: at once at
    the end of ``async with`` or after :meth:`aclose`, which any task may call, and soon after a ``break``
    once nothing holds the stream any more.

    Example::

        async with conversation.stream("Now with children.") as stream:
            async for event in stream:
                if isinstance(event, tertulia.TextDelta):
                    print(event.text, end="")
        print(stream.reply.cost)
    """

    def __init__(self, conversation: Conversation, core: Core, gate: Gate, send: Send) -> None:
        # While its stream lives so does the conversation, and with it the gate others wait at.
        self._conversation = conversation
        self._core = core
        self._send = send
        self._reply: Reply | None = None
        self._reader: asyncio.Task[object] | None = None  # who waits for an event right now
        self._last_reader: asyncio.Task[object] | None = None
        self._left: asyncio.Event | None = None  # set when the reader has left
        self._stopped: str | None = None
        self._closing: asyncio.Task[None] | None = None
        self._events: AsyncGenerator[Event] | None = gate.run(send, weakref.ref(self))
        core.streams.add(self)

    @property
    def reply(self) -> Reply:
        """The whole answer, once the stream has been read to its end."""
        if self._reply is None:
            raise TertuliaError(
                "the answer is not complete",
                next_step="read the stream to its end before asking for its reply",
            )
        return self._reply

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._reader is not None:
            raise TertuliaError("another task is reading this stream", next_step="read a stream in one task")
        if self._stopped is not None:
            raise self._stop_error()
        if self._events is None:
            raise StopAsyncIteration
        reader = _current_task()
        cancelled_before = reader.cancelling()
        self._reader = self._last_reader = reader
        try:
            event = await anext(self._events)
            if type(event) is not TextDelta:
                await self._note(event, reader, cancelled_before)
            return event
        except asyncio.CancelledError:
            self._events = None
            # When only the stream was to end, and not its reader, the reader is told in our own words.
            if not self._is_stopped() or reader.uncancel() > cancelled_before:
                raise
        except BaseException:
            self._events = None
            raise
        finally:
            self._reader = None
            if self._left is not None:
                self._left.set()
        raise self._stop_error()

    async def _note(self, event: Event, reader: asyncio.Task[object], cancelled_before: int) -> None:
        """Keep the reply, let the next send have its turn, and pass on what came while all was stored."""
        if isinstance(event, Completed):
            self._reply = event.reply
            events, self._events = self._events, None
            if events is not None:
                await events.aclose()
            if self._is_stopped():
                reader.uncancel()  # too late to stop anything: the answer is whole
                self._stopped = None
        if reader.cancelling() > cancelled_before:
            raise asyncio.CancelledError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """
        Leave: keep what was shown and close the connection. Safe to call twice, and from any task.

        A task that is reading the stream right now gets a :class:`tertulia.StreamInterruptedError`.
        """
        await self.stop(None)

    async def stop(self, reason: str | None) -> None:
        """Leave, and tell whoever still reads why; None where nobody does."""
        if self._closing is None:
            if self._events is None and self._reader is None:
                return
            self._closing = self._core.start(self._close(reason, asyncio.current_task()))
        # Whoever else closes waits for the same end, and being cancelled does not undo it.
        await asyncio.shield(self._closing)

    async def _close(self, reason: str | None, caller: asyncio.Task[object] | None) -> None:
        if self._reader is not None and self._reader is not caller:
            self._stopped = reason or "the stream was closed"
            self._left = asyncio.Event()
            self._reader.cancel()
            await self._left.wait()
        events, self._events = self._events, None
        if events is None:
            return
        if reason is not None or caller is not self._last_reader:
            self._stopped = reason or "the stream was closed"
        await events.aclose()

    def _is_stopped(self) -> bool:
        return self._stopped is not None

    def _stop_error(self) -> StreamInterruptedError:
        return StreamInterruptedError(
            f"the answer was not read to its end: {self._stopped}",
            kind=ErrorKind.CANCELLED,
            kept=self._send.kept,
            next_step="send a message to go on from there",
        )

    async def read(self) -> Reply:
        """Read to the end and return the whole answer."""
        async with self:
            async for _ in self:
                pass
        return self.reply

    def __del__(self) -> None:
        events, self._events = self._events, None
        if events is not None and self._last_reader is not None:
            self._core.close_later(events)


class Gate:
    """
    Lets one answer at a time onto a branch; others wait their turn, as long as their own send may take.

    A task that left a stream open and sends again would wait for itself: its old stream is closed first,
    as if it had been left with ``break``.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder: weakref.ref[ReplyStream] | None = None
        self._task: asyncio.Task[object] | None = None

    async def run(self, send: Send, stream: weakref.ref[ReplyStream]) -> AsyncGenerator[Event]:
        """Yield a send's events, once it is its turn."""
        task = asyncio.current_task()
        deadline = send.begin()
        if self._task is task and self._holder is not None and (open_stream := self._holder()) is not None:
            await open_stream.stop("another message was sent meanwhile")
        await self._enter(deadline)
        try:
            self._holder, self._task = stream, task
            async with aclosing(send.events()) as events:
                async for event in events:
                    yield event
        finally:
            self._holder = self._task = None
            self._lock.release()

    async def _enter(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await self._lock.acquire()
        except TimeoutError:
            raise ConversationBusyError(
                "another answer was under way on this branch for as long as this send may take",
                kept="the message was not stored, and nothing was sent",
                next_step="read the other stream to its end, or close it",
            ) from None


class Conversation:
    """
    One conversation. Get it from a client; there is one object for each conversation and client.

    Attributes:
        id: A UUIDv7.
    """

    def __init__(self, core: Core, record: ConversationRecord) -> None:
        self._core = core
        self._record = record
        self._gate = Gate()
        self._path = Path()
        self.id: UUID = record.id

    @property
    def title(self) -> str | None:
        """The title; None when untitled."""
        return self._record.title

    @property
    def provider(self) -> str:
        """Who answers."""
        return self._record.branch.provider

    @property
    def model(self) -> str:
        """Which model answers."""
        return self._record.branch.model

    async def send(
        self,
        text: str,
        *,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> Reply:
        """
        Say something and wait for the whole answer.

        Args:
            text: What to say.
            options: What to ask of the answer.
            fallback: ``provider`` or ``provider/model``, asked in order when the conversation's own fails;
                None for the configured ones, an empty sequence for none.
            timeouts: How long to wait; None for the provider's own.

        Returns:
            The answer, stored.

        Raises:
            ProviderError: No target answered; the message is stored and marked as failed.
            StreamInterruptedError: The answer broke off; its beginning is stored.
            ContextOverflowError: The message is too long for the budget; nothing was sent.
            ConversationBusyError: Another process is answering on this branch.
            StoreError: The message could not be stored, so nothing was sent; or the answer could not.
        """
        return await self._stream(text, options, fallback, timeouts, stream=False).read()

    def stream(
        self,
        text: str,
        *,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ReplyStream:
        """
        Say something and read the answer as it comes.

        Nothing happens before the stream is read. Arguments and errors are those of :meth:`send`.
        """
        return self._stream(text, options, fallback, timeouts, stream=True)

    async def switch(self, provider: str, model: str | None = None) -> None:
        """
        Go on with another provider; the history comes along.

        Local and atomic: no provider is asked, and a switch that fails changes nothing.

        Args:
            provider: A configured name.
            model: None for the provider's default.

        Raises:
            UnknownProviderError: No provider of that name is configured.
            DriverNotInstalledError: Its driver is not installed.
        """
        chosen = self._core.plugins.get_provider(provider)
        after = Target(provider, model or chosen.default_model)
        branch = self._record.branch
        await self._core.store.update_target(
            self._core.owner,
            self.id,
            branch.name,
            provider=after.provider,
            model=after.model,
            at=self._core.clock.now(),
        )
        self._record = attrs.evolve(
            self._record, branch=attrs.evolve(branch, provider=after.provider, model=after.model)
        )
        self._core.plugins.observe(Switched(self.id, Target(branch.provider, branch.model), after))

    async def history(self, limit: int | None = None) -> list[Message]:
        """
        Return what was said, oldest first.

        Args:
            limit: The newest so many; None for all.
        """
        return await self._core.store.get_messages(
            self._core.owner, self.id, self._record.branch.name, limit=limit
        )

    async def attempts(self) -> list[Attempt]:
        """Return every call to a provider, in the order they were started."""
        return await self._core.store.get_attempts(self._core.owner, self.id)

    async def sessions(self) -> list[ProviderSession]:
        """Return who spoke when, and why it was them."""
        return derive_sessions(await self.attempts())

    async def cost(self) -> CostReport:
        """Return what the conversation cost, by provider and by model, failed calls included."""
        return report_costs(await self.attempts())

    async def rename(self, title: str | None) -> None:
        """Change the title, at most 200 characters; None to have none."""
        title = check_title(title)
        await self._core.store.update_title(self._core.owner, self.id, title, self._core.clock.now())
        self._record = attrs.evolve(self._record, title=title)

    def refresh(self, record: ConversationRecord) -> None:
        """Take what the store says now."""
        self._record = record

    def _stream(
        self,
        text: str,
        options: Options,
        fallback: Sequence[str] | None,
        timeouts: Timeouts | None,
        *,
        stream: bool,
    ) -> ReplyStream:
        if not text.strip():
            raise ConfigurationError("there is nothing to send: the message is empty", value=text)
        outgoing = Outgoing(
            conversation_id=self.id,
            branch=self._record.branch.name,
            text=text,
            targets=self._targets(fallback),
            options=options,
            timeouts=timeouts,
            stream=stream,
        )
        return ReplyStream(self, self._core, self._gate, Send(self._core, outgoing, self._path))

    def _targets(self, fallback: Sequence[str] | None) -> list[Target]:
        own = Target(self.provider, self.model)
        provider = self._core.plugins.get_provider(own.provider)
        if fallback is None:
            fallback = (
                provider.config.fallback
                if provider.config.fallback is not None
                else self._core.config.fallback
            )
        chain = [own, *(parse_target(name, self._core.plugins) for name in fallback)]
        return list(dict.fromkeys(chain))

    def __repr__(self) -> str:
        return f"<Conversation {self.id} {self.title!r} with {self.provider}/{self.model}>"


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine of asyncio runs in a task
    return task


def check_title(title: str | None) -> str | None:
    """Return a title fit to be stored; ConfigurationError when it is too long."""
    if title is not None and len(title) > MAX_TITLE:
        raise ConfigurationError(
            f"a title has at most {MAX_TITLE} characters, and this one has {len(title)}", value=title
        )
    return title or None
