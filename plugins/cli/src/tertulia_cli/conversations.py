"""``tertulia conversations`` and ``tertulia branches``: what is kept."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import attrs
import click

import tertulia
from tertulia_cli.answers import render_cost
from tertulia_cli.loop import run
from tertulia_cli.terminal import align, note, one_line, output_width, write, write_json
from tertulia_cli.transcript import describe_messages, render_message
from tertulia_cli.tree import Bough, draw_tree, read_boughs, render_bough

SHORTEST = 6
PAGE = 200
HEAD = ("id", "last used", "messages", "cost", "answered by", "title")


@attrs.frozen
class Shown:
    """What is shown of one conversation."""

    id: UUID
    title: str | None
    branch: str
    branch_count: int
    provider: str
    model: str
    cost: tertulia.CostTotal
    messages: Sequence[tertulia.Message]


def list_conversations(*, store: str | None, limit: int, as_json: bool) -> int:
    """Print the newest conversations; return the exit code."""
    records = run(_list(store, limit))
    if as_json:
        write_json([_render_record(record) for record in records])
    elif records:
        write("\n".join(align([HEAD, *_rows(records)], width=output_width())))
    else:
        note("there is no conversation yet")
    return 0


def show_conversation(
    conversation_id: str, *, branch: str | None, store: str | None, limit: int | None, as_json: bool
) -> int:
    """Print what was said; return the exit code."""
    shown = run(_show(conversation_id, branch, store, limit))
    if as_json:
        write_json(_render_shown(shown))
        return 0
    many = f" of {shown.branch_count}" if shown.branch_count > 1 else ""
    write(one_line(shown.title or "Untitled"))
    write(one_line(f"{shown.id}, branch {shown.branch}{many}, {shown.provider}/{shown.model}, {shown.cost}"))
    if shown.messages:
        write(f"\n{describe_messages(shown.messages)}")
    return 0


def show_branches(conversation_id: str, *, store: str | None, as_json: bool) -> int:
    """Print the tree of branches; return the exit code."""
    boughs = run(_branches(conversation_id, store))
    if as_json:
        write_json([render_bough(bough) for bough in boughs])
    else:
        write("\n".join(draw_tree(boughs, width=output_width())))
    return 0


async def find_conversation(client: tertulia.Client, text: str) -> UUID:
    """
    Return the id of a conversation from the id, or from the beginning of it.

    Raises:
        ConversationNotFoundError: There is none.
        click.UsageError: It is too short, or more than one begins so.
    """
    prefix = text.strip().lower().replace("-", "")
    if re.fullmatch("[0-9a-f]{32}", prefix):
        return (await client.get(UUID(prefix))).id
    if len(prefix) < SHORTEST:
        raise click.UsageError(
            f"{text!r} is too short for an id: at least {SHORTEST} characters of one are needed."
        )
    found = [record.id async for record in _find_all(client) if record.id.hex.startswith(prefix)]
    if len(found) > 1:
        listed = ", ".join(map(str, found[:3])) + (", …" if len(found) > 3 else "")
        raise click.UsageError(f"{len(found)} conversations begin with {text!r}: {listed}.")
    if not found:
        raise tertulia.ConversationNotFoundError(
            f"there is no conversation whose id begins with {text!r}",
            conversation_id=text,
            next_step='"tertulia conversations list" shows what there is',
        )
    return found[0]


async def _find_all(client: tertulia.Client) -> AsyncIterator[tertulia.ConversationRecord]:
    last = None
    while records := await client.list(limit=PAGE, after=last):
        for record in records:
            yield record
        last = records[-1]


async def _list(store: str | None, limit: int) -> list[tertulia.ConversationRecord]:
    async with tertulia.open(store=store) as client:
        return await client.list(limit=limit)


async def _show(conversation_id: str, branch: str | None, store: str | None, limit: int | None) -> Shown:
    async with tertulia.open(store=store) as client:
        conversation = await client.get(await find_conversation(client, conversation_id), branch=branch)
        return Shown(
            id=conversation.id,
            title=conversation.title,
            branch=conversation.branch,
            branch_count=len(await conversation.branches()),
            provider=conversation.provider,
            model=conversation.model,
            cost=(await conversation.cost()).total,
            messages=await conversation.history(limit),
        )


async def _branches(conversation_id: str, store: str | None) -> list[Bough]:
    async with tertulia.open(store=store) as client:
        conversation = await client.get(await find_conversation(client, conversation_id))
        return await read_boughs(client, conversation)


def _rows(records: Sequence[tertulia.ConversationRecord]) -> list[tuple[str, ...]]:
    length = _shortest_unique([str(record.id) for record in records])
    return [
        (
            str(record.id)[:length],
            record.updated_at.astimezone().strftime("%Y-%m-%d %H:%M"),
            str(record.message_count),
            str(record.cost),
            f"{record.branch.provider}/{record.branch.model}",
            one_line(record.title or ""),
        )
        for record in records
    ]


def _shortest_unique(ids: Sequence[str]) -> int:
    """
    How much of each id tells it from the others; they begin with the time, which takes 13 characters.

    Example:
        >>> _shortest_unique(["0199a3c4-5d6e-7000", "0199a3c4-5d6e-7aaa"])
        16
    """
    length = 13
    while len({each[:length] for each in ids}) < len(ids):
        length += 1
    return length


def _render_record(record: tertulia.ConversationRecord) -> dict[str, Any]:
    return {
        "id": str(record.id),
        "title": record.title,
        "branch": record.branch.name,
        "provider": record.branch.provider,
        "model": record.branch.model,
        "messages": record.message_count,
        "cost": render_cost(record.cost),
        "unknown_costs": record.cost.unknown_count,
        "created_at": record.created_at.isoformat(),
        "updated_at": record.updated_at.isoformat(),
    }


def _render_shown(shown: Shown) -> dict[str, Any]:
    return {
        "id": str(shown.id),
        "title": shown.title,
        "branch": shown.branch,
        "branches": shown.branch_count,
        "provider": shown.provider,
        "model": shown.model,
        "cost": render_cost(shown.cost),
        "unknown_costs": shown.cost.unknown_count,
        "messages": [render_message(message) for message in shown.messages],
    }
