"""What is said when something is not there, or cannot be done."""

from __future__ import annotations

from uuid import UUID

from tertulia.domain.budget import Account
from tertulia.domain.usage import Money
from tertulia.errors import (
    BranchError,
    BranchExistsError,
    BranchMovedError,
    BranchNotFoundError,
    BudgetExceededError,
    ConversationBusyError,
    ConversationNotFoundError,
    DuplicateMessageError,
    MessageNotFoundError,
    StoreError,
)


def explain_no_conversation(conversation_id: UUID, *, deleted: bool = False) -> ConversationNotFoundError:
    """Say that this owner has no such conversation, or that it is deleted."""
    return ConversationNotFoundError(
        f"conversation {conversation_id} is deleted"
        if deleted
        else f"there is no conversation {conversation_id}",
        conversation_id=conversation_id,
        next_step="restore it" if deleted else "list the conversations there are",
    )


def explain_not_deleted(conversation_id: UUID) -> ConversationNotFoundError:
    """Say that only what is deleted can be purged."""
    return ConversationNotFoundError(
        f"conversation {conversation_id} is not deleted, so it was not purged",
        conversation_id=conversation_id,
        next_step="delete it first",
    )


def explain_no_json(error: Exception) -> StoreError:
    """Say that metadata cannot be kept."""
    return StoreError(
        f"the metadata is no JSON: {error}",
        kept="it is as it was",
        next_step="use texts, numbers, True, False, None, lists and dicts",
    )


def explain_no_tag(tag: str, longest: int) -> StoreError:
    """Say that no tag can be called so."""
    return StoreError(
        f"a tag has 1 to {longest} characters, and this one has {len(tag)}",
        kept="no tag was changed",
        next_step="choose another one",
    )


def explain_no_branch(conversation_id: UUID, branch: str) -> BranchNotFoundError:
    """Say that a conversation has no such branch."""
    return BranchNotFoundError(
        f"conversation {conversation_id} has no branch {branch!r}",
        branch=branch,
        next_step="list its branches",
    )


def explain_no_message(conversation_id: UUID, message_id: UUID) -> MessageNotFoundError:
    """Say that a conversation has no such message."""
    return MessageNotFoundError(
        f"conversation {conversation_id} has no message {message_id}",
        message_id=message_id,
        next_step="read its history",
    )


def explain_no_name(name: str, longest: int) -> BranchError:
    """Say that no branch can be called so."""
    return BranchError(
        f"a branch's name has 1 to {longest} characters, and this one has {len(name)}",
        branch=name,
        next_step="choose another name",
    )


def explain_taken(name: str) -> BranchExistsError:
    """Say that there is a branch of that name."""
    return BranchExistsError(
        f"there is a branch {name!r} already", branch=name, next_step="choose another name"
    )


def explain_active(branch: str) -> BranchError:
    """Say that the active branch stays."""
    return BranchError(
        f"branch {branch!r} is the active one, so it was not removed",
        branch=branch,
        next_step="switch to another branch first",
    )


def explain_astray(branch: str, to: UUID) -> BranchError:
    """Say that a branch would lose what it ends with."""
    return BranchError(
        f"message {to} does not follow what branch {branch!r} ends with, so it stays where it is",
        branch=branch,
        next_step="merge the branches, or fork at that message",
    )


def explain_moved(
    branch: str, expected: UUID | str | None, actual: UUID | None, what: str
) -> BranchMovedError:
    """Say that a branch ends with another message than its author believed."""
    return BranchMovedError(
        f"branch {branch!r} ends with {_name(actual)} and not with {_name(expected)}, so {what}",
        branch=branch,
        expected=expected,
        actual=actual,
        next_step="read what was said meanwhile, and decide again",
    )


def explain_stored(message_id: UUID) -> StoreError:
    """Say that no message is stored twice."""
    return StoreError(
        f"there is a message {message_id} already",
        kept="it is as it was",
        next_step="give the new one an id of its own",
    )


def explain_duplicate(conversation_id: UUID, client_id: str, message_id: UUID) -> DuplicateMessageError:
    """Say that a message was sent before."""
    return DuplicateMessageError(
        f"conversation {conversation_id} has a message with the client_id {client_id!r} already",
        message_id=message_id,
        kept="it is as it was, and nothing was added",
        next_step="read that one, or give the new one a client_id of its own",
    )


def explain_exceeded(account: Account, limit: Money, held: Money, amount: Money) -> BudgetExceededError:
    """Say that a call might cost more than an account has left."""
    return BudgetExceededError(
        f"{held} of {limit} are spent or set aside ({account.scope}, {account.period}), "
        f"and the call may cost {amount}",
        account=account,
        limit=limit,
        spent=held,
        needed=amount,
        kept="nothing was set aside",
    )


def explain_busy(what: str) -> ConversationBusyError:
    """Say that an answer is under way."""
    return ConversationBusyError(
        f"an answer is still under way on this branch, so {what}",
        kept="everything said so far is stored",
        next_step="wait for the answer, or fork the conversation",
    )


def _name(message_id: UUID | str | None) -> str:
    return "nothing" if message_id is None else f"message {message_id}"
