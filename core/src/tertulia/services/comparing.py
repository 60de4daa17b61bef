"""
One message to several targets at once: each answer is a sibling of the others, on a branch of its own.

The message is written ahead together with the first target's attempt; the others are asked as soon as it is
stored. From then on each is a send of its own, with its own deadline and its own end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import attrs

from tertulia.domain.comparing import ComparedAnswer, ComparedEvent, Comparison
from tertulia.domain.conversation import Attempt, Branch
from tertulia.domain.event import Completed, Event, StepCompleted
from tertulia.domain.exchange import Reply, Target
from tertulia.domain.message import Message, MessageStatus
from tertulia.errors import (
    BranchExistsError,
    ConfigurationError,
    ErrorKind,
    StreamInterruptedError,
    TertuliaError,
)
from tertulia.runtime.plugins import Plugins
from tertulia.services.arguments import ONE_STEP, check_text, check_type
from tertulia.services.asking import Outgoing
from tertulia.services.core import Core
from tertulia.services.questions import (
    MAX_BRANCH_NAME,
    Attached,
    Move,
    NewQuestion,
    RepeatedQuestion,
    fork,
    free_name,
)
from tertulia.services.routing.targets import parse_target
from tertulia.services.sending import Send
from tertulia.services.steps import Plan, Steps
from tertulia.services.stream import NOTHING_SENT, ReplyStream
from tertulia.services.tree import Line, Tree


def compare(
    core: Core,
    tree: Tree,
    line: Line,
    *,
    text: str,
    attached: Attached,
    targets: Sequence[str],
    outgoing_for: Callable[[Target], Outgoing],
    plan: Plan = ONE_STEP,
) -> ComparisonStream:
    """
    Say something once, and have it answered by several targets.

    Nothing happens before the stream is read.

    Args:
        line: Where it is said, and where the first target answers; its provider stays what it is.
        targets: ``provider`` or ``provider/model``; one may be named twice.
        outgoing_for: How to ask a target.

    Raises:
        ConfigurationError: There is nothing to say, or nobody to say it to.
        UnknownProviderError: No provider of a name is configured.
        DriverNotInstalledError: The driver of one is not installed.
    """
    check_text(text, attached)
    found = parse_targets(targets, core.plugins)
    runs = [_Run(index, target, outgoing_for(target)) for index, target in enumerate(found)]
    return ComparisonStream(core, _Work(core, tree, line, runs, plan, text=text, attached=attached))


def parse_targets(targets: Sequence[str], plugins: Plugins) -> list[Target]:
    """Read whom to ask, so that nothing is stored where one of them cannot be asked."""
    if isinstance(targets, str):
        targets = (targets,)
    check_type("targets", targets, Sequence)
    for target in targets:
        check_type("a target", target, str)
    if not targets:
        raise ConfigurationError(
            "there is nobody to compare",
            value=(),
            kept=NOTHING_SENT,
            next_step='name targets: ["openai", "gemini/gemini-3.5-flash"]',
        )
    found = [parse_target(target, plugins) for target in targets]
    for each in found:
        plugins.get_provider(each.provider)  # which is not looked at where a model is named
    return found


class ComparisonStream:
    """
    Several answers as they come: an async iterator of events, and an async context manager.

    Each answer is read as fast as it comes, however fast its events are taken from here, so that nobody's
    time is measured by another's. Leaving early keeps what came of each answer until then, as an interrupted
    message: at once at the end of ``async with`` or after :meth:`aclose`, and soon after a ``break`` once
    nothing holds the stream any more. Awaited, it is read to its end and gives the :class:`Comparison`.

    Example::

        comparison = await conversation.compare("Lisbon or Porto?", ["openai", "gemini", "xai"])
        for answer in comparison.answers:
            print(answer.target, answer.seconds, answer.cost, answer.reply or answer.error)
    """

    def __init__(self, core: Core, work: _Work) -> None:
        self._core = core
        self._work = work
        self._closing: asyncio.Task[None] | None = None
        core.streams.add(self)

    @property
    def comparison(self) -> Comparison:
        """All answers, once the stream has been read to its end."""
        if self._work.result is None:
            raise TertuliaError(
                "the comparison is not complete",
                next_step="read the stream to its end before asking for its answers",
            )
        return self._work.result

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ComparedEvent:
        try:
            event = await self._work.take()
        except asyncio.CancelledError:
            await self._core.see_through(self.aclose())
            raise
        if event is None:
            raise StopAsyncIteration
        return event

    def __await__(self) -> Generator[object, None, Comparison]:
        return self.read().__await__()

    async def read(self) -> Comparison:
        """Read to the end and return all answers."""
        async with self:
            async for _ in self:
                pass
        return self.comparison

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """
        Leave: keep what came of the answers and close their connections. Safe to call twice, from any task.

        A task that is reading the stream right now gets a :class:`tertulia.StreamInterruptedError`.
        """
        if self._work.is_over:
            return
        if self._closing is None:
            self._closing = self._core.start(self._work.close())
        await asyncio.shield(self._closing)

    def __del__(self) -> None:
        work = self._work
        if work.loop is None or work.is_over:
            return
        with suppress(RuntimeError):  # elsewhere than on its loop there is nobody who could close it
            if asyncio.get_running_loop() is work.loop:
                self._core.spawn(work.close())


@attrs.define(eq=False)
class _Run:
    """
    One target, while it is asked.

    Attributes:
        began: On the monotonic clock.

        answer: What became of it; None before that.
    """

    index: int
    target: Target
    outgoing: Outgoing
    question: _Opening | _Sibling | None = None
    asking: Send | Steps | None = None
    stream: ReplyStream | None = None
    began: float = 0.0
    attempts: list[Attempt] = attrs.field(factory=list[Attempt])
    answer: ComparedAnswer | None = None

    def note(self, event: Event) -> None:
        """Remember the calls that were made for an answer."""
        if isinstance(event, Completed | StepCompleted):
            self.attempts += event.reply.attempts

    def end(self, reply: Reply | None, error: TertuliaError | None, now: float) -> ComparedAnswer:
        """Say what became of it."""
        self.attempts += getattr(error, "attempts", ())
        self.answer = ComparedAnswer(
            self.target,
            self._find_branch(reply),
            reply,
            error,
            round(now - self.began, 6),
            tuple(self.attempts),
        )
        return self.answer

    def _find_branch(self, reply: Reply | None) -> str | None:
        """Where the answer is: one that broke off and was begun again has moved."""
        question = self.question
        assert question is not None and self.asking is not None  # noqa: S101, PT018  # it was asked
        if reply is not None:
            return self.asking.question.line.name
        return question.line.name if question.stays else None


class _Work:
    """Asks all targets, each in a task of its own; the tasks do not hold the stream, which may be dropped."""

    def __init__(
        self,
        core: Core,
        tree: Tree,
        line: Line,
        runs: Sequence[_Run],
        plan: Plan,
        *,
        text: str,
        attached: Attached,
    ) -> None:
        self._core = core
        self._plan = plan
        self._runs = runs
        # The conversation stays where it is, also where an answer that broke off goes on elsewhere.
        self._place = (core, tree, line, None)
        self._opening = _Opening(*self._place, text=text, attached=attached, stored=self._go_on)
        # Without a limit: an answer that waited for a slow reader would be timed by it, and its service, too.
        self._events: asyncio.Queue[ComparedEvent | None] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: Exception | None = None
        self._is_closed = False
        self.loop: asyncio.AbstractEventLoop | None = None
        self.result: Comparison | None = None

    @property
    def is_over(self) -> bool:
        """Whether nobody is asked any more."""
        return self._is_closed or self.result is not None

    async def take(self) -> ComparedEvent | None:
        """Return the next event, beginning with the first call; None at the end."""
        if self.loop is None and not self._is_closed:
            self.loop = asyncio.get_running_loop()
            self._begin(self._runs[0], self._opening)
        event = await self._events.get()
        if event is not None:
            return event
        self._events.put_nowait(None)  # for whoever asks next
        if self._failure is not None:
            raise self._failure
        if self.result is None:
            raise self._explain_closed()
        return None

    async def close(self) -> None:
        """End every answer, and keep what came of it."""
        self._is_closed = True
        streams = [run.stream for run in self._runs if run.stream is not None]
        stops = (stream.stop("the comparison was closed") for stream in streams)
        ended = await asyncio.gather(*stops, *self._tasks, return_exceptions=True)
        self._events.put_nowait(None)
        for failure in ended:
            if isinstance(failure, BaseException):
                raise failure

    def _begin(self, run: _Run, question: _Opening | _Sibling) -> None:
        core, plan = self._core, self._plan
        asking = (
            Send(core, run.outgoing, question)
            if plan is ONE_STEP
            else Steps(core, run.outgoing, question, plan)
        )
        run.question, run.asking = question, asking
        run.stream, run.began = ReplyStream(core, asking), core.clock.monotonic()
        self._tasks.append(core.start(self._read(run, run.stream)))

    def _go_on(self, message: Message) -> None:
        """The message is stored: now it can be asked about on other branches."""
        for run in self._runs[1:]:
            if not self._is_closed:
                self._begin(run, _Sibling(*self._place, message=message, target=run.target))

    async def _read(self, run: _Run, stream: ReplyStream) -> None:
        reply: Reply | None = None
        error: TertuliaError | None = None
        try:
            async for event in stream:
                run.note(event)
                self._events.put_nowait(ComparedEvent(run.index, run.target, event))
            reply = stream.reply
        except TertuliaError as failed:
            error = failed
        except Exception as failed:  # noqa: BLE001  # whoever reads the stream gets it
            self._fail(failed)
            return
        self._end(run, reply, error)

    def _end(self, run: _Run, reply: Reply | None, error: TertuliaError | None) -> None:
        if not self._opening.is_stored:
            assert error is not None  # noqa: S101  # else it would be
            self._fail(error)
            return
        answer = run.end(reply, error, self._core.clock.monotonic())
        self._events.put_nowait(ComparedEvent(run.index, run.target, answer))
        answers = [each.answer for each in self._runs if each.answer is not None]
        if len(answers) == len(self._runs) and not self._is_closed:
            self.result = Comparison(self._find_message(), tuple(answers))
            self._events.put_nowait(None)

    def _fail(self, failure: Exception) -> None:
        """Nothing was stored, or something is wrong here: that is no matter of one answer."""
        self._failure = self._failure or failure
        self._events.put_nowait(None)

    def _find_message(self) -> Message:
        asked = [run.question for run in self._runs if run.question is not None]
        was_answered = any(question.was_answered for question in asked)
        status = MessageStatus.COMPLETE if was_answered else MessageStatus.FAILED
        return attrs.evolve(self._opening.message, status=status)

    def _explain_closed(self) -> StreamInterruptedError:
        is_stored = self._opening.is_stored
        return StreamInterruptedError(
            "the comparison was not read to its end: it was closed",
            kind=ErrorKind.CANCELLED,
            kept="your message is stored, and so is what came of each answer" if is_stored else NOTHING_SENT,
            next_step="go on from one of the branches, or compare again",
        )


class _Opening(NewQuestion):
    """
    The message itself, asked on the branch it is said on.

    Args:
        stored: Called as soon as it is.
    """

    stays = True
    was_answered = False

    def __init__(
        self,
        core: Core,
        tree: Tree,
        line: Line,
        move: Move,
        *,
        text: str,
        attached: Attached,
        stored: Callable[[Message], None],
    ) -> None:
        super().__init__(core, tree, line, move, text=text, attached=attached)
        self._stored = stored

    async def write_ahead(self, attempt: Attempt) -> Attempt:
        """Store the message together with the attempt, and let the others ask about it."""
        attempt = await super().write_ahead(attempt)
        self._stored(self.message)
        return attempt

    async def settled(self, answer: Message | None) -> None:
        """Remember whether there is an answer."""
        self.was_answered = answer is not None


class _Sibling(RepeatedQuestion):
    """
    The same message on a branch of another target, which is there for good once there is an answer on it.

    Args:
        message: As it is stored.
    """

    was_answered = False

    def __init__(
        self, core: Core, tree: Tree, line: Line, move: Move, *, message: Message, target: Target
    ) -> None:
        super().__init__(core, tree, line, move)
        self.message = message
        self._target = target

    @property
    def stays(self) -> bool:
        """Whether there is anything on the branch."""
        return self.was_answered

    async def place(self) -> None:
        """Fork at the message, for a branch that goes on with the target."""
        core, target = self.core, self._target
        branch, cancelled = await core.see_through(self._make_branch())
        self.line = self.tree.line(branch)
        self._is_spare = True
        if cancelled:
            raise asyncio.CancelledError
        await core.store.update_target(
            core.owner,
            self.tree.id,
            branch.name,
            provider=target.provider,
            model=target.model,
            at=core.clock.now(),
        )

    async def settled(self, answer: Message | None) -> None:
        """Keep the branch, or take it away: the conversation stays where it is."""
        self.was_answered = answer is not None
        if answer is None:
            await self.give_up()
        self._is_spare = False

    async def _make_branch(self) -> Branch:
        core, tree, at = self.core, self.tree, self.message.id
        assert at is not None  # noqa: S101  # it is stored
        wanted = f"compare-{self._target.provider}"[:MAX_BRANCH_NAME]
        while True:
            taken = [each.name for each in await core.store.find_branches(core.owner, tree.id)]
            name = free_name(wanted, taken) if wanted in taken else wanted
            with suppress(BranchExistsError):  # somebody took it in between
                return await fork(core, tree, self.line.name, at=at, name=name)
