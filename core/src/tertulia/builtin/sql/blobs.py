"""Bytes of messages, kept once for each owner under their SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from sqlalchemy import ClauseElement

from tertulia.builtin.sql import statements
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.rows import Blob
from tertulia.errors import StoreCorruptError
from tertulia.runtime.serialization import Find, has_kept_bytes


def add_blobs(database: Database, keys: Values, message_id: UUID | None, blobs: Iterable[Blob]) -> None:
    """Keep the bytes of a message, and which message they belong to."""
    for ordinal, blob in enumerate(blobs):
        content = {
            "sha256": blob.sha256,
            "size": len(blob.data),
            "media_type": blob.media_type,
            "bytes": blob.data,
        }
        database.run(statements.ADD_BLOB, {**keys, **content})
        place = {"message_id": message_id, "ordinal": ordinal, "sha256": blob.sha256}
        database.run(statements.ADD_MESSAGE_BLOB, {**keys, **place})


def find_blobs(database: Database, rows: Sequence[Row], statement: ClauseElement, values: Values) -> Find:
    """
    Fetch the bytes of many messages at once.

    Args:
        rows: The messages; when none of them names any bytes, nothing is asked.
        statement: Selects their blobs.

    Returns:
        What finds the bytes by their name, and raises a StoreCorruptError where they are not what they were.
    """
    blobs: Mapping[str, object] = {}
    if any(row["parts"] is not None and has_kept_bytes(row["parts"]) for row in rows):
        blobs = {row["sha256"].hex(): row["bytes"] for row in database.all(statement, values)}

    def find(name: str) -> bytes:
        data = blobs.get(name)
        if not isinstance(data, bytes) or hashlib.sha256(data).hexdigest() != name:
            state = "missing" if data is None else "damaged"
            raise StoreCorruptError(
                f"the bytes of the attachment {name} are {state}, so its message cannot be read",
                next_step="restore a copy of the database",
            )
        return data

    return find
