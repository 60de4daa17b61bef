"""What a conversation remembers of its branch between two sends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

import attrs

from tertulia.domain.exchange import Target
from tertulia.domain.media import Media
from tertulia.domain.message import Message, MessageStatus, Role, ToolResult
from tertulia.services.core import Core
from tertulia.services.keeping_back import find_states

KEPT_BACK = "This result is not shown any more."
_UNANSWERED = frozenset({MessageStatus.FAILED, MessageStatus.PENDING})


@attrs.define(eq=False)
class Path:
    """
    The messages of a branch as models see them, read once and then extended.

    Messages do not change once they are complete, so what was read for a head holds as long as the head
    is the same: another process that appends moves the head, and the path is read again.

    Attributes:
        system: The system messages.

        messages: The others, oldest first, without what nobody answered: that never reached a model.

        has_media: Whether anything is attached to any of them.

        has_calls: Whether one of them calls tools, or says what they returned.

        states: The providers that left state of their own in any of them.
    """

    system: tuple[Message, ...] = ()
    messages: tuple[Message, ...] = ()
    has_media: bool = False
    has_calls: bool = False
    states: frozenset[str] = frozenset()
    _head_id: UUID | None = None
    _is_read: bool = False
    _holds_until: datetime | None = None
    _tokens: dict[Target, dict[int, int]] = attrs.field(factory=dict[Target, dict[int, int]])

    @property
    def last_provider(self) -> str | None:
        """Who gave the newest answer; None where there is none."""
        return next((each.provider for each in reversed(self.messages) if each.provider is not None), None)

    async def read(self, core: Core, conversation_id: UUID, branch: str, newest: Message) -> None:
        """Know what was said before the newest message, which has its parent and depth."""
        now = core.clock.now()
        is_fresh = self._holds_until is None or now < self._holds_until
        if is_fresh and newest.parent_id is not None and newest.parent_id == self._head_id:
            return
        found = await core.store.get_messages(core.owner, conversation_id, branch, before_depth=newest.depth)
        answered = list(_keep_back(filter(_was_answered, found), now))
        self.system = tuple(message for message in answered if message.role is Role.SYSTEM)
        self.messages = tuple(message for message in answered if message.role is not Role.SYSTEM)
        self.has_media = any(map(holds_media, self.messages))
        self.has_calls = any(map(_concerns_tools, self.messages))
        self.states = find_states(self.messages)
        ends = (message.mark.expires_at for message in found)
        self._holds_until = min((end for end in ends if end is not None and now < end), default=None)
        self._head_id, self._is_read = newest.parent_id, True
        self._tokens.clear()

    def extend(self, question: Message, answer: Message | None) -> None:
        """Go on after a send: with both when it was answered, else past the question that was not."""
        if question.depth is None or not self._is_read or self._head_id != question.parent_id:
            return  # it never reached the store, or the path was not read for it
        if answer is None and question.role is Role.TOOL:
            self._head_id = None  # what tools returned stays in the history, answered or not
        elif answer is None:
            self._head_id = question.id
        elif answer.parent_id == question.id:
            asked = attrs.evolve(question, status=MessageStatus.COMPLETE)
            self.messages = (*self.messages, asked, answer)
            self.has_media = self.has_media or holds_media(asked) or holds_media(answer)
            self.has_calls = self.has_calls or _concerns_tools(asked) or _concerns_tools(answer)
            self.states |= find_states([answer])
            self._head_id = answer.id

    def count_tokens(self, core: Core, target: Target, messages: Sequence[Message]) -> int:
        """Estimate the tokens of messages for a target; those of the path are counted once."""
        known = self._tokens.setdefault(target, {})
        for message in self.messages[len(known) :]:
            known[id(message)] = core.plugins.count_tokens(target, (message,))
        counted = list(map(known.get, map(id, messages)))
        others = [message for message, tokens in zip(messages, counted, strict=True) if tokens is None]
        total = sum(filter(None, counted))
        return total + core.plugins.count_tokens(target, others) if others else total


def _was_answered(message: Message) -> bool:
    """Whether a model has seen it; what tools returned is sent again, because it was called for."""
    return message.status not in _UNANSWERED or message.role is Role.TOOL


def _keep_back(messages: Iterable[Message], now: datetime) -> Iterator[Message]:
    """
    What nobody wants kept from models.

    A call has a result in every request, so of a hidden result it is said that it is not shown.
    """
    is_called = False
    for message in messages:
        if may_be_sent(message, now):
            yield message
            is_called = _concerns_tools(message)
        elif message.role is Role.TOOL and is_called:
            results = (part for part in message.parts if isinstance(part, ToolResult))
            yield attrs.evolve(
                message, parts=tuple(ToolResult(each.call_id, each.name, KEPT_BACK) for each in results)
            )
        else:
            is_called = False


def may_be_sent(message: Message, now: datetime) -> bool:
    """Whether nobody wants it kept from models."""
    mark = message.mark
    return not mark.hidden and (mark.expires_at is None or now < mark.expires_at)


def _concerns_tools(message: Message) -> bool:
    return message.role is Role.TOOL or (message.role is Role.ASSISTANT and bool(message.tool_calls))


def holds_media(message: Message) -> bool:
    """Whether anything is attached to a message; so is a picture that a model has drawn."""
    return any(isinstance(part, Media) for part in message.parts)
