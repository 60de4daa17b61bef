"""
Which attachments OpenAI takes.

Documented are 512 MB a request; what is enforced is 50 MB of images. A document has 50 MB of its own.
"""

from __future__ import annotations

from tertulia import MediaLimits

_MEBIBYTE = 2**20
_OFFICE = "application/vnd.openxmlformats-officedocument"

IMAGES = MediaLimits(
    frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"}),
    max_total_bytes=50 * _MEBIBYTE,
    urls=True,
    files=True,
)
"""Of GIF, only what does not move."""

DOCUMENTS = MediaLimits(
    frozenset(
        {
            "application/pdf",
            "application/json",
            "application/msword",
            "application/rtf",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            "application/vnd.oasis.opendocument.text",
            "application/xml",
            f"{_OFFICE}.presentationml.presentation",
            f"{_OFFICE}.spreadsheetml.sheet",
            f"{_OFFICE}.wordprocessingml.document",
            "text/css",
            "text/csv",
            "text/html",
            "text/javascript",
            "text/markdown",
            "text/plain",
            "text/rtf",
            "text/tab-separated-values",
            "text/x-python",
            "text/xml",
            "text/yaml",
        }
    ),
    max_bytes=50 * _MEBIBYTE,
    max_total_bytes=50 * _MEBIBYTE,
    urls=True,
    files=True,
)
"""Of all but PDF the model sees the words only."""

CHAT_DOCUMENTS = MediaLimits(
    frozenset({"application/pdf"}), max_bytes=50 * _MEBIBYTE, max_total_bytes=50 * _MEBIBYTE, files=True
)

AUDIO = MediaLimits(
    frozenset({"audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/mpeg", "audio/mp3"}),
    max_total_bytes=50 * _MEBIBYTE,
)
"""For the models that listen."""
