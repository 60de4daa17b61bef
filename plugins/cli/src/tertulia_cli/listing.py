"""``tertulia conversations list`` and ``tags``: what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs

import tertulia
from tertulia_cli.answers import render_cost
from tertulia_cli.finding import find_conversation
from tertulia_cli.loop import run
from tertulia_cli.opening import open_existing
from tertulia_cli.terminal import align, note, one_line, output_width, write, write_json, write_json_line

ANYWHERE = tuple(tertulia.ConversationState)


@attrs.frozen
class Page:
    """
    Which conversations to list.

    Attributes:
        after: The id of the last one of the page before, or the beginning of it; None for the first page.
    """

    where: tertulia.ConversationFilter
    order: str
    limit: int
    after: str | None = None


def list_conversations(page: Page, *, store: str | None, as_json: bool) -> int:
    """Print a page of conversations; return the exit code."""
    records, has_more = run(_list(page, store))
    if as_json:
        for record in records:
            write_json_line(render_record(record))
    elif records:
        write("\n".join(align(_rows(records), width=output_width())))
    else:
        note(_describe_nothing(page))
    if has_more and not as_json:
        note(f"there are more: --after {records[-1].id}")
    return 0


def list_tags(*, store: str | None, as_json: bool) -> int:
    """Print every tag with how many conversations have it; return the exit code."""
    tags = run(_tags(store))
    if as_json:
        write_json(tags)
    elif tags:
        rows = [(tag, str(count)) for tag, count in tags.items()]
        write("\n".join(align([("tag", "conversations"), *rows], width=output_width())))
    else:
        note("no conversation has a tag")
    return 0


def render_record(record: tertulia.ConversationRecord) -> dict[str, Any]:
    """A conversation for JSON, without its messages."""
    return {
        "id": str(record.id),
        "title": record.title,
        "branch": record.branch.name,
        "provider": record.branch.provider,
        "model": record.branch.model,
        "messages": record.message_count,
        "cost": render_cost(record.cost),
        "unknown_costs": record.cost.unknown_count,
        "state": record.state,
        "tags": list(record.tags),
        "metadata": dict(record.metadata),
        "created_at": record.created_at.isoformat(),
        "updated_at": record.updated_at.isoformat(),
        "deleted_at": None if record.deleted_at is None else record.deleted_at.isoformat(),
        "purge_after": None if record.purge_after is None else record.purge_after.isoformat(),
    }


async def _list(page: Page, store: str | None) -> tuple[list[tertulia.ConversationRecord], bool]:
    """A page, and whether another one follows."""
    async with open_existing(store) as client:
        after = None
        if page.after is not None:
            found = await find_conversation(client, page.after, states=ANYWHERE)
            after = await client.record(found, deleted=True)
        records = await client.list(
            where=page.where, order=tertulia.Order(page.order), limit=page.limit + 1, after=after
        )
        return records[: page.limit], len(records) > page.limit


async def _tags(store: str | None) -> dict[str, int]:
    async with open_existing(store) as client:
        return await client.tags()


def _describe_nothing(page: Page) -> str:
    if page.after is not None:
        return "there are no more"
    if page.where == tertulia.ConversationFilter():
        return "there is no conversation yet"
    return "there is no such conversation"


def _rows(records: Sequence[tertulia.ConversationRecord]) -> list[tuple[str, ...]]:
    """A head and a line for each; nothing is said of states and tags where there is nothing to say."""
    length = _shortest_unique([str(record.id) for record in records])
    columns: dict[str, list[str]] = {
        "id": [str(record.id)[:length] for record in records],
        "last used": [record.updated_at.astimezone().strftime("%Y-%m-%d %H:%M") for record in records],
        "messages": [str(record.message_count) for record in records],
        "cost": [str(record.cost) for record in records],
        "answered by": [f"{record.branch.provider}/{record.branch.model}" for record in records],
        "state": [record.state for record in records],
        "tags": [one_line(", ".join(record.tags)) for record in records],
        "title": [one_line(record.title or "") for record in records],
    }
    if set(columns["state"]) == {tertulia.ConversationState.ACTIVE}:
        del columns["state"]
    if not any(columns["tags"]):
        del columns["tags"]
    return [tuple(columns), *zip(*columns.values(), strict=True)]


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
