"""What is read: conversations, the path of a branch, the ledger."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from tertulia.builtin.sql import statements
from tertulia.builtin.sql.blobs import find_blobs
from tertulia.builtin.sql.branches import explain_no_message
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.leases import resolve
from tertulia.builtin.sql.marks import add_marks
from tertulia.builtin.sql.rows import parse_attempt, parse_branch, parse_conversation, parse_message
from tertulia.builtin.sql.tree import explain_no_conversation
from tertulia.builtin.sql.tree import get_branch as find_branch
from tertulia.domain.conversation import Attempt, Branch, ConversationRecord, ConversationState
from tertulia.domain.message import Message


def get_conversation(database: Database, keys: Values, *, deleted: bool = False) -> ConversationRecord:
    """One conversation with its active branch and its tags."""
    row = database.first(statements.GET_CONVERSATION, keys)
    if row is None or (row["state"] == ConversationState.DELETED.value and not deleted):
        raise explain_no_conversation(keys["conversation_id"], deleted=row is not None)
    tags = database.all(statements.GET_TAGS, keys)
    return parse_conversation(row, tuple(sorted(tag["tag"] for tag in tags)))


def get_branch(database: Database, keys: Values, branch: str) -> Branch:
    """One branch."""
    return parse_branch(find_branch(database, keys, branch))


def find_branches(database: Database, keys: Values) -> list[Branch]:
    """Every branch of a conversation, in the order they were made; it has one at least."""
    rows = database.all(statements.FIND_BRANCHES, keys)
    if not rows:
        raise explain_no_conversation(keys["conversation_id"])
    return [parse_branch(row) for row in rows]


def get_messages(
    database: Database,
    keys: Values,
    branch: str,
    now: datetime,
    *,
    limit: int | None,
    before_depth: int | None,
) -> list[Message]:
    """The path of a branch, or the newest part of it."""
    path = {
        **keys,
        "branch": branch,
        "limit": statements.EVERYTHING if limit is None else limit,
        "before_depth": statements.EVERYTHING if before_depth is None else before_depth,
    }
    rows = database.all(statements.GET_PATH, path)
    if not rows:
        find_branch(database, keys, branch)
    resolve(database, keys, rows, now)
    find = find_blobs(database, rows, statements.GET_PATH_BLOBS, path)
    return add_marks(database, keys, rows, [parse_message(row, find) for row in rows])


def get_message(database: Database, keys: Values, message_id: UUID, now: datetime) -> Message:
    """One message of any branch."""
    row = database.first(statements.GET_MESSAGE, {**keys, "message_id": message_id})
    if row is None:
        get_conversation(database, keys, deleted=True)
        raise explain_no_message(keys["conversation_id"], message_id)
    return _read_message(database, keys, row, now)


def _read_message(database: Database, keys: Values, row: Row, now: datetime) -> Message:
    resolve(database, keys, [row], now)
    values = {**keys, "message_id": row["id"]}
    message = parse_message(row, find_blobs(database, [row], statements.GET_MESSAGE_BLOBS, values))
    return add_marks(database, keys, [row], [message])[0]


def find_message(database: Database, keys: Values, client_id: str, now: datetime) -> Message | None:
    """The message that was sent with a name; None where there is none."""
    row = database.first(statements.FIND_MESSAGE, {**keys, "client_id": client_id})
    return None if row is None else _read_message(database, keys, row, now)


def get_attempts(database: Database, keys: Values, now: datetime) -> list[Attempt]:
    """Every attempt of a conversation, in the order they were started."""
    return [parse_attempt(row, now) for row in database.all(statements.GET_ATTEMPTS, keys)]
