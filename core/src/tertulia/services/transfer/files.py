"""What readers of files have in common: where they are, what they find, and how much they take."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, TypeAlias, TypeVar, cast
from uuid import UUID

import attrs

from tertulia.domain.message import Message
from tertulia.domain.transfer import ConversationTree, ImportProblem, find_fault
from tertulia.services.core import Core
from tertulia.services.transfer.fields import FormatError, parse_object
from tertulia.wire.protocol import Json, is_too_deep, read_finite, replace_surrogates

T = TypeVar("T")

Progress: TypeAlias = Callable[[int, int | None], None]
"""Is told how much is done, and how much there is; None where that is not known."""

LONGEST = 256 * 2**20
"""Bytes that a line, or a conversation of a foreign format, may have: so much is in memory at once."""


@attrs.frozen
class Found:
    """
    What a reader came upon: a conversation that can be stored, or what is wrong with one.

    Attributes:
        position: How many bytes were read by then.
    """

    item: ConversationTree | ImportProblem
    position: int


Reader: TypeAlias = Iterator[Found]


async def in_thread(core: Core, work: Callable[..., T], *arguments: object) -> T:
    """Do something with files in a thread, and be done with it also when the caller is cancelled."""
    done, was_cancelled = await core.see_through(asyncio.to_thread(work, *arguments))
    if was_cancelled:
        raise asyncio.CancelledError
    return done


def read_lines(file: BinaryIO) -> Iterator[tuple[int, int, bytes | None]]:
    """Read lines, each with its number from 1 and its place in the file; None for one that is too long."""
    number, place = 0, file.tell()
    while line := file.readline(LONGEST):
        number += 1
        length, is_whole = len(line), len(line) < LONGEST or line.endswith(b"\n")
        while not is_whole and (rest := file.readline(LONGEST)):
            length, is_whole = length + len(rest), rest.endswith(b"\n")
        yield number, place, line if length < LONGEST or line.endswith(b"\n") else None
        place += length


def read_json(text: bytes) -> Json:
    """
    Read a JSON object exactly: whole numbers of any length stay what they are.

    Raises:
        FormatError: It is none, or could not be written again.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=read_finite)
        if is_too_deep(value):
            raise FormatError("it is nested too deeply")
        if b"\\u" in text:
            value = json.loads(replace_surrogates(json.dumps(value, ensure_ascii=False)))
    except RecursionError as error:
        raise FormatError("it is nested too deeply") from error
    except ValueError as error:
        raise FormatError("it is not JSON") from error
    return parse_object(cast("object", value))


def examine(tree: ConversationTree, place: str) -> ConversationTree | ImportProblem:
    """The conversation, or why it cannot be stored."""
    fault = find_fault(tree)
    return tree if fault is None else ImportProblem(place, fault, tree.record.id)


def sort_parents_first(messages: Sequence[Message]) -> tuple[Message, ...]:
    """
    Put messages behind those they follow, and otherwise leave them as they stand.

    What follows nothing that is there, or itself, comes last.
    """
    placed: dict[UUID | None, Message] = {}
    waiting: dict[UUID | None, list[Message]] = {}
    for message in messages:
        if message.parent_id is None or message.parent_id in placed:
            placed[message.id] = message
        else:
            waiting.setdefault(message.parent_id, []).append(message)
    if not waiting:
        return tuple(messages)
    ordered = list(placed.values())
    for message in list(ordered):
        stack = waiting.pop(message.id, [])[::-1]
        while stack:
            ordered.append(stack.pop())
            stack += waiting.pop(ordered[-1].id, [])[::-1]
    return (*ordered, *(message for group in waiting.values() for message in group))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
