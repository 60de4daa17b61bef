"""
What a provider is asked about: something new, something said differently, or the same once more.

Nothing is ever rewritten: what replaces a message or an answer is its sibling, on a branch of its own.
"""

from __future__ import annotations

import asyncio
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Literal, TypeAlias, cast
from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt, AttemptOutcome, Branch
from tertulia.domain.message import Message, MessageStatus, Part, Role, Text, ToolCall, ToolResult
from tertulia.domain.words import name_type
from tertulia.errors import (
    BranchError,
    BranchExistsError,
    BranchMovedError,
    ConversationBusyError,
    TertuliaError,
    ToolError,
)
from tertulia.runtime.attachments import Attachable, load_attachments
from tertulia.services.core import Core
from tertulia.services.stream import NOTHING_SENT
from tertulia.services.tree import Line, Tree

GO_ON = "Your answer broke off. Go on exactly where it stopped, without repeating any of it."
"""What is sent after the beginning of an answer, and never stored."""

MAX_BRANCH_NAME = 200

Where: TypeAlias = UUID | Literal["head", "root"]
Attached: TypeAlias = Attachable | Sequence[Attachable]
Move: TypeAlias = Callable[[Line], None] | None
"""Takes the caller's conversation to another branch; None where it stays where it is, whatever is asked."""

_log = logging.getLogger("tertulia")


class Question(ABC):
    """
    Something to ask, and where.

    Attributes:
        line: The branch it is asked on, once it has its place.

        message: The user message, once it has its place; without a depth while it is not stored.

        beginning: The answer that broke off and is to be gone on with; None when there is none.

        origin: The branch of the caller's conversation, wherever it is asked in the end.

        move: Takes the caller's conversation to another branch; None where it stays where it is.
    """

    message: Message
    beginning: Message | None = None

    def __init__(self, core: Core, tree: Tree, line: Line, move: Move) -> None:
        self.core = core
        self.tree = tree
        self.line = self.origin = line
        self.move = move
        self._is_spare = False  # whether the branch is ours alone, and nothing is on it yet

    @property
    def is_stored(self) -> bool:
        """Whether the user message is in the store."""
        message: Message | None = getattr(self, "message", None)
        return message is not None and message.depth is not None

    @abstractmethod
    async def place(self) -> None:
        """Get ready to be asked: message and branch are known afterwards."""

    @abstractmethod
    async def write_ahead(self, attempt: Attempt) -> Attempt:
        """Store the attempt, and the message where it is new; return the attempt with its number."""

    async def settled(self, answer: Message | None) -> None:  # noqa: B027  # most have nothing left to do
        """The send is over; None when there is nothing of an answer."""

    async def give_up(self) -> None:
        """Take away the branch that was made for nothing; where somebody else is on it by now, it stays."""
        if not self._is_spare:
            return
        self._is_spare = False
        core = self.core
        try:
            await core.store.remove_branch(core.owner, self.tree.id, self.line.name, core.clock.now())
        except TertuliaError as error:
            _log.warning("branch %r was made for nothing and is still there: %s", self.line.name, error)

    async def _fork(self, at: UUID | None) -> None:
        """Go on on a new branch that ends at a message, None being before the first, named after ours."""
        making = fork(self.core, self.tree, self.line.name, at=at or "root")
        branch, cancelled = await self.core.see_through(making)
        self.line = self.tree.line(branch)
        self._is_spare = True
        if cancelled:
            raise asyncio.CancelledError

    async def _go_there(self) -> None:
        """Let the conversation go on on this branch, for the caller and for whoever opens it next."""
        core = self.core
        self._is_spare = False
        if self.move is None:
            return
        self.move(self.line)
        try:
            await core.store.update_active_branch(core.owner, self.tree.id, self.line.name, core.clock.now())
        except TertuliaError as error:  # which takes nothing of what is stored on the branch
            _log.warning("the conversation is not opened on branch %r yet: %s", self.line.name, error)


class NewQuestion(Question):
    """
    A new user message at the end of a branch.

    Args:
        text: What is said; may be empty when something is attached.
        attached: Files, or where they are.
        client_id: The name its sender gave it; None without one.
    """

    def __init__(
        self,
        core: Core,
        tree: Tree,
        line: Line,
        move: Move,
        *,
        text: str,
        attached: Attached,
        client_id: str | None = None,
    ) -> None:
        super().__init__(core, tree, line, move)
        self.message = Message(
            Role.USER,
            (Text(text),) if text else (),
            id=core.clock.new_id(),
            status=MessageStatus.PENDING,
            created_at=core.clock.now(),
            client_id=client_id,
        )
        self._attached = attached

    async def place(self) -> None:
        """Load what is attached: what cannot be read is refused before anything is stored."""
        if self._attached not in ((), []):
            attached = await asyncio.to_thread(load_attachments, self._attached)
            self.message = attrs.evolve(self.message, parts=(*attached, *self.message.parts))

    async def write_ahead(self, attempt: Attempt) -> Attempt:
        """Store the message together with the attempt."""
        core = self.core
        self.message = await core.store.add_user_message(
            core.owner, self.tree.id, self.line.name, self.message, attempt
        )
        return attempt


class AnsweredCalls(Question):
    """
    What tools returned, as the message after the answer that called them.

    Args:
        results: What they returned.
        calling: The answer that called; None for the newest message of the branch.

    Attributes:
        calling: The same, known once it has its place.
    """

    def __init__(
        self,
        core: Core,
        tree: Tree,
        line: Line,
        move: Move,
        *,
        results: Sequence[ToolResult],
        calling: Message | None = None,
    ) -> None:
        super().__init__(core, tree, line, move)
        self.calling = calling
        self.message = Message(
            Role.TOOL,
            tuple(results),
            id=core.clock.new_id(),
            status=MessageStatus.PENDING,
            created_at=core.clock.now(),
        )

    async def place(self) -> None:
        """Find the answer that called, and hold the results against its calls."""
        if self.calling is not None:
            return
        core = self.core
        newest = await core.store.get_messages(core.owner, self.tree.id, self.line.name, limit=1)
        parts = _match_results(find_open_calls(newest), self.message.parts)
        self.calling = newest[0]
        self.message = attrs.evolve(self.message, parts=parts)

    async def write_ahead(self, attempt: Attempt) -> Attempt:
        """Store the results and the attempt; where others went on meanwhile, on a branch of our own."""
        assert self.calling is not None  # noqa: S101  # placed before
        try:
            await self._store(attempt, self.calling)
        except BranchMovedError:
            await self._fork(self.calling.id)
            await self._store(attempt, self.calling)
            await self._go_there()
        return attempt

    async def _store(self, attempt: Attempt, calling: Message) -> None:
        core = self.core
        self.message = await core.store.add_user_message(
            core.owner, self.tree.id, self.line.name, self.message, attempt, expected_head=calling.id
        )


def find_open_calls(newest: Sequence[Message]) -> tuple[ToolCall, ...]:
    """The calls that a branch ends with; none where it ends otherwise, or with an answer that broke off."""
    message = newest[-1] if newest else None
    is_whole = message is not None and message.status is MessageStatus.COMPLETE
    return message.tool_calls if message is not None and is_whole and message.role is Role.ASSISTANT else ()


def _match_results(calls: Sequence[ToolCall], given: Sequence[Part]) -> tuple[ToolResult, ...]:
    """Return the results in the order of their calls; some servers give two calls the same id."""
    left: dict[str, list[ToolResult]] = {}
    for result in map(check_result, given):
        left.setdefault(result.call_id, []).append(result)
    if not calls:
        raise _refuse_results("the newest message calls no tools, so there is nothing to answer", None)
    found: list[ToolResult] = []
    for call in calls:
        if not left.get(call.id):
            raise _refuse_results(f"call {call.id!r} has no result", call.name)
        found.append(left[call.id].pop(0))
    for result in (each for results in left.values() for each in results):
        wanted = any(call.id == result.call_id for call in calls)
        problem = "a call has two results" if wanted else f"nobody made the call {result.call_id!r}"
        raise _refuse_results(problem, result.name)
    return tuple(found)


def check_result(result: object) -> ToolResult:
    """Refuse what is no result, or holds no text: stored, it could not be read again."""
    if not isinstance(result, ToolResult):
        raise _refuse_results(f"{name_type(type(result))} is no result of a call", None)
    if not isinstance(cast("object", result.output), str):
        problem = f"the result of call {result.call_id!r} is {name_type(type(result.output))}, and not text"
        raise _refuse_results(problem, result.name)
    return result


def _refuse_results(problem: str, tool: str | None) -> ToolError:
    return ToolError(
        problem,
        tool=tool,
        kept=NOTHING_SENT,
        next_step="give one result for each call of the newest answer: call.result(…)",
    )


class EditedQuestion(NewQuestion):
    """
    A user message said differently: the sibling of an earlier one, on a branch that ends before it.

    Args:
        edited: The earlier message.
    """

    def __init__(
        self,
        core: Core,
        tree: Tree,
        line: Line,
        move: Move,
        *,
        text: str,
        attached: Attached,
        edited: UUID,
        client_id: str | None = None,
    ) -> None:
        super().__init__(core, tree, line, move, text=text, attached=attached, client_id=client_id)
        self._edited = edited

    async def place(self) -> None:
        """Fork before the message that is edited."""
        core = self.core
        edited = await core.store.get_message(core.owner, self.tree.id, self._edited)
        if edited.role is not Role.USER:
            raise BranchError(
                f"only a user's message can be edited, and this one is the {edited.role}'s",
                branch=self.line.name,
                next_step="regenerate() asks for another answer",
            )
        await super().place()
        await self._fork(edited.parent_id)

    async def write_ahead(self, attempt: Attempt) -> Attempt:
        """Store the message; from then on the conversation goes on there."""
        attempt = await super().write_ahead(attempt)
        await self._go_there()
        return attempt


class RepeatedQuestion(Question):
    """
    A stored user message that is asked once more.

    Where it has an answer already, the new one is a sibling on a branch of its own. The conversation goes
    there with the answer; without one there is nothing to go to, and the branch is taken away again. Where
    it has none, it is asked where it is.

    Args:
        answer: The answer to have another one beside, or the user message itself; None for the newest.
        recovers: Whether it takes the place of an answer that has just broken off; then somebody else may be
            asked the same meanwhile, as in a comparison.
    """

    def __init__(
        self,
        core: Core,
        tree: Tree,
        line: Line,
        move: Move,
        *,
        answer: UUID | None = None,
        recovers: bool = False,
    ) -> None:
        super().__init__(core, tree, line, move)
        self._answer = answer
        self._recovers = recovers

    async def place(self) -> None:
        """Find the user message, and fork at it where it has an answer."""
        newest = await self._newest()
        chosen = newest if self._answer in (None, newest.id) else await self._get(self._answer)
        self.message = await self._asked_by(chosen)
        if not self._recovers:
            await self._refuse_while_asked()
        if self.message.id != newest.id:
            await self._fork(self.message.id)

    async def write_ahead(self, attempt: Attempt) -> Attempt:
        """Store the attempt."""
        core = self.core
        return await core.store.add_attempt(core.owner, self.tree.id, self.line.name, attempt)

    async def settled(self, answer: Message | None) -> None:
        """Go to the answer, or take the branch away."""
        if answer is None:
            await self.give_up()
        elif self._is_spare:
            await self._go_there()

    async def _newest(self) -> Message:
        core = self.core
        newest = await core.store.get_messages(core.owner, self.tree.id, self.line.name, limit=1)
        if not newest:
            raise self._error("is empty", "send a message")
        return newest[0]

    async def _get(self, message_id: UUID | None) -> Message:
        assert message_id is not None  # noqa: S101  # an answer follows something
        return await self.core.store.get_message(self.core.owner, self.tree.id, message_id)

    async def _asked_by(self, message: Message) -> Message:
        """The message that a message answers, or is: a user's, or what tools returned."""
        if message.role is Role.ASSISTANT and message.parent_id is not None:
            message = await self._get(message.parent_id)
        if message.role not in (Role.USER, Role.TOOL):
            raise self._error("holds no answer to a user's message there", "send a message")
        return message

    async def _refuse_while_asked(self) -> None:
        """A message has one answer at a time, and there is no use in a branch for another one meanwhile."""
        for attempt in await self.core.store.get_attempts(self.core.owner, self.tree.id):
            if attempt.message_id == self.message.id and attempt.outcome is AttemptOutcome.PENDING:
                raise ConversationBusyError(
                    "an answer to this message is still coming",
                    kept=NOTHING_SENT,
                    next_step="wait for it, or stop it",
                )

    def _error(self, what: str, next_step: str) -> BranchError:
        name = self.line.name
        return BranchError(f"branch {name!r} {what}", branch=name, kept=NOTHING_SENT, next_step=next_step)


class RetriedQuestion(RepeatedQuestion):
    """What a branch ends with and was not answered to the end, to be answered from the first word."""

    async def place(self) -> None:
        """Refuse where there is a whole answer."""
        newest = await self._newest()
        if newest.role not in (Role.USER, Role.TOOL) and newest.status is MessageStatus.COMPLETE:
            raise self._explain_complete(newest)
        self._begin_with(newest)
        await super().place()

    def _begin_with(self, newest: Message) -> None:
        """Know with what the branch ends."""

    def _explain_complete(self, newest: Message) -> BranchError:
        if calls := find_open_calls([newest]):
            what = f"ends with a call of {calls[0].name!r}, which nobody here can answer"
            return self._error(what, "resume(tools=…) calls it; submit_results() says what it returned")
        return self._error(
            "ends with a complete message, so there is nothing left to answer",
            "send a message, or regenerate() the answer",
        )


class ResumedQuestion(RetriedQuestion):
    """What a branch ends with and was not answered to the end: an answer that broke off, or no answer."""

    def _begin_with(self, newest: Message) -> None:
        """Take the beginning of the answer along, where there is one."""
        if newest.role is Role.ASSISTANT and newest.text:
            self.beginning = newest


async def fork(core: Core, tree: Tree, source: str, *, at: Where, name: str | None = None) -> Branch:
    """
    Make a branch.

    Args:
        source: The branch it comes from.
        at: The message it ends at; ``"head"`` for the source's newest, ``"root"`` for before the first.
        name: None for the source's name with the next free number: ``main-2``.

    Raises:
        BranchExistsError: The name is taken.
        BranchNotFoundError: There is no such source.
        MessageNotFoundError: There is no such message.
    """
    if name is not None:
        return await _add(core, tree, name, source, at)
    while True:
        branches = await core.store.find_branches(core.owner, tree.id)
        try:
            return await _add(core, tree, free_name(source, (each.name for each in branches)), source, at)
        except BranchExistsError:
            pass  # somebody took it in between


async def _add(core: Core, tree: Tree, name: str, source: str, at: Where) -> Branch:
    now = core.clock.now()
    return await core.store.add_branch(core.owner, tree.id, name, source=source, at=at, created_at=now)


def free_name(source: str, taken: Iterable[str]) -> str:
    """
    Number a branch after the one it comes from.

    Example:
        >>> free_name("main", ["main"]), free_name("main-2", ["main", "main-2", "main-3"])
        ('main-2', 'main-4')
    """
    names = set(taken)
    base = re.sub(r"-\d+$", "", source)
    if base not in names:
        base = source  # its number is its own, as in "plan-2027"
    suffixes = (f"-{number}" for number in count(2))
    numbered = (base[: MAX_BRANCH_NAME - len(suffix)] + suffix for suffix in suffixes)
    return next(name for name in numbered if name not in names)


def join_parts(beginning: Message | None, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Put the rest of an answer after its beginning, as one text where neither has a provider's state."""
    if beginning is None:
        return parts
    if beginning.parts and parts:
        last, first = beginning.parts[-1], parts[0]
        if type(last) is Text and type(first) is Text and last.opaque is None and first.opaque is None:
            return (*beginning.parts[:-1], Text(last.text + first.text), *parts[1:])
    return (*beginning.parts, *parts)
