"""A send in several steps: answers that call tools, what the tools return, and the answer that calls none."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator
from contextlib import aclosing

import attrs

from tertulia.domain.event import Completed, Event, StepCompleted, ToolEnded
from tertulia.domain.exchange import Reply, Target
from tertulia.domain.message import Message, ToolResult
from tertulia.domain.routing import Strategy
from tertulia.errors import ProviderError, StreamInterruptedError, TertuliaError, ToolLoopError
from tertulia.services.asking import Outgoing, find_timeouts
from tertulia.services.core import Core
from tertulia.services.questions import AnsweredCalls, Question, find_open_calls
from tertulia.services.sending import Send
from tertulia.services.stream import ReplyStream, Turn
from tertulia.services.structured import Shape
from tertulia.services.tooling import Toolbox

MAX_STEPS = 10


@attrs.frozen
class Plan:
    """
    How far a send goes on by itself.

    Attributes:
        toolbox: What the model may call.

        max_steps: How many answers there may be; the last of them must call nothing.

        shape: The shape the last answer has; None for any.
    """

    toolbox: Toolbox = attrs.field(factory=Toolbox)
    max_steps: int = MAX_STEPS
    shape: Shape | None = None


class Steps:
    """
    A send with tools: nobody else has a turn on the branch before its last answer.

    Everything is stored as it happens: each answer, then what its calls returned together with the attempt
    that comes next. Each step is a send of its own, with its own deadline, retries and fallbacks; whoever
    answered is the first to be asked again.

    Args:
        resumes: Whether calls that the branch ends with are carried out first.
    """

    def __init__(
        self, core: Core, outgoing: Outgoing, question: Question, plan: Plan, *, resumes: bool = False
    ) -> None:
        self._core = core
        self._outgoing = outgoing
        self._question = question
        self._plan = plan
        self._turn = Turn(is_kept=True)
        self._send = Send(core, outgoing, question, self._turn)
        self._steps: list[Reply] = []
        self._calling: Message | None = None  # the newest answer that called
        self._resumes = resumes

    @property
    def question(self) -> Question:
        """What was asked last."""
        return self._send.question

    @property
    def kept(self) -> str:
        """What is stored of it by now, as a sentence."""
        if self._calling is None:
            return self._send.kept
        said = "your message and every answer so far are stored"
        if self._question.is_stored and getattr(self._question, "calling", None) is self._calling:
            return f"{said}, with what the tools returned"
        return f"{said}, but not what the tools return that the last one called"

    async def events(self, stream: weakref.ref[ReplyStream]) -> AsyncGenerator[Event]:
        """Yield every step as it comes, the last event being :class:`tertulia.Completed`."""
        try:
            async with aclosing(self._catch_up(stream)) as running:
                async for event in running:
                    yield event
            while True:
                reply: Reply | None = None
                async with aclosing(self._send.events(stream)) as answer:
                    async for event in answer:
                        if isinstance(event, Completed):
                            reply = attrs.evolve(event.reply, steps=(*self._steps, *event.reply.steps))
                        else:
                            yield event
                assert reply is not None  # noqa: S101  # a send ends with it, or raises
                if not self._goes_on(reply):
                    yield Completed(self._read(reply))
                    return
                self._calling = reply.message
                if self._send.was_cancelled:
                    raise asyncio.CancelledError
                yield StepCompleted(len(self._steps) + 1, reply)
                self._steps = [*reply.steps, reply]
                self._outgoing = go_on_with(self._outgoing, reply, self._send.expected)
                async with aclosing(self._run(reply.message)) as running:
                    async for event in running:
                        yield event
        except TertuliaError as error:
            if self._calling is not None and not isinstance(error, ToolLoopError):
                self._amend(error)
            raise
        finally:
            self._turn.leave()

    def _amend(self, error: TertuliaError) -> None:
        """Let an error speak of all the steps; a send knows of the last one only."""
        kept = error.kept
        error.kept = f"{self.kept}; of the last one, {kept}" if kept and "shown" in kept else self.kept
        if isinstance(error, ProviderError) and not isinstance(error, StreamInterruptedError):
            error.next_step = "resume(tools=…) asks again, without calling anything twice"

    def _goes_on(self, reply: Reply) -> bool:
        calls, plan = reply.tool_calls, self._plan
        if not calls or not plan.toolbox.can_run(calls):
            return False
        if len(self._steps) + 1 < plan.max_steps:
            return True
        raise ToolLoopError(
            f"{plan.max_steps} answers called tools, and none was the last",
            reply=reply,
            provider=reply.provider,
            kept="everything said so far is stored; what the last answer calls was not called",
            next_step="resume(tools=…) goes on from there; allow more max_steps, or say when it is enough",
        )

    def _read(self, reply: Reply) -> Reply:
        """The answer as a value; one that calls tools is not there yet."""
        shape = self._plan.shape
        return reply if shape is None or reply.tool_calls else shape.read(reply)

    async def _catch_up(self, stream: weakref.ref[ReplyStream]) -> AsyncGenerator[Event]:
        """Carry out what a process left that ended between calls and their results."""
        if not self._resumes:
            return
        core, question = self._core, self._question
        timeouts = find_timeouts(core, self._outgoing, self._outgoing.targets[0])
        deadline = asyncio.get_running_loop().time() + timeouts.total
        await self._turn.begin(question.line.gate, stream, deadline)
        newest = await core.store.get_messages(core.owner, question.tree.id, question.line.name, limit=1)
        calls = find_open_calls(newest)
        if calls and self._plan.toolbox.can_run(calls):
            async with aclosing(self._run(newest[0])) as running:
                async for event in running:
                    yield event

    async def _run(self, calling: Message) -> AsyncGenerator[Event]:
        """Carry out the calls of an answer, and get the next send ready."""
        self._calling = calling
        results: dict[int, ToolResult] = {}
        calls = calling.tool_calls
        context = self._turn.make_context()
        self._turn.is_calling = True
        try:
            async with aclosing(self._plan.toolbox.run(calls, self._core.clock, context)) as running:
                async for event in running:
                    if isinstance(event, ToolEnded):
                        results[id(event.call)] = event.result  # some servers give two calls one name
                    yield event
        finally:
            self._turn.is_calling = False
        before = self._send.question
        self._question = AnsweredCalls(
            self._core,
            before.tree,
            before.line,
            before.move,
            results=[results[id(call)] for call in calls],
            calling=calling,
        )
        self._send = Send(self._core, self._outgoing, self._question, self._turn)


def go_on_with(outgoing: Outgoing, reply: Reply, expected: Target) -> Outgoing:
    """
    Ask whoever answered first, whatever is cheaper or faster; a tool that had to be called has been.

    Args:
        expected: Whose turn it was by right: whoever answered in its place still does.
    """
    answered = Target(reply.provider, reply.model)
    others = [target for target in outgoing.targets if target != answered]
    options = outgoing.options
    if options.tool_choice not in (None, "auto", "none"):
        options = attrs.evolve(options, tool_choice=None)
    routing = attrs.evolve(outgoing.routing, strategy=Strategy.CONFIGURED, sticky=False)
    return attrs.evolve(outgoing, targets=(answered, *others), options=options, routing=routing, own=expected)
