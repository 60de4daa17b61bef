"""What one send writes down: its attempts, how each ended, and the answer or what was shown of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

import attrs

from tertulia.contracts.store import Settlement
from tertulia.domain.conversation import Attempt, AttemptOutcome
from tertulia.domain.exchange import ProviderReply, Reply, Request, Target
from tertulia.domain.message import Message, MessageStatus, Part, Role
from tertulia.domain.notice import AttemptEnded, AttemptStarted
from tertulia.errors import (
    ConnectionFailedError,
    ErrorKind,
    ProtocolError,
    ProviderError,
    StoreError,
    StreamInterruptedError,
    TertuliaError,
)
from tertulia.services.asking import Outgoing
from tertulia.services.core import LEASE, Core
from tertulia.services.ending import end_attempt
from tertulia.services.keeping import Keeper
from tertulia.services.questions import Question, join_parts
from tertulia.services.stream import NOTHING_SENT, Turn
from tertulia.services.trial import Trial

KEPT = "your message is stored"

T = TypeVar("T")

_log = logging.getLogger("tertulia")


class Recorder:
    """
    Writes down one send. Whatever is being written is seen through, whoever is cancelled meanwhile.

    Args:
        core: The client's parts.
        outgoing: How to ask.
        question: What to ask, and where.
        before: The recorder of the send whose place this one takes.

    Attributes:
        keeper: Keeps the running attempt alive in the store.

        attempts: Every attempt that has ended, in order.

        failed: Who failed, and of which kind that was.

        expected: Whose turn it is by right; whoever else is asked stands in for it.

        was_cancelled: Whether the caller was cancelled while something was being written.
    """

    def __init__(
        self, core: Core, outgoing: Outgoing, question: Question, *, before: Recorder | None = None
    ) -> None:
        self.was_cancelled = False
        self.attempts: list[Attempt] = [] if before is None else before.attempts
        self.failed: list[tuple[Target, ErrorKind]] = [] if before is None else before.failed
        self._shown: bool = before is not None and before._shown
        self._core = core
        self._outgoing = outgoing
        self._question = question
        self.keeper = Keeper(core, question, outgoing.spending)
        self._trial: Trial | None = None
        first = outgoing.own or outgoing.targets[0]
        self.expected: Target = first if before is None else before.expected

    @property
    def kept(self) -> str:
        """What is stored of the send by now, as a sentence."""
        if not self._question.is_stored:
            return NOTHING_SENT
        return f"{KEPT}, and so is the part of the answer that was shown" if self._shown else KEPT

    @property
    def trial(self) -> Trial:
        """The attempt that is under way."""
        assert self._trial is not None  # noqa: S101  # asked between its beginning and its end only
        return self._trial

    @property
    def is_open(self) -> bool:
        """Whether an attempt is under way that has to be settled."""
        return self._trial is not None

    def ask_instead(self, question: Question) -> None:
        """Write down another question; nothing has been written yet."""
        self._question = question
        self.keeper = Keeper(self._core, question, self._outgoing.spending)

    async def write_ahead(self, target: Target, turn: Turn) -> None:
        """Store the question with its first attempt, before anything is sent."""
        trial = self.new_trial(target, number=1)
        # From here on the attempt may be in the store, even when the loop ends and cancels all there is.
        self._trial = trial
        try:
            trial.attempt = await self._see_through(self._question.write_ahead(trial.attempt))
        except TertuliaError as error:
            self._trial = None  # the store has refused it, so there is nothing to settle
            error.kept = error.kept or NOTHING_SENT
            raise
        await turn.follow(self._question.line.gate)
        self.keeper.watch(trial)
        self.observe_start(trial)
        if self.was_cancelled:
            raise asyncio.CancelledError

    def new_trial(self, target: Target, *, number: int) -> Trial:
        """Begin an attempt; it is not stored yet."""
        clock = self._core.clock
        attempt = Attempt(
            id=clock.new_id(),
            message_id=_known(self._question.message.id),
            number=number,
            provider=target.provider,
            model=target.model,
            started_at=clock.now(),
            lease_until=clock.now() + LEASE,
            branch=self._question.line.name,
            is_fallback=target != self.expected,
        )
        return Trial(target, attempt, clock.new_id(), clock.monotonic())

    def describe(self, target: Target) -> Request:
        """The send as a request without its history: for whoever decides on the order of the targets."""
        return Request(target, (self._question.message,), self._outgoing.options)

    async def complete(self, trial: Trial, notes: list[str]) -> Reply:
        """
        Store the answer and make the reply of it.

        Raises:
            StoreError: It could not be stored; the error has the reply.
        """
        reply = _known(trial.reply)
        attempt = self._end(trial, AttemptOutcome.SUCCEEDED)
        answer = self._answer(trial, attempt, reply.parts, reply)
        try:
            stored = await self.settle(attempt, user_status=MessageStatus.COMPLETE, answer=answer)
            if stored is None:
                raise StoreError("the attempt is no longer in the store", location=self._core.store.location)
        except StoreError as error:
            self._trial = None  # a whole answer is not stored as half of one
            error.reply = self._make_reply(trial, reply, attempt, answer, notes)
            error.kept = "your message is stored, and the answer is in this error's .reply"
            error.next_step = error.next_step or "conversation.save(error.reply) stores it"
            raise
        return self._make_reply(trial, reply, attempt, stored, notes)

    async def interrupt(self, trial: Trial, error: ProviderError) -> StreamInterruptedError:
        """Keep what was shown of an answer that broke off."""
        ended = self._end(trial, AttemptOutcome.INTERRUPTED, error)
        shown = self._answer(trial, ended, trial.shown_parts)
        stored = await self._settle_shown(ended, shown)
        interrupted = StreamInterruptedError(
            f"the answer broke off: {error.message}",
            kind=_find_cause(error),
            partial=stored or shown,
            provider=error.provider or trial.target.provider,
            model=trial.target.model,
            status=error.status,
            request_id=error.request_id,
            retry_after=error.retry_after,
            usage=error.usage,
            kept=self.kept
            if stored or not shown.parts
            else f"{KEPT}; the part that was shown is in this error's .partial",
            next_step="resume() asks for the rest, or send a message to go on from there",
        )
        interrupted.attempts = tuple(self.attempts)
        return interrupted

    def end(self, trial: Trial, error: TertuliaError) -> Attempt:
        """The attempt as it failed; it is not stored yet."""
        return self._end(trial, AttemptOutcome.FAILED, error)

    async def settle_failed(self, error: TertuliaError) -> None:
        """Keep what was shown; when the store fails as well, its error does not hide the first one."""
        outcome = AttemptOutcome.INTERRUPTED if self.trial.shown else AttemptOutcome.FAILED
        await self._settle_unfinished(outcome, error)

    async def settle_cancelled(self) -> None:
        """The caller left: keep what was shown."""
        await self._settle_unfinished(AttemptOutcome.CANCELLED, None)

    async def settle_quietly(
        self, ended: Attempt, status: MessageStatus, answer: Message | None
    ) -> Message | None:
        """Store how an attempt ended; what the store fails at is logged, and None."""
        try:
            return await self.settle(ended, user_status=status, answer=answer)
        except StoreError as failure:
            self._trial = None
            _log.warning("the end of an attempt was not stored: %s", failure)
            return None

    async def settle(
        self,
        ended: Attempt,
        *,
        user_status: MessageStatus | None = None,
        answer: Message | None = None,
        following: Trial | None = None,
    ) -> Message | None:
        """
        Store how an attempt ended, with the answer or with the attempt that follows.

        Raises:
            asyncio.CancelledError: The caller was cancelled meanwhile, and another attempt was to follow.
        """
        settlement = Settlement(ended, user_status, answer, None if following is None else following.attempt)
        stored = await self._see_through(self._write(settlement))
        self._trial = following
        self._shown = self._shown or stored is not None
        if following is None:
            self._question.line.path.extend(self._question.message, stored)
        else:
            self.keeper.watch(following)
        self._core.plugins.observe(AttemptEnded(self._question.tree.id, ended))
        if following is not None and self.was_cancelled:
            self.observe_start(following)
            raise asyncio.CancelledError
        return stored

    def observe_start(self, trial: Trial) -> None:
        """Tell observers of an attempt that is stored."""
        self._core.plugins.observe(AttemptStarted(self._question.tree.id, trial.attempt))

    def close(self) -> None:
        """Nothing more is written."""
        self.keeper.close()

    async def _settle_unfinished(self, outcome: AttemptOutcome, error: TertuliaError | None) -> None:
        trial = self.trial
        ended = self._end(trial, outcome, error)
        await self._settle_shown(ended, self._answer(trial, ended, trial.shown_parts))

    async def _settle_shown(self, ended: Attempt, shown: Message) -> Message | None:
        """Keep what was shown; the beginning of a call is nothing that could be kept."""
        if shown.parts and (self._trial is None or self._trial.shown):
            return await self.settle_quietly(ended, MessageStatus.COMPLETE, shown)
        return await self.settle_quietly(ended, MessageStatus.FAILED, None)

    def _end(self, trial: Trial, outcome: AttemptOutcome, error: TertuliaError | None = None) -> Attempt:
        """The attempt as it ended, with whatever the provider reported of it."""
        ended = end_attempt(self._core, trial, outcome, error)
        self.attempts[:] = [*(each for each in self.attempts if each.id != ended.id), ended]
        return ended

    async def _write(self, settlement: Settlement) -> Message | None:
        core, question, attempt = self._core, self._question, settlement.attempt
        settlement = attrs.evolve(settlement, checkpointed=await self.keeper.finish())
        place = (core.owner, question.tree.id, question.line.name)
        try:
            stored = await core.store.settle(*place, settlement)
        except StoreError:  # what was paid for is worth a second try
            stored = await core.store.settle(*place, settlement)
        finally:
            spending = self._outgoing.spending
            if spending is not None:
                await spending.settle(attempt.id, attempt.cost, was_sent=self._was_sent(attempt))
        if settlement.next_attempt is None:
            await question.settled(stored)
        return stored

    def _was_sent(self, attempt: Attempt) -> bool:
        return self._trial is None or self._trial.attempt.id != attempt.id or self._trial.was_sent

    async def _see_through(self, writing: Coroutine[Any, Any, T]) -> T:
        """What is being written is waited for: a cancellation is remembered, and heeded afterwards."""
        written, cancelled = await self._core.see_through(writing)
        self.was_cancelled = self.was_cancelled or cancelled
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

    def _make_reply(
        self, trial: Trial, reply: ProviderReply, attempt: Attempt, message: Message, notes: list[str]
    ) -> Reply:
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
            attempts=tuple(self.attempts),
            latency_seconds=_known(attempt.latency_seconds),
            first_content_seconds=trial.first_content,
            request_id=reply.request_id,
            safety=reply.safety,
            context=_known(trial.context).report,
            warnings=(*notes, *trial.warnings),
            queued_seconds=sum(each.queued_seconds or 0.0 for each in self.attempts),
        )


def _find_cause(error: ProviderError) -> ErrorKind:
    """The kind of an interruption; an answer that was only cut was not wrong in any way."""
    was_cut = isinstance(error, ConnectionFailedError) or (isinstance(error, ProtocolError) and error.is_cut)
    return ErrorKind.INTERRUPTED if was_cut else error.kind


def _known(value: Any) -> Any:
    assert value is not None  # noqa: S101  # set by the step before
    return value
