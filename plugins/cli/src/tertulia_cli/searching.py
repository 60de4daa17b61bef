"""``tertulia conversations search``: where something was said."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import click

import tertulia
from tertulia_cli.finding import find_conversation
from tertulia_cli.loop import run
from tertulia_cli.moments import read_moment
from tertulia_cli.opening import open_existing
from tertulia_cli.terminal import is_plain, note, one_line, sanitise, write_json_line


@attrs.frozen
class Wanted:
    """What to search for, and where."""

    query: str
    limit: int
    conversation: str | None = None
    role: str | None = None
    since: str | None = None
    until: str | None = None


def search_conversations(wanted: Wanted, *, store: str | None, as_json: bool) -> int:
    """Print what was found, the best first; return the exit code."""
    hits = run(_search(wanted, store))
    if as_json:
        for hit in hits:
            write_json_line(_render(hit))
    elif hits:
        # Sanitised piece by piece, since the marks are what a terminal is to obey.
        click.echo("\n\n".join(map(_describe, hits)))
    else:
        note("nothing was found")
    return 0


async def _search(wanted: Wanted, store: str | None) -> Sequence[tertulia.SearchHit]:
    since, until = read_moment("--since", wanted.since), read_moment("--until", wanted.until)
    async with open_existing(store) as client:
        conversation = wanted.conversation
        return await client.search(
            wanted.query,
            limit=wanted.limit,
            conversation=None if conversation is None else await find_conversation(client, conversation),
            role=wanted.role,
            since=since,
            until=until,
        )


def _describe(hit: tertulia.SearchHit) -> str:
    when = "" if hit.created_at is None else hit.created_at.astimezone().strftime("%Y-%m-%d %H:%M")
    where = "title" if hit.depth is None else f"{hit.depth + 1} {_speaker(hit.role)}"
    head = (str(hit.conversation_id), when, where, one_line(hit.title or "Untitled"))
    return f"{'  '.join(filter(None, head))}\n   {mark_snippet(hit.snippet)}"


def _speaker(role: tertulia.Role | None) -> str:
    return "you" if role is tertulia.Role.USER else str(role)


def mark_snippet(snippet: tertulia.Snippet) -> str:
    """A snippet on one line: what was found is bold, or in brackets where there are no colours."""
    is_bold = sys.stdout.isatty() and not is_plain()
    pieces = (
        (click.style(piece, bold=True) if is_bold else f"[{piece}]") if is_found else piece
        for piece, is_found in _cut(snippet)
    )
    return "".join(pieces).strip()


def _cut(snippet: tertulia.Snippet) -> Iterator[tuple[str, bool]]:
    """The pieces of a snippet, harmless, and whether each was found."""
    end = 0
    for start, stop in snippet.marks:
        yield _clean(snippet.text[end:start]), False
        yield _clean(snippet.text[start:stop]), True
        end = stop
    yield _clean(snippet.text[end:]), False


def _clean(text: str) -> str:
    """On one line, with the white space at its ends, which stands between two pieces."""
    return sanitise("".join(" " if character.isspace() else character for character in text))


def _render(hit: tertulia.SearchHit) -> dict[str, Any]:
    return {
        "conversation": str(hit.conversation_id),
        "title": hit.title,
        "message": None if hit.message_id is None else str(hit.message_id),
        "number": None if hit.depth is None else hit.depth + 1,
        "role": hit.role,
        "created_at": None if hit.created_at is None else hit.created_at.isoformat(),
        "snippet": hit.snippet.text,
        "marks": [list(mark) for mark in hit.snippet.marks],
        "score": hit.score,
    }
