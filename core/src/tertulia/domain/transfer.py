"""Conversations on their way from one store to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt, AttemptOutcome, Branch, ConversationRecord
from tertulia.domain.message import Message, MessageStatus, Role
from tertulia.errors import ErrorKind

MAX_NAME = 200
"""How many characters a title, and the name of a branch, a tag, a provider and a model, may have."""

UNDER_WAY = "it was under way when the conversation was copied"
"""What is said of an attempt that was pending."""


@attrs.frozen
class ConversationTree:
    """
    A conversation with all that belongs to it.

    Attributes:
        record: Its counters are counted again where it is stored. Its branch is the active one.

        branches: In the order they were made, each with its head; their segments and costs mean nothing
            outside the store.

        messages: Of all branches, parents before their children.

        attempts: In the order they were started.
    """

    record: ConversationRecord
    branches: tuple[Branch, ...]
    messages: tuple[Message, ...]
    attempts: tuple[Attempt, ...] = ()


@attrs.frozen
class ImportProblem:
    """
    What could not be imported.

    Attributes:
        place: Where it is: ``line 12``, ``conversation 3``.

        reason: What is wrong with it.

        conversation_id: What it belongs to; None where that cannot be told.
    """

    place: str
    reason: str
    conversation_id: UUID | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@attrs.frozen
class ImportReport:
    """
    What came of an import.

    Attributes:
        imported: The conversations that are stored now.

        skipped: Those that were there already, and were left as they are.

        problems: What could not be imported, in order.

        message_count: How many messages were imported.
    """

    imported: tuple[UUID, ...] = ()
    skipped: tuple[UUID, ...] = ()
    problems: tuple[ImportProblem, ...] = ()
    message_count: int = 0


def find_fault(tree: ConversationTree) -> str | None:
    """Say why something is no conversation that can be stored; None when it can."""
    return (
        _find_message_fault(tree.messages)
        or _find_branch_fault(tree)
        or _find_attempt_fault(tree)
        or _find_name_fault(tree)
    )


def end_pending(tree: ConversationTree) -> ConversationTree:
    """
    The same with nothing under way any more: what is settled elsewhere nobody will settle in a copy.

    What there is of an answer is an interrupted one, which its user message then has; without it that failed.
    """
    answered = {message.parent_id for message in tree.messages if message.role is Role.ASSISTANT}
    return attrs.evolve(
        tree,
        messages=tuple(_end_message(message, answered) for message in tree.messages),
        attempts=tuple(map(_end_attempt, tree.attempts)),
    )


def _end_message(message: Message, answered: set[UUID | None]) -> Message:
    if message.status is not MessageStatus.PENDING:
        return message
    if message.role is Role.ASSISTANT:
        return attrs.evolve(message, status=MessageStatus.INTERRUPTED)
    is_answered = message.id in answered
    return attrs.evolve(message, status=MessageStatus.COMPLETE if is_answered else MessageStatus.FAILED)


def _end_attempt(attempt: Attempt) -> Attempt:
    if attempt.outcome is not AttemptOutcome.PENDING:
        return attrs.evolve(attempt, lease_until=None)
    return attrs.evolve(
        attempt,
        outcome=AttemptOutcome.INTERRUPTED,
        lease_until=None,
        error_kind=ErrorKind.INTERRUPTED,
        error_message=UNDER_WAY,
    )


def _find_message_fault(messages: Iterable[Message]) -> str | None:
    seen: set[UUID] = set()
    named: set[str] = set()
    for message in messages:
        if message.id is None:
            return "one of its messages has no id"
        if message.id in seen:
            return f"two of its messages have the id {message.id}"
        if message.parent_id is not None and message.parent_id not in seen:
            return f"message {message.id} follows {message.parent_id}, which is not there before it"
        if message.client_id is not None and message.client_id in named:
            return f"two of its messages have the client_id {message.client_id!r}"
        seen.add(message.id)
        named.add(message.client_id or "")
    return None


def _find_branch_fault(tree: ConversationTree) -> str | None:
    names = [branch.name for branch in tree.branches]
    ids = {message.id for message in tree.messages}
    if len(set(names)) < len(names):
        return f"two of its branches are called {next(name for name in names if names.count(name) > 1)!r}"
    if tree.record.branch.name not in names:
        return f"its active branch {tree.record.branch.name!r} is not there"
    for branch in tree.branches:
        if branch.head_id is not None and branch.head_id not in ids:
            return f"branch {branch.name!r} ends with message {branch.head_id}, which is not there"
        if branch.forked_from is not None and branch.forked_from not in names:
            return f"branch {branch.name!r} was forked from {branch.forked_from!r}, which is not there"
    return None


def _find_attempt_fault(tree: ConversationTree) -> str | None:
    ids = {message.id for message in tree.messages}
    names = {branch.name for branch in tree.branches}
    seen: set[UUID] = set()
    for attempt in tree.attempts:
        if attempt.id in seen:
            return f"two of its attempts have the id {attempt.id}"
        if attempt.message_id not in ids:
            return f"attempt {attempt.id} answers message {attempt.message_id}, which is not there"
        if attempt.branch is not None and attempt.branch not in names:
            return f"attempt {attempt.id} was made on branch {attempt.branch!r}, which is not there"
        seen.add(attempt.id)
    return None


def _find_name_fault(tree: ConversationTree) -> str | None:
    """Names are columns of a database, and those that something is found by are not empty."""
    needed = (*(branch.name for branch in tree.branches), *tree.record.tags)
    for name in (*needed, *_find_words(tree)):
        if name is not None and len(name) > MAX_NAME:
            return f"a name in it has more than {MAX_NAME} characters: {name[:40]!r}…"
    return None if all(needed) else "one of its branches or tags has an empty name"


def _find_words(tree: ConversationTree) -> Iterator[str | None]:
    yield tree.record.title
    for branch in tree.branches:
        yield from (branch.provider, branch.model)
    for message in tree.messages:
        yield from (message.provider, message.model, message.resolved_model, message.raw_finish_reason)
        yield message.client_id
        yield None if message.cost is None else message.cost.price_row
    for attempt in tree.attempts:
        yield from (attempt.provider, attempt.model, attempt.request_id)
        yield None if attempt.cost is None else attempt.cost.price_row
