"""
Appending in one statement.

Most appends meet nothing: the branch ends where it is expected to, the place after it is free, and no answer
is under way. They need no transaction of several steps. One statement looks, writes what there is to write
and says what it wrote; as many appends as wait, each to another conversation, are rows of it. For whatever it
leaves out the general way decides, and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Column

from tertulia.builtin.sql import schema, search, search_postgres, statements
from tertulia.builtin.sql.appends import Append
from tertulia.builtin.sql.database import Database, Row
from tertulia.builtin.sql.postgres.connections import Link
from tertulia.builtin.sql.postgres.database import POSTGRES, make_sendable
from tertulia.builtin.sql.rows import render_attempt, render_message
from tertulia.builtin.sql.tree import place
from tertulia.domain.message import Message

_PLACE = frozenset({"parent_id", "segment", "depth", "branch"})
# The more columns a statement has, the longer it takes to read it: what a message of a user has not, and an
# attempt not yet, is left out.
_PLACED: dict[str, Column[Any]] = {
    "owner_id": schema.branch.c.owner_id,
    "conversation_id": schema.branch.c.conversation_id,
    "branch": schema.branch.c.name,
    "anywhere": schema.message_mark.c.pinned,  # it is a truth value, too
    "expected_head": schema.branch.c.head_id,
}
_GIVEN: dict[str, Column[Any]] = {
    "place": schema.message.c.depth,  # in the order they are given in: ids may be equal in two conversations
    **{
        f"m_{name}": schema.message.c[name]
        for name in ("id", "role", "status", "tokens", "text", "parts", "created_at")
    },
    "words": schema.message.c.text,
}
_ASKED: dict[str, Column[Any]] = {
    f"a_{name}": schema.attempt.c[name]
    for name in (
        "id",
        "message_id",
        "number",
        "provider",
        "model",
        "started_at",
        "lease_until",
        "outcome",
        "purpose",
        "is_fallback",
    )
}


class Left(Enum):
    """Why an append is to be done again in the general way."""

    OUT = auto()
    """It was looked at, and nothing was written."""

    UNKNOWN = auto()
    """Something went wrong; it may have been written."""


async def append_each(link: Link, appends: Sequence[Append]) -> list[Message | Left]:
    """
    Append messages of different conversations, each where nothing stands in its way.

    Returns:
        The messages with their places, in order.
    """
    rendered = enumerate(map(_render, appends))
    given = [{**row, "place": number} for number, row in rendered if row is not None]
    places: dict[int, tuple[UUID | None, int]] = {}
    if given:
        asks, alone = any(row["a_id"] is not None for row in given), len(given) == 1
        sql, names = _compose(asks=asks, alone=alone)
        columns = [[make_sendable(row[name]) for row in given] for name in names]
        rows, _ = await link.run(sql, [column[0] for column in columns] if alone else columns)
        places = {row[0]: (row[1], row[2]) for row in rows}
    return [
        place(append.message, *found) if (found := places.get(number)) else Left.OUT
        for number, append in enumerate(appends)
    ]


def append_once(database: Database, append: Append) -> Message:
    """Append in the general way, unless the message is stored already, and only the answer was lost."""
    row = database.first(statements.GET_PLACE, {**append.keys, "message_id": append.message.id})
    return append(database) if row is None else place(append.message, row["parent_id"], row["depth"])


def _render(append: Append) -> Row | None:
    """What an append gives to the statement; None where there is more to it, such as money or bytes."""
    message, blobs = render_message(append.message, segment=None)
    attempt = {} if append.attempt is None else render_attempt(append.attempt)
    if blobs or _has_more(message, "m_", _GIVEN) or _has_more(attempt, "a_", _ASKED):
        return None
    entries = search_postgres.render(search.make_entries([(append.keys, append.message)]))
    return {
        **append.keys,
        "branch": append.branch,
        "anywhere": append.expected_head == "any",
        "expected_head": None if append.expected_head == "any" else append.expected_head,
        "words": entries[0]["words"] if entries else None,
        **{f"m_{name}": value for name, value in message.items()},
        **{name: attempt.get(name.removeprefix("a_")) for name in _ASKED},
    }


def _has_more(row: Row, prefix: str, given: Mapping[str, object]) -> bool:
    return any(
        value is not None and f"{prefix}{name}" not in given and name not in _PLACE
        for name, value in row.items()
    )


@cache
def _compose(*, asks: bool, alone: bool) -> tuple[str, Sequence[str]]:
    """
    The statement, and what it is given.

    Args:
        asks: Whether there are attempts.
        alone: Whether it is one append: PostgreSQL then knows it is one, whatever it is, and plans once.
    """
    columns = {**_PLACED, **_GIVEN, **(_ASKED if asks else {})}
    kinds = {name: POSTGRES.type_compiler_instance.process(column.type) for name, column in columns.items()}
    if alone:
        values = (f"${number}::{kind} AS {name}" for number, (name, kind) in enumerate(kinds.items(), 1))
        given = f"SELECT {', '.join(values)}"
    else:
        values = (f"${number}::{kind}[]" for number, kind in enumerate(kinds.values(), 1))
        given = f"SELECT * FROM unnest({', '.join(values)}) AS given ({', '.join(columns)})"  # noqa: S608  # ours
    return _STATEMENT.format(given=given, attempts=_ATTEMPTS if asks else ""), tuple(columns)


# The rows of conversations that somebody else is writing are left out: nobody waits here, so none can wait
# for each other. All of the statement but FOR UPDATE and the UPDATEs sees the moment at which it began; a
# conversation that was written between that and being locked has another version, and is left out as well.
# What may not be there is looked for row by row: as a join, it may read the whole history.
_STATEMENT = """
WITH given AS MATERIALIZED (
    {given}
), locked AS MATERIALIZED (
    SELECT conversation.owner_id, conversation.id, conversation.version
    FROM conversation JOIN given
        ON conversation.owner_id = given.owner_id AND conversation.id = given.conversation_id
    WHERE conversation.state IN ('active', 'archived')
    FOR UPDATE OF conversation SKIP LOCKED
), head AS MATERIALIZED (
    SELECT given.*, branch.segment, branch.head_id, branch.head_depth, branch.version AS head_version,
        branch.path_cost_pico, branch.path_cost_unknown_count, coalesce((
            SELECT newest.path_tokens - CASE WHEN newest.role = 'user' AND given.m_role <> 'assistant'
                AND newest.status IN ('failed', 'pending') THEN newest.tokens ELSE 0 END
            FROM message AS newest WHERE newest.owner_id = given.owner_id
            AND newest.conversation_id = given.conversation_id AND newest.id = branch.head_id
        ), 0) + given.m_tokens AS path_tokens
    FROM given
    JOIN locked ON locked.owner_id = given.owner_id AND locked.id = given.conversation_id
    JOIN conversation AS seen
        ON seen.owner_id = locked.owner_id AND seen.id = locked.id AND seen.version = locked.version
    JOIN branch ON branch.owner_id = given.owner_id AND branch.conversation_id = given.conversation_id
        AND branch.name = given.branch
    WHERE (given.anywhere OR branch.head_id IS NOT DISTINCT FROM given.expected_head)
    AND (
        SELECT message.id FROM message WHERE message.owner_id = given.owner_id
        AND message.conversation_id = given.conversation_id
        AND message.segment = branch.segment AND message.depth = branch.head_depth + 1
    ) IS NULL AND (
        SELECT attempt.id FROM attempt WHERE attempt.owner_id = given.owner_id
        AND attempt.conversation_id = given.conversation_id AND attempt.outcome = 'pending' LIMIT 1
    ) IS NULL
), moved AS (
    UPDATE branch
    SET head_id = head.m_id, head_depth = head.head_depth + 1, version = branch.version + 1
    FROM head
    WHERE branch.owner_id = head.owner_id AND branch.conversation_id = head.conversation_id
    AND branch.name = head.branch AND branch.version = head.head_version
    RETURNING head.*, head.head_depth + 1 AS depth
), added AS (
    INSERT INTO message
        (owner_id, conversation_id, parent_id, segment, depth, path_cost_pico, path_cost_unknown_count,
        path_tokens, id, role, status, tokens, text, parts, created_at)
    SELECT owner_id, conversation_id, head_id, segment, depth, path_cost_pico, path_cost_unknown_count,
        path_tokens, m_id, m_role, m_status, m_tokens, m_text, m_parts, m_created_at
    FROM moved
){attempts}, indexed AS (
    INSERT INTO search_entry (owner_id, conversation_id, id, message_id, created_at, words)
    SELECT owner_id, conversation_id, m_id, m_id, m_created_at, words::tsvector FROM moved
    WHERE words IS NOT NULL
), counted AS (
    UPDATE conversation
    SET message_count = conversation.message_count + 1, version = conversation.version + 1,
        updated_at = moved.m_created_at
    FROM moved
    WHERE conversation.owner_id = moved.owner_id AND conversation.id = moved.conversation_id
)
SELECT place, head_id, depth FROM moved
"""
_ATTEMPTS = """, asked AS (
    INSERT INTO attempt (owner_id, conversation_id, branch, sequence, id, message_id, number, provider, model,
        started_at, lease_until, outcome, purpose, is_fallback)
    SELECT owner_id, conversation_id, branch, (
            SELECT coalesce(max(attempt.sequence), 0) + 1 FROM attempt
            WHERE attempt.owner_id = moved.owner_id AND attempt.conversation_id = moved.conversation_id
        ), a_id, a_message_id, a_number, a_provider, a_model,
        a_started_at, a_lease_until, a_outcome, a_purpose, a_is_fallback
    FROM moved WHERE a_id IS NOT NULL
), targeted AS (
    INSERT INTO conversation_target (owner_id, conversation_id, provider, model)
    SELECT owner_id, conversation_id, a_provider, a_model FROM moved WHERE a_id IS NOT NULL
    ON CONFLICT DO NOTHING
)"""
