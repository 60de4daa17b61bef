"""
Wire formats as pure functions, for authors of drivers.

No module here does I/O: bytes and JSON go in, values come out. A format that only one package speaks
lives in that package.
"""

from tertulia.wire.protocol import (
    ErrorAnswer,
    ErrorBody,
    ErrorRule,
    ErrorRules,
    Json,
    Rendered,
    StreamReader,
    classify,
    parse_error_body,
    parse_retry_after,
    read_count,
    read_list,
    read_object,
    read_text,
    read_texts,
    subtract_known,
)
from tertulia.wire.sse import ServerSentEvent, ServerSentEvents

__all__ = [
    "ErrorAnswer",
    "ErrorBody",
    "ErrorRule",
    "ErrorRules",
    "Json",
    "Rendered",
    "ServerSentEvent",
    "ServerSentEvents",
    "StreamReader",
    "classify",
    "parse_error_body",
    "parse_retry_after",
    "read_count",
    "read_list",
    "read_object",
    "read_text",
    "read_texts",
    "subtract_known",
]
