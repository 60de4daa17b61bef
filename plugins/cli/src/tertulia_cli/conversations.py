"""``tertulia conversations show`` and ``branches``: what was said, and where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import attrs

import tertulia
from tertulia_cli.answers import render_cost
from tertulia_cli.finding import find_conversation
from tertulia_cli.loop import run
from tertulia_cli.opening import open_existing
from tertulia_cli.terminal import one_line, output_width, write, write_json
from tertulia_cli.transcript import describe_messages, render_message
from tertulia_cli.tree import Bough, draw_tree, read_boughs, render_bough


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


async def _show(conversation_id: str, branch: str | None, store: str | None, limit: int | None) -> Shown:
    async with open_existing(store) as client:
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
    async with open_existing(store) as client:
        conversation = await client.get(await find_conversation(client, conversation_id))
        return await read_boughs(client, conversation)


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
