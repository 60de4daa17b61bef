"""The log of ``llm`` as newer versions write it: threads over a tree of messages."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from types import MappingProxyType
from typing import cast
from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt, AttemptOutcome
from tertulia.domain.message import Message, Part, Reasoning, Role, Text, ToolCall, ToolResult
from tertulia.domain.transfer import ConversationTree
from tertulia.services.transfer.fields import FormatError
from tertulia.services.transfer.foreign import MAIN, Origin, clean_tool_name, make_id, make_tree, read_model
from tertulia.services.transfer.llm_rows import (
    SOURCE,
    get_latency_seconds,
    get_moment,
    get_object,
    get_text,
    get_usage,
    make_attachment,
)
from tertulia.wire.protocol import Json, read_text

THREAD_TABLES = frozenset({"threads", "turns", "messages", "parts", "attachments", "fragments"})
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_ROLES = MappingProxyType(
    {"system": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT, "tool": Role.TOOL}
)


def find_threads(database: sqlite3.Connection) -> Iterator[str]:
    """The ids of all threads."""
    for row in database.execute("SELECT id FROM threads ORDER BY id"):
        if (identifier := get_text(row, "id")) is not None:
            yield identifier


def parse_thread(database: sqlite3.Connection, identifier: str, owner: str) -> ConversationTree:
    """
    Make a conversation of a thread: every answer in it, whether or not it was gone on with.

    Raises:
        FormatError: Its messages are no tree.
    """
    thread = database.execute("SELECT * FROM threads WHERE id = ?", (identifier,)).fetchone()
    turns = database.execute(
        "SELECT * FROM turns WHERE thread_id = ? ORDER BY datetime_utc, id", (identifier,)
    ).fetchall()
    begun_at = min(filter(None, map(get_moment, (thread, *turns[:1]))), default=_LONG_AGO)
    reading = _Reading(database, identifier, begun_at)
    for turn in turns:
        reading.read_turn(turn)
    tip = get_text(thread, "tip_message_hash")
    reading.read_path(tip, begun_at)
    return make_tree(reading.make_origin(thread, tip), owner, reading.attempts)


@attrs.define
class _Reading:
    """
    The messages of one thread.

    Attributes:
        messages: By their hashes, which others share who said the same.
    """

    database: sqlite3.Connection
    id: str
    begun_at: datetime
    messages: dict[str, Message] = attrs.field(factory=dict[str, Message])
    attempts: list[Attempt] = attrs.field(factory=list[Attempt])
    ended_at: datetime | None = None
    model: str = "unknown"
    _numbers: Counter[UUID] = attrs.field(factory=Counter[UUID])

    def read_turn(self, turn: sqlite3.Row) -> None:
        """Add what was asked in one call to a model, and what was answered."""
        moment = get_moment(turn) or self.begun_at
        asked = get_text(turn, "parent_message_hash")
        self.read_path(asked, moment)
        model = read_model(get_text(turn, "model"))
        for name in self.read_path(get_text(turn, "tip_message_hash"), moment):
            answer = self.messages[name]
            if answer.role is Role.ASSISTANT:
                resolved = get_text(turn, "resolved_model")
                self.messages[name] = attrs.evolve(
                    answer,
                    model=model,
                    resolved_model=None if resolved is None else resolved[:200],
                    usage=get_usage(turn),
                    latency_seconds=get_latency_seconds(turn),
                )
        self.ended_at, self.model = moment, model
        question = self.messages.get(asked or "")
        if question is not None and question.id is not None:
            self._add_attempt(turn, question.id, moment, model)

    def read_path(self, tip: str | None, moment: datetime) -> list[str]:
        """Add the messages of a path that are not known yet, and return their hashes, oldest first."""
        path: list[sqlite3.Row] = []
        names: dict[str, None] = {}
        while tip is not None and tip not in self.messages:
            row = self.database.execute("SELECT * FROM messages WHERE hash = ?", (tip,)).fetchone()
            if row is None:
                raise FormatError(f"message {tip[:40]} is missing")
            if tip in names:
                raise FormatError("its messages go in a circle")
            names[tip] = None
            path.append(row)
            tip = get_text(row, "parent_hash")
        for name, row in zip(reversed(names), reversed(path), strict=True):
            self.messages[name] = self._make(name, row, moment)
        return list(reversed(names))

    def make_origin(self, thread: sqlite3.Row, tip: str | None) -> Origin:
        """The thread, whose active branch ends with its tip, or with the last answer."""
        parents = {message.parent_id for message in self.messages.values()}
        leaves = [message.id for message in self.messages.values() if message.id not in parents]
        active = self.messages[tip].id if tip is not None else leaves[-1] if leaves else None
        others = [leaf for leaf in leaves if leaf != active]
        return Origin(
            SOURCE,
            self.id,
            title=get_text(thread, "name"),
            created_at=self.begun_at,
            updated_at=self.ended_at or self.begun_at,
            model=self.model,
            messages=list(self.messages.values()),
            heads={MAIN: active} | {f"branch-{number}": leaf for number, leaf in enumerate(others, 2)},
        )

    def _make(self, name: str, row: sqlite3.Row, moment: datetime) -> Message:
        role = _ROLES.get(get_text(row, "role") or "")
        if role is None:
            raise FormatError(f"message {name[:40]} is said by nobody known")
        parent = self.messages.get(get_text(row, "parent_hash") or "")
        found = self.database.execute(
            "SELECT * FROM parts WHERE message_hash = ? ORDER BY position", (name,)
        ).fetchall()
        return Message(
            role,
            tuple(part for each in found for part in self._make_parts(each)),
            id=make_id(moment, SOURCE, self.id, name),
            parent_id=None if parent is None else parent.id,
            provider=SOURCE if role is Role.ASSISTANT else None,
            created_at=moment,
        )

    def _make_parts(self, row: sqlite3.Row) -> Iterator[Part]:
        body = get_object(row, "payload")
        match get_text(row, "type"):
            case "text":
                yield Text(self._read_words(row, body))
            case "reasoning":
                if words := self._read_words(row, body):
                    yield Reasoning(words)
            case "attachment":
                yield from self._find_attachments([body.get("attachment")])
            case "tool_call":
                arguments: object = body.get("arguments")
                known = cast("Json", arguments) if isinstance(arguments, dict) else {}
                yield ToolCall(*_name_call(body), known)
            case "tool_result":
                output, fault = read_text(body, "output") or "", read_text(body, "exception")
                yield ToolResult(*_name_call(body), output or fault or "", is_error=fault is not None)
                yield from self._find_attachments(body.get("attachments"))
            case kind:
                yield Text(f"[{(kind or 'something')[:100]}: nobody knows what it is]")

    def _read_words(self, row: sqlite3.Row, body: Json) -> str:
        """The words of a part, some of which may be those of a fragment that is kept once."""
        pieces: object = body.get("text_ref")
        if not isinstance(pieces, list):
            return get_text(row, "text") or read_text(body, "text") or ""
        return "".join(map(self._read_piece, cast("list[object]", pieces)))

    def _read_piece(self, piece: object) -> str:
        if (literal := read_text(piece, "literal")) is not None:
            return literal
        number = cast("Json", piece).get("fragment") if isinstance(piece, dict) else None
        if type(number) is not int or abs(number) >= 2**63:
            return ""
        row = self.database.execute("SELECT content FROM fragments WHERE id = ?", (number,)).fetchone()
        return "" if row is None else get_text(row, "content") or ""

    def _find_attachments(self, references: object) -> Iterator[Part]:
        for reference in cast("list[object]", references) if isinstance(references, list) else []:
            name = read_text(reference, "id")
            row = self.database.execute("SELECT * FROM attachments WHERE id = ?", (name,)).fetchone()
            if row is not None:
                yield make_attachment(row)

    def _add_attempt(self, turn: sqlite3.Row, message_id: UUID, moment: datetime, model: str) -> None:
        self._numbers[message_id] += 1
        self.attempts.append(
            Attempt(
                id=make_id(moment, SOURCE, self.id, "turn", str(turn["id"])),
                message_id=message_id,
                number=self._numbers[message_id],
                provider=SOURCE,
                model=model,
                started_at=moment,
                outcome=AttemptOutcome.SUCCEEDED,
                latency_seconds=get_latency_seconds(turn),
                usage=get_usage(turn),
            )
        )


def _name_call(body: Json) -> tuple[str, str]:
    """The id of a call and the name of its tool; some models give their calls no ids."""
    name = clean_tool_name(read_text(body, "name") or "tool")
    return (read_text(body, "tool_call_id") or name)[:200], name
