"""
The life of one message: written ahead, asked of one target after another, streamed, settled.

Sending is folding the stream, so there is one path. The user message and the attempt are committed before
a socket opens, and no transaction is open while a provider is asked. The commit point is the first content
handed to the caller: before it a failure may fall back to another target, after it two answers are never
spliced, and what was shown is kept.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

import attrs

from tertulia.contracts.store import Settlement
from tertulia.domain.conversation import Attempt, AttemptOutcome
from tertulia.domain.event import Completed, Event, FallbackTaken
from tertulia.domain.exchange import ProviderReply, Reply, Request, Target
from tertulia.domain.message import Message, MessageStatus, Part, Role
from tertulia.domain.notice import Answered, AttemptEnded, AttemptStarted, FellBack, SendFailed
from tertulia.errors import (
    AllProvidersFailed,
    ErrorKind,
    ProviderError,
    StoreError,
    StreamInterruptedError,
    TertuliaError,
)
from tertulia.services.asking import Outgoing, find_timeouts, make_request
from tertulia.services.core import Core
from tertulia.services.counting import learn_from_answer, learn_from_error
from tertulia.services.ending import close_iterator, end_attempt, explain_foreign
from tertulia.services.keeping import LEASE, Keeper
from tertulia.services.questions import Question, join_parts
from tertulia.services.routing.policy import targets_after
from tertulia.services.stream import NOTHING_SENT, ReplyStream, Turn
from tertulia.services.titles import give_title
from tertulia.services.trial import WORDS, Trial

_KEPT = "your message is stored"

T = TypeVar("T")

_log = logging.getLogger("tertulia")


class Send:
    """
    One send. Its :meth:`events` can be read once, and settles everything however the reading ends.

    Args:
        core: The client's parts.
        outgoing: How to ask.
        question: What to ask, and where.
        turn: The turn on the branch, where others share it; None for one of its own.
    """

    def __init__(self, core: Core, outgoing: Outgoing, question: Question, turn: Turn | None = None) -> None:
        self._core = core
        self._turn = turn or Turn()
        self._outgoing = outgoing
        self._question = question
        self._keeper = Keeper(core, question)
        self._attempts: list[Attempt] = []
        self._errors: list[ProviderError] = []
        self._failed: list[tuple[Target, ErrorKind]] = []
        self._trial: Trial | None = None
        self._deadline = 0.0
        self._cancelled = False
        self._shown = False

    @property
    def _message(self) -> Message:
        """The user message, with its place once it is stored."""
        return self._question.message

    @property
    def kept(self) -> str:
        """What is stored of the send by now, as a sentence."""
        if not self._question.is_stored:
            return NOTHING_SENT
        return f"{_KEPT}, and so is the part of the answer that was shown" if self._shown else _KEPT

    @property
    def was_cancelled(self) -> bool:
        """Whether its reader was cancelled while the answer was stored: then nothing is to follow it."""
        return self._cancelled

    async def events(self, stream: weakref.ref[ReplyStream]) -> AsyncGenerator[Event]:
        """Yield the answer as it comes, the last event being :class:`tertulia.Completed`."""
        await self._take_turn(stream)
        try:
            targets = self._order(self._outgoing.targets)
            await self._write_ahead(targets[0])
            while True:
                try:
                    async with aclosing(self._ask()) as answer:
                        async for event in answer:
                            yield event
                    yield Completed(await self._complete())
                    return
                except ProviderError as error:
                    fallback, targets = await self._after(error, targets)
                    yield fallback
        except TertuliaError as error:
            await self._fail(error)
            raise
        except BaseException as error:
            await self._abandon(error)
            raise
        finally:
            self._keeper.close()
            self._turn.end()

    async def _take_turn(self, stream: weakref.ref[ReplyStream]) -> None:
        """Start the clock, find out on which branch it happens, and wait for the turn there."""
        timeouts = find_timeouts(self._core, self._outgoing, self._outgoing.targets[0])
        self._deadline = asyncio.get_running_loop().time() + timeouts.total
        try:
            await self._question.place()
            await self._turn.begin(self._question.line.gate, stream, self._deadline)
        except BaseException as error:
            await self._question.give_up()
            if isinstance(error, TertuliaError):
                error.kept = error.kept or NOTHING_SENT
            raise

    async def _write_ahead(self, target: Target) -> None:
        trial = self._new_trial(target, number=1)
        # From here on the attempt may be in the store, even when the loop ends and cancels all there is.
        self._trial = trial
        try:
            trial.attempt = await self._see_through(self._question.write_ahead(trial.attempt))
        except TertuliaError as error:
            self._trial = None  # the store has refused it, so there is nothing to settle
            error.kept = error.kept or NOTHING_SENT
            raise
        await self._turn.follow(self._question.line.gate)
        self._keeper.watch(trial)
        self._observe_start(trial)
        if self._cancelled:
            raise asyncio.CancelledError

    def _new_trial(self, target: Target, *, number: int) -> Trial:
        clock = self._core.clock
        attempt = Attempt(
            id=clock.new_id(),
            message_id=_known(self._message.id),
            number=number,
            provider=target.provider,
            model=target.model,
            started_at=clock.now(),
            lease_until=clock.now() + LEASE,
            branch=self._question.line.name,
        )
        return Trial(target, attempt, clock.new_id(), clock.monotonic())

    async def _ask(self) -> AsyncGenerator[Event]:
        """Ask the current target and yield what may be shown of its answer."""
        trial = _known(self._trial)
        request, trial.context, warnings = await make_request(
            self._core, self._outgoing, self._question, target=trial.target, deadline=self._deadline
        )
        trial.warnings += warnings
        iterator, to_close = self._core.plugins.send_message(request)
        try:
            async for delta in iterator:
                if (event := trial.take(delta, self._core.clock)) is not None:
                    if request.stream and isinstance(event, WORDS):
                        self._keeper.shown(len(event.text))
                    yield event
        except TertuliaError as error:
            learn_from_error(self._core, request, trial.context, error)
            raise
        except Exception as error:
            raise explain_foreign(error, trial.target) from error
        finally:
            # The provider's own iterator comes last, in case a wrapper around it forgot to close it.
            for each in to_close:
                await close_iterator(each, trial)
        trial.check_reply()
        learn_from_answer(self._core, request, trial.context, _known(trial.reply))

    async def _complete(self) -> Reply:
        """Store the answer and make the reply of it."""
        trial = _known(self._trial)
        reply = _known(trial.reply)
        attempt = self._end(trial, AttemptOutcome.SUCCEEDED)
        answer = self._answer(trial, attempt, reply.parts, reply)
        try:
            stored = await self._settle(attempt, user_status=MessageStatus.COMPLETE, answer=answer)
            if stored is None:
                raise StoreError("the attempt is no longer in the store", location=self._core.store.location)
        except StoreError as error:
            self._trial = None  # a whole answer is not stored as half of one
            error.reply = self._make_reply(trial, reply, attempt, answer)
            error.kept = "your message is stored, and the answer is in this error's .reply"
            error.next_step = error.next_step or "conversation.save(error.reply) stores it"
            raise
        result = self._make_reply(trial, reply, attempt, stored)
        self._core.plugins.observe(Answered(self._question.tree.id, result))
        tree, line = self._question.tree, self._question.line
        is_due = self._core.config.auto_title and tree.title is None and not stored.tool_calls
        if is_due and tree.claim_title():
            self._core.spawn(give_title(self._core, tree, line, trial.target))
        return result

    def _make_reply(self, trial: Trial, reply: ProviderReply, attempt: Attempt, message: Message) -> Reply:
        return Reply(
            message=message,
            provider=trial.target.provider,
            model=trial.target.model,
            resolved_model=reply.model,
            finish_reason=reply.finish_reason,
            raw_finish_reason=reply.raw_finish_reason,
            usage=reply.usage,
            raw_usage=reply.billing.raw,
            cost=attempt.cost,
            attempts=tuple(self._attempts),
            latency_seconds=_known(attempt.latency_seconds),
            first_content_seconds=trial.first_content,
            request_id=reply.request_id,
            safety=reply.safety,
            context=_known(trial.context).report,
            warnings=tuple(trial.warnings),
        )

    async def _after(
        self, error: ProviderError, targets: Sequence[Target]
    ) -> tuple[FallbackTaken, Sequence[Target]]:
        """Settle a failed attempt and begin the next one, or raise when there is none."""
        trial = _known(self._trial)
        self._errors.append(error)
        if trial.shown:
            raise await self._interrupt(trial, error) from error
        self._failed.append((trial.target, error.kind))
        remaining = self._order(targets_after(error, trial.target, targets[1:], self._core.plugins))
        ended = self._end(trial, AttemptOutcome.FAILED, error)
        if not remaining or asyncio.get_running_loop().time() >= self._deadline:
            await self._settle_quietly(ended, MessageStatus.FAILED, None)
            raise self._give_up(error)
        following = self._new_trial(remaining[0], number=ended.number + 1)
        await self._settle(ended, following=following)
        if self._cancelled:
            raise asyncio.CancelledError
        fallback = FallbackTaken(trial.target, following.target, error.kind, error.message)
        self._core.plugins.observe(FellBack(self._question.tree.id, fallback))
        self._observe_start(following)
        return fallback, remaining

    def _give_up(self, error: ProviderError) -> ProviderError:
        if len(self._errors) > 1:
            tried = ", ".join(f"{each.provider} ({each.kind})" for each in self._errors)
            error = AllProvidersFailed(
                f"every target failed: {tried}",
                errors=self._errors,
                provider=error.provider,
                model=error.model,
                status=error.status,
                retry_after=error.retry_after,
                next_step="see .errors for each failure; send again when one of them can answer",
            )
        error.attempts = tuple(self._attempts)
        error.kept = _KEPT
        return error

    async def _interrupt(self, trial: Trial, error: ProviderError) -> StreamInterruptedError:
        """Keep what was shown of an answer that broke off."""
        ended = self._end(trial, AttemptOutcome.INTERRUPTED, error)
        shown = self._answer(trial, ended, trial.shown_parts)
        stored = await self._settle_shown(ended, shown)
        interrupted = StreamInterruptedError(
            f"the answer broke off: {error.message}",
            kind=error.kind,
            partial=stored or shown,
            provider=error.provider or trial.target.provider,
            model=trial.target.model,
            status=error.status,
            request_id=error.request_id,
            retry_after=error.retry_after,
            usage=error.usage,
            kept=self.kept
            if stored or not shown.parts
            else f"{_KEPT}; the part that was shown is in this error's .partial",
            next_step="resume() asks for the rest, or send a message to go on from there",
        )
        interrupted.attempts = tuple(self._attempts)
        return interrupted

    async def _fail(self, error: TertuliaError) -> None:
        """Settle what is still open after an error that no other target can mend."""
        if (trial := self._trial) is not None:
            outcome = AttemptOutcome.INTERRUPTED if trial.shown else AttemptOutcome.FAILED
            await self._settle_unfinished(trial, outcome, error)
            error.kept = error.kept or self.kept
        else:
            await self._question.give_up()
        message_id = _known(self._message.id)
        self._core.plugins.observe(SendFailed(self._question.tree.id, message_id, error))

    async def _abandon(self, error: BaseException) -> None:
        """The caller left: keep what was shown. The store carries on even when we are cancelled again."""
        if (trial := self._trial) is None:
            await self._question.give_up()
            return
        await self._settle_unfinished(trial, AttemptOutcome.CANCELLED, None)
        message_id = _known(self._message.id)
        self._core.plugins.observe(SendFailed(self._question.tree.id, message_id, error))

    async def _settle_unfinished(
        self, trial: Trial, outcome: AttemptOutcome, error: TertuliaError | None
    ) -> None:
        """Keep what was shown; when the store fails as well, its error does not hide the first one."""
        ended = self._end(trial, outcome, error)
        await self._settle_shown(ended, self._answer(trial, ended, trial.shown_parts))

    async def _settle_shown(self, ended: Attempt, shown: Message) -> Message | None:
        """Keep what was shown; the beginning of a call is nothing that could be kept."""
        if shown.parts and (self._trial is None or self._trial.shown):
            return await self._settle_quietly(ended, MessageStatus.COMPLETE, shown)
        return await self._settle_quietly(ended, MessageStatus.FAILED, None)

    async def _settle_quietly(
        self, ended: Attempt, status: MessageStatus, answer: Message | None
    ) -> Message | None:
        try:
            return await self._settle(ended, user_status=status, answer=answer)
        except StoreError as failure:
            self._trial = None
            _log.warning("the end of an attempt was not stored: %s", failure)
            return None

    def _end(self, trial: Trial, outcome: AttemptOutcome, error: TertuliaError | None = None) -> Attempt:
        """The attempt as it ended, with whatever the provider reported of it."""
        ended = end_attempt(self._core, trial, outcome, error)
        self._attempts = [*(each for each in self._attempts if each.id != ended.id), ended]
        return ended

    async def _settle(
        self,
        ended: Attempt,
        *,
        user_status: MessageStatus | None = None,
        answer: Message | None = None,
        following: Trial | None = None,
    ) -> Message | None:
        settlement = Settlement(ended, user_status, answer, None if following is None else following.attempt)
        stored = await self._see_through(self._write(settlement))
        self._trial = following
        self._shown = self._shown or stored is not None
        if following is None:
            self._question.line.path.extend(self._message, stored)
        else:
            self._keeper.watch(following)
        self._core.plugins.observe(AttemptEnded(self._question.tree.id, ended))
        return stored

    async def _write(self, settlement: Settlement) -> Message | None:
        core, question = self._core, self._question
        settlement = attrs.evolve(settlement, checkpointed=await self._keeper.finish())
        place = (core.owner, question.tree.id, question.line.name)
        try:
            stored = await core.store.settle(*place, settlement)
        except StoreError:  # what was paid for is worth a second try
            stored = await core.store.settle(*place, settlement)
        if settlement.next_attempt is None:
            await question.settled(stored)
        return stored

    async def _see_through(self, writing: Coroutine[Any, Any, T]) -> T:
        """What is being written is waited for: a cancellation is remembered, and heeded afterwards."""
        written, cancelled = await self._core.see_through(writing)
        self._cancelled = self._cancelled or cancelled
        return written

    def _answer(
        self, trial: Trial, ended: Attempt, parts: tuple[Part, ...], reply: ProviderReply | None = None
    ) -> Message:
        return Message(
            Role.ASSISTANT,
            join_parts(self._question.beginning, parts),
            id=trial.answer_id,
            status=MessageStatus.INTERRUPTED if reply is None else MessageStatus.COMPLETE,
            provider=trial.target.provider,
            model=trial.target.model,
            resolved_model=None if reply is None else reply.model,
            finish_reason=None if reply is None else reply.finish_reason,
            raw_finish_reason=None if reply is None else reply.raw_finish_reason,
            usage=ended.usage,
            cost=ended.cost,
            latency_seconds=ended.latency_seconds,
            created_at=self._core.clock.now(),
        )

    def _order(self, targets: Sequence[Target]) -> Sequence[Target]:
        """Ask plugins for the order where there is a choice, and after a failure whether to go on at all."""
        if not targets or (len(targets) == 1 and not self._failed):
            return targets
        request = Request(targets[0], (self._message,), self._outgoing.options)
        chosen = self._core.plugins.order_targets(request, targets, self._failed)
        return chosen if chosen or self._failed else targets

    def _observe_start(self, trial: Trial) -> None:
        self._core.plugins.observe(AttemptStarted(self._question.tree.id, trial.attempt))


def _known(value: Any) -> Any:
    assert value is not None  # noqa: S101  # set by the step before
    return value
