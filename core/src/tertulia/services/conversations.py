"""Conversations as people use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import attrs

from tertulia.domain.estimate import CostEstimate
from tertulia.domain.exchange import Reply, Target
from tertulia.domain.message import Message, ToolResult
from tertulia.domain.notice import Switched
from tertulia.domain.options import Options, Timeouts
from tertulia.runtime.attachments import Attachable
from tertulia.services.arguments import (
    ONE_STEP,
    Place,
    check_branch_name,
    check_options,
    check_results,
    check_text,
    check_type,
    id_of,
    make_plan,
)
from tertulia.services.asking import Outgoing
from tertulia.services.core import Core
from tertulia.services.estimating import estimate_next
from tertulia.services.questions import (
    AnsweredCalls,
    EditedQuestion,
    Move,
    NewQuestion,
    Question,
    RepeatedQuestion,
    ResumedQuestion,
    Where,
    fork,
)
from tertulia.services.routing.policy import make_targets
from tertulia.services.sending import Send
from tertulia.services.steps import MAX_STEPS, Plan, Steps
from tertulia.services.stream import ReplyStream
from tertulia.services.structured import Schema
from tertulia.services.tooling import AnyTool
from tertulia.services.tree import Line, Tree
from tertulia.services.upkeep import Upkeep


class Conversation(Upkeep):
    """
    One conversation, seen from one of its branches. Get it from a client.

    Several objects may stand for one conversation, each on its own branch or on the same: what one of them
    changes the others see.

    Attributes:
        id: A UUIDv7.
    """

    async def send(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> Reply:
        """
        Say something and wait for the whole answer.

        Args:
            text: What to say; may be empty when something is attached.
            attach: Images, documents, sound: a path, bytes, an address, or what
                :func:`tertulia.load_attachment` returned.
            tools: What the model may call: Python functions, which are called here, what
                :func:`tertulia.function_tool` returned, tools of the provider, and tools without a function,
                whose calls the reply has.
            max_steps: How many answers there may be when they call functions.
            schema: The shape of the answer, as a type or a JSON Schema: it is ``reply.parsed`` then.
            options: What to ask of the answer.
            fallback: ``provider`` or ``provider/model``, asked in order when the conversation's own fails;
                None for the configured ones, an empty sequence for none.
            timeouts: How long to wait; None for the provider's own.

        Returns:
            The answer, stored.

        Raises:
            AttachmentError: A file cannot be attached; nothing was stored or sent.
            ProviderError: No target answered; the message is stored and marked as failed.
            StreamInterruptedError: The answer broke off; its beginning is stored.
            ContextOverflowError: The message is too long for the budget; nothing was sent.
            ConversationBusyError: Another process is answering on this branch.
            StoreError: The message could not be stored, so nothing was sent; or the answer could not.
            ToolError: A tool cannot be offered; nothing was sent.
            ToolLoopError: Every answer called functions; all of them are stored.
            InvalidOutputError: The answer has not the shape of the schema; it is stored.
        """
        plan = make_plan(tools, max_steps, schema)
        outgoing = self._outgoing(plan, options, fallback, timeouts, stream=False)
        return await self._ask(self._say(text, attach), outgoing, plan).read()

    def stream(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ReplyStream:
        """
        Say something and read the answer as it comes.

        Nothing happens before the stream is read. Arguments and errors are those of :meth:`send`.
        """
        plan = make_plan(tools, max_steps, schema)
        outgoing = self._outgoing(plan, options, fallback, timeouts)
        return self._ask(self._say(text, attach), outgoing, plan)

    def edit(
        self,
        message: Place,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ReplyStream:
        """
        Say something differently: the conversation goes on from before an earlier user message.

        The earlier message and all that followed it stay, on the branch they are on. The new one is its
        sibling on a new branch, to which this object moves, and which the conversation is opened on later.

        Returns:
            A stream, as of :meth:`stream`; its ``read()`` is the whole answer.

        Raises:
            MessageNotFoundError: The conversation has no such message.
            BranchError: It is not a user's.
        """
        check_text(text, attach)
        question = EditedQuestion(*self._here(), text=text, attached=attach, edited=id_of(message))
        plan = make_plan(tools, max_steps, schema)
        return self._ask(question, self._outgoing(plan, options, fallback, timeouts), plan)

    def regenerate(
        self,
        message: Place | None = None,
        *,
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ReplyStream:
        """
        Ask for another answer to the same user message.

        The earlier answer and all that followed it stay, on the branch they are on. The new one is its
        sibling on a new branch, to which this object moves once there is something of an answer.

        Args:
            message: An answer, or the user message itself; None for the newest answer of this branch.
            options: As of :meth:`send`, and so are the others.
            fallback: Whom to ask when the branch's own provider fails.
            timeouts: How long to wait.

        Returns:
            A stream, as of :meth:`stream`; its ``read()`` is the whole answer.

        Raises:
            MessageNotFoundError: The conversation has no such message.
            BranchError: There is no answer yet, or it answers no user message.
        """
        answer = None if message is None else id_of(message)
        question = RepeatedQuestion(*self._here(), answer=answer)
        plan = make_plan(tools, max_steps, schema)
        return self._ask(question, self._outgoing(plan, options, fallback, timeouts), plan)

    def resume(
        self,
        *,
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ReplyStream:
        """
        Go on where an answer broke off, or ask again what nobody answered.

        An answer that broke off stays where it is. The provider is sent its beginning and asked for the
        rest: the stream yields the rest, and the reply is the whole, a sibling of the beginning on a new
        branch, to which this object moves. A user message without an answer is asked again where it is, and
        so is what tools returned. Calls that were not carried out are, when their functions are in ``tools``.

        Returns:
            A stream, as of :meth:`stream`; its ``read()`` is the whole answer.

        Raises:
            BranchError: The newest message of this branch is a complete answer: there is nothing to resume.
            ConversationBusyError: It is still coming.
        """
        question = ResumedQuestion(*self._here())
        plan = make_plan(tools, max_steps, schema)
        outgoing = self._outgoing(plan, options, fallback, timeouts)
        return self._ask(question, outgoing, plan, resumes=True)

    def submit_results(
        self,
        results: Sequence[ToolResult],
        *,
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> ReplyStream:
        """
        Say what the calls of the newest answer returned, and have the answer to that.

        For tools without a function: ``reply.tool_calls`` are the calls, ``call.result(…)`` makes a result.

        Args:
            results: One for each call.
            tools: What the model may call next, usually the same as before.
            max_steps: As of :meth:`send`, and so are the others.
            schema: The shape of the answer.
            options: What to ask of the answer.
            fallback: Whom to ask when the branch's own provider fails.
            timeouts: How long to wait.

        Returns:
            A stream, as of :meth:`stream`; its ``read()`` is the whole answer.

        Raises:
            ToolError: A result is missing, or answers no call; nothing was stored or sent.
        """
        plan = make_plan(tools, max_steps, schema)
        question = AnsweredCalls(*self._here(), results=check_results(results))
        return self._ask(question, self._outgoing(plan, options, fallback, timeouts), plan)

    async def append(
        self, message: Message, *, expected_head: UUID | Literal["any"] | None = "any"
    ) -> Message:
        """
        Add a message without asking anybody for an answer: an example, or what was said elsewhere.

        Args:
            message: Who says what; it gets an id, unless it has one.
            expected_head: The id of the message it is to follow, None for none; ``"any"`` for the newest one.

        Returns:
            The message as it is stored.

        Raises:
            BranchMovedError: Another message is the newest by now; nothing was added.
            ConversationBusyError: An answer is under way on the branch.
        """
        check_type("what is appended", message, Message)
        clock = self._core.clock
        message = attrs.evolve(
            message, id=message.id or clock.new_id(), created_at=message.created_at or clock.now()
        )
        return await self._core.store.add_message(
            self._core.owner, self.id, self.branch, message, expected_head=expected_head
        )

    async def estimate_cost(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        tools: Sequence[AnyTool] = (),
        schema: Schema | None = None,
        options: Options = Options(),
    ) -> CostEstimate:
        """
        Estimate between what and what it would cost to say something now, with all that goes along with it.

        Nothing is stored and no provider is asked. What is estimated is one answer: where it calls tools,
        the next one has its own cost. Errors are those of :meth:`send` before anything is sent.
        """
        check_text(text, attach)
        plan = make_plan(tools, MAX_STEPS, schema)
        outgoing = self._outgoing(plan, options, (), None, stream=False)
        return await estimate_next(self._core, self._tree, self._line, outgoing, text=text, attached=attach)

    async def switch(self, provider: str, model: str | None = None) -> None:
        """
        Go on with another provider; the history comes along.

        Local and atomic: no provider is asked, and a switch that fails changes nothing. Other branches
        keep their own providers.

        Args:
            provider: A configured name.
            model: None for the provider's default.

        Raises:
            UnknownProviderError: No provider of that name is configured.
            DriverNotInstalledError: Its driver is not installed.
        """
        chosen = self._core.plugins.get_provider(provider)
        line, branch = self._line, self._line.branch
        after = Target(provider, model or chosen.default_model)
        await self._core.store.update_target(
            self._core.owner,
            self.id,
            branch.name,
            provider=after.provider,
            model=after.model,
            at=self._core.clock.now(),
        )
        line.branch = attrs.evolve(line.branch, provider=after.provider, model=after.model)
        self._core.plugins.observe(Switched(self.id, Target(branch.provider, branch.model), after))

    async def fork(self, name: str | None = None, *, at: Place | None = None) -> Conversation:
        """
        Try something else from here on: a new branch that shares all that was said up to a message.

        In constant time, and nothing is copied. This object stays where it is.

        Args:
            name: At most 200 characters; None for this branch's with a number: ``main-2``.
            at: The newest message that is shared, of any branch; None for the newest one of this branch.

        Returns:
            The same conversation on the new branch.

        Raises:
            BranchExistsError: The name is taken.
            MessageNotFoundError: The conversation has no such message.
        """
        if name is not None:
            check_branch_name(name)
        place: Where = "head" if at is None else id_of(at)
        branch = await fork(self._core, self._tree, self.branch, at=place, name=name)
        return Conversation(self._core, self._tree, self._tree.line(branch))

    async def switch_branch(self, name: str) -> None:
        """
        Go on on another branch; the conversation is opened on it from now on.

        Raises:
            BranchNotFoundError: There is none of that name.
        """
        store, owner = self._core.store, self._core.owner
        branch = await store.get_branch(owner, self.id, name)
        await store.update_active_branch(owner, self.id, name, self._core.clock.now())
        self._move(self._tree.line(branch))

    async def rename_branch(self, name: str, new_name: str) -> None:
        """
        Give a branch another name.

        Raises:
            BranchNotFoundError: There is none of that name.
            BranchExistsError: The new name is taken.
            ConversationBusyError: An answer is under way on it.
        """
        check_branch_name(new_name)
        at = self._core.clock.now()
        await self._core.store.update_branch_name(self._core.owner, self.id, name, new_name, at)
        self._tree.rename(name, new_name)

    async def delete_branch(self, name: str) -> None:
        """
        Take a branch away. What it shares with others stays theirs.

        Raises:
            BranchNotFoundError: There is none of that name.
            BranchError: It is the one the conversation is opened on; switch to another one first.
            ConversationBusyError: An answer is under way on it.
        """
        await self._core.store.remove_branch(self._core.owner, self.id, name, self._core.clock.now())

    def _move(self, line: Line) -> None:
        self._line = line

    def _ask(
        self, question: Question, outgoing: Outgoing, plan: Plan, *, resumes: bool = False
    ) -> ReplyStream:
        if plan is ONE_STEP:
            return ReplyStream(self._core, Send(self._core, outgoing, question))
        return ReplyStream(self._core, Steps(self._core, outgoing, question, plan, resumes=resumes))

    def _say(self, text: str, attach: Attachable | Sequence[Attachable]) -> NewQuestion:
        check_text(text, attach)
        return NewQuestion(*self._here(), text=text, attached=attach)

    def _here(self) -> tuple[Core, Tree, Line, Move]:
        return self._core, self._tree, self._line, self._move

    def _outgoing(
        self,
        plan: Plan,
        options: Options,
        fallback: Sequence[str] | None,
        timeouts: Timeouts | None,
        *,
        stream: bool = True,
    ) -> Outgoing:
        check_options(options, self._core.config.providers.keys() | self._core.plugins.providers.keys())
        if timeouts is not None:
            check_type("timeouts", timeouts, Timeouts)
        return Outgoing(
            self._targets(fallback),
            options,
            timeouts,
            stream,
            plan.toolbox.offered,
            None if plan.shape is None else plan.shape.schema,
        )

    def _targets(self, fallback: Sequence[str] | None) -> list[Target]:
        own = Target(self.provider, self.model)
        return make_targets(own, fallback, self._core.config, self._core.plugins)

    def __repr__(self) -> str:
        return f"<Conversation {self.id} {self.title!r} on {self.branch!r} with {self.provider}/{self.model}>"
