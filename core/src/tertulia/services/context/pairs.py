"""Calls and their results: none may stand alone in what is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from tertulia.domain.message import Message, Role, ToolCall, ToolResult

MISSING = "There is no result: the call was not carried out."


@attrs.define
class _Changes:
    added: int = 0
    removed: int = 0

    def notes(self) -> list[str]:
        notes = (
            (self.added, "tool call(s) without a result were sent with an error as their result"),
            (self.removed, "tool result(s) without their call were left out"),
        )
        return [f"{count} {what}" for count, what in notes if count]


def repair_pairs(messages: Sequence[Message]) -> tuple[tuple[Message, ...], list[str]]:
    """
    Give every call its result, and take away results without their call.

    A process may have died between the two, a conversation may have gone on without answering, and a
    strategy may have cut between them; every provider refuses such a history.

    Returns:
        The messages, with one message of results right after each that calls, in the order of the calls;
        and what was changed, a sentence each.
    """
    changes = _Changes()
    return tuple(_repair(messages, changes)), changes.notes()


def _repair(messages: Sequence[Message], changes: _Changes) -> Iterator[Message]:
    place = 0
    while place < len(messages):
        message, place = messages[place], place + 1
        calls = message.tool_calls if message.role is Role.ASSISTANT else ()
        if message.role is not Role.TOOL:
            yield message
        if not calls and message.role is not Role.TOOL:
            continue
        answers = [message] if message.role is Role.TOOL else []
        while place < len(messages) and messages[place].role is Role.TOOL:
            answers.append(messages[place])
            place += 1
        yield from _answer(calls, answers, changes)


def _answer(calls: Sequence[ToolCall], answers: Sequence[Message], changes: _Changes) -> Iterator[Message]:
    """The results of calls as one message; none where there is nothing to say."""
    results = [part for message in answers for part in message.parts if isinstance(part, ToolResult)]
    by_id: dict[str, list[ToolResult]] = {}
    for result in reversed(results):
        by_id.setdefault(result.call_id, []).append(result)
    # Some servers give several calls of one answer the same id: each takes its own result.
    found = [by_id[call.id].pop() if by_id.get(call.id) else None for call in calls]
    parts = tuple(result or _missing(call) for call, result in zip(calls, found, strict=True))
    given = len(found) - found.count(None)
    changes.added += len(calls) - given
    changes.removed += len(results) - given
    if not parts:
        return
    if len(answers) == 1 and answers[0].parts == parts:
        yield answers[0]
    else:
        yield attrs.evolve(answers[-1], parts=parts) if answers else Message(Role.TOOL, parts)


def _missing(call: ToolCall) -> ToolResult:
    return ToolResult(call.id, call.name, MISSING, is_error=True)
