"""The catalogue of models: a row for each that a provider's list has ever named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tertulia.builtin.sql import statements
from tertulia.builtin.sql.database import Database, Row
from tertulia.domain.catalogue import ModelChanges, compare_models
from tertulia.domain.model import ModelInfo
from tertulia.runtime.serialization import decode_model, encode_model


def replace_models(
    database: Database, owner: str, provider: str, models: Sequence[ModelInfo], at: datetime
) -> ModelChanges:
    """Take over a provider's list; what it leaves as it is, is not written."""
    changes = compare_models(get_models(database, owner, provider), models, at)
    keys = {"owner_id": owner, "provider": provider}
    for info in changes.added:
        database.run(statements.ADD_MODEL, {**keys, **_render_model(info)})
    for info in (*(change.after for change in changes.changed), *changes.gone):
        database.run(statements.UPDATE_MODEL, {**keys, **_render_model(info)})
    return changes


def get_models(database: Database, owner: str, provider: str | None) -> list[ModelInfo]:
    """The models of one provider, or of all."""
    if provider is None:
        rows = database.all(statements.GET_ALL_MODELS, {"owner_id": owner})
    else:
        rows = database.all(statements.GET_MODELS, {"owner_id": owner, "provider": provider})
    return [_parse_model(row) for row in rows]


def _render_model(info: ModelInfo) -> Row:
    return {"id": info.id, "facts": encode_model(info).decode()}


def _parse_model(row: Row) -> ModelInfo:
    return decode_model(row["facts"], row["provider"], row["id"])
