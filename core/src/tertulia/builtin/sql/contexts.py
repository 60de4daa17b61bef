"""How contexts are chosen, summaries, and what was learned of how models count."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import attrs
from sqlalchemy import delete, insert, literal, select, update

from tertulia.builtin.sql import paths, schema, statements
from tertulia.builtin.sql.binding import bind, is_, of, of_conversation
from tertulia.builtin.sql.branches import explain_no_message
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.rows import render_options
from tertulia.builtin.sql.tree import explain_no_conversation, get_branch, refuse_deleted
from tertulia.domain.context import ContextOptions, Summary
from tertulia.domain.tokens import CalibrationRecord
from tertulia.runtime.serialization import encode_json

_CONVERSATION = schema.conversation.c
_MESSAGE = schema.message.c
_SUMMARY = schema.summary.c
_CALIBRATION = schema.calibration.c
_NAMES = ("provider", "model", "has_media")


def update_options(database: Database, keys: Values, options: ContextOptions, at: datetime) -> None:
    """Keep how the contexts of a conversation are chosen."""
    refuse_deleted(database, keys)
    database.run(_UPDATE_OPTIONS, {**keys, "context": render_options(options), "updated_at": at})


def get_calibrations(database: Database, owner: str) -> list[CalibrationRecord]:
    """What was learned, by provider and model."""
    rows = database.all(_GET_CALIBRATIONS, {"owner_id": owner})
    return [_parse_calibration(row) for row in rows]


def save_calibrations(database: Database, owner: str, records: Sequence[CalibrationRecord]) -> None:
    """Keep what was learned; of two of the same name the last one."""
    rows = {attrs.astuple(each, filter=_is_name): _render_calibration(owner, each) for each in records}
    for _, row in sorted(rows.items()):  # in one order, so that nobody waits for each other
        if database.run(_UPDATE_CALIBRATION, row) == 0:
            database.run(_ADD_CALIBRATION, row)


def add_summary(database: Database, keys: Values, summary: Summary) -> None:
    """Keep a summary; one of the same kind up to the same message is replaced."""
    values = {**keys, **attrs.asdict(summary)}
    if database.first(statements.GET_STATE, keys) is None:
        raise explain_no_conversation(keys["conversation_id"])
    if database.first(statements.GET_PLACE, values) is None:
        raise explain_no_message(keys["conversation_id"], summary.message_id)
    database.run(_REMOVE_SUMMARY, values)
    database.run(_ADD_SUMMARY, values)


def find_summary(
    database: Database, keys: Values, branch: str, kind: str, *, before_depth: int
) -> Summary | None:
    """The summary of a kind that covers most of a branch before a depth."""
    row = database.first(_FIND_SUMMARY, paths.make_values(keys, branch, before_depth) | {"kind": kind})
    if row is None:
        get_branch(database, keys, branch)
        return None
    return Summary(**row)


def _is_name(field: attrs.Attribute[object], _: object) -> bool:
    return field.name in _NAMES


def _render_calibration(owner: str, record: CalibrationRecord) -> Row:
    facts = attrs.asdict(record)
    named = {name: facts.pop(name) for name in _NAMES}
    return {"owner_id": owner, **named, "facts": encode_json(facts).decode()}


def _parse_calibration(row: Row) -> CalibrationRecord:
    named = {"provider": row["provider"], "model": row["model"], "has_media": bool(row["has_media"])}
    return CalibrationRecord(**named, **json.loads(row["facts"]))


_UPDATE_OPTIONS = (
    update(schema.conversation)
    .where(of_conversation())
    .values(context=bind(_CONVERSATION.context), updated_at=bind(_CONVERSATION.updated_at))
)
_GET_CALIBRATIONS = (
    select(_CALIBRATION.provider, _CALIBRATION.model, _CALIBRATION.has_media, _CALIBRATION.facts)
    .where(is_(_CALIBRATION.owner_id))
    .order_by(_CALIBRATION.provider, _CALIBRATION.model, _CALIBRATION.has_media)
)
_ADD_CALIBRATION = insert(schema.calibration).values({column.name: bind(column) for column in _CALIBRATION})
_UPDATE_CALIBRATION = (
    update(schema.calibration)
    .where(is_(_CALIBRATION.owner_id), *(is_(_CALIBRATION[name]) for name in _NAMES))
    .values(facts=bind(_CALIBRATION.facts))
)
_ADD_SUMMARY = insert(schema.summary).values({column.name: bind(column) for column in _SUMMARY})
_REMOVE_SUMMARY = delete(schema.summary).where(
    of(schema.summary), is_(_SUMMARY.kind), is_(_SUMMARY.message_id)
)
_FIND_SUMMARY = (
    select(
        _SUMMARY.message_id,
        _MESSAGE.depth,
        _SUMMARY.kind,
        _SUMMARY.text,
        _SUMMARY.tokens,
        _SUMMARY.created_at,
    )
    .join(schema.message, (_MESSAGE.id == _SUMMARY.message_id) & of(schema.message))
    .join(statements.PATH, statements.ON_PATH)
    .where(of(schema.summary), is_(_SUMMARY.kind))
    .order_by(_MESSAGE.depth.desc())
    .limit(literal(1))
)
