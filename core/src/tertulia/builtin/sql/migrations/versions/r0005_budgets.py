"""Names of messages that whoever sends them gives, the time calls waited for their turn, and budgets."""

import sqlalchemy as sa
from alembic import op

from tertulia.builtin.sql.column_types import UUIDBytes

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the tables."""
    op.add_column("message", sa.Column("client_id", sa.String(200)))
    has_name = sa.text("client_id IS NOT NULL")
    op.create_index(
        "message_client",
        "message",
        ["owner_id", "conversation_id", "client_id"],
        unique=True,
        sqlite_where=has_name,
        postgresql_where=has_name,
    )
    op.add_column("attempt", sa.Column("queued_us", sa.BigInteger))
    op.add_column("attempt", sa.Column("is_fallback", sa.Boolean, nullable=False, server_default=sa.false()))
    _create_accounts()
    _create_reservations()


def _create_accounts() -> None:
    op.create_table(
        "budget_account",
        *_keys(),
        sa.Column("spent_pico", sa.BigInteger, nullable=False),
        sa.Column("reserved_pico", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "scope", "period"),
    )
    op.create_table(
        "budget_warning",
        *_keys(),
        sa.Column("level_pico", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "scope", "period", "level_pico"),
    )


def _create_reservations() -> None:
    op.create_table(
        "budget_reservation",
        *_keys(),
        sa.Column("id", UUIDBytes, nullable=False),
        sa.Column("amount_pico", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("owner_id", "id", "scope", "period"),
    )
    columns = ["owner_id", "scope", "period", "expires_at"]
    op.create_index("budget_reservation_expiry", "budget_reservation", columns)


def _keys() -> list[sa.Column[str]]:
    return [
        sa.Column("owner_id", sa.String(200), nullable=False),
        sa.Column("scope", sa.String(250), nullable=False),
        sa.Column("period", sa.String(100), nullable=False),
    ]
