"""Words looked up all at once in PostgreSQL: what each text weighs that holds any of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Float, Select, String, Text, any_, bindparam, column, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from tertulia.builtin.sql import schema
from tertulia.builtin.sql.binding import Selection, is_, of
from tertulia.builtin.sql.column_types import UUIDBytes
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.related_values import MOST_OF_A_WORD, Best
from tertulia.builtin.sql.search_scope import render_wanted
from tertulia.builtin.sql.statements import MESSAGES, ON_PATH, PATH
from tertulia.domain.terms import LONGEST_WORD

_MESSAGE = schema.message.c
_HELD, _BLOB = schema.message_blob.c, schema.blob.c


def render_scope(owner: str, conversation_id: UUID) -> Sequence[str]:
    """The terms that say where to look."""
    return render_wanted(owner, conversation_id)


def render_any(scope: Sequence[str], forms: Sequence[str]) -> str:
    """What has all of a scope and any of some forms."""
    found = " | ".join(f"'{form[:LONGEST_WORD]}'" for form in forms)
    return " & ".join((*(f"'{term}'" for term in scope), f"({found})"))


def find_best(database: Database, path: Values, matches: Sequence[str], limit: int) -> Best:
    """The places on a path that hold the rarest of some words, the best first."""
    rows = database.all(_FIND_BEST, {**path, "matches": list(matches), "limit": limit})
    counts = {row["word"]: row["found"] for row in rows if row["word"] is not None}
    placed = sorted((row for row in rows if row["depth"] is not None), key=_order)
    first = rows[0]
    return Best(
        [row["depth"] for row in placed],
        [counts.get(number, 0) for number in range(1, len(matches) + 1)],
        first["length"] or 0,
        first["total"] or 0,
    )


def _order(row: Row) -> tuple[float, int]:
    return -row["weight"], -row["depth"]


def split(database: Database, path: Values, places: Sequence[int]) -> list[Row]:  # noqa: ARG001  # SQLite asks it
    """What is to be given to :data:`LOAD`."""
    return [{**path, "places": list(places)}]


_FIND_BEST = (
    text(f"""
WITH RECURSIVE run (segment, below) AS (
    SELECT branch.segment, least(branch.head_depth + 1, :b_before_depth) FROM branch
    WHERE owner_id = :b_owner_id AND conversation_id = :b_conversation_id AND name = :b_branch
    UNION ALL
    SELECT segment.parent_segment, least(segment.fork_depth + 1, run.below)
    FROM run JOIN segment ON segment.owner_id = :b_owner_id
        AND segment.conversation_id = :b_conversation_id AND segment.id = run.segment
    WHERE segment.parent_segment IS NOT NULL
), size AS MATERIALIZED (
    SELECT (SELECT max(below) FROM run) AS length, (
        SELECT message_count FROM conversation WHERE owner_id = :b_owner_id AND id = :b_conversation_id
    ) AS total
), sought AS MATERIALIZED (
    SELECT word, match::tsquery AS match FROM unnest(:b_matches) WITH ORDINALITY AS given (match, word)
), newest AS MATERIALIZED (
    SELECT id, words FROM search_entry
    WHERE owner_id = :b_owner_id AND conversation_id = :b_conversation_id
    ORDER BY id DESC LIMIT {MOST_OF_A_WORD}
), sample AS MATERIALIZED (
    SELECT word, match, (
        SELECT count(*) FROM (SELECT words FROM newest ORDER BY id DESC LIMIT 400) AS few
        WHERE few.words @@ match
    ) AS found FROM sought
), hit AS MATERIALIZED (
    SELECT word, newest.id FROM sample JOIN newest ON newest.words @@ match WHERE found >= 20
    UNION ALL
    SELECT word, listed.id FROM sample CROSS JOIN LATERAL (
        SELECT id FROM search_entry
        WHERE words @@ match AND coalesce(owner_id, '') = :b_owner_id
        AND coalesce(conversation_id, :b_conversation_id) = :b_conversation_id
        ORDER BY id DESC LIMIT {MOST_OF_A_WORD}
    ) AS listed WHERE found < 20
), counted AS MATERIALIZED (
    SELECT hit.word, CASE
        WHEN sample.found < 20 THEN count(*)
        ELSE greatest(count(*), count(*) * size.total / greatest((SELECT count(*) FROM newest), 1))
    END AS found
    FROM hit JOIN sample ON sample.word = hit.word CROSS JOIN size
    GROUP BY hit.word, sample.found, size.total
), weighed AS MATERIALIZED (
    SELECT hit.id, sum(ln(1 + size.total::float / greatest(counted.found, 1))) AS weight
    FROM hit JOIN counted ON counted.word = hit.word CROSS JOIN size
    GROUP BY hit.id ORDER BY 2 DESC, 1 DESC LIMIT greatest(2 * :b_limit, 600)
), placed AS (
    SELECT message.depth, weighed.weight
    FROM weighed CROSS JOIN LATERAL (
        -- The first from an id on: a planner that takes the table for a small one would else look for one id
        -- among all messages of the conversation.
        SELECT id, segment, depth FROM message
        WHERE owner_id = :b_owner_id AND conversation_id = :b_conversation_id AND id >= weighed.id
        ORDER BY id LIMIT 1
    ) AS message
    JOIN run ON run.segment = message.segment AND message.depth < run.below
    WHERE message.id = weighed.id
)
SELECT size.length, size.total, found.word, found.found, found.depth, found.weight
FROM size LEFT JOIN (
    SELECT word, found, NULL::bigint AS depth, NULL::float AS weight FROM counted
    UNION ALL
    SELECT NULL, NULL, depth, weight FROM placed
) AS found ON true
""")  # noqa: S608  # constants
    .bindparams(
        bindparam("b_owner_id", type_=String()),
        bindparam("b_conversation_id", type_=UUIDBytes()),
        bindparam("b_branch", type_=String()),
        bindparam("b_before_depth", type_=BigInteger()),
        bindparam("b_limit", type_=BigInteger()),
        bindparam("b_matches", type_=ARRAY(Text())),
    )
    .columns(
        column("length", BigInteger),
        column("total", BigInteger),
        column("word", BigInteger),
        column("found", BigInteger),
        column("depth", BigInteger),
        column("weight", Float),
    )
)
_PLACES = any_(bindparam("b_places", type_=ARRAY(BigInteger())))
LOAD: Select[Any] = MESSAGES.join(PATH, ON_PATH).where(_MESSAGE.depth == _PLACES)
LOAD_BLOBS: Selection = select(_BLOB.sha256, _BLOB.bytes).where(
    is_(_BLOB.owner_id),
    _BLOB.sha256.in_(
        select(_HELD.sha256).where(
            of(schema.message_blob),
            _HELD.message_id.in_(select(_MESSAGE.id).join(PATH, ON_PATH).where(_MESSAGE.depth == _PLACES)),
        )
    ),
)
