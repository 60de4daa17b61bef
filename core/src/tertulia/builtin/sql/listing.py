"""Lists of conversations: filters, orders, pages."""

from __future__ import annotations

from sqlalchemy import tuple_

from tertulia.builtin.sql import schema, statements
from tertulia.builtin.sql.database import Database
from tertulia.builtin.sql.rows import parse_conversation
from tertulia.domain.conversation import ConversationRecord
from tertulia.domain.library import ConversationFilter, Order

_C = schema.conversation.c
_FIRST = (
    statements.CONVERSATIONS.where(statements._is(_C.owner_id), _C.state == "active")
    .order_by(_C.updated_at.desc(), _C.id.desc())
    .limit(statements._number("limit"))
)
_AFTER = _FIRST.where(
    tuple_(_C.updated_at, _C.id) < tuple_(statements._bind(_C.updated_at), statements._bind(_C.id))
)


def find_conversations(
    database: Database,
    owner: str,
    where: ConversationFilter,
    order: Order,
    limit: int,
    after: ConversationRecord | None,
) -> list[ConversationRecord]:
    """A page of conversations."""
    values = {"owner_id": owner, "limit": limit}
    if after is None:
        rows = database.all(_FIRST, values)
    else:
        rows = database.all(_AFTER, {**values, "updated_at": after.updated_at, "id": after.id})
    return [parse_conversation(row) for row in rows]
