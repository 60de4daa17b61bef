"""What both forms of the log of ``llm`` have in common."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from tertulia.domain.media import Audio, Document, Image, Media, Video
from tertulia.domain.message import Part, Text
from tertulia.domain.usage import Usage
from tertulia.services.transfer.fields import FormatError
from tertulia.services.transfer.files import read_json
from tertulia.services.transfer.foreign import read_moment
from tertulia.wire.protocol import Json

SOURCE = "llm"
_MOST_TOKENS = 10**12
_MOST_MILLISECONDS = 10**12
_KINDS: Mapping[str, type[Media]] = MappingProxyType({"image": Image, "audio": Audio, "video": Video})


def get_text(row: sqlite3.Row, name: str) -> str | None:
    """A column that is a text; None for anything else, and where there is no such column."""
    value: object = row[name] if name in row.keys() else None  # noqa: SIM118  # a row is no mapping
    return value if isinstance(value, str) else None


def get_number(row: sqlite3.Row, name: str, most: int) -> int | None:
    """A column that is a count; None for anything else."""
    value: object = row[name] if name in row.keys() else None  # noqa: SIM118  # a row is no mapping
    return value if isinstance(value, int) and 0 <= value <= most else None


def get_object(row: sqlite3.Row, name: str) -> Json:
    """A column that holds a JSON object; an empty one for anything else."""
    text = get_text(row, name)
    try:
        return read_json(text.encode("utf-8", "replace")) if text else {}
    except FormatError:
        return {}


def get_moment(row: sqlite3.Row, name: str = "datetime_utc") -> datetime | None:
    """A column that is a moment in UTC."""
    return read_moment(get_text(row, name))


def get_usage(row: sqlite3.Row) -> Usage:
    """
    The tokens of an answer, as far as they are known.

    How many of them were cached or were thoughts it does not say in one way for all models.
    """
    return Usage(
        input_tokens=get_number(row, "input_tokens", _MOST_TOKENS),
        output_tokens=get_number(row, "output_tokens", _MOST_TOKENS),
    )


def get_latency_seconds(row: sqlite3.Row) -> float | None:
    """How long an answer took."""
    milliseconds = get_number(row, "duration_ms", _MOST_MILLISECONDS)
    return None if milliseconds is None else milliseconds / 1000


def make_attachment(row: sqlite3.Row) -> Part:
    """
    What was attached, where the log has it or says at which address it is.

    A path is of a file somewhere: whoever made the log must not choose what is read here.
    """
    media_type = get_text(row, "type")
    kind = _KINDS.get((media_type or "").split("/")[0], Document)
    content: object = row["content"]
    if isinstance(content, bytes) and content:
        return kind(data=content, media_type=media_type)
    url = get_text(row, "url") or ""
    if url.startswith(("https://", "http://")):
        return kind(url=url, media_type=media_type)
    return Text(
        f"[{media_type or 'attachment'} that is not in the log: {(get_text(row, 'path') or '')[:200]}]"
    )
