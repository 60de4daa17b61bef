"""The blocking comparison."""

# ruff: noqa: D102  # a method without a docstring has that of its twin

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Self

from tertulia.domain.comparing import ComparedEvent, Comparison
from tertulia.runtime.loop_thread import LoopThread
from tertulia.services.comparing import ComparisonStream as AsyncComparisonStream
from tertulia.sync.twins import documented_by


@documented_by(AsyncComparisonStream)
class ComparisonStream:
    """
    Several answers as they come: an iterator of events, and a context manager.

    Leaving early keeps what came of each answer until then, and closes their connections: at once at the end
    of ``with`` or after :meth:`close`, and before this thread's next call after a ``break``, once nothing
    holds the stream any more.

    Example::

        comparison = conversation.compare("Lisbon or Porto?", ["openai", "gemini", "xai"]).read()
        for answer in comparison.answers:
            print(answer.target, answer.seconds, answer.cost, answer.reply or answer.error)
    """

    def __init__(self, thread: LoopThread, twin: AsyncComparisonStream) -> None:
        self._thread = thread
        self._twin = twin
        # Not __del__: a collector would finalize the twin as well, first or last, and far from its loop.
        weakref.finalize(self, thread.post, twin.aclose).atexit = False

    @property
    def comparison(self) -> Comparison:
        return self._twin.comparison

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ComparedEvent:
        event = self._thread.run(_next(self._twin))
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """
        Leave: keep what came of the answers and close their connections. Safe to call twice, from any thread.

        A thread that is reading the stream right now gets a :class:`tertulia.StreamInterruptedError`.
        """
        if self._thread.is_running:  # else it was closed with the client
            self._thread.run(self._twin.aclose())

    def read(self) -> Comparison:
        return self._thread.run(self._twin.read())


async def _next(stream: AsyncComparisonStream) -> ComparedEvent | None:
    return await anext(stream, None)
