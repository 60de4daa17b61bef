"""The blocking comparison."""

# ruff: noqa: D102  # a method without a docstring has that of its twin

from __future__ import annotations

from tertulia.domain.comparing import ComparedEvent, Comparison
from tertulia.runtime.loop_thread import LoopThread
from tertulia.services.comparing import ComparisonStream as AsyncComparisonStream
from tertulia.sync.stream import Leaving
from tertulia.sync.twins import documented_by


@documented_by(AsyncComparisonStream)
class ComparisonStream(Leaving):
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
        super().__init__(thread, twin.aclose)
        self._twin = twin

    @property
    def comparison(self) -> Comparison:
        return self._twin.comparison

    def __next__(self) -> ComparedEvent:
        event = self._thread.run(_next(self._twin))
        if event is None:
            raise StopIteration
        return event

    def read(self) -> Comparison:
        return self._thread.run(self._twin.read())


async def _next(stream: AsyncComparisonStream) -> ComparedEvent | None:
    return await anext(stream, None)
