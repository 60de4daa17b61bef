"""An answer as it comes, and the turn it has to wait for."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Container, Generator
from contextvars import Context, ContextVar, copy_context
from types import TracebackType
from typing import Protocol, Self

from tertulia.domain.event import Completed, Event
from tertulia.domain.exchange import Reply, TextDelta
from tertulia.errors import ConversationBusyError, ErrorKind, StreamInterruptedError, TertuliaError
from tertulia.services.core import Core

NOTHING_SENT = "nothing was stored, and nothing was sent"


class Sending(Protocol):
    """What a stream needs to know of the send behind it."""

    @property
    def kept(self) -> str:
        """What is stored of it by now, as a sentence."""
        ...

    def events(self, stream: weakref.ref[ReplyStream]) -> AsyncGenerator[Event]:
        """Yield the answer as it comes to a stream, once it is its turn on its branch."""
        ...


class ReplyStream:
    """
    An answer as it comes: an async iterator of events, and an async context manager.

    Leaving early keeps what was shown, as an interrupted message, and closes the connection: at once at
    the end of ``async with`` or after :meth:`aclose`, which any task may call, and soon after a ``break``
    once nothing holds the stream any more. Awaited, it is read to its end and gives the whole answer.

    Example::

        async with conversation.stream("Now with children.") as stream:
            async for event in stream:
                if isinstance(event, tertulia.TextDelta):
                    print(event.text, end="")
        print(stream.reply.cost)
    """

    def __init__(self, core: Core, send: Sending) -> None:
        self._core = core
        self._send = send
        self._reply: Reply | None = None
        self._reader: asyncio.Task[object] | None = None  # who waits for an event right now
        self._last_reader: asyncio.Task[object] | None = None
        self._left: asyncio.Event | None = None  # set when the reader has left
        self._stopped: str | None = None
        self._closing: asyncio.Task[None] | None = None
        self._events: AsyncGenerator[Event] | None = send.events(weakref.ref(self))
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
        reader = _current_task()
        # A task stays on its loop, so that is not asked for each delta.
        if reader is not self._last_reader or self._reader is not None or self._stopped is not None:
            self._refuse_strangers()
        if self._events is None:
            raise StopAsyncIteration
        if self._last_reader is None:
            self._core.begun.add(self._events)
        cancelled_before = reader.cancelling()
        self._reader = self._last_reader = reader
        try:
            event = await anext(self._events)
            if type(event) is not TextDelta:
                await self._note(event, reader, cancelled_before)
            return event
        except asyncio.CancelledError:
            self._let_go()
            # When only the stream was to end, and not its reader, the reader is told in our own words.
            if not self._is_stopped() or reader.uncancel() > cancelled_before:
                raise
        except BaseException as error:
            self._let_go()
            # The end was stored before anything else, so a cancellation may have come meanwhile.
            if (reader.uncancel() if self._is_stopped() else reader.cancelling()) > cancelled_before:
                raise asyncio.CancelledError from error
            raise
        finally:
            self._reader = None
            if self._left is not None:
                self._left.set()
        raise self._stop_error()

    def _refuse_strangers(self) -> None:
        """Only one task reads, on the client's own loop, and only until somebody has closed the stream."""
        self._core.check_home()
        if self._reader is not None:
            raise TertuliaError("another task is reading this stream", next_step="read a stream in one task")
        if self._stopped is not None:
            raise self._stop_error()

    async def _note(self, event: Event, reader: asyncio.Task[object], cancelled_before: int) -> None:
        """Keep the reply, let the next send have its turn, and pass on what came while all was stored."""
        if isinstance(event, Completed):
            self._reply = event.reply
            events = self._let_go()
            if events is not None:
                await events.aclose()
            if self._is_stopped():
                reader.uncancel()  # too late to stop anything: the answer is whole
                self._stopped = None
        if reader.cancelling() > cancelled_before:
            raise asyncio.CancelledError

    def __await__(self) -> Generator[object, None, Reply]:
        return self.read().__await__()

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
            self._core.check_home()
            self._closing = self._core.start(self._close(reason, asyncio.current_task()))
        # Whoever else closes waits for the same end, and being cancelled does not undo it.
        await asyncio.shield(self._closing)

    async def _close(self, reason: str | None, caller: asyncio.Task[object] | None) -> None:
        if self._reader is not None and self._reader is not caller:
            self._stopped = reason or "the stream was closed"
            self._left = asyncio.Event()
            self._reader.cancel()
            await self._left.wait()
        events = self._let_go()
        if events is None:
            return
        if reason is not None or caller is not self._last_reader:
            self._stopped = reason or "the stream was closed"
        await events.aclose()

    def was_left_by(self, task: asyncio.Task[object]) -> bool:
        """Whether nobody reads it right now, and this task was the last who did."""
        return self._reader is None and self._last_reader is task

    def _let_go(self) -> AsyncGenerator[Event] | None:
        """Read no further; whoever closes what was read has it from here."""
        events, self._events = self._events, None
        if events is not None:
            self._core.begun.discard(events)
        return events

    def _is_stopped(self) -> bool:
        return self._stopped is not None

    def _stop_error(self) -> StreamInterruptedError:
        return StreamInterruptedError(
            f"the answer was not read to its end: {self._stopped}",
            kind=ErrorKind.CANCELLED,
            kept=self._send.kept,
            next_step="resume() asks for the rest, or send a message to go on from there",
        )

    async def read(self) -> Reply:
        """Read to the end and return the whole answer."""
        async with self:
            async for _ in self:
                pass
        return self.reply

    def __del__(self) -> None:
        events = self._let_go()
        if events is not None and self._last_reader is not None:
            self._core.close_later(events, self._last_reader.get_loop())


class Gate:
    """
    Lets one answer at a time onto a branch; others wait their turn, as long as their own send may take.

    A task that left a stream open and sends again would wait for itself: its old stream is closed first,
    as if it had been left with ``break``.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._holder: weakref.ref[ReplyStream] | None = None

    async def enter(self, stream: weakref.ref[ReplyStream], deadline: float) -> None:
        """
        Wait for the turn of a stream.

        Raises:
            ConversationBusyError: It did not come before the deadline, or it waits for whoever asks.
        """
        if any(turn.waits_at(self) for turn in _waiting.get()):
            raise ConversationBusyError(
                "the answer under way on this branch waits for the function that sends here",
                kept=NOTHING_SENT,
                next_step="let the function send on a fork(), or in another conversation",
            )
        open_stream = None if self._holder is None else self._holder()
        if open_stream is not None and open_stream.was_left_by(_current_task()):
            await open_stream.stop("another message was sent meanwhile")
        del open_stream  # one that was dropped must not be held here: its place would never become free
        if self._waiting or self._lock.locked():
            await self._wait(deadline)
        else:
            await self._lock.acquire()  # at once
        self._holder = stream

    async def _wait(self, deadline: float) -> None:
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await self._lock.acquire()
        except TimeoutError:
            raise ConversationBusyError(
                "another answer was under way on this branch for as long as this send may take",
                kept=NOTHING_SENT,
                next_step="read the other stream to its end, or close it",
            ) from None
        finally:
            self._waiting -= 1

    @property
    def is_free(self) -> bool:
        """Whether it is nobody's turn."""
        return not self._lock.locked()

    def leave(self) -> None:
        """Let the next one in."""
        self._holder = None
        self._lock.release()


class Turn:
    """
    A place on a branch: of one send, or of several that follow each other with nobody in between.

    Attributes:
        is_kept: Whether it outlives the end of a send; :meth:`leave` ends it then.

        is_calling: Whether it waits for functions, which must not wait for it.
    """

    def __init__(self, *, is_kept: bool = False) -> None:
        self.is_kept = is_kept
        self.is_calling = False
        self._gate: Gate | None = None
        self._stream: weakref.ref[ReplyStream] | None = None

    async def begin(self, gate: Gate, stream: weakref.ref[ReplyStream], deadline: float) -> None:
        """Wait for the turn, unless it has come already; ConversationBusyError as of :meth:`Gate.enter`."""
        if self._gate is None:
            await gate.enter(stream, deadline)
            self._gate, self._stream = gate, stream

    def waits_at(self, gate: Gate) -> bool:
        """Whether it has its place there, and keeps it until its functions return."""
        return self.is_calling and self._gate is gate

    def is_behind(self, streams: Container[ReplyStream | None]) -> bool:
        """Whether one of these streams goes on when its functions return."""
        return self.is_calling and self._stream is not None and self._stream() in streams

    def make_context(self) -> Context:
        """The caller's context, for functions that this turn waits for."""
        context = copy_context()
        context.run(_waiting.set, (*_waiting.get(), self))
        return context

    async def follow(self, gate: Gate) -> None:
        """Go along to the branch that a send was moved to, unless somebody has the turn there by now."""
        if self._gate is None or self._stream is None or gate is self._gate or not gate.is_free:
            return
        await gate.enter(self._stream, asyncio.get_running_loop().time() + 1.0)  # which is free
        self._gate.leave()
        self._gate = gate

    def end(self) -> None:
        """A send is over."""
        if not self.is_kept:
            self.leave()

    def leave(self) -> None:
        """Let the next one in; safe to call twice."""
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.leave()


# Seen by functions that a model calls, in threads as well: who waits until they return.
_waiting: ContextVar[tuple[Turn, ...]] = ContextVar("tertulia_waiting", default=())


def refuse_from_within(core: Core) -> None:
    """Refuse to close a client to a function that one of its answers waits for; it would wait for itself."""
    if any(turn.is_behind(core.streams) for turn in _waiting.get()):
        raise TertuliaError(
            "an answer of this client waits for the function that would close it",
            next_step="close the client when the answer is there",
        )


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # a coroutine of asyncio runs in a task
    return task
