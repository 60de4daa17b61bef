"""What a conversation remembers of its branch between two sends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

import attrs

from tertulia.domain.context import Context, ContextOptions, Outline
from tertulia.domain.exchange import Target
from tertulia.domain.media import Media
from tertulia.domain.message import NO_MARK, Message, MessageStatus, Role, ToolResult
from tertulia.domain.tokens import TokenWeights
from tertulia.runtime.counting.tokens import count_messages
from tertulia.services.context.index import WordIndex
from tertulia.services.context.recall import Recall
from tertulia.services.core import Core
from tertulia.services.keeping_back import find_states

KEPT_BACK = "This result is not shown any more."

WHOLE = 1000
"""Messages up to which a branch is read whole; of a longer one only what is needed is."""

_UNANSWERED = frozenset({MessageStatus.FAILED, MessageStatus.PENDING})
_GENERIC = TokenWeights()
_MOST_COUNTED = 20_000
_FIRST = 32


@attrs.frozen(eq=False)
class Turn:
    """
    What was chosen for a turn: its later steps begin with the same.

    Attributes:
        opening_id: The user message that opened it.

        target: For whom it was chosen.

        options: How it was chosen.

        context: What was chosen, without what followed.
    """

    opening_id: UUID | None
    target: Target
    options: ContextOptions
    context: Context


@attrs.define(eq=False)
class Path:
    """
    The messages of a branch as models see them, read as far as they are needed and then extended.

    Messages do not change once they are complete, so what was read for a head holds as long as the head
    is the same: another process that appends moves the head, and the path is read again.

    Attributes:
        system: The system messages.

        messages: The newest of the others, oldest first, without what nobody answered, which never reached a
            model, and without what is hidden or has expired.

        is_whole: Whether those are all there are.

        marked: Messages of the branch of which anything is said, wherever they are; those aside that are
            hidden or have expired.

        tokens: The stored tokens of everything on the branch that models may see, the system's aside.

        depth: How many places there are before the newest message.

        recall: What was learned of the words of its messages.

        index: Where words are in it, where no store says.

        has_media: Whether anything is attached to any message that was read.

        has_calls: Whether a message that was read calls tools, or says what they returned.

        states: The providers that left state of their own in any message that was read.

        turn: What was chosen when the newest turn was opened.

        groups: By its id, with what else a message is sent, where anybody has looked.
    """

    system: tuple[Message, ...] = ()
    messages: tuple[Message, ...] = ()
    is_whole: bool = True
    marked: tuple[Message, ...] = ()
    tokens: int = 0
    depth: int = 0
    recall: Recall = attrs.field(factory=Recall, repr=False)
    index: WordIndex = attrs.field(factory=WordIndex, repr=False)
    has_media: bool = False
    has_calls: bool = False
    states: frozenset[str] = frozenset()
    turn: Turn | None = None
    groups: dict[UUID, Sequence[Message]] = attrs.field(factory=dict[UUID, Sequence[Message]], repr=False)
    _head_id: UUID | None = None
    _is_read: bool = False
    _holds_until: datetime | None = None
    _read_tokens: int = 0
    _read_count: int = 0
    _stored: dict[UUID, int] = attrs.field(factory=dict[UUID, int], repr=False)
    _counted: dict[Target, dict[int, tuple[Message, int]]] = attrs.field(
        factory=dict[Target, dict[int, tuple[Message, int]]], repr=False
    )
    _sums: dict[Target, tuple[tuple[Message, ...], int]] = attrs.field(
        factory=dict[Target, tuple[tuple[Message, ...], int]], repr=False
    )

    @property
    def last_provider(self) -> str | None:
        """Who gave the newest answer; None where there is none."""
        return next((each.provider for each in reversed(self.messages) if each.provider is not None), None)

    async def read(self, core: Core, conversation_id: UUID, branch: str, newest: Message) -> None:
        """Know what was said before the newest message, which has its parent and depth."""
        now = core.clock.now()
        is_fresh = self._holds_until is None or now < self._holds_until
        depth, parent_id = newest.depth, newest.parent_id
        if depth is None:  # it is not stored, and would be next
            head = await core.store.get_branch(core.owner, conversation_id, branch)
            depth, parent_id = head.head_depth + 1, head.head_id
        if is_fresh and parent_id is not None and parent_id == self._head_id:
            return
        self.groups.clear()
        outline = None
        if depth > WHOLE:
            outline = await core.store.get_outline(core.owner, conversation_id, branch, before_depth=depth)
        if outline is None:
            found = await core.store.get_messages(core.owner, conversation_id, branch, before_depth=depth)
            self._take_whole(found, now)
        else:
            self._take_outline(outline, now)
        self.depth, self._head_id, self._is_read = depth, parent_id, True
        self.turn = None  # what it holds may have been hidden since, or has expired
        self._counted.clear()
        self._sums.clear()

    def _take_whole(self, found: Sequence[Message], now: datetime) -> None:
        visible = list(_keep_back(filter(_was_answered, found), now))
        self.system = tuple(message for message in visible if message.role is Role.SYSTEM)
        self.messages = tuple(message for message in visible if message.role is not Role.SYSTEM)
        self.marked = tuple(message for message in self.messages if message.mark != NO_MARK)
        self.tokens = sum(map(self.count_stored, self.messages))
        self.is_whole, self._read_tokens, self._read_count = True, self.tokens, len(self.messages)
        self._look_through()
        self._hold_until(found, now)

    def _take_outline(self, outline: Outline, now: datetime) -> None:
        self.system = tuple(message for message in outline.system if may_be_sent(message, now))
        others = (message for message in outline.marked if message.role is not Role.SYSTEM)
        marked = list(filter(_was_answered, others))
        self.marked = tuple(message for message in marked if may_be_sent(message, now))
        unseen = [*outline.system, *(message for message in marked if not may_be_sent(message, now))]
        self.tokens = max(0, outline.tokens - sum(map(self.count_stored, unseen)))
        self.messages, self.is_whole, self._read_tokens, self._read_count = (), False, 0, 0
        self._look_through()
        self._hold_until((*outline.system, *outline.marked), now)

    def _look_through(self) -> None:
        self.has_media, self.has_calls, self.states = False, False, frozenset()
        for messages in (self.messages, self.marked, *self.groups.values()):
            self._heed(messages)

    def _heed(self, messages: Sequence[Message]) -> None:
        """Remember whether messages hold anything that not everybody can be sent as it is."""
        self.has_media = self.has_media or any(map(holds_media, messages))
        self.has_calls = self.has_calls or any(map(concerns_tools, messages))
        self.states |= find_states(messages)

    def keep_group(self, message_id: UUID, group: Sequence[Message]) -> None:
        """Remember with what else a message is sent."""
        self.groups[message_id] = group
        self._heed(group)

    def _hold_until(self, messages: Iterable[Message], now: datetime) -> None:
        ends = (message.mark.expires_at for message in messages)
        self._holds_until = min((end for end in ends if end is not None and now < end), default=None)

    async def read_back(self, core: Core, conversation_id: UUID, branch: str, tokens: int) -> None:
        """Have the newest messages of so many stored tokens at least, or all there are."""
        if self.is_whole or self._read_tokens >= tokens:
            return
        unseen = 0
        while True:
            found = await core.store.get_recent(
                core.owner, conversation_id, branch, before_depth=self.depth, tokens=tokens + unseen
            )
            self._take_newest(found, core.clock.now())
            shown = sum(map(self.count_stored, self.show(found, core.clock.now())))
            in_vain = sum(map(self.count_stored, filter(_was_answered, found))) - shown
            if not found or found[0].depth == 0 or in_vain <= unseen:
                break
            unseen = 2 * in_vain
        self._read_tokens = max(self._read_tokens, tokens)

    async def read_messages(self, core: Core, conversation_id: UUID, branch: str, count: int | None) -> None:
        """Have so many of the newest messages, or all there are; None for all."""
        limit = None if count is None else max(_FIRST, count)
        while not self.is_whole and (count is None or len(self.messages) < count):
            limit = None if limit is None else 2 * limit
            found = await core.store.get_messages(
                core.owner, conversation_id, branch, before_depth=self.depth, limit=limit
            )
            self._take_newest(found, core.clock.now())

    def _take_newest(self, found: Sequence[Message], now: datetime) -> None:
        messages = tuple(self.show(found, now))
        if found and self.messages and (found[0].depth or 0) > (self.messages[0].depth or 0):
            return  # somebody has read more meanwhile
        self.messages, self._read_count = messages, len(messages)
        self._read_tokens = sum(map(self.count_stored, self.messages))
        self.is_whole = not found or found[0].depth == 0
        self._look_through()

    def show(self, found: Sequence[Message], now: datetime) -> Sequence[Message]:
        """Return messages that were read as models see them, the system's aside."""
        visible = _keep_back(filter(_was_answered, found), now)
        return [message for message in visible if message.role is not Role.SYSTEM]

    def extend(self, question: Message, answer: Message | None) -> None:
        """Go on after a send: with both when it was answered, else past the question that was not."""
        if question.depth is None or not self._is_read or self._head_id != question.parent_id:
            return  # it never reached the store, or the path was not read for it
        if answer is None and question.role is Role.TOOL:
            self._head_id = None  # what tools returned stays in the history, answered or not
        elif answer is None:
            self._head_id, self.depth = question.id, question.depth + 1
        elif question.mark != NO_MARK:
            self._head_id = None  # one that was hidden, pinned or is to expire was asked again
        elif answer.parent_id == question.id:
            asked = attrs.evolve(question, status=MessageStatus.COMPLETE)
            self.messages = (*self.messages, asked, answer)
            added = self.count_stored(asked) + self.count_stored(answer)
            self.tokens, self._read_tokens = self.tokens + added, self._read_tokens + added
            self._heed((asked, answer))
            self._head_id, self.depth = answer.id, question.depth + 2
            if question.role is Role.TOOL:
                self.groups.clear()  # a call that stood alone may have its results now
            if len(self.messages) > 2 * max(WHOLE, self._read_count):
                self._head_id = None  # it has grown long: it is read anew, in part where that will do

    def count_stored(self, message: Message) -> int:
        """The tokens that were stored with a message; they are estimated where no store did."""
        if message.tokens is not None:
            return message.tokens
        if message.id is None:
            return count_messages((message,), _GENERIC)
        if (tokens := self._stored.get(message.id)) is None:
            tokens = self._stored[message.id] = count_messages((message,), _GENERIC)
        return tokens

    def count_tokens(self, core: Core, target: Target, messages: Sequence[Message]) -> int:
        """Estimate the tokens of messages for a target, of each message once."""
        counted, tokens = self._sums.get(target, ((), 0))
        start = len(self.system) if messages[:1] == self.system[:1] else 0
        end = start + len(counted)
        if counted and messages[start:end] == counted:  # as long as nothing is read anew, there is only more
            tokens += self._count_each(core, target, (*messages[:start], *messages[end:]))
        else:
            tokens = self._count_each(core, target, messages)
        if messages is self.messages:
            self._sums[target] = self.messages, tokens
        return tokens

    def _count_each(self, core: Core, target: Target, messages: Sequence[Message]) -> int:
        known = self._counted.setdefault(target, {})
        total = 0
        for message in messages:
            found = known.get(id(message))
            if found is None:
                found = known[id(message)] = message, core.plugins.count_tokens(target, (message,))
            total += found[1]
        if len(known) > _MOST_COUNTED:
            known.clear()
        return total


def _was_answered(message: Message) -> bool:
    """Whether a model has seen it; what tools returned is sent again, because it was called for."""
    return message.status not in _UNANSWERED or message.role is Role.TOOL


def _keep_back(messages: Iterable[Message], now: datetime) -> Iterator[Message]:
    """
    What nobody wants kept from models.

    A call has a result in every request, so of a hidden result it is said that it is not shown. That counts
    for nothing among what is stored, as where a branch is read in part.
    """
    is_called = False
    for message in messages:
        if may_be_sent(message, now):
            yield message
            is_called = concerns_tools(message)
        elif message.role is Role.TOOL and is_called:
            results = (part for part in message.parts if isinstance(part, ToolResult))
            parts = tuple(ToolResult(each.call_id, each.name, KEPT_BACK) for each in results)
            yield attrs.evolve(message, parts=parts, mark=NO_MARK, tokens=0)
        else:
            is_called = False


def may_be_sent(message: Message, now: datetime) -> bool:
    """Whether nobody wants it kept from models."""
    mark = message.mark
    return not mark.hidden and (mark.expires_at is None or now < mark.expires_at)


def concerns_tools(message: Message) -> bool:
    """Whether a message calls tools, or says what they returned."""
    return message.role is Role.TOOL or (message.role is Role.ASSISTANT and bool(message.tool_calls))


def holds_media(message: Message) -> bool:
    """Whether anything is attached to a message; so is a picture that a model has drawn."""
    return any(isinstance(part, Media) for part in message.parts)
