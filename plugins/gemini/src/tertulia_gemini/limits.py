"""
Which attachments Gemini takes. Source: Google's pages on images, documents, audio and video (read 2026-11).

An address may be any on the public web, or one of a video at YouTube; a file, one of the Files API.
"""

from __future__ import annotations

from tertulia import MediaLimits

_MIB = 2**20
_INLINE = 100 * _MIB


def _limits(kind: str, names: str, *more: str, max_bytes: int | None = None) -> MediaLimits:
    types = frozenset({*(f"{kind}/{name}" for name in names.split()), *more})
    return MediaLimits(types, max_bytes=max_bytes, max_total_bytes=_INLINE, urls=True, files=True)


IMAGES = _limits("image", "png jpeg webp heic heif")

DOCUMENTS = _limits(
    "text",
    "plain html css markdown csv xml rtf javascript",
    "application/pdf",
    "application/json",
    "application/xml",
    "application/rtf",
    max_bytes=50 * _MIB,
)
"""A PDF is looked at, page by page; of the others only the words are read."""

AUDIO = _limits("audio", "wav x-wav mp3 mpeg aiff x-aiff aac ogg flac x-flac")

VIDEO = _limits("video", "mp4 mpeg mpg mpegs quicktime mov avi x-msvideo x-flv webm wmv x-ms-wmv 3gpp")
