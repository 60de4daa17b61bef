"""The blocking stream."""

# ruff: noqa: D102  # a method without a docstring has that of its twin

from __future__ import annotations

import weakref
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from tertulia.domain.event import Event
from tertulia.domain.exchange import Reply
from tertulia.runtime.loop_thread import LoopThread
from tertulia.services.stream import ReplyStream as AsyncReplyStream
from tertulia.sync.twins import documented_by


class Leaving:
    """
    What can be left early: a context manager, with an end of its own.

    Args:
        thread: Where the twin is at home.
        leave: The twin's ``aclose``.
    """

    def __init__(self, thread: LoopThread, leave: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._thread = thread
        self._leave = leave
        # Not __del__: a collector would finalize the twin as well, first or last, and far from its loop.
        weakref.finalize(self, thread.post, leave).atexit = False

    def __iter__(self) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """
        Leave: keep what was shown, and close every connection. Safe to call twice, and from any thread.

        A thread that is reading right now gets a :class:`tertulia.StreamInterruptedError`.
        """
        if self._thread.is_running:  # else it was closed with the client
            self._thread.run(self._leave())


@documented_by(AsyncReplyStream)
class ReplyStream(Leaving):
    """
    An answer as it comes: an iterator of events, and a context manager.

    Leaving early keeps what was shown, as an interrupted message, and closes the connection: at once at
    the end of ``with`` or after :meth:`close`, and before this thread's next call after a ``break``, once
    nothing holds the stream any more.

    Example::

        with conversation.stream("Now with children.") as stream:
            for event in stream:
                if isinstance(event, tertulia.TextDelta):
                    print(event.text, end="")
        print(stream.reply.cost)
    """

    def __init__(self, thread: LoopThread, twin: AsyncReplyStream) -> None:
        super().__init__(thread, twin.aclose)
        self._twin = twin

    @property
    def reply(self) -> Reply:
        return self._twin.reply

    def __next__(self) -> Event:
        event = self._thread.run(_next(self._twin))
        if event is None:
            raise StopIteration
        return event

    def read(self) -> Reply:
        return self._thread.run(self._twin.read())


async def _next(stream: AsyncReplyStream) -> Event | None:
    return await anext(stream, None)
