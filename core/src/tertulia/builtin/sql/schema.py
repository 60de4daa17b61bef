"""
The tables, as SQLAlchemy Core.

``owner_id`` leads every key. Ids are UUIDv7 made by the client, money is whole pico-dollars, durations
and moments are whole microseconds. The revisions in ``migrations`` build the same tables step by step.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    literal_column,
)

from tertulia.builtin.sql.column_types import Moment, UUIDBytes

REVISION = "0006"
"""The newest revision in ``migrations``: what a database must be at to be used."""

VERSION_TABLE = "tertulia_version"

metadata = MetaData()

version = Table(
    VERSION_TABLE,
    MetaData(),  # Alembic's own, and none of the tables that revisions change
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


def _keys() -> list[Column[str] | Column[UUID]]:
    return [
        Column("owner_id", String(200), nullable=False),
        Column("conversation_id", UUIDBytes, nullable=False),
    ]


def _belongs_to_conversation() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"], ondelete="CASCADE"
    )


def _belongs_to_message() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["owner_id", "conversation_id", "message_id"],
        ["message.owner_id", "message.conversation_id", "message.id"],
        ondelete="CASCADE",
    )


def _outcome_columns() -> list[Column[int] | Column[str]]:
    """Tokens, money and time of an answer or an attempt; null is unknown."""
    return [
        Column("input_tokens", BigInteger),
        Column("cache_read_tokens", BigInteger),
        Column("cache_write_tokens", BigInteger),
        Column("output_tokens", BigInteger),
        Column("reasoning_tokens", BigInteger),
        Column("cost_pico", BigInteger),
        Column("cost_source", String(20)),
        Column("price_row", String(200)),
        Column("computed_cost_pico", BigInteger),
        Column("latency_us", BigInteger),
    ]


def _path_cost_columns() -> list[Column[int]]:
    """What the answers cost from the root to a message, and how many of their costs are not known."""
    return [
        Column("path_cost_pico", BigInteger, nullable=False, server_default="0"),
        Column("path_cost_unknown_count", Integer, nullable=False, server_default="0"),
    ]


def _token_columns() -> list[Column[int]]:
    """The five classes of tokens."""
    return [
        Column("input_tokens", BigInteger, nullable=False, server_default="0"),
        Column("cache_read_tokens", BigInteger, nullable=False, server_default="0"),
        Column("cache_write_tokens", BigInteger, nullable=False, server_default="0"),
        Column("output_tokens", BigInteger, nullable=False, server_default="0"),
        Column("reasoning_tokens", BigInteger, nullable=False, server_default="0"),
    ]


conversation = Table(
    "conversation",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("id", UUIDBytes, nullable=False),
    Column("title", String(200)),
    Column("active_branch", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("message_count", Integer, nullable=False),
    Column("cost_pico", BigInteger, nullable=False),
    Column("cost_unknown_count", Integer, nullable=False),
    # One of ConversationState, or "purged" while that is under way.
    Column("state", String(20), nullable=False, server_default="active"),
    Column("state_before", String(20)),  # what a deleted one was
    Column("metadata", Text),  # JSON; null: none
    Column("deleted_at", Moment),
    Column("purge_after", Moment),
    Column("version", Integer, nullable=False, server_default="0"),  # grows with whatever is written in it
    *_token_columns(),
    Column("context", Text),  # JSON; null: nothing was said of it
    PrimaryKeyConstraint("owner_id", "id"),
)
_SHELF = (conversation.c.owner_id, conversation.c.state)
Index("conversation_recent", *_SHELF, conversation.c.updated_at, conversation.c.id)
Index("conversation_newest", *_SHELF, conversation.c.id)
Index("conversation_title", *_SHELF, conversation.c.title, conversation.c.id.desc())
Index("conversation_messages", *_SHELF, conversation.c.message_count, conversation.c.id)
Index("conversation_cost", *_SHELF, conversation.c.cost_pico, conversation.c.id)

segment = Table(
    "segment",
    metadata,
    *_keys(),
    Column("id", UUIDBytes, nullable=False),
    Column("parent_segment", UUIDBytes),
    Column("fork_depth", Integer),
    PrimaryKeyConstraint("owner_id", "conversation_id", "id"),
    _belongs_to_conversation(),
)

message = Table(
    "message",
    metadata,
    *_keys(),
    Column("id", UUIDBytes, nullable=False),
    Column("parent_id", UUIDBytes),
    Column("segment", UUIDBytes, nullable=False),
    Column("depth", Integer, nullable=False),
    Column("role", String(20), nullable=False),
    Column("status", String(20), nullable=False),
    # Before the text: what stands after a long one SQLite finds only by going through it.
    Column("tokens", BigInteger, nullable=False, server_default="0"),
    Column("path_tokens", BigInteger, nullable=False, server_default="0"),  # from the root to it
    Column("text", Text, nullable=False),  # where there are parts, what it is found by
    Column("parts", Text),  # null: exactly one plain text part
    Column("provider", String(200)),
    Column("model", String(200)),
    Column("resolved_model", String(200)),
    Column("finish_reason", String(20)),
    Column("raw_finish_reason", String(200)),
    *_outcome_columns(),
    Column("created_at", Moment, nullable=False),
    *_path_cost_columns(),
    Column("client_id", String(200)),  # null: whoever sent it gave it no name
    PrimaryKeyConstraint("owner_id", "conversation_id", "id"),
    UniqueConstraint("owner_id", "conversation_id", "segment", "depth"),
    _belongs_to_conversation(),
)
Index(
    "message_client",
    message.c.owner_id,
    message.c.conversation_id,
    message.c.client_id,
    unique=True,
    sqlite_where=message.c.client_id.is_not(None),
    postgresql_where=message.c.client_id.is_not(None),
)

SYSTEM = literal_column("'system'", String)
"""Written into statements, so that the planner knows what the index of system messages holds."""
Index(
    "message_system",
    message.c.owner_id,
    message.c.conversation_id,
    sqlite_where=message.c.role == SYSTEM,
    postgresql_where=message.c.role == SYSTEM,
)

branch = Table(
    "branch",
    metadata,
    *_keys(),
    Column("name", String(200), nullable=False),
    Column("segment", UUIDBytes, nullable=False),
    Column("head_id", UUIDBytes),
    Column("head_depth", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("provider", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("forked_from", String(200)),
    Column("fork_depth", Integer),
    Column("created_at", Moment, nullable=False),
    Column("sequence", Integer, nullable=False),  # the order in which the branches were made
    *_path_cost_columns(),  # of its head
    PrimaryKeyConstraint("owner_id", "conversation_id", "name"),
    _belongs_to_conversation(),
)

attempt = Table(
    "attempt",
    metadata,
    *_keys(),
    Column("id", UUIDBytes, nullable=False),
    Column("sequence", Integer, nullable=False),  # the order of the ledger; a wall clock is none
    Column("message_id", UUIDBytes, nullable=False),
    Column("number", Integer, nullable=False),
    Column("provider", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("lease_until", Moment),
    Column("outcome", String(20), nullable=False),
    Column("error_kind", String(40)),
    Column("error_message", Text),
    Column("first_content_us", BigInteger),
    Column("request_id", String(200)),
    Column("raw_usage", Text),
    *_outcome_columns(),
    Column("branch", String(200)),  # null: it was removed
    Column("purpose", String(20), nullable=False, server_default="answer"),
    Column("queued_us", BigInteger),
    Column("is_fallback", Boolean, nullable=False, server_default=false()),
    PrimaryKeyConstraint("owner_id", "conversation_id", "id"),
    UniqueConstraint("owner_id", "conversation_id", "sequence"),
    _belongs_to_conversation(),
)
PENDING = literal_column("'pending'", String)
"""Written into statements, so that the planner knows what the index of pending attempts holds."""
Index(
    "attempt_pending",
    attempt.c.owner_id,
    attempt.c.conversation_id,
    sqlite_where=attempt.c.outcome == PENDING,
    postgresql_where=attempt.c.outcome == PENDING,
)

Index("attempt_started", attempt.c.owner_id, attempt.c.started_at)

message_mark = Table(
    "message_mark",
    metadata,
    *_keys(),
    Column("message_id", UUIDBytes, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("importance", Float),
    Column("expires_at", Moment),
    PrimaryKeyConstraint("owner_id", "conversation_id", "message_id"),
    _belongs_to_message(),
)

# The id of a conversation begins with the time: the newest ones with a tag, or of a provider, are a range.
tag = Table(
    "tag",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("tag", String(200), nullable=False),
    Column("conversation_id", UUIDBytes, nullable=False),
    PrimaryKeyConstraint("owner_id", "tag", "conversation_id"),
    _belongs_to_conversation(),
)
Index("tag_of", tag.c.owner_id, tag.c.conversation_id, tag.c.tag)

conversation_target = Table(
    "conversation_target",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("provider", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("conversation_id", UUIDBytes, nullable=False),
    PrimaryKeyConstraint("owner_id", "conversation_id", "provider", "model"),
    _belongs_to_conversation(),
)
Index(
    "conversation_target_model",
    conversation_target.c.owner_id,
    conversation_target.c.model,
    conversation_target.c.conversation_id,
    conversation_target.c.provider,
)
Index(
    "conversation_target_provider",
    conversation_target.c.owner_id,
    conversation_target.c.provider,
    conversation_target.c.conversation_id,
    conversation_target.c.model,
)

blob = Table(
    "blob",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", String(200)),
    Column("bytes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("owner_id", "sha256"),
)

message_blob = Table(
    "message_blob",
    metadata,
    *_keys(),
    Column("message_id", UUIDBytes, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    PrimaryKeyConstraint("owner_id", "conversation_id", "message_id", "ordinal"),
    ForeignKeyConstraint(["owner_id", "sha256"], ["blob.owner_id", "blob.sha256"]),
    _belongs_to_message(),
)
Index("message_blob_of", message_blob.c.owner_id, message_blob.c.sha256)

checkpoint = Table(
    "checkpoint",
    metadata,
    *_keys(),
    Column("message_id", UUIDBytes, nullable=False),  # the answer it is a piece of
    Column("number", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("thoughts", Text, nullable=False),
    PrimaryKeyConstraint("owner_id", "conversation_id", "message_id", "number"),
    _belongs_to_message(),
)

summary = Table(
    "summary",
    metadata,
    *_keys(),
    Column("kind", String(200), nullable=False),
    Column("message_id", UUIDBytes, nullable=False),  # the last one it covers
    Column("text", Text, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("owner_id", "conversation_id", "kind", "message_id"),
    _belongs_to_message(),
)
Index("summary_of", summary.c.owner_id, summary.c.conversation_id, summary.c.message_id)

calibration = Table(
    "calibration",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("provider", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("has_media", Boolean, nullable=False),
    Column("facts", Text, nullable=False),
    PrimaryKeyConstraint("owner_id", "provider", "model", "has_media"),
)

model = Table(
    "model",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("provider", String(200), nullable=False),
    Column("id", String(200), nullable=False),
    Column("facts", Text, nullable=False),
    PrimaryKeyConstraint("owner_id", "provider", "id"),
)

template = Table(
    "template",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("id", UUIDBytes, nullable=False),
    Column("name", String(200), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    PrimaryKeyConstraint("owner_id", "id"),
    UniqueConstraint("owner_id", "name"),
)

template_version = Table(
    "template_version",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("template_id", UUIDBytes, nullable=False),
    Column("number", Integer, nullable=False),
    Column("source", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
    Column("created_at", Moment, nullable=False),
    PrimaryKeyConstraint("owner_id", "template_id", "number"),
    ForeignKeyConstraint(
        ["owner_id", "template_id"], ["template.owner_id", "template.id"], ondelete="CASCADE"
    ),
)

template_grant = Table(
    "template_grant",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("template_id", UUIDBytes, nullable=False),
    Column("principal", String(200), nullable=False),
    Column("permissions", String(200), nullable=False),
    Column("expires_at", Moment),
    PrimaryKeyConstraint("owner_id", "template_id", "principal"),
    ForeignKeyConstraint(
        ["owner_id", "template_id"], ["template.owner_id", "template.id"], ondelete="CASCADE"
    ),
)
Index(
    "template_grant_to", template_grant.c.principal, template_grant.c.owner_id, template_grant.c.template_id
)

# What an account holds belongs to no conversation: purging one gives nothing back.
budget_account = Table(
    "budget_account",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("scope", String(250), nullable=False),
    Column("period", String(100), nullable=False),
    Column("spent_pico", BigInteger, nullable=False),
    Column("reserved_pico", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner_id", "scope", "period"),
)

budget_reservation = Table(
    "budget_reservation",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("id", UUIDBytes, nullable=False),  # the attempt's
    Column("scope", String(250), nullable=False),
    Column("period", String(100), nullable=False),
    Column("amount_pico", BigInteger, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),  # null: its process died, and the amount is in what was spent
    PrimaryKeyConstraint("owner_id", "id", "scope", "period"),
)
Index(
    "budget_reservation_expiry",
    budget_reservation.c.owner_id,
    budget_reservation.c.scope,
    budget_reservation.c.period,
    budget_reservation.c.expires_at,
)

budget_warning = Table(
    "budget_warning",
    metadata,
    Column("owner_id", String(200), nullable=False),
    Column("scope", String(250), nullable=False),
    Column("period", String(100), nullable=False),
    Column("level_pico", BigInteger, nullable=False),
    PrimaryKeyConstraint("owner_id", "scope", "period", "level_pico"),
)
