"""``tertulia pin``, ``hide``, ``mark`` and ``marks``: what is said of messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import click

import tertulia
from tertulia_cli.changing import name_of
from tertulia_cli.finding import find_conversation, find_messages
from tertulia_cli.loop import run
from tertulia_cli.moments import read_coming
from tertulia_cli.opening import open_existing
from tertulia_cli.terminal import align, note, output_width, shorten, write, write_json
from tertulia_cli.transcript import describe_mark, describe_parts, number_of, speaker_of

NONE = "none"
WORDS_LENGTH = 60

Change = Mapping[str, Any]
"""What is said, as ``Conversation.mark`` takes it."""

PIN: Change = {"pinned": True}
UNPIN: Change = {"pinned": False}
HIDE: Change = {"hidden": True}
UNHIDE: Change = {"hidden": False}


@attrs.frozen
class Marked:
    """
    Of which messages something is said.

    Attributes:
        numbers: Their places, the first being 1.

        branch: On which branch they are; None for where the conversation was last gone on with.
    """

    conversation: str
    numbers: Sequence[int]
    branch: str | None
    store: str | None


def read_change(importance: str | None, expires: str | None) -> Change:
    """
    Read what is said of messages; the word ``none`` takes it back.

    Raises:
        click.UsageError: Nothing is said, or it is no number or date.
    """
    change: dict[str, Any] = {}
    if importance is not None:
        change["importance"] = None if _is_none(importance) else _read_importance(importance)
    if expires is not None:
        change["expires_at"] = None if _is_none(expires) else read_coming("--expires", expires)
    if not change:
        raise click.UsageError("There is nothing to say: give --importance, --expires or both.")
    return change


def mark_messages(marked: Marked, change: Change) -> int:
    """Say something of messages, and what is said of each then; return the exit code."""
    for number, record, mark in run(_mark(marked, change)):
        note(f"message {number} of {name_of(record)} is {describe_mark(mark)}")
    return 0


def list_marks(conversation_id: str, *, branch: str | None, store: str | None, as_json: bool) -> int:
    """Print the messages of which something is said; return the exit code."""
    messages = run(_find_marked(conversation_id, branch, store))
    if as_json:
        write_json([_render(message) for message in messages])
    elif messages:
        rows = [("message", "who", "mark", "words"), *map(_row, messages)]
        write("\n".join(align(rows, width=output_width())))
    else:
        note("no message has a mark")
    return 0


async def _mark(
    marked: Marked, change: Change
) -> list[tuple[int, tertulia.ConversationRecord, tertulia.Mark]]:
    """Each message once, and all of them found before anything is said of one."""
    async with open_existing(marked.store) as client:
        found = await find_conversation(client, marked.conversation)
        conversation = await client.get(found, branch=marked.branch)
        messages = await find_messages(conversation, tuple(dict.fromkeys(marked.numbers)))
        record = await conversation.record()
        return [
            (number_of(message), record, await conversation.mark(message, **change)) for message in messages
        ]


async def _find_marked(conversation_id: str, branch: str | None, store: str | None) -> list[tertulia.Message]:
    async with open_existing(store) as client:
        conversation = await client.get(await find_conversation(client, conversation_id), branch=branch)
        return [message for message in await conversation.history() if message.mark != tertulia.Mark()]


def _is_none(text: str) -> bool:
    return text.strip().lower() == NONE


def _read_importance(text: str) -> float:
    try:
        importance = float(text)
    except ValueError:
        importance = -1.0
    if not 0 <= importance <= 1:  # nor is NaN
        raise click.UsageError(f"--importance {text!r} is no number from 0 to 1: write 0.8, or none.")
    return importance


def _row(message: tertulia.Message) -> tuple[str, ...]:
    words = shorten(describe_parts(message), WORDS_LENGTH)
    return str(number_of(message)), speaker_of(message), describe_mark(message.mark), words


def _render(message: tertulia.Message) -> dict[str, Any]:
    mark = message.mark
    return {
        "number": number_of(message),
        "id": str(message.id),
        "role": message.role,
        "text": message.text,
        "pinned": mark.pinned,
        "hidden": mark.hidden,
        "importance": mark.importance,
        "expires_at": None if mark.expires_at is None else mark.expires_at.isoformat(),
    }
