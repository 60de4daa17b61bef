"""Tokens of messages and of paths, how contexts are chosen, summaries, and how models count."""

from typing import Any, cast

import sqlalchemy as sa
from alembic import op

from tertulia.builtin.sql.column_types import UUIDBytes
from tertulia.builtin.sql.database import Database, SQLiteDatabase
from tertulia.builtin.sql.filling import fill_all
from tertulia.builtin.sql.sqlite import driver_connection

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the tables, and count what is stored already."""
    for name in ("tokens", "path_tokens"):
        op.add_column("message", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("conversation", sa.Column("context", sa.Text))
    is_system = sa.text("role = 'system'")
    op.create_index(
        "message_system",
        "message",
        ["owner_id", "conversation_id"],
        sqlite_where=is_system,
        postgresql_where=is_system,
    )
    _create_summary()
    op.create_table(
        "calibration",
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("provider", sa.String(200), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("has_media", sa.Boolean, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "provider", "model", "has_media"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX search_entry_words SET (gin_pending_list_limit = 512)")
    fill_all(_find_database())


def _find_database() -> Database:
    """The connection as the store's own code uses it, which counts as it does today."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        return SQLiteDatabase(driver_connection(connection))
    from tertulia.builtin.sql.postgres.connections import Link
    from tertulia.builtin.sql.postgres.database import PostgresDatabase

    # As behind a pooler: no statement is to keep a name in a session that goes on.
    return PostgresDatabase(Link(cast(Any, connection.connection.driver_connection), is_pooled=True))


def _create_summary() -> None:
    op.create_table(
        "summary",
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("conversation_id", UUIDBytes, nullable=False),
        sa.Column("kind", sa.String(200), nullable=False),
        sa.Column("message_id", UUIDBytes, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "kind", "message_id"),
        sa.ForeignKeyConstraint(
            ["owner_id", "conversation_id", "message_id"],
            ["message.owner_id", "message.conversation_id", "message.id"],
            ondelete="CASCADE",
        ),
    )
    op.create_index("summary_of", "summary", ["owner_id", "conversation_id", "message_id"])
