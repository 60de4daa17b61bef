"""Conversations that can be put away, tagged, marked, found and counted; and the tables of templates."""

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic import op

from tertulia.builtin.sql import search
from tertulia.builtin.sql.database import SQLiteDatabase
from tertulia.builtin.sql.search_schema import create_search
from tertulia.builtin.sql.sqlite import driver_connection
from tertulia.builtin.sql.tree import make_keys

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and tables, and fill them from what is there."""
    _extend_conversation()
    for table in ("message", "branch"):
        _add(table, "path_cost_pico", sa.BigInteger, "0")
        _add(table, "path_cost_unknown_count", sa.Integer, "0")
    op.add_column("attempt", sa.Column("branch", sa.String(200)))
    _add("attempt", "purpose", sa.String(20), "answer")
    op.create_index("attempt_started", "attempt", ["owner_id", "started_at"])
    _create_marks_and_tags()
    _create_templates()
    for statement in _FILLING:
        op.execute(statement)
    _create_search()


def _extend_conversation() -> None:
    _add("conversation", "state", sa.String(20), "active")
    op.add_column("conversation", sa.Column("state_before", sa.String(20)))
    op.add_column("conversation", sa.Column("metadata", sa.Text))
    op.add_column("conversation", sa.Column("deleted_at", sa.BigInteger))
    op.add_column("conversation", sa.Column("purge_after", sa.BigInteger))
    _add("conversation", "version", sa.Integer, "0")
    for name in _TOKENS:
        _add("conversation", name, sa.BigInteger, "0")
    op.drop_index("conversation_recent", "conversation")
    shelf = ["owner_id", "state"]
    op.create_index("conversation_title", "conversation", [*shelf, "title", sa.text("id DESC")])
    op.create_index("conversation_recent", "conversation", [*shelf, "updated_at", "id"])
    op.create_index("conversation_newest", "conversation", [*shelf, "id"])
    op.create_index("conversation_messages", "conversation", [*shelf, "message_count", "id"])
    op.create_index("conversation_cost", "conversation", [*shelf, "cost_pico", "id"])


def _create_marks_and_tags() -> None:
    op.create_table(
        "message_mark",
        *_keys(),
        sa.Column("message_id", sa.LargeBinary(16), nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("importance", sa.Float),
        sa.Column("expires_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "message_id"),
        sa.ForeignKeyConstraint(
            ["owner_id", "conversation_id", "message_id"],
            ["message.owner_id", "message.conversation_id", "message.id"],
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "tag",
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("tag", sa.String(200), nullable=False),
        sa.Column("conversation_id", sa.LargeBinary(16), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "tag", "conversation_id"),
        _belongs_to_conversation(),
    )
    op.create_index("tag_of", "tag", ["owner_id", "conversation_id", "tag"])
    op.create_table(
        "conversation_target",
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("provider", sa.String(200), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("conversation_id", sa.LargeBinary(16), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "conversation_id", "provider", "model"),
        _belongs_to_conversation(),
    )
    for name, other in (("model", "provider"), ("provider", "model")):
        op.create_index(
            f"conversation_target_{name}", "conversation_target", ["owner_id", name, "conversation_id", other]
        )


def _create_templates() -> None:
    op.create_table(
        "template",
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("id", sa.LargeBinary(16), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "id"),
        sa.UniqueConstraint("owner_id", "name"),
    )
    op.create_table(
        "template_version",
        *_template_keys(),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "template_id", "number"),
        _belongs_to_template(),
    )
    op.create_table(
        "template_grant",
        *_template_keys(),
        sa.Column("principal", sa.String(200), nullable=False),
        sa.Column("permissions", sa.String(200), nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("owner_id", "template_id", "principal"),
        _belongs_to_template(),
    )
    op.create_index("template_grant_to", "template_grant", ["principal", "owner_id", "template_id"])


def _create_search() -> None:
    """Make the index of words, by the code that searches it: should that change, it is to be made anew."""
    connection = op.get_bind()
    create_search(connection)
    if connection.dialect.name == "sqlite":  # in no other database there is anything of an older version
        database = SQLiteDatabase(driver_connection(connection))
        rows = connection.execute(sa.text("SELECT owner_id, id FROM conversation")).fetchall()
        for owner, conversation_id in rows:
            search.reindex(database, make_keys(owner, UUID(bytes=conversation_id)))


_TOKENS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
_MOST_TOKENS = 10**12  # more than this no answer has: it is nonsense, and would make every sum so
_SUM = f"coalesce(sum({{0}}) FILTER (WHERE {{0}} <= {_MOST_TOKENS}), 0)"
_FITS = f"path.pico <= {2**63 - 1} - coalesce(message.cost_pico, 0)"
_SAME = "{0}.owner_id = {1}.owner_id AND {0}.conversation_id = {1}.conversation_id"
_FILLING = (
    f"""
    UPDATE conversation SET ({", ".join(_TOKENS)}) = (
        SELECT {", ".join(map(_SUM.format, _TOKENS))} FROM attempt
        WHERE attempt.owner_id = conversation.owner_id AND attempt.conversation_id = conversation.id
    )
    """,  # noqa: S608  # constants
    # Of an attempt it was not written down where it was made: the branch its question stands on, or the
    # first one of the conversation where the question stands on none.
    f"""
    UPDATE attempt SET branch = coalesce(
        (
            SELECT branch.name FROM branch
            JOIN message ON {_SAME.format("message", "branch")} AND message.segment = branch.segment
            WHERE {_SAME.format("branch", "attempt")} AND message.id = attempt.message_id
            ORDER BY branch.sequence LIMIT 1
        ),
        (
            SELECT branch.name FROM branch
            WHERE {_SAME.format("branch", "attempt")} ORDER BY branch.sequence LIMIT 1
        )
    )
    """,  # noqa: S608  # constants
    """
    INSERT INTO conversation_target (owner_id, conversation_id, provider, model)
    SELECT DISTINCT owner_id, conversation_id, provider, model FROM attempt
    """,
    "CREATE INDEX message_parent ON message (owner_id, conversation_id, parent_id)",
    f"""
    WITH RECURSIVE path (owner_id, conversation_id, id, pico, unknown) AS (
        SELECT owner_id, conversation_id, id, coalesce(cost_pico, 0),
            CASE WHEN cost_pico IS NULL AND provider IS NOT NULL THEN 1 ELSE 0 END
        FROM message WHERE parent_id IS NULL
        UNION ALL
        SELECT message.owner_id, message.conversation_id, message.id,
            path.pico + CASE WHEN {_FITS} THEN coalesce(message.cost_pico, 0) ELSE 0 END,
            path.unknown + CASE
                WHEN message.cost_pico IS NULL AND message.provider IS NOT NULL OR NOT ({_FITS}) THEN 1 ELSE 0
            END
        FROM path JOIN message ON {_SAME.format("message", "path")} AND message.parent_id = path.id
    )
    UPDATE message SET path_cost_pico = path.pico, path_cost_unknown_count = path.unknown
    FROM path WHERE {_SAME.format("message", "path")} AND message.id = path.id
    """,  # noqa: S608  # constants
    "DROP INDEX message_parent",
    f"""
    UPDATE branch SET
        path_cost_pico = message.path_cost_pico, path_cost_unknown_count = message.path_cost_unknown_count
    FROM message WHERE {_SAME.format("message", "branch")} AND message.id = branch.head_id
    """,  # noqa: S608  # constants
)


def _add(table: str, name: str, kind: Any, default: str) -> None:
    op.add_column(table, sa.Column(name, kind, nullable=False, server_default=default))


def _keys() -> list[sa.Column[Any]]:
    return [
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("conversation_id", sa.LargeBinary(16), nullable=False),
    ]


def _template_keys() -> list[sa.Column[Any]]:
    return [
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("template_id", sa.LargeBinary(16), nullable=False),
    ]


def _belongs_to_conversation() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["owner_id", "conversation_id"], ["conversation.owner_id", "conversation.id"], ondelete="CASCADE"
    )


def _belongs_to_template() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["owner_id", "template_id"], ["template.owner_id", "template.id"], ondelete="CASCADE"
    )
