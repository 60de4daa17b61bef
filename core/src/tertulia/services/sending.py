"""
The life of one message: written ahead, asked of one target after another, streamed, settled.

Sending is folding the stream, so there is one path. The user message and the attempt are committed before
a socket opens, and no transaction is open while a provider is asked. The commit point is the first content
handed to the caller: before it a failure may be retried or fall back to another target, after it two
answers are never spliced, and what was shown is kept.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import attrs

from tertulia.domain.event import Completed, Continued, Event, FallbackTaken, Restarted, RetryScheduled
from tertulia.domain.exchange import Reply, Target
from tertulia.domain.message import MessageStatus
from tertulia.domain.notice import Answered, FellBack, Recovered, Retried, SendFailed
from tertulia.domain.routing import OnInterrupt
from tertulia.errors import (
    BudgetExceededError,
    ContextOverflowError,
    DuplicateMessageError,
    ProviderError,
    StoreError,
    StreamInterruptedError,
    TertuliaError,
)
from tertulia.services.asking import Outgoing, find_timeouts
from tertulia.services.calling import RESERVE, Call, find_shorter
from tertulia.services.core import Core
from tertulia.services.giving_up import give_up
from tertulia.services.questions import Question, RepeatedQuestion, ResumedQuestion
from tertulia.services.recording import Recorder
from tertulia.services.repeats import find_reply, find_sent
from tertulia.services.routing.policy import WARNED
from tertulia.services.routing.router import Again, Route
from tertulia.services.routing.strategies import arrange, stick
from tertulia.services.stream import NOTHING_SENT, ReplyStream, Turn
from tertulia.services.titles import give_title
from tertulia.services.trial import Trial


class Send:
    """
    One send. Its :meth:`events` can be read once, and settles everything however the reading ends.

    Args:
        core: The client's parts.
        outgoing: How to ask.
        question: What to ask, and where.
        turn: The turn on the branch, where others share it; None for one of its own.
        before: The send whose answer broke off, where this one takes its place.
    """

    def __init__(
        self,
        core: Core,
        outgoing: Outgoing,
        question: Question,
        turn: Turn | None = None,
        *,
        before: Send | None = None,
    ) -> None:
        self._core = core
        self._turn = turn or Turn()
        self._outgoing = outgoing
        self._question = question
        self._following: Send | None = None
        self._is_first = before is None
        self._is_answered = False
        self._notes = list(outgoing.notes)
        self._errors: list[TertuliaError] = []
        self._passed_over: FallbackTaken | None = None
        self._deadline = 0.0
        if before is None:
            self._route = Route(outgoing.routing, core.health, core.plugins, core.draw)
            self._recorder = Recorder(core, outgoing, question)
        else:
            self._route = before._route
            self._errors = before._errors
            self._notes = before._notes
            self._deadline = before._deadline
            self._recorder = Recorder(core, outgoing, question, before=before._recorder)

    @property
    def question(self) -> Question:
        """What was asked in the end: a send that broke off may have moved to a branch of its own."""
        return self._question if self._following is None else self._following.question

    @property
    def kept(self) -> str:
        """What is stored of the send by now, as a sentence."""
        following = None if self._following is None else self._following.kept
        return self._recorder.kept if following in (None, NOTHING_SENT) else following

    @property
    def expected(self) -> Target:
        """Whose turn it was by right, whoever answered."""
        return self._recorder.expected

    @property
    def _was_answered(self) -> bool:
        return self._is_answered or (self._following is not None and self._following._was_answered)

    @property
    def was_cancelled(self) -> bool:
        """Whether its reader was cancelled while the answer was stored: then nothing is to follow it."""
        last = self if self._following is None else self._following
        return last._recorder.was_cancelled

    async def events(self, stream: weakref.ref[ReplyStream]) -> AsyncGenerator[Event]:
        """Yield the answer as it comes, the last event being :class:`tertulia.Completed`."""
        await self._take_turn(stream)
        try:
            targets = await self._line_up()
            if (stored := await self._begin(targets[0])) is not None:
                yield Completed(stored)
                return
            if self._passed_over is not None:
                self._core.plugins.observe(FellBack(self._question.tree.id, self._passed_over))
                yield self._passed_over
            async with aclosing(self._find_answer(targets, stream)) as answer:
                async for event in answer:
                    yield event
        except TertuliaError as error:
            if self._following is None:
                await self._fail(error)
            self._observe_end(error)
            raise
        except BaseException as error:
            was_asked = self._following is not None or self._recorder.is_open
            if self._following is None:
                await self._abandon()
            if was_asked:
                self._observe_end(error)
            raise
        finally:
            self._recorder.close()
            self._turn.end()

    async def _find_answer(
        self, targets: Sequence[Target], stream: weakref.ref[ReplyStream]
    ) -> AsyncGenerator[Event]:
        """Ask one target after another, and the same one again, until one of them answers."""
        while True:
            trial = self._recorder.trial
            failure: ProviderError | ContextOverflowError
            try:
                with self._make_call(trial, targets[1:]) as call:
                    async with aclosing(call.wait()) as waiting:
                        async for event in waiting:
                            yield event
                    async with aclosing(call.answer()) as answer:
                        async for event in answer:
                            yield event
                yield Completed(await self._complete(trial))
                return
            except (ProviderError, ContextOverflowError) as error:
                failure = error
            self._deadline += trial.queued or 0.0
            self._errors.append(failure)
            if trial.shown and isinstance(failure, ProviderError):
                async with aclosing(self._recover(failure, targets, stream)) as rest:
                    async for event in rest:
                        yield event
                return
            event, targets, wait = await self._after(failure, trial, targets)
            yield event
            if wait:
                await asyncio.sleep(wait)
                self._recorder.trial.began = self._core.clock.monotonic()

    def _make_call(self, trial: Trial, others: Sequence[Target]) -> Call:
        """Get ready to ask the target of a trial."""
        self._route.begin(trial.target)
        return Call(
            self._core,
            self._outgoing,
            self._question,
            trial,
            self._recorder.keeper,
            deadline=self._deadline - self._find_reserve(others),
            others=others,
        )

    def _find_reserve(self, others: Sequence[Target]) -> float:
        """
        The seconds that a target leaves to the next one, where that could still answer for it.

        One that says something now and then until the time is over would leave nothing.
        """
        may_answer = not self._outgoing.stream or self._route.routing.on_interrupt is not OnInterrupt.KEEP
        if not others or not may_answer:
            return 0.0
        timeouts = find_timeouts(self._core, self._outgoing, others[0])
        left = max(0.0, self._deadline - self._now())
        first_content = timeouts.total if timeouts.first_content is None else timeouts.first_content
        return min(first_content, left * RESERVE)

    async def _take_turn(self, stream: weakref.ref[ReplyStream]) -> None:
        """Start the clock, find out on which branch it happens, and wait for the turn there."""
        if self._is_first:
            timeouts = find_timeouts(self._core, self._outgoing, self._outgoing.targets[0])
            self._deadline = self._now() + timeouts.total
        try:
            await self._question.place()
            await self._turn.begin(self._question.line.gate, stream, self._deadline)
        except BaseException as error:
            await self._question.give_up()
            if isinstance(error, TertuliaError):
                error.kept = error.kept or (NOTHING_SENT if self._is_first else self.kept)
            raise

    async def _line_up(self) -> Sequence[Target]:
        """Say who is asked first, and who then; whoever has been failing is passed over."""
        core, targets = self._core, self._outgoing.targets
        if self._is_first and len(targets) > 1:
            await core.recall_health()
            arranged = await arrange(core, self._outgoing, self._question)
            stuck = await stick(core, self._outgoing, self._question, arranged)
            wanted = self._order(stuck)
            if self._outgoing.own is None:
                # Who is stuck to still stands in for another one.
                self._recorder.expected = arranged[0] if wanted[0] == stuck[0] else wanted[0]
            targets = self._route.line_up(wanted)
            core.health.claim(targets[0])
            if targets[0] != wanted[0]:
                self._pass_over(wanted[0], targets[0])
        return targets

    def _pass_over(self, target: Target, following: Target) -> None:
        health = self._core.health.describe(target)
        seconds = round(health.reopens_in or 0.0)
        message = f"{target} is passed over for {seconds} s: {health.last_error or health.last_kind}"
        kind = health.last_kind
        if kind is not None:
            self._passed_over = FallbackTaken(target, following, kind, message, was_asked=False)
        self._notes.append(message)

    async def _begin(self, target: Target) -> Reply | None:
        """Store question and attempt; return the answer where the message was sent and answered before."""
        reply = await self._find_reply()
        if reply is not None:
            return reply
        try:
            await self._recorder.write_ahead(target, self._turn)
        except DuplicateMessageError:  # somebody was faster
            await self._question.give_up()
            reply = await self._find_reply()
            if reply is None:
                await self._recorder.write_ahead(target, self._turn)
        return reply

    async def _find_reply(self) -> Reply | None:
        """What was answered to this message before; where nobody did, it is asked again where it is."""
        sent = await find_sent(self._core, self._question)
        if sent is None:
            return None
        found = await find_reply(self._core, self._question, sent)
        await self._question.give_up()
        if isinstance(found, Reply):
            self._question.line = self._question.origin  # one that was made for it is gone
            return found
        self._question = found
        self._recorder.ask_instead(found)
        await found.place()
        return None

    async def _complete(self, trial: Trial) -> Reply:
        """Store the answer and make the reply of it."""
        reply = await self._recorder.complete(trial, self._notes)
        self._is_answered = True
        core, tree, line = self._core, self._question.tree, self._question.line
        core.plugins.observe(Answered(tree.id, reply))
        is_due = core.config.auto_title and tree.title is None and not reply.tool_calls
        if is_due and tree.claim_title():
            core.spawn(give_title(core, tree, line, trial.target))
        return reply

    async def _after(
        self, error: ProviderError | ContextOverflowError, trial: Trial, targets: Sequence[Target]
    ) -> tuple[Event, Sequence[Target], float]:
        """Settle a failed attempt and begin the next one, or raise when there is none."""
        recorder = self._recorder
        decision = self._route.decide(error, trial.target, targets[1:], self._deadline - self._now())
        recorder.failed.append((trial.target, error.kind))
        if decision is not None and not isinstance(decision, Again):
            targets = self._order(decision.targets)
        ended = recorder.end(trial, error)
        if decision is None or not targets:
            await recorder.settle_quietly(ended, MessageStatus.FAILED, None)
            raise give_up(self._errors, recorder.attempts, recorder.kept)
        following = recorder.new_trial(targets[0], number=ended.number + 1)
        if isinstance(decision, Again):
            following.max_tokens = find_shorter(trial, error) or trial.max_tokens
        await recorder.settle(ended, following=following)
        event, wait = self._announce(error, trial, following, decision)
        recorder.observe_start(following)
        return event, targets, wait

    def _announce(
        self, error: TertuliaError, trial: Trial, following: Trial, decision: object
    ) -> tuple[Event, float]:
        observe, conversation_id = self._core.plugins.observe, self._question.tree.id
        if isinstance(decision, Again):
            retry = RetryScheduled(
                trial.target, self._route.attempts + 1, error.kind, decision.wait_seconds, error.message
            )
            observe(Retried(conversation_id, retry))
            return retry, decision.wait_seconds
        if error.kind in WARNED:
            self._notes.append(f"{trial.target} was asked before and could not answer: {error.message}")
        fallback = FallbackTaken(
            trial.target, following.target, error.kind, error.message, was_asked=trial.was_sent
        )
        observe(FellBack(conversation_id, fallback))
        return fallback, 0.0

    async def _recover(
        self, error: ProviderError, targets: Sequence[Target], stream: weakref.ref[ReplyStream]
    ) -> AsyncGenerator[Event]:
        """Keep what was shown of an answer that broke off, and go on as the caller wants it."""
        trial, wanted = self._recorder.trial, self._route.routing.on_interrupt
        interrupted = await self._recorder.interrupt(trial, error)
        is_lost = interrupted.partial.depth is None and interrupted.partial.parts
        if wanted is OnInterrupt.KEEP or is_lost or self._recorder.was_cancelled:
            raise interrupted from error
        targets, wait = self._find_successors(error, trial.target, targets[1:])
        if not targets:
            raise interrupted from error
        restarts = wanted is OnInterrupt.RESTART or not trial.text
        self._following = self._follow(targets, restarts=restarts)
        kind = Restarted if restarts else Continued
        recovery = kind(targets[0], error.kind, error.message)
        self._core.plugins.observe(Recovered(self._question.tree.id, recovery))
        yield recovery
        if wait:
            await asyncio.sleep(wait)
        try:
            async with aclosing(self._following.events(stream)) as rest:
                async for event in rest:
                    yield event
        except (StreamInterruptedError, BudgetExceededError, StoreError) as failure:
            if isinstance(failure, StoreError) and failure.reply is None:
                raise interrupted from failure
            raise
        except TertuliaError as failure:  # nobody could, so what was shown is what there is
            interrupted.attempts = tuple(self._recorder.attempts)
            raise interrupted from failure

    def _find_successors(
        self, error: ProviderError, failed: Target, others: Sequence[Target]
    ) -> tuple[Sequence[Target], float]:
        """Who may take the place of a target whose answer broke off, and after which time; maybe nobody."""
        self._recorder.failed.append((failed, error.kind))
        left = self._deadline - self._now()
        decision = self._route.decide(error, failed, others, left, prefers_others=True)
        if isinstance(decision, Again):
            return (failed, *others), decision.wait_seconds
        return self._order(() if decision is None else decision.targets), 0.0

    def _follow(self, targets: Sequence[Target], *, restarts: bool) -> Send:
        """The send that takes the place of one whose answer broke off."""
        core, question = self._core, self._question
        here = (core, question.tree, question.line, question.move)
        following = (
            RepeatedQuestion(*here, answer=question.message.id, recovers=True)
            if restarts
            else ResumedQuestion(*here, recovers=True)
        )
        outgoing = attrs.evolve(self._outgoing, targets=targets)
        return Send(core, outgoing, following, self._turn, before=self)

    async def _fail(self, error: TertuliaError) -> None:
        """Settle what is still open after an error that no other target can mend."""
        if self._recorder.is_open:
            await self._recorder.settle_failed(error)
        else:
            await self._question.give_up()
        error.kept = error.kept or self._recorder.kept
        error.attempts = tuple(self._recorder.attempts)

    async def _abandon(self) -> None:
        """The caller left: keep what was shown. The store carries on even when we are cancelled again."""
        if not self._recorder.is_open:
            await self._question.give_up()
            return
        await self._recorder.settle_cancelled()

    def _observe_end(self, error: BaseException) -> None:
        """Tell of a failure once, with the error that the caller gets: not of each send that it took."""
        if not self._is_first or self._was_answered:
            return
        message = getattr(self._question, "message", None)  # one that has no place yet has none
        if message is not None and (message_id := message.id) is not None:
            self._core.plugins.observe(SendFailed(self._question.tree.id, message_id, error))

    def _order(self, targets: Sequence[Target]) -> Sequence[Target]:
        """Ask plugins for the order where there is a choice, and after a failure whether to go on at all."""
        failed = self._recorder.failed
        if not targets or (len(targets) == 1 and not failed):
            return targets
        request = self._recorder.describe(targets[0])
        chosen = self._core.plugins.order_targets(request, targets, failed)
        return chosen if chosen or failed else targets

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
