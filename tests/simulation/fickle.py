"""A provider that does whatever its seed says: answers, refuses, hangs, dies, and worse."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Any

import attrs

from tertulia import (
    ConnectionFailedError,
    Delta,
    ErrorKind,
    FinishReason,
    ModelInfo,
    Price,
    Provider,
    ProviderReply,
    Rates,
    ReasoningDelta,
    Request,
    StreamInterruptedError,
    Text,
    TextDelta,
    Usage,
)
from tertulia.domain.config import ProviderConfig
from tertulia.errors import (
    BudgetExceededError,
    ConversationBusyError,
    ProviderError,
    StoreError,
    TertuliaError,
)
from tertulia.wire.errors import ERROR_CLASSES

PRICED, UNPRICED = "priced-1", "unpriced-1"
FOREIGN: Sequence[Callable[[], Exception]] = (
    lambda: ValueError("no such thing"),
    lambda: OSError(104, "connection reset by peer"),
    lambda: KeyError("choices"),
    lambda: TimeoutError("of its own"),
    StopAsyncIteration,
    RecursionError,
    lambda: ExceptionGroup("two at once", [ValueError(), OSError()]),
)
NOT_A_PROVIDERS: Sequence[type[TertuliaError]] = (ConversationBusyError, StoreError, StreamInterruptedError)
WAITS = (None, None, None, None, 0.0, 0.2, 0.9, 3.0, 45.0, 3600.0, -1.0, math.nan, math.inf)
PIECES = ("The ", "quick ", "brown ", "fox ", "jumps.")


@attrs.define(eq=False)
class Call:
    """
    One call of the provider, and what came of it.

    Attributes:
        words: What it has yielded, piece by piece.

        whole: The text that it called its whole answer; None before.

        is_over: Whether its generator has ended or was closed.
    """

    request: Request
    fate: str
    began: float
    words: list[str] = attrs.field(factory=list[str])
    whole: str | None = None
    is_over: bool = False


class Fickle(Provider):
    """
    Answers by chance.

    Args:
        trouble: The probability that a call goes wrong.
        fates: What may happen then; none for all there is.
        witness: Is shown each request before it is answered.
    """

    DEFAULT_MODEL = PRICED
    MODELS = (
        ModelInfo("fickle", PRICED, context_window=100_000, max_output_tokens=1000),
        ModelInfo("fickle", UNPRICED, context_window=8_000),
    )
    PRICES = (Price("fickle/1", PRICED, Rates(Decimal(1), Decimal(2), Decimal(0), Decimal(0))),)
    OPTIONS = frozenset({"temperature", "max_output_tokens"})

    def __init__(
        self,
        config: ProviderConfig,
        chance: random.Random,
        *,
        trouble: float,
        fates: Sequence[str] = (),
        witness: Callable[[Request], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(config)
        self.calls: list[Call] = []
        self.most_at_once = 0
        self.trouble = trouble
        self._chance = chance
        self._witness = witness
        self._fates = fates or tuple(FATES)

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return sum(not call.is_over for call in self.calls)

    async def list_models(self) -> Sequence[ModelInfo]:
        """Those there are."""
        return self.MODELS

    async def send_message(self, request: Request) -> AsyncIterator[Delta]:
        """Let fate decide."""
        chance = self._chance
        fate = chance.choice(self._fates) if chance.random() < self.trouble else "answers"
        call = Call(request, fate, asyncio.get_running_loop().time())
        self.calls.append(call)
        self.most_at_once = max(self.most_at_once, self.in_flight)
        try:
            if self._witness is not None:
                await self._witness(request)
            if chance.random() < 0.7:
                await asyncio.sleep(chance.choice((0, 0, 0.1, 2)))
            async for delta in FATES[fate](self, call):
                if isinstance(delta, TextDelta) and isinstance(delta.text, str):
                    call.words.append(delta.text)
                if isinstance(delta, ProviderReply):
                    call.whole = delta.text
                yield delta
        finally:
            call.is_over = True

    async def say(self, call: Call, most: int = len(PIECES)) -> AsyncIterator[Delta]:
        """Some words that nobody else says, at its own pace."""
        chance = self._chance
        pace = chance.choice((0, 0, 0.001, 0.3, 20.0))
        if chance.random() < 0.2:
            yield ReasoningDelta("Hm. ")
        for number in range(most):
            if pace:
                await asyncio.sleep(pace)
            name = f"{self.name}.{self.calls.index(call)} " if number == 0 else ""
            yield TextDelta(name + PIECES[number] * chance.choice((1, 1, 1, 40)))

    def reply(self, call: Call, finish: FinishReason = FinishReason.STOP, **said: Any) -> ProviderReply:
        """The last word."""
        text = "".join(call.words)
        usage = self._chance.choice((Usage(10, 0, 0, 5, 0), Usage(), Usage(7, 3, 0, 2, 9)))
        parts = (Text(text),) if text else ()
        return ProviderReply(parts, finish, finish.value, usage, model=call.request.target.model, **said)

    def error(self) -> TertuliaError:
        """Anything that a driver may raise, and some that it should not."""
        chance = self._chance
        if chance.random() < 0.05:
            return chance.choice(NOT_A_PROVIDERS)("of a driver")
        if chance.random() < 0.02:
            return BudgetExceededError("of a driver")
        kind = chance.choice((*ERROR_CLASSES.values(), ConnectionFailedError))
        error: ProviderError = kind(f"{self.name} fails", retry_after=chance.choice(WAITS))
        if chance.random() < 0.1:
            error.retryable = not error.retryable
        error.sent = chance.random() < 0.8
        error.usage = chance.choice((None, None, Usage(10, 0, 0, 0, 0)))
        return error

    async def answers(self, call: Call) -> AsyncIterator[Delta]:
        async for delta in self.say(call):
            yield delta
        yield self.reply(call, self._chance.choice((FinishReason.STOP, FinishReason.LENGTH)))

    async def refuses(self, call: Call) -> AsyncIterator[Delta]:
        raise self.error()
        yield

    async def dies(self, call: Call) -> AsyncIterator[Delta]:
        async for delta in self.say(call, self._chance.randint(1, 4)):
            yield delta
        raise self.error()

    async def raises(self, call: Call) -> AsyncIterator[Delta]:
        async for delta in self.say(call, self._chance.choice((0, 0, 1))):
            yield delta
        error = self._chance.choice(FOREIGN)()
        raise error

    async def hangs(self, call: Call) -> AsyncIterator[Delta]:
        async for delta in self.say(call, self._chance.choice((0, 0, 2))):
            yield delta
        await asyncio.Event().wait()

    async def clings(self, call: Call) -> AsyncIterator[Delta]:
        """Takes no notice of being cancelled, for a while."""
        for _ in range(3):
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                continue
        yield self.reply(call)

    async def lingers(self, call: Call) -> AsyncIterator[Delta]:
        """Is slow to leave."""
        try:
            async for delta in self.answers(call):
                yield delta
        finally:
            await asyncio.sleep(self._chance.choice((0, 0.1)))

    async def stops(self, call: Call) -> AsyncIterator[Delta]:
        """Ends without a last word."""
        async for delta in self.say(call, self._chance.choice((0, 2))):
            yield delta

    async def babbles(self, call: Call) -> AsyncIterator[Any]:
        """Yields what is no delta."""
        async for delta in self.say(call, self._chance.choice((0, 1))):
            yield delta
        yield self._chance.choice((None, 42, "words", TextDelta(None), {"type": "text"}))  # type: ignore[arg-type]

    async def says_nothing(self, call: Call) -> AsyncIterator[Delta]:
        yield self.reply(call, self._chance.choice((FinishReason.STOP, FinishReason.CONTENT_FILTER)))

    async def gives_up(self, call: Call) -> AsyncIterator[Delta]:
        """Calls its own answer failed, or not finished."""
        async for delta in self.say(call, self._chance.choice((0, 2))):
            yield delta
        finish = self._chance.choice((FinishReason.ERROR, FinishReason.PAUSE, FinishReason.CANCELLED))
        kind = self._chance.choice((None, *ErrorKind))
        yield attrs.evolve(self.reply(call, finish, error_kind=kind), parts=())

    async def repeats(self, call: Call) -> AsyncIterator[Delta]:
        """Has two last words."""
        async for delta in self.answers(call):
            yield delta
        yield self.reply(call)


FATES: dict[str, Callable[[Fickle, Call], AsyncIterator[Any]]] = {
    "answers": Fickle.answers,
    "refuses": Fickle.refuses,
    "dies": Fickle.dies,
    "raises": Fickle.raises,
    "hangs": Fickle.hangs,
    "clings": Fickle.clings,
    "lingers": Fickle.lingers,
    "stops": Fickle.stops,
    "babbles": Fickle.babbles,
    "says nothing": Fickle.says_nothing,
    "gives up": Fickle.gives_up,
    "repeats": Fickle.repeats,
}
