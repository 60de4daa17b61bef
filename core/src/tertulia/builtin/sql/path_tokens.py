"""
What a path holds, in tokens.

The sum is kept with every message, from the root to it, so that how much is before a place is known without
reading it. A message of a user that nobody answered never reaches a model: it counts for itself, and for
nothing that follows it but an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import or_, select, update

from tertulia.builtin.sql import schema, statements
from tertulia.builtin.sql.binding import bind, is_, number, of
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.rows import count_tokens
from tertulia.domain.message import Message, MessageStatus, Role

UNANSWERED = (MessageStatus.FAILED.value, MessageStatus.PENDING.value)
"""What a message is, of a user, that no model has seen."""

_USER, _ASSISTANT = Role.USER.value, Role.ASSISTANT.value

_MESSAGE, _SEGMENT = schema.message.c, schema.segment.c


@attrs.frozen
class PathEnd:
    """
    Where a path ends.

    Attributes:
        tokens: From the root to its newest message.

        unanswered: Of those, what its newest message has, if nobody answered that.
    """

    tokens: int = 0
    unanswered: int = 0

    def before(self, role: str) -> int:
        """The tokens before a message that follows."""
        return self.tokens if role == _ASSISTANT else self.tokens - self.unanswered

    def follow(self, message: Message) -> PathEnd:
        """Where it ends with one message more."""
        return self._add(message.role, message.status, count_tokens(message))

    def follow_row(self, row: Row) -> PathEnd:
        """The same by the row of that message."""
        return self._add(row["role"], row["status"], row["tokens"])

    def _add(self, role: str, status: str, own: int) -> PathEnd:
        is_unanswered = role == _USER and status in UNANSWERED
        return PathEnd(self.before(role) + own, own if is_unanswered else 0)


ROOT = PathEnd()
"""Before the first message."""


def end_of(row: Row | None) -> PathEnd:
    """Where a path ends, by the row of its newest message; None, or one that says nothing, for no message."""
    if row is None or row["tokens"] is None:
        return ROOT
    is_unanswered = row["role"] == _USER and row["status"] in UNANSWERED
    return PathEnd(row["path_tokens"], row["tokens"] if is_unanswered else 0)


def change_status(
    database: Database, keys: Values, message_id: UUID | None, change: Any, status: str
) -> None:
    """
    Say what became of a message, and let the sums of whatever follows it be right.

    Args:
        change: The statement; it says whether anything but one answer follows.
    """
    changed = database.first(change, {**keys, "message_id": message_id, "status": status})
    if changed is not None and changed["is_followed"]:
        _mend_below(database, {**keys, "message_id": message_id})


def _mend_below(database: Database, values: Values) -> None:
    """It is seldom: somebody asks again, elsewhere, what nobody had answered here."""
    place = database.first(statements.GET_PLACE, values)
    assert place is not None  # noqa: S101  # it was changed just now
    children = database.all(_FIND_CHILDREN, {**values, **place})
    for child in children:
        added = end_of(place).follow_row(child).tokens - child["path_tokens"]
        if added:
            reached = _find_below(database, values, child)
            rows = [{**values, "added": added, "segment": name, "depth": at} for name, at in reached.items()]
            database.run_many(_ADD_TO_PATH, rows)


def _find_below(database: Database, keys: Values, first: Row) -> Mapping[UUID, int]:
    """The segments that lead on from a message, each with the depth from which on it does."""
    forks = database.all(_FIND_FORKS, keys)
    reached: dict[UUID, int] = {first["segment"]: first["depth"]}
    for fork in _sort_forks(forks):
        begins = reached.get(fork["parent_segment"])
        if begins is not None and fork["fork_depth"] >= begins:
            reached[fork["id"]] = fork["fork_depth"] + 1
    return reached


def _sort_forks(forks: Sequence[Row]) -> Sequence[Row]:
    """Each after the one it goes on from, which begins less deep."""
    return sorted(forks, key=lambda fork: fork["fork_depth"])


_FIND_FORKS = select(_SEGMENT.id, _SEGMENT.parent_segment, _SEGMENT.fork_depth).where(
    of(schema.segment), _SEGMENT.parent_segment.is_not(None)
)
_FORKED = select(_SEGMENT.id).where(
    of(schema.segment),
    _SEGMENT.parent_segment == bind(_MESSAGE.segment),
    _SEGMENT.fork_depth == bind(_MESSAGE.depth),
)
_FIND_CHILDREN = select(
    _MESSAGE.segment,
    _MESSAGE.depth,
    _MESSAGE.role,
    _MESSAGE.status,
    _MESSAGE.tokens,
    _MESSAGE.path_tokens,
).where(
    of(schema.message),
    _MESSAGE.depth == bind(_MESSAGE.depth) + 1,
    or_(is_(_MESSAGE.segment), _MESSAGE.segment.in_(_FORKED)),
)
_ADD_TO_PATH = (
    update(schema.message)
    .where(of(schema.message), is_(_MESSAGE.segment), _MESSAGE.depth >= bind(_MESSAGE.depth))
    .values(path_tokens=_MESSAGE.path_tokens + number("added"))
)
