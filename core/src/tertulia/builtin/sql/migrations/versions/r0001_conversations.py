"""Conversations, their tree of messages, and the ledger of attempts."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Build the first tables."""
    op.create_table(
        "conversation",
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("id", sa.LargeBinary(16), nullable=False),
        sa.Column("title", sa.String(200)),
        sa.Column("active_branch", sa.String(200), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("message_count", sa.Integer, nullable=False),
        sa.Column("cost_pico", sa.BigInteger, nullable=False),
        sa.Column("cost_unknown_count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "id"),
    )
    op.create_index("conversation_recent", "conversation", ["owner_id", "updated_at", "id"])
    op.create_table(
        "segment",
        *_keys(),
        sa.Column("id", sa.LargeBinary(16), nullable=False),
        sa.Column("parent_segment", sa.LargeBinary(16)),
        sa.Column("fork_depth", sa.Integer),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "id"),
        _belongs_to_conversation(),
    )
    _create_message()
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
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "name"),
        _belongs_to_conversation(),
    )
    _create_attempt()


def _create_message() -> None:
    op.create_table(
        "message",
        *_keys(),
        sa.Column("id", sa.LargeBinary(16), nullable=False),
        sa.Column("parent_id", sa.LargeBinary(16)),
        sa.Column("segment", sa.LargeBinary(16), nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("parts", sa.Text),
        sa.Column("provider", sa.String(200)),
        sa.Column("model", sa.String(200)),
        sa.Column("resolved_model", sa.String(200)),
        sa.Column("finish_reason", sa.String(20)),
        sa.Column("raw_finish_reason", sa.String(200)),
        *_outcome_columns(),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "id"),
        sa.UniqueConstraint("owner_id", "conversation_id", "segment", "depth"),
        _belongs_to_conversation(),
    )


def _create_attempt() -> None:
    op.create_table(
        "attempt",
        *_keys(),
        sa.Column("id", sa.LargeBinary(16), nullable=False),
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
        *_outcome_columns(),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "id"),
        sa.UniqueConstraint("owner_id", "conversation_id", "message_id", "number"),
        _belongs_to_conversation(),
    )


def _keys() -> list[sa.Column[Any]]:
    return [
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("conversation_id", sa.LargeBinary(16), nullable=False),
    ]


def _belongs_to_conversation() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"], ondelete="CASCADE"
    )


def _outcome_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("cache_read_tokens", sa.BigInteger),
        sa.Column("cache_write_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("reasoning_tokens", sa.BigInteger),
        sa.Column("cost_pico", sa.BigInteger),
        sa.Column("cost_source", sa.String(20)),
        sa.Column("price_row", sa.String(200)),
        sa.Column("computed_cost_pico", sa.BigInteger),
        sa.Column("latency_us", sa.BigInteger),
    ]
