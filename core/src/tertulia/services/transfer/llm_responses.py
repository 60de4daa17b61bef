"""The log of ``llm`` as older versions wrote it: conversations, with a row for each answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID

from tertulia.domain.message import Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from tertulia.domain.transfer import ConversationTree
from tertulia.services.transfer.foreign import MAIN, Origin, clean_tool_name, make_id, make_tree, read_model
from tertulia.services.transfer.llm_rows import (
    SOURCE,
    get_latency_seconds,
    get_moment,
    get_text,
    get_usage,
    make_attachment,
)
from tertulia.wire.protocol import parse_arguments

RESPONSE_TABLES = frozenset({"conversations", "responses"})
MORE_TABLES = frozenset(
    {"attachments", "fragments", "prompt_attachments", "prompt_fragments", "tool_calls", "tool_results"}
)
"""Those that the oldest logs have not."""
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def find_conversations(database: sqlite3.Connection) -> Iterator[str]:
    """The ids of all conversations in which something was answered."""
    rows = database.execute(
        "SELECT DISTINCT conversation_id AS id FROM responses WHERE conversation_id IS NOT NULL ORDER BY 1"
    )
    for row in rows:
        if (identifier := get_text(row, "id")) is not None:
            yield identifier


def parse_conversation(database: sqlite3.Connection, identifier: str, owner: str) -> ConversationTree:
    """Make a conversation of its answers, which follow one another."""
    rows = database.execute(
        "SELECT * FROM responses WHERE conversation_id = ? ORDER BY datetime_utc, id", (identifier,)
    ).fetchall()
    named = database.execute("SELECT * FROM conversations WHERE id = ?", (identifier,)).fetchone()
    begun_at = next((moment for row in rows if (moment := get_moment(row))), _LONG_AGO)
    messages: list[Message] = []
    moment, system = begun_at, None
    for row in rows:
        moment = get_moment(row) or moment
        asked = get_text(row, "system")
        for number, message in enumerate(_make_messages(database, row, asked if asked != system else None)):
            messages.append(_place(message, messages, moment, identifier, f"{row['id']}/{number}"))
        system = asked or system
    model = read_model(*(get_text(row, "model") for row in reversed(rows)))
    head: UUID | None = messages[-1].id if messages else None
    title = None if named is None else get_text(named, "name")
    origin = Origin(SOURCE, identifier, title, begun_at, moment, model, messages, {MAIN: head})
    return make_tree(origin, owner)


def _place(message: Message, before: list[Message], moment: datetime, identifier: str, name: str) -> Message:
    return Message(
        message.role,
        message.parts,
        id=make_id(moment, SOURCE, identifier, name),
        parent_id=before[-1].id if before else None,
        provider=message.provider,
        model=message.model,
        resolved_model=message.resolved_model,
        usage=message.usage,
        latency_seconds=message.latency_seconds,
        created_at=moment,
    )


def _make_messages(database: sqlite3.Connection, row: sqlite3.Row, system: str | None) -> Iterator[Message]:
    """What was asked for one answer, and the answer."""
    if system:
        yield Message.of(Role.SYSTEM, system)
    if results := tuple(_find_results(database, row)):
        yield Message(Role.TOOL, results)
    words = [*_find_fragments(database, row), get_text(row, "prompt") or ""]
    text = "\n".join(filter(None, words))
    parts = (*((Text(text),) if text else ()), *_find_attachments(database, row))
    if parts:
        yield Message(Role.USER, parts)
    resolved = get_text(row, "resolved_model")
    yield Message(
        Role.ASSISTANT,
        tuple(_make_answer(database, row)),
        provider=SOURCE,
        model=read_model(get_text(row, "model")),
        resolved_model=None if resolved is None else resolved[:200],
        usage=get_usage(row),
        latency_seconds=get_latency_seconds(row),
    )


def _make_answer(database: sqlite3.Connection, row: sqlite3.Row) -> Iterator[Part]:
    if thoughts := get_text(row, "reasoning"):
        yield Reasoning(thoughts)
    if text := get_text(row, "response"):
        yield Text(text)
    for call in _find(database, "SELECT * FROM tool_calls WHERE response_id = ? ORDER BY id", row):
        raw = get_text(call, "arguments") or "{}"
        arguments = parse_arguments(raw)
        yield ToolCall(*_name_call(call), arguments, raw if arguments is None else None)


def _find_results(database: sqlite3.Connection, row: sqlite3.Row) -> Iterator[Part]:
    for result in _find(database, "SELECT * FROM tool_results WHERE response_id = ? ORDER BY id", row):
        fault = get_text(result, "exception")
        output = get_text(result, "output") or fault or ""
        yield ToolResult(*_name_call(result), output, is_error=fault is not None)


def _find_fragments(database: sqlite3.Connection, row: sqlite3.Row) -> Iterator[str]:
    found = _find(
        database,
        "SELECT content FROM prompt_fragments JOIN fragments ON fragments.id = fragment_id "
        'WHERE response_id = ? ORDER BY "order"',
        row,
    )
    for fragment in found:
        yield get_text(fragment, "content") or ""


def _find_attachments(database: sqlite3.Connection, row: sqlite3.Row) -> Iterator[Part]:
    found = _find(
        database,
        "SELECT attachments.* FROM prompt_attachments JOIN attachments ON attachments.id = attachment_id "
        'WHERE response_id = ? ORDER BY "order"',
        row,
    )
    yield from map(make_attachment, found)


def _find(database: sqlite3.Connection, statement: str, row: sqlite3.Row) -> list[sqlite3.Row]:
    """Rows that belong to an answer; none where the log is older than their table."""
    try:
        return database.execute(statement, (row["id"],)).fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return []
        raise


def _name_call(row: sqlite3.Row) -> tuple[str, str]:
    name = clean_tool_name(get_text(row, "name") or "tool")
    return (get_text(row, "tool_call_id") or name)[:200], name
