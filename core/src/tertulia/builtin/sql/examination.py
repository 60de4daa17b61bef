"""
One conversation examined: whether it can be read, is a tree, and adds up.

It is read as a stream, page by page: a conversation of any length is examined in the memory of one page. A
segment's messages follow one another, so that each has only to be held against the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import attrs
from sqlalchemy import exists, select, tuple_

from tertulia.builtin.sql import recount, schema, search, statements
from tertulia.builtin.sql.binding import Selection, bind, is_, number, of
from tertulia.builtin.sql.column_types import moment_of
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.findings import RECOUNT, REINDEX, RESTORE, Findings, is_fault_of_a_row
from tertulia.builtin.sql.recount import PAGE, sums_of
from tertulia.builtin.sql.rows import parse_attempt, parse_branch, parse_conversation, parse_message
from tertulia.builtin.sql.tree import path_cost
from tertulia.domain.conversation import AttemptPurpose
from tertulia.domain.usage import CostTotal
from tertulia.runtime.serialization import Find, has_kept_bytes

_MESSAGE = schema.message.c
_SEGMENT = schema.segment.c
_ATTEMPT = schema.attempt.c
_BLOB = schema.blob.c
_MESSAGE_BLOB = schema.message_blob.c
_PLACE = (_MESSAGE.segment, _MESSAGE.depth)


def _page(*columns: Any) -> tuple[Selection, Selection]:
    """The first messages of a conversation, and those after a place, segment by segment."""
    first = select(*columns).where(of(schema.message)).order_by(*_PLACE).limit(number("limit"))
    return first, first.where(tuple_(*_PLACE) > tuple_(*map(bind, _PLACE)))


_MESSAGES = _page(schema.message)
_PLACE_COLUMNS = (_MESSAGE.id, *_PLACE)
_PLACES = _page(*_PLACE_COLUMNS)
_GET_MESSAGE: Selection = select(schema.message).where(of(schema.message), is_(_MESSAGE.id, "message_id"))
_FIND_SEGMENTS = select(_SEGMENT.id, _SEGMENT.parent_segment, _SEGMENT.fork_depth).where(of(schema.segment))
_FIND_ATTEMPTS = (
    select(schema.attempt)
    .where(of(schema.attempt), _ATTEMPT.sequence > bind(_ATTEMPT.sequence))
    .order_by(_ATTEMPT.sequence)
    .limit(number("limit"))
)
_FIND_STRAY_ATTEMPTS = (
    select(_ATTEMPT.id, _ATTEMPT.message_id)
    .where(
        of(schema.attempt),
        _ATTEMPT.purpose == AttemptPurpose.ANSWER.value,
        ~exists().where(
            _MESSAGE.owner_id == _ATTEMPT.owner_id,
            _MESSAGE.conversation_id == _ATTEMPT.conversation_id,
            _MESSAGE.id == _ATTEMPT.message_id,
        ),
    )
    .limit(number("limit"))
)
_FIND_KEPT = (
    select(_MESSAGE_BLOB.sha256)
    .join(
        schema.blob,
        (_BLOB.owner_id == _MESSAGE_BLOB.owner_id) & (_BLOB.sha256 == _MESSAGE_BLOB.sha256),
    )
    .where(of(schema.message_blob), is_(_MESSAGE_BLOB.message_id))
)
_LONG_AGO = moment_of(0)


def examine_conversation(database: Database, keys: Values) -> Findings:
    """Look at everything of a conversation; nothing of it is too broken to be told of."""
    found = Findings(keys["owner_id"], keys["conversation_id"])
    found.counts["conversations"] += 1
    with found.reading("the conversation"):
        _examine_record(database, keys, found)
    with found.reading("its messages"):
        _examine_messages(database, keys, found)
    with found.reading("its branches"):
        _examine_branches(database, keys, found)
    with found.reading("its attempts"):
        _examine_attempts(database, keys, found)
    if not any(problem.kind == "damaged" for problem in found.problems):
        _examine_index(database, keys, found)
    return found


def _examine_record(database: Database, keys: Values, found: Findings) -> None:
    row = database.first(statements.GET_CONVERSATION, keys)
    if row is None:
        found.add("tree", "the active branch is not there", "make another branch the active one")
        return
    parse_conversation(row)
    with found.reading("what it counts"):
        counted = recount.recount(database, keys)
        if not counted.agrees(row):
            wrong = [
                f"{name} is {row[name]} and should be {counted.counters[name]}"
                for name in recount.COUNTERS
                if row[name] != counted.counters[name]
            ]
            found.add("counters", ", ".join(wrong), RECOUNT)
    for target in recount.find_missing_targets(database, keys):
        name = f"{target['provider']}/{target['model']}"
        found.add("references", f"it is not found by {name}, which was asked in it", RECOUNT)


@attrs.define
class _Walk:
    """
    Where the reading of messages is: the segment, and the message before.

    Attributes:
        previous: None where there is none, or it cannot be read.
    """

    segments: dict[UUID, Row]
    segment: UUID | None = None
    previous: Row | None = None


def _examine_messages(database: Database, keys: Values, found: Findings) -> None:
    walk = _Walk({row["id"]: row for row in database.all(_FIND_SEGMENTS, keys)})
    for segment in walk.segments.values():
        _examine_segment(segment, walk, found)
    for row in _find_messages(database, keys, found):
        found.counts["messages"] += 1
        is_readable = len(row) > len(_PLACE_COLUMNS)
        if is_readable:
            with found.reading("message", row["id"]):
                parse_message(row, _make_finder(database, keys, row, found))
                _examine_place(database, keys, row, walk, found)
        walk.segment, walk.previous = row["segment"], row if is_readable else None


def _examine_segment(segment: Row, walk: _Walk, found: Findings) -> None:
    parent, fork_depth = segment["parent_segment"], segment["fork_depth"]
    if (parent is None) != (fork_depth is None) or (parent is not None and parent not in walk.segments):
        found.add("tree", f"segment {segment['id']} goes on from one that is not there", RESTORE)


def _examine_place(database: Database, keys: Values, row: Row, walk: _Walk, found: Findings) -> None:
    """Hold a message against the one it follows."""
    begins = walk.segment != row["segment"]
    if begins:
        before = _examine_beginning(database, keys, row, walk, found)
    elif walk.previous is not None:
        before = walk.previous
        follows = (before["id"], before["depth"] + 1) == (row["parent_id"], row["depth"])
        if not follows:
            found.add("tree", f"message {row['id']} does not follow the one above it", RESTORE)
    else:
        return
    expected, stored = sums_of(before).add(row), sums_of(row)
    if expected.cost != stored.cost:
        found.add("counters", f"what the path to message {row['id']} costs is wrong", RECOUNT)
    if expected.end != stored.end:
        found.add("counters", f"how many tokens the path to message {row['id']} has is wrong", RECOUNT)


def _examine_beginning(
    database: Database, keys: Values, row: Row, walk: _Walk, found: Findings
) -> Row | None:
    """Hold the first message of a segment against where that was forked, and return its parent."""
    name, parent_id = f"message {row['id']}", row["parent_id"]
    segment = walk.segments.get(row["segment"])
    if segment is None:
        found.add("tree", f"{name} stands on a segment that is not there", RESTORE)
        return None
    place = database.first(statements.GET_PLACE, {**keys, "message_id": parent_id}) if parent_id else None
    if parent_id is not None and place is None:
        found.add("tree", f"the parent of {name} is not there", RESTORE)
    elif place is None:
        if row["depth"] != 0 or segment["parent_segment"] is not None:
            found.add("tree", f"{name} has no parent and stands at depth {row['depth']}", RESTORE)
    elif (place["segment"], place["depth"]) != (segment["parent_segment"], row["depth"] - 1) or (
        segment["fork_depth"] != place["depth"]
    ):
        found.add("tree", f"{name} does not stand below its parent", RESTORE)
    return place


def _find_messages(database: Database, keys: Values, found: Findings) -> Iterator[Row]:
    """Every message by segment and depth; of one that cannot be read only its place."""
    place: Row = {}
    while rows := _read_page(database, {**keys, **place, "limit": PAGE}, found):
        yield from rows
        place = {column.name: rows[-1][column.name] for column in _PLACE}


def _read_page(database: Database, values: Values, found: Findings) -> list[Row]:
    """The messages after a place, if one is given; one that cannot be read is named."""
    page = int("depth" in values)
    try:
        return database.all(_MESSAGES[page], values)
    except Exception as error:
        if not is_fault_of_a_row(error):
            raise
        places = database.all(_PLACES[page], values)
    rows: list[Row] = []
    for place in places:
        row: Row | None = None
        with found.reading("message", place["id"]):
            row = database.first(_GET_MESSAGE, {**values, "message_id": place["id"]})
        rows.append(row or place)
    return rows


def _make_finder(database: Database, keys: Values, row: Row, found: Findings) -> Find:
    """Find out whether bytes that a message names are kept with it; what they are is examined elsewhere."""
    kept: set[str] = set()
    if row["parts"] is not None and has_kept_bytes(row["parts"]):
        rows = database.all(_FIND_KEPT, {**keys, "message_id": row["id"]})
        kept = {each["sha256"].hex() for each in rows}

    def find(name: str) -> bytes:
        if name not in kept:
            what = f"the attachment {name} of message {row['id']} is missing"
            found.add("attachments", what, "restore a copy of the database")
        return b""

    return find


def _examine_branches(database: Database, keys: Values, found: Findings) -> None:
    for row in database.all(statements.FIND_BRANCHES, keys):
        with found.reading(f"branch {row['name']!r}"):
            parse_branch(row)
            _examine_head(database, keys, row, found)


def _examine_head(database: Database, keys: Values, row: Row, found: Findings) -> None:
    name, head_id = f"branch {row['name']!r}", row["head_id"]
    place = database.first(statements.GET_PLACE, {**keys, "message_id": head_id}) if head_id else None
    if head_id is None:
        if row["head_depth"] != -1:
            found.add("tree", f"{name} has no head and yet a length", RESTORE)
    elif place is None:
        found.add("tree", f"{name} ends with message {head_id}, which is not there", RESTORE)
    elif (place["segment"], place["depth"]) != (row["segment"], row["head_depth"]):
        found.add("tree", f"{name} ends with message {head_id}, which stands elsewhere", RESTORE)
    if path_cost(row) != (CostTotal() if place is None else path_cost(place)):
        found.add("counters", f"what {name} costs is wrong", RECOUNT)


def _examine_attempts(database: Database, keys: Values, found: Findings) -> None:
    sequence = -1
    while rows := database.all(_FIND_ATTEMPTS, {**keys, "sequence": sequence, "limit": PAGE}):
        found.counts["attempts"] += len(rows)
        for row in rows:
            with found.reading("attempt", row["id"]):
                parse_attempt(row, _LONG_AGO)
        sequence = rows[-1]["sequence"]
    for row in database.all(_FIND_STRAY_ATTEMPTS, {**keys, "limit": PAGE}):
        what = f"attempt {row['id']} is to answer message {row['message_id']}, which is not there"
        found.add("references", what, RESTORE)


def _examine_index(database: Database, keys: Values, found: Findings) -> None:
    missing, strange = search.count_wrong(database, keys)
    if missing:
        found.add("search", f"{missing} texts are not found by their words", REINDEX)
    if strange:
        found.add("search", f"{strange} texts are found that are not there", REINDEX)
