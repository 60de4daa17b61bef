"""Conversations as people use them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

import attrs

from tertulia.domain.context import ContextOptions
from tertulia.domain.exchange import Reply
from tertulia.domain.message import Message, ToolResult
from tertulia.domain.options import Options, Timeouts
from tertulia.domain.routing import Routing
from tertulia.runtime.attachments import Attachable
from tertulia.services.arguments import (
    ONE_STEP,
    Amount,
    Place,
    check_client_id,
    check_results,
    check_text,
    check_type,
    id_of,
    make_plan,
)
from tertulia.services.asking import Outgoing
from tertulia.services.comparing import ComparisonStream, compare
from tertulia.services.core import Core
from tertulia.services.foreseeing import Foreseeing
from tertulia.services.questions import (
    AnsweredCalls,
    EditedQuestion,
    Move,
    NewQuestion,
    Question,
    RepeatedQuestion,
    ResumedQuestion,
    RetriedQuestion,
)
from tertulia.services.sending import Send
from tertulia.services.steps import MAX_STEPS, Plan, Steps
from tertulia.services.stream import ReplyStream
from tertulia.services.structured import Schema
from tertulia.services.tooling import AnyTool
from tertulia.services.tree import Line, Tree


class Conversation(Foreseeing):
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
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
        client_id: str | None = None,
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
            routing: How the answer is found: retries, the order of the targets, what becomes of an answer
                that breaks off; None for what is configured.
            budget: US dollars that all calls of this send may cost together, also as a text; None for no
                limit besides the configured ones.
            context: How the context is chosen; what it does not say is as the conversation's own options say,
                else as it is configured.
            client_id: A name for this message, at most 200 characters: sent again with the same name, in
                this conversation, it returns the stored answer instead of asking again.

        Returns:
            The answer, stored.

        Raises:
            AttachmentError: A file cannot be attached; nothing was stored or sent.
            ProviderError: No target answered; the message is stored and marked as failed.
            StreamInterruptedError: The answer broke off; its beginning is stored.
            ContextOverflowError: The message is too long for the budget; nothing was sent.
            BudgetExceededError: A call might cost more than may be spent; it was not made.
            DuplicateMessageError: Another message has the same ``client_id``.
            ConversationBusyError: Another process is answering on this branch.
            StoreError: The message could not be stored, so nothing was sent; or the answer could not.
            ToolError: A tool cannot be offered; nothing was sent.
            ToolLoopError: Every answer called functions; all of them are stored.
            InvalidOutputError: The answer has not the shape of the schema; it is stored.
        """
        plan = make_plan(tools, max_steps, schema)
        outgoing = self._outgoing(plan, options, fallback, timeouts, routing, budget, context, stream=False)
        return await self._ask(self._say(text, attach, client_id), outgoing, plan).read()

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
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
        client_id: str | None = None,
    ) -> ReplyStream:
        """
        Say something and read the answer as it comes.

        Nothing happens before the stream is read. Arguments and errors are those of :meth:`send`.
        """
        plan = make_plan(tools, max_steps, schema)
        outgoing = self._outgoing(plan, options, fallback, timeouts, routing, budget, context)
        return self._ask(self._say(text, attach, client_id), outgoing, plan)

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
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
        client_id: str | None = None,
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
        question = EditedQuestion(
            *self._here(),
            text=text,
            attached=attach,
            edited=id_of(message),
            client_id=check_client_id(client_id),
        )
        plan = make_plan(tools, max_steps, schema)
        return self._ask(
            question, self._outgoing(plan, options, fallback, timeouts, routing, budget, context), plan
        )

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
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
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
        return self._ask(
            question, self._outgoing(plan, options, fallback, timeouts, routing, budget, context), plan
        )

    def resume(
        self,
        *,
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
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
        outgoing = self._outgoing(plan, options, fallback, timeouts, routing, budget, context)
        return self._ask(question, outgoing, plan, resumes=True)

    def retry(
        self,
        *,
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
    ) -> ReplyStream:
        """
        Ask the newest message once more, from the first word of its answer, after nobody answered it whole.

        A message without an answer is asked again where it is. An answer that broke off stays where it is,
        and the new one is its sibling on a new branch, to which this object moves; :meth:`resume` would go on
        with it instead.

        Returns:
            A stream, as of :meth:`stream`; its ``read()`` is the whole answer.

        Raises:
            BranchError: The newest message of this branch is a complete answer: see :meth:`regenerate`.
            ConversationBusyError: It is still coming.
        """
        question = RetriedQuestion(*self._here())
        plan = make_plan(tools, max_steps, schema)
        outgoing = self._outgoing(plan, options, fallback, timeouts, routing, budget, context)
        return self._ask(question, outgoing, plan, resumes=True)

    def compare(
        self,
        text: str,
        targets: Sequence[str],
        *,
        attach: Attachable | Sequence[Attachable] = (),
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        options: Options = Options(),
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
    ) -> ComparisonStream:
        """
        Say something once, and have it answered by several targets at the same time.

        The answers are siblings: the first target's is on this branch, each other one on a branch of its own.
        What fails with one of them harms no other, and nobody is asked in the place of another.

        Args:
            text: What to say.
            targets: ``provider`` or ``provider/model``; one may be named twice.
            attach: As of :meth:`send`, and so are the others.
            tools: What the models may call.
            max_steps: How many answers of each there may be when they call functions.
            options: What to ask of the answers.
            timeouts: How long to wait for each.
            routing: How each answer is found.
            budget: US dollars that each answer may cost.

        Returns:
            A stream of what comes from all of them; awaited, a :class:`tertulia.Comparison`.

        Raises:
            ConfigurationError: There is nobody to ask.
            UnknownProviderError: No provider of a name is configured; nothing was stored or sent.
            DriverNotInstalledError: The driver of one is not installed.
        """
        plan = make_plan(tools, max_steps, None)
        return compare(
            self._core,
            self._tree,
            self._line,
            text=text,
            attached=attach,
            targets=targets,
            plan=plan,
            outgoing_for=lambda target: self._outgoing_to(
                [target], plan, options, timeouts, routing, budget, context
            ),
        )

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
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
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
        return self._ask(
            question, self._outgoing(plan, options, fallback, timeouts, routing, budget, context), plan
        )

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

    def _ask(
        self, question: Question, outgoing: Outgoing, plan: Plan, *, resumes: bool = False
    ) -> ReplyStream:
        if plan is ONE_STEP:
            return ReplyStream(self._core, Send(self._core, outgoing, question))
        return ReplyStream(self._core, Steps(self._core, outgoing, question, plan, resumes=resumes))

    def _say(
        self, text: str, attach: Attachable | Sequence[Attachable], client_id: str | None
    ) -> NewQuestion:
        check_text(text, attach)
        client_id = check_client_id(client_id)
        return NewQuestion(*self._here(), text=text, attached=attach, client_id=client_id)

    def _here(self) -> tuple[Core, Tree, Line, Move]:
        return self._core, self._tree, self._line, self._move

    def __repr__(self) -> str:
        return f"<Conversation {self.id} {self.title!r} on {self.branch!r} with {self.provider}/{self.model}>"
