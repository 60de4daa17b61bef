"""One attempt on its way: its request is made, it waits for its place, and its answer is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Self

import attrs

from tertulia.domain.context import Context
from tertulia.domain.event import Event, Queued
from tertulia.domain.exchange import Delta, Request, Target
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
from tertulia.services.budgets import Spending
from tertulia.services.core import Core
from tertulia.services.counting import learn_from_answer, learn_from_error
from tertulia.services.cutting_off import GRACE, CutOff
from tertulia.services.ending import CLOSE_SECONDS, close_iterator, explain_foreign
from tertulia.services.estimating import price_prompt
from tertulia.services.keeping import Keeper
from tertulia.services.questions import Question
from tertulia.services.routing.router import LONGEST_WAIT
from tertulia.services.trial import WORDS, Trial

RESERVE = 1 / 3
"""Of the time that is left, for whoever is asked next."""

_CUT = 0.75  # of a context that was too long, where nobody says by how much
_ROOM = 0.95


class Call:
    """
    One attempt on its way: in its ``with`` block :meth:`wait` is read, and then :meth:`answer`, each once.

    Args:
        core: The client's parts.
        outgoing: How to ask.
        question: What to ask, and where.
        trial: The attempt.
        keeper: Is told what was shown.
        deadline: When the send ends, on the event loop's clock.
        others: Who else can be asked.

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
        others: Sequence[Target] = (),
    ) -> None:
        self.deadline = deadline
        self._core = core
        self._outgoing = outgoing
        self._question = question
        self._trial = trial
        self._keeper = keeper
        self._others = others
        self._guard = core.health.guard(trial.target.provider)
        self._is_in = False
        self._is_asked = False  # and it is not known yet how it answered

    def __enter__(self) -> Self:
        self._cut_off = CutOff(self.deadline + GRACE)
        return self

    def __exit__(self, *_: object) -> None:
        self._cut_off.close()
        if self._is_in:
            self._guard.leave()
        if self._is_asked:
            self._core.health.abandon(self._trial.target)

    async def wait(self) -> AsyncGenerator[Event]:
        """Make the request, and wait until it may go; yield what there is to wait for."""
        core, target, guard = self._core, self._trial.target, self._guard
        self._request = await self._make_request()
        cooldown = min(core.health.cooldown(target), LONGEST_WAIT)
        if 0 < cooldown < self.deadline - asyncio.get_running_loop().time():
            yield Queued(target, 0, cooldown)
            await asyncio.sleep(cooldown)
            self._trial.began = core.clock.monotonic()
        if not guard.try_enter(self._tokens):
            yield Queued(target, guard.position, guard.estimate_wait(self._tokens))
            self._request = await self._wait_for_place()
            self._is_in = True
            self._cut_off.move(self.deadline + GRACE)
            self._check_again()
        self._is_in = True
        # Last, so that nobody's money waits in a queue.
        await set_aside(core, self._outgoing.spending, self._trial, self._request)

    @property
    def _tokens(self) -> int:
        return _known(self._trial.context).report.tokens

    async def _make_request(self) -> Request:
        """Make the request; whoever hangs meanwhile, a plugin for example, is cut off at the deadline."""
        trial, cut_off = self._trial, self._cut_off
        cut_off.arm()
        try:
            request, trial.context, warnings = await make_request(
                self._core,
                self._outgoing,
                self._question,
                target=trial.target,
                deadline=self.deadline,
                max_tokens=trial.max_tokens,
            )
        except asyncio.CancelledError:
            if not cut_off.settle():
                raise
            error = ProviderTimeoutError(
                f"the request to {trial.target} was not made in the time for the whole send",
                provider=trial.target.provider,
                model=trial.target.model,
                next_step="see which plugin chooses the context, or allow more time",
            )
            error.sent = False
            raise error from None
        finally:
            cut_off.disarm()
        trial.warnings += warnings
        return self._hasten(request)

    def _hasten(self, request: Request) -> Request:
        """Let a stream begin early enough for somebody else to answer where it does not."""
        first = request.timeouts.first_content
        if first is None or not self._others or not request.stream:
            return request
        most = (self.deadline - asyncio.get_running_loop().time()) * (1 - RESERVE)
        if first <= most:
            return request
        return attrs.evolve(request, timeouts=attrs.evolve(request.timeouts, first_content=max(0.0, most)))

    async def _wait_for_place(self) -> Request:
        """Wait as long as it takes; that is no part of any timeout."""
        trial, loop = self._trial, asyncio.get_running_loop()
        began = loop.time()
        try:
            await self._guard.wait(self._tokens)
        except QueueFullError as error:
            error.provider, error.model = trial.target.provider, trial.target.model
            error.message = f"provider {trial.target.provider!r}: {error.message}"
            raise
        finally:
            queued = loop.time() - began
            trial.queued = round(queued, 6)
            self.deadline += queued
        trial.began = self._core.clock.monotonic()
        return attrs.evolve(self._request, deadline=self.deadline)

    def _check_again(self) -> None:
        """Go elsewhere where the target has failed others while this call was waiting for its place."""
        health, target = self._core.health, self._trial.target
        found = health.describe(target)
        is_closed = found.state is BreakerState.OPEN or health.cooldown(target) > 0
        if not is_closed or not any(map(health.may_ask, self._others)):
            return
        raise QueueFullError(
            f"provider {target.provider!r} is passed over for now: {found.last_error}",
            queued_seconds=self._trial.queued or 0.0,
            provider=target.provider,
            model=target.model,
            retry_after=found.reopens_in,
        )

    async def answer(self) -> AsyncGenerator[Event]:
        """Ask, and yield what may be shown of the answer; the trial knows the rest."""
        core, trial, request, cut_off = self._core, self._trial, self._request, self._cut_off
        core.health.begin(trial.target)
        self._is_asked = trial.was_sent = True
        to_close: list[AsyncIterator[Delta]] = []
        try:
            iterator, to_close = core.plugins.send_message(request)
            cut_off.arm()
            async for delta in iterator:
                cut_off.disarm()
                event = trial.take(delta, core.clock)
                if event is None:
                    self._mind_end()
                else:
                    if request.stream and isinstance(event, WORDS):
                        self._keeper.shown(len(event.text))
                    yield event
                cut_off.arm()
        except TertuliaError as error:
            learn_from_error(core, request, _known(trial.context), error)
            self._fail(error)
            raise
        except asyncio.CancelledError:
            if not cut_off.settle():
                raise
            if trial.reply is None:
                raise self._fail(self._explain_cut_off()) from None
        except Exception as error:
            raise explain_foreign(error, trial.target) from error
        finally:
            cut_off.disarm()
            await _close_all(to_close, trial)
        self._conclude(request)

    def _mind_end(self) -> None:
        """After its last word, whatever the driver still does is not worth a wait."""
        if self._trial.reply is not None:
            self._cut_off.move(asyncio.get_running_loop().time() + CLOSE_SECONDS)

    def _conclude(self, request: Request) -> None:
        """Take the last word for an answer, if it is one, and learn from it."""
        core, trial = self._core, self._trial
        try:
            trial.check_reply()
        except TertuliaError as error:
            self._fail(error)
            raise
        reply = trial.reply
        assert reply is not None  # noqa: S101  # it was checked
        self._is_asked = False
        self._tell(core.health.succeed(trial.target, trial.first_content), None)
        if reply.rate_limits is not None:
            core.health.guard(trial.target.provider).learn(reply.rate_limits)
        learn_from_answer(core, request, _known(trial.context), reply)

    def _fail(self, error: TertuliaError) -> TertuliaError:
        """Say in an error who failed, and remember it; what a plugin does says nothing of the provider."""
        target = self._trial.target
        if isinstance(error, ProviderError):
            error.provider, error.model = error.provider or target.provider, error.model or target.model
            self._is_asked = False
            self._tell(self._core.health.fail(target, error), error)
        return error

    def _explain_cut_off(self) -> ProviderTimeoutError:
        target = self._trial.target
        return ProviderTimeoutError(
            f"provider {target.provider!r} had not ended when the time for the whole send was over",
            provider=target.provider,
            model=target.model,
            next_step="send again, or allow more time; a driver keeps to request.deadline",
        )

    def _tell(self, state: BreakerState | None, error: TertuliaError | None) -> None:
        if state is None:
            return
        core, target = self._core, self._trial.target
        kind = None if error is None else error.kind
        core.plugins.observe(BreakerChanged(target, state, kind, core.health.reopens_in(target)))


async def set_aside(core: Core, spending: Spending | None, trial: Trial, request: Request) -> None:
    """
    Set aside what a call can cost at most, where there is a budget to mind.

    Raises:
        BudgetExceededError: A budget does not allow the call.
    """
    if spending is None or not spending.is_needed:
        return
    highest = price_prompt(core, request, _known(trial.context).report.tokens).high
    money = None if highest is None else highest.money
    trial.warnings += await spending.reserve(trial.attempt.id, trial.target, money)


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
