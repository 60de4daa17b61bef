"""Branches that can be forked, pictures kept once, and answers that survive while they come."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give branches their origin and attempts their order, and add what pictures and answers are kept in."""
    _rebuild_branch()
    _rebuild_attempt()
    _create_blob()
    op.create_table(
        "checkpoint",
        *_keys(),
        sa.Column("message_id", sa.LargeBinary(16), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("thoughts", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "message_id", "number"),
        _belongs_to_message(),
    )


def _rebuild_branch() -> None:
    op.rename_table("branch", "branch_0001")
    op.create_table(
        "branch",
        *_keys(),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("segment", sa.LargeBinary(16), nullable=False),
        sa.Column("head_id", sa.LargeBinary(16)),
        sa.Column("head_depth", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("provider", sa.String(200), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("forked_from", sa.String(200)),
        sa.Column("fork_depth", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "name"),
        _belongs_to_conversation(),
    )
    # Until now a branch was a conversation's first one, or that of a late answer: named after the branch it
    # was late for, "-late-" and the answer's id (42 characters), which is its segment's id as well.
    op.execute(
        """
        INSERT INTO branch (
            owner_id, conversation_id, name, segment, head_id, head_depth, version, provider, model,
            forked_from, fork_depth, created_at, sequence
        )
        SELECT
            old.owner_id, old.conversation_id, old.name, old.segment, old.head_id, old.head_depth,
            old.version, old.provider, old.model,
            CASE WHEN late.id IS NOT NULL THEN substr(old.name, 1, length(old.name) - 42) END,
            segment.fork_depth,
            coalesce(late.created_at, conversation.created_at),
            row_number() OVER (
                PARTITION BY old.owner_id, old.conversation_id ORDER BY late.id IS NOT NULL, late.id
            )
        FROM branch_0001 AS old
        JOIN conversation ON conversation.owner_id = old.owner_id AND conversation.id = old.conversation_id
        LEFT JOIN segment ON segment.owner_id = old.owner_id
            AND segment.conversation_id = old.conversation_id AND segment.id = old.segment
        LEFT JOIN message AS late ON late.owner_id = old.owner_id
            AND late.conversation_id = old.conversation_id AND late.id = old.segment
        """
    )
    op.drop_table("branch_0001")


def _rebuild_attempt() -> None:
    op.rename_table("attempt", "attempt_0001")
    op.create_table(
        "attempt",
        *_keys(),
        sa.Column("id", sa.LargeBinary(16), nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("message_id", sa.LargeBinary(16), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("provider", sa.String(200), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("error_kind", sa.String(40)),
        sa.Column("error_message", sa.Text),
        sa.Column("first_content_us", sa.BigInteger),
        sa.Column("request_id", sa.String(200)),
        sa.Column("raw_usage", sa.Text),
        *(sa.Column(name, kind) for name, kind in _OUTCOME.items()),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "id"),
        sa.UniqueConstraint("owner_id", "conversation_id", "sequence"),
        _belongs_to_conversation(),
    )
    columns = ", ".join(
        [
            "id, message_id, number, provider, model, started_at, lease_until, outcome, error_kind",
            "error_message, first_content_us, request_id, raw_usage",
            *_OUTCOME,
        ]
    )
    # A wall clock made the ids, and it may be set back: the depth of its question says which came first.
    op.execute(
        f"""
        INSERT INTO attempt (owner_id, conversation_id, sequence, {columns})
        SELECT
            owner_id, conversation_id,
            row_number() OVER (PARTITION BY owner_id, conversation_id ORDER BY depth, number, id),
            {columns}
        FROM (
            SELECT old.*, message.depth FROM attempt_0001 AS old
            LEFT JOIN message ON message.owner_id = old.owner_id
                AND message.conversation_id = old.conversation_id AND message.id = old.message_id
        ) AS placed
        """  # noqa: S608  # constants
    )
    op.drop_table("attempt_0001")
    pending = sa.text("outcome = 'pending'")
    op.create_index(
        "attempt_pending",
        "attempt",
        ["owner_id", "conversation_id"],
        sqlite_where=pending,
        postgresql_where=pending,
    )


_OUTCOME: dict[str, Any] = {
    "input_tokens": sa.BigInteger,
    "cache_read_tokens": sa.BigInteger,
    "cache_write_tokens": sa.BigInteger,
    "output_tokens": sa.BigInteger,
    "reasoning_tokens": sa.BigInteger,
    "cost_pico": sa.BigInteger,
    "cost_source": sa.String(20),
    "price_row": sa.String(200),
    "computed_cost_pico": sa.BigInteger,
    "latency_us": sa.BigInteger,
}


def _create_blob() -> None:
    op.create_table(
        "blob",
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("media_type", sa.String(200)),
        sa.Column("bytes", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "sha256"),
    )
    op.create_table(
        "message_blob",
        *_keys(),
        sa.Column("message_id", sa.LargeBinary(16), nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "message_id", "ordinal"),
        sa.ForeignKeyConstraint(["owner_id", "sha256"], ["blob.owner_id", "blob.sha256"]),
        _belongs_to_message(),
    )
    op.create_index("message_blob_of", "message_blob", ["owner_id", "sha256"])


def _keys() -> list[sa.Column[Any]]:
    return [
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("conversation_id", sa.LargeBinary(16), nullable=False),
    ]


def _belongs_to_conversation() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"], ondelete="CASCADE"
    )


def _belongs_to_message() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["owner_id", "conversation_id", "message_id"],
        ["message.owner_id", "message.conversation_id", "message.id"],
        ondelete="CASCADE",
    )
