"""
Wire formats as pure functions, for authors of drivers.

No module here does I/O: bytes and JSON go in, values come out. A format that only one package speaks
lives in that package.
"""

from tertulia.domain.media_type import guess_media_type
from tertulia.wire.errors import (
    ErrorAnswer,
    ErrorBody,
    ErrorRule,
    ErrorRules,
    classify,
    parse_error_body,
    parse_retry_after,
)
from tertulia.wire.kept import KeptRenderings
from tertulia.wire.protocol import (
    Json,
    LeftOut,
    Rendered,
    StreamEnd,
    StreamReader,
    Wire,
    merge_extra,
    read_count,
    read_list,
    read_object,
    read_text,
    read_texts,
    render_base64,
    render_media_url,
    subtract_known,
)
from tertulia.wire.sse import ServerSentEvent, ServerSentEvents

__all__ = [
    "ErrorAnswer",
    "ErrorBody",
    "ErrorRule",
    "ErrorRules",
    "Json",
    "KeptRenderings",
    "LeftOut",
    "Rendered",
    "ServerSentEvent",
    "ServerSentEvents",
    "StreamEnd",
    "StreamReader",
    "Wire",
    "classify",
    "guess_media_type",
    "merge_extra",
    "parse_error_body",
    "parse_retry_after",
    "read_count",
    "read_list",
    "read_object",
    "read_text",
    "read_texts",
    "render_base64",
    "render_media_url",
    "subtract_known",
]
