"""A conversation's branches, as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

import tertulia
from tertulia_cli.terminal import align, shorten
from tertulia_cli.transcript import describe_parts

NEWEST_LENGTH = 60
HEAD = ("  branch", "messages", "answered by", "newest")


@attrs.frozen
class Bough:
    """
    A branch as it is shown.

    Attributes:
        newest: Its newest message; None while it is empty.

        is_active: Whether it is the one that the conversation goes on on.
    """

    branch: tertulia.Branch
    newest: tertulia.Message | None
    is_active: bool

    @property
    def own_count(self) -> int:
        """How many messages are on it and not on the one it was forked from."""
        shared = self.branch.fork_depth
        return self.branch.head_depth - (-1 if shared is None else shared)


async def read_boughs(client: tertulia.Client, conversation: tertulia.Conversation) -> list[Bough]:
    """Read every branch, in the order they were made; the active one is the given conversation's."""
    return [
        Bough(branch, await _read_newest(client, conversation, branch), branch.name == conversation.branch)
        for branch in await conversation.branches()
    ]


async def _read_newest(
    client: tertulia.Client, conversation: tertulia.Conversation, branch: tertulia.Branch
) -> tertulia.Message | None:
    there = await client.get(conversation.id, branch=branch.name)
    newest = await there.history(limit=1)
    return newest[0] if newest else None


def draw_tree(boughs: Sequence[Bough], *, width: int | None = None) -> list[str]:
    """
    Draw branches below the one they were forked from, a line each below a head, the active one starred.

    Args:
        width: The columns of the terminal; None for no limit.
    """
    return align([HEAD, *(_row(bough, lead) for bough, lead in _walk(boughs))], width=width)


def render_bough(bough: Bough) -> dict[str, Any]:
    """A branch for JSON."""
    branch = bough.branch
    return {
        "name": branch.name,
        "active": bough.is_active,
        "forked_from": branch.forked_from,
        "shared_messages": None if branch.fork_depth is None else branch.fork_depth + 1,
        "own_messages": bough.own_count,
        "provider": branch.provider,
        "model": branch.model,
        "newest": None if bough.newest is None else bough.newest.text,
        "created_at": None if branch.created_at is None else branch.created_at.isoformat(),
    }


def _walk(boughs: Sequence[Bough]) -> Iterator[tuple[Bough, str]]:
    """Every branch with what is drawn before its name."""
    forks = _group(boughs)
    roots = forks.get(None, [])
    waiting = [(bough, "", "") for bough in reversed(roots)]
    while waiting:
        bough, lead, lead_below = waiting.pop()
        yield bough, lead
        below = forks.get(bough.branch.name, [])
        for fork in reversed(below):
            corner, bar = ("└─ ", "   ") if fork is below[-1] else ("├─ ", "│  ")
            waiting.append((fork, lead_below + corner, lead_below + bar))


def _group(boughs: Sequence[Bough]) -> dict[str | None, list[Bough]]:
    """
    The branches by the name of the one they stand below; None for those that stand by themselves.

    That is the branch whose own message is the newest they share: a second answer to a message stands beside
    the first one, and not below it, although it was asked for from there.
    """
    earlier: dict[str, tuple[tertulia.Branch, str | None]] = {}
    forks: dict[str | None, list[Bough]] = {}
    for bough in boughs:
        branch = bough.branch
        # Only an earlier one can be the origin: it may be gone, and another one have its name by now.
        above = branch.forked_from if branch.forked_from in earlier else None
        while above is not None:
            origin, origin_above = earlier[above]
            if _shared(branch) > _shared(origin) or origin_above is None:
                break
            above = origin_above
        forks.setdefault(above, []).append(bough)
        earlier[branch.name] = (branch, above)
    return forks


def _shared(branch: tertulia.Branch) -> int:
    """The depth of the newest message that is not its own; before the first one where all of them are."""
    return -2 if branch.fork_depth is None else branch.fork_depth


def _row(bough: Bough, lead: str) -> tuple[str, str, str, str]:
    branch = bough.branch
    newest = "" if bough.newest is None else shorten(describe_parts(bough.newest), NEWEST_LENGTH)
    return (
        f"{'*' if bough.is_active else ' '} {lead}{branch.name}",
        _describe_count(bough),
        f"{branch.provider}/{branch.model}",
        newest,
    )


def _describe_count(bough: Bough) -> str:
    """How many messages are its own, and after which one it left."""
    branch, count = bough.branch, str(bough.own_count)
    if branch.fork_depth is None:
        return count
    return f"{count} more after {branch.fork_depth + 1}"
