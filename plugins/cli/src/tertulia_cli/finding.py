"""Conversations by what people type for them: an id, the beginning of one, or ``last``."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import click

import tertulia

SHORTEST = 6
PAGE = 200
LAST = "last"
KEPT = (tertulia.ConversationState.ACTIVE, tertulia.ConversationState.ARCHIVED)
DELETED = (tertulia.ConversationState.DELETED,)

States = Sequence[tertulia.ConversationState]


async def find_conversation(client: tertulia.Client, text: str, *, states: States = KEPT) -> UUID:
    """
    Return the id of a conversation from its id, from the beginning of it, or from ``last``.

    Args:
        states: Where it may be; a whole id is returned unseen.

    Raises:
        ConversationNotFoundError: There is none.
        click.UsageError: It is too short, or more than one begins so.
    """
    prefix = text.strip().lower().replace("-", "")
    if prefix == LAST:
        return await _find_last(client, states)
    if re.fullmatch("[0-9a-f]{32}", prefix):
        return UUID(prefix)
    if len(prefix) < SHORTEST:
        raise click.UsageError(
            f"{text!r} is too short for an id: at least {SHORTEST} characters of one are needed."
        )
    found = [record.id async for record in _find_all(client, prefix, states)]
    if len(found) > 1:
        listed = ", ".join(map(str, found[:3])) + (", …" if len(found) > 3 else "")
        raise click.UsageError(f"{len(found)} conversations begin with {text!r}: {listed}.")
    if not found:
        raise _not_found(f"there is no conversation whose id begins with {text!r}", text, states)
    return found[0]


async def find_messages(
    conversation: tertulia.Conversation, numbers: Sequence[int]
) -> list[tertulia.Message]:
    """
    Find messages of a branch by their places.

    Raises:
        click.UsageError: It has no message there.
    """
    messages = await conversation.history()
    for number in numbers:
        if number > len(messages):
            raise click.UsageError(
                f"Branch {conversation.branch!r} has no message {number}: it has {len(messages)}."
            )
    return [messages[number - 1] for number in numbers]


async def _find_last(client: tertulia.Client, states: States) -> UUID:
    records = await client.list(where=tertulia.ConversationFilter(states=tuple(states)), limit=1)
    if not records:
        kind = f"{states[0]} conversation" if len(states) == 1 else "conversation yet"
        raise _not_found(f"there is no {kind}", LAST, states)
    return records[0].id


async def _find_all(
    client: tertulia.Client, prefix: str, states: States
) -> AsyncIterator[tertulia.ConversationRecord]:
    """Every conversation whose id begins so, the newest first: as ids go, so that the rest can be left."""
    where, last = tertulia.ConversationFilter(states=tuple(states)), None
    while records := await client.list(where=where, order=tertulia.Order.NEWEST, limit=PAGE, after=last):
        for record in records:
            beginning = record.id.hex[: len(prefix)]
            if beginning < prefix:
                return
            if beginning == prefix:
                yield record
        last = records[-1]


def _not_found(message: str, text: str, states: States) -> tertulia.ConversationNotFoundError:
    state = f" --state {states[0]}" if len(states) == 1 else ""
    return tertulia.ConversationNotFoundError(
        message,
        conversation_id=text,
        next_step=f'"tertulia conversations list{state}" shows what there is',
    )
