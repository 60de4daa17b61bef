"""One attempt on its way: its request is made, it waits for its place, and its answer is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import attrs

from tertulia.domain.context import Context
from tertulia.domain.event import Event, Queued
from tertulia.domain.exchange import Delta, Request
from tertulia.domain.health import BreakerState
from tertulia.domain.notice import BreakerChanged
from tertulia.errors import (
    ContextLengthError,
    ProviderError,
    ProviderTimeoutError,
    QueueFullError,
    TertuliaError,
)
from tertulia.services.asking import Outgoing, make_request
from tertulia.services.core import Core
from tertulia.services.counting import learn_from_answer, learn_from_error
from tertulia.services.cutting_off import GRACE, CutOff
from tertulia.services.ending import close_iterator, explain_foreign
from tertulia.services.estimating import price_prompt
from tertulia.services.keeping import Keeper
from tertulia.services.questions import Question
from tertulia.services.routing.router import LONGEST_WAIT
from tertulia.services.trial import WORDS, Trial

_CUT = 0.75  # of a context that was too long, where nobody says by how much
_ROOM = 0.95


class Call:
    """
    One attempt on its way. Its :meth:`events` can be read once.

    Args:
        core: The client's parts.
        outgoing: How to ask.
        question: What to ask, and where.
        trial: The attempt.
        keeper: Is told what was shown.
        deadline: When the send ends, on the event loop's clock.

    Attributes:
        deadline: The same, later by the time that was spent waiting for a place: that is nobody's delay.
    """

    def __init__(
        self,
        core: Core,
        outgoing: Outgoing,
        question: Question,
        trial: Trial,
        keeper: Keeper,
        *,
        deadline: float,
    ) -> None:
        self.deadline = deadline
        self._core = core
        self._outgoing = outgoing
        self._question = question
        self._trial = trial
        self._keeper = keeper

    async def events(self) -> AsyncGenerator[Event]:
        """Yield what may be shown of the answer; the trial knows the rest."""
        core, trial = self._core, self._trial
        request, context = await self._make_request()
        trial.context = context
        await self._reserve(request, context)
        wait = min(core.health.cooldown(trial.target), LONGEST_WAIT)
        if 0 < wait < self.deadline - asyncio.get_running_loop().time():
            yield Queued(trial.target, 0, wait)
            await asyncio.sleep(wait)
        guard = core.health.guard(trial.target.provider)
        if not guard.try_enter(context.report.tokens):
            waiting = guard.queued
            yield Queued(trial.target, waiting, guard.estimate_wait(context.report.tokens))
            began = asyncio.get_running_loop().time()
            try:
                await guard.wait(context.report.tokens)
            except QueueFullError as error:
                error.provider, error.model = trial.target.provider, trial.target.model
                raise
            finally:
                queued = asyncio.get_running_loop().time() - began
                trial.queued = round(queued, 6)
                self.deadline += queued
            trial.began = core.clock.monotonic()
            request = attrs.evolve(request, deadline=self.deadline)
        try:
            answer = self._send(request)
            try:
                async for event in answer:
                    yield event
            finally:
                await answer.aclose()
        finally:
            guard.leave()

    async def _make_request(self) -> tuple[Request, Context]:
        """Make the request; whoever hangs meanwhile, a plugin for example, is cut off at the deadline."""
        trial = self._trial
        try:
            async with asyncio.timeout_at(self.deadline):
                request, context, warnings = await make_request(
                    self._core,
                    self._outgoing,
                    self._question,
                    target=trial.target,
                    deadline=self.deadline,
                    max_tokens=trial.max_tokens,
                )
        except TimeoutError:
            error = ProviderTimeoutError(
                f"the request to {trial.target} was not made in the time for the whole send",
                provider=trial.target.provider,
                model=trial.target.model,
                next_step="see which plugin chooses the context, or allow more time",
            )
            error.sent = False
            raise error from None
        trial.warnings += warnings
        return request, context

    async def _reserve(self, request: Request, context: Context) -> None:
        """Set aside what the call can cost at most, where there is a budget to mind."""
        spending = self._outgoing.spending
        if spending is None or not spending.is_needed:
            return
        highest = price_prompt(self._core, request, context.report.tokens).high
        money = None if highest is None else highest.money
        trial = self._trial
        trial.warnings += await spending.reserve(trial.attempt.id, trial.target, money)

    async def _send(self, request: Request) -> AsyncGenerator[Event]:
        """Ask, and let it be known how that went."""
        core, trial, target = self._core, self._trial, self._trial.target
        core.health.begin(target)
        trial.was_sent = True
        is_settled = False
        try:
            answer = self._read(request)
            try:
                async for event in answer:
                    yield event
            finally:
                await answer.aclose()
            trial.check_reply()
        except ProviderError as error:
            is_settled = True
            error.provider, error.model = error.provider or target.provider, error.model or target.model
            self._tell(core.health.fail(target, error), error)
            raise
        else:
            is_settled = True
            self._tell(core.health.succeed(target, trial.first_content), None)
        finally:
            if not is_settled:
                core.health.abandon(target)
        reply = trial.reply
        assert reply is not None  # noqa: S101  # it was checked
        if reply.rate_limits is not None:
            core.health.guard(target.provider).learn(reply.rate_limits)
        learn_from_answer(core, request, _known(trial.context), reply)

    async def _read(self, request: Request) -> AsyncGenerator[Event]:
        core, trial = self._core, self._trial
        iterator, to_close = core.plugins.send_message(request)
        cut_off = CutOff(self.deadline + GRACE)
        try:
            cut_off.arm()
            async for delta in iterator:
                cut_off.disarm()
                if (event := trial.take(delta, core.clock)) is not None:
                    if request.stream and isinstance(event, WORDS):
                        self._keeper.shown(len(event.text))
                    yield event
                cut_off.arm()
        except TertuliaError as error:
            learn_from_error(core, request, _known(trial.context), error)
            raise
        except asyncio.CancelledError:
            if not cut_off.settle():
                raise
            raise self._explain_cut_off() from None
        except Exception as error:
            raise explain_foreign(error, trial.target) from error
        finally:
            cut_off.close()
            await _close_all(to_close, trial)

    def _explain_cut_off(self) -> ProviderTimeoutError:
        target = self._trial.target
        return ProviderTimeoutError(
            f"provider {target.provider!r} had not ended when the time for the whole send was over",
            provider=target.provider,
            model=target.model,
            next_step="send again, or allow more time; a driver keeps to request.deadline",
        )

    def _tell(self, state: BreakerState | None, error: ProviderError | None) -> None:
        if state is None:
            return
        core, target = self._core, self._trial.target
        kind = None if error is None else error.kind
        core.plugins.observe(BreakerChanged(target, state, kind, core.health.reopens_in(target)))


async def _close_all(iterators: list[AsyncIterator[Delta]], trial: Trial) -> None:
    """The provider's own iterator comes last, in case a wrapper around it forgot to close it."""
    for each in iterators:
        await close_iterator(each, trial)


def find_shorter(trial: Trial, error: TertuliaError) -> int | None:
    """
    Say how long the context may be when a provider found it too long, in our own tokens.

    Returns:
        None where the failure is another one.
    """
    if not isinstance(error, ContextLengthError) or trial.context is None:
        return None
    tokens = trial.context.report.tokens
    if error.limit and error.requested and error.requested > error.limit:
        return int(tokens * error.limit / error.requested * _ROOM)
    return int(tokens * _CUT)


def _known(context: Context | None) -> Context:
    assert context is not None  # noqa: S101  # it was chosen before anything was sent
    return context
