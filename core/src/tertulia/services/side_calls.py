"""Calls beside the answers: for a title, for a summary. They cost money, so they are in the ledger too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from uuid import UUID

import attrs

from tertulia.domain.context import Context, ContextReport
from tertulia.domain.conversation import Attempt, AttemptOutcome, AttemptPurpose
from tertulia.domain.exchange import Request, Target
from tertulia.domain.message import Message, join_text
from tertulia.domain.notice import AttemptEnded, AttemptStarted
from tertulia.errors import ProviderTimeoutError, TertuliaError
from tertulia.services.budgets import Spending
from tertulia.services.calling import set_aside
from tertulia.services.core import Core
from tertulia.services.cutting_off import GRACE
from tertulia.services.ending import close_iterator, end_attempt, explain_foreign
from tertulia.services.trial import Trial


@attrs.frozen
class SideCall:
    """
    What is asked of a model beside the answers of a conversation.

    Attributes:
        branch: Where the call stands in the ledger.

        message_id: A message it is about.

        purpose: What is asked for.

        messages: What is sent.

        spending: What may be spent.

        deadline: When it ends, on the event loop's clock; None for the time its provider has for an answer,
            without the wait for a place.
    """

    conversation_id: UUID
    branch: str
    message_id: UUID
    purpose: AttemptPurpose
    target: Target
    messages: Sequence[Message]
    spending: Spending
    deadline: float | None = None


async def ask_beside(core: Core, call: SideCall) -> Trial:
    """
    Ask, and put the call into the ledger, however it ends.

    Returns:
        What came of it: its ``reply`` is an answer.

    Raises:
        ProviderError: There was none, or not in time.
        QueueFullError, BudgetExceededError: It was not asked.
    """
    trial = _begin(core, call)
    core.plugins.observe(AttemptStarted(call.conversation_id, trial.attempt))
    try:
        await _ask(core, call, trial)
    except TertuliaError as error:
        await _record(core, call, trial, AttemptOutcome.FAILED, error)
        raise
    except Exception as error:
        await _record(core, call, trial, AttemptOutcome.FAILED, None)
        raise explain_foreign(error, call.target) from error
    except BaseException:
        await _record(core, call, trial, AttemptOutcome.CANCELLED, None)
        raise
    await _record(core, call, trial, AttemptOutcome.SUCCEEDED, None)
    return trial


def read_words(trial: Trial) -> str:
    """The words of its answer."""
    assert trial.reply is not None  # noqa: S101  # it was checked
    return join_text(trial.reply.parts).strip()


def _begin(core: Core, call: SideCall) -> Trial:
    attempt = Attempt(
        id=core.clock.new_id(),
        message_id=call.message_id,
        number=1,
        provider=call.target.provider,
        model=call.target.model,
        started_at=core.clock.now(),
        branch=call.branch,
        purpose=call.purpose,
    )
    return Trial(call.target, attempt, core.clock.new_id(), core.clock.monotonic())


async def _ask(core: Core, call: SideCall, trial: Trial) -> None:
    timeouts = core.plugins.get_provider(call.target.provider).config.timeouts
    request = Request(
        call.target,
        tuple(call.messages),
        stream=False,
        conversation_id=call.conversation_id,
        timeouts=timeouts,
        deadline=_find_deadline(call, timeouts.total),
    )
    tokens = core.plugins.count_tokens(call.target, request.messages)
    trial.context = Context(request.messages, ContextReport(len(request.messages), tokens))
    guard = core.health.guard(call.target.provider)
    if not guard.try_enter(tokens):
        try:
            async with asyncio.timeout_at(call.deadline):
                await guard.wait(tokens)
        except TimeoutError:
            raise _explain_timeout(call) from None
        request = attrs.evolve(request, deadline=_find_deadline(call, timeouts.total))
    try:
        await set_aside(core, call.spending, trial, request)
        await _read(core, call, trial, request)
    finally:
        guard.leave()


def _find_deadline(call: SideCall, total: float) -> float:
    latest = asyncio.get_running_loop().time() + total
    return latest if call.deadline is None else min(latest, call.deadline)


async def _read(core: Core, call: SideCall, trial: Trial, request: Request) -> None:
    """Read the answer; a driver that has not ended at the deadline is cut off."""
    trial.was_sent = True
    iterator, to_close = core.plugins.send_message(request)
    try:
        async with asyncio.timeout_at((request.deadline or 0.0) + GRACE):
            async for delta in iterator:
                trial.take(delta, core.clock)
    except TimeoutError:
        raise _explain_timeout(call) from None
    finally:
        for each in to_close:
            await close_iterator(each, trial)
    trial.check_reply()


def _explain_timeout(call: SideCall) -> ProviderTimeoutError:
    target = call.target
    return ProviderTimeoutError(
        f"provider {target.provider!r} thought of no {call.purpose} in time",
        provider=target.provider,
        model=target.model,
    )


async def _record(
    core: Core, call: SideCall, trial: Trial, outcome: AttemptOutcome, error: TertuliaError | None
) -> None:
    ended = end_attempt(core, trial, outcome, error)

    async def write() -> None:
        await core.store.record_attempt(core.owner, call.conversation_id, call.branch, ended)
        await call.spending.settle(ended.id, ended.cost, was_sent=trial.was_sent)

    _, was_cancelled = await core.see_through(write())
    core.plugins.observe(AttemptEnded(call.conversation_id, ended))
    if was_cancelled:
        raise asyncio.CancelledError
