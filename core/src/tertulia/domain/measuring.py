"""
How large an attachment is, as its first bytes say: pixels, seconds, pages.

Nothing here decodes a file: a header is read, and what it does not say is not known.
"""

from __future__ import annotations

import re
from itertools import islice
from struct import error as StructError  # noqa: N812  # it is one
from struct import unpack_from
from typing import TypeAlias

_MOST_PIXELS = 2**16 - 1  # of a side, as JPEG, GIF and most decoders have it: a PNG may say billions
_MOST_SECONDS = 100 * 3600.0
_LEAST_BYTES = 25  # of a second, beyond the first minute: a header that says less is wrong

Size: TypeAlias = tuple[int, int]
"""Pixels across and down."""


def measure_image(data: bytes) -> Size | None:
    """
    Read how many pixels a PNG, JPEG, GIF or WebP is across and down; None for what is none, or is cut off.

    Example:
        >>> measure_image(b"GIF89a" + bytes([64, 1, 240, 0]))
        (320, 240)
    """
    try:
        size = _read_size(data)
    except StructError:
        return None
    return size if size is not None and 0 < min(size) and max(size) <= _MOST_PIXELS else None


def _read_size(data: bytes) -> Size | None:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = unpack_from(">II", data, 16)
        return width, height
    if data.startswith((b"GIF87a", b"GIF89a")):
        width, height = unpack_from("<HH", data, 6)
        return width, height
    if data.startswith(b"\xff\xd8"):
        return _read_jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _read_webp(data)
    return None


_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # of which three are tables


_MOST_SEGMENTS = 1_000  # before the picture begins: a file of nothing but padding is none


def _read_jpeg(data: bytes) -> Size | None:
    """Walk from segment to segment to the one that begins the picture."""
    place = 2
    for _ in range(_MOST_SEGMENTS):
        if place + 4 > len(data) or data[place] != 0xFF:
            break
        marker = data[place + 1]
        if marker == 0xFF:  # padding
            place += 1
        elif marker in _FRAMES:
            height, width = unpack_from(">HH", data, place + 5)
            return width, height
        else:
            place += 2 + max(2, unpack_from(">H", data, place + 2)[0])
    return None


def _read_webp(data: bytes) -> Size | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and len(data) >= 30:
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    return None


def measure_seconds(data: bytes) -> float | None:
    """Read how long a WAV, FLAC, MP3, MP4 or MOV lasts; None for what is none, or does not say."""
    try:
        seconds = _read_seconds(data)
    except StructError:
        return None
    if seconds is None or not 0 < seconds <= min(_MOST_SECONDS, 60 + len(data) / _LEAST_BYTES):
        return None
    return seconds


def _read_seconds(data: bytes) -> float | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return _read_wav(data)
    if data.startswith(b"fLaC"):
        return _read_flac(data)
    if data[4:8] == b"ftyp":
        return _read_mp4(data)
    return _read_mp3(data)


def _read_wav(data: bytes) -> float | None:
    fmt = data.find(b"fmt ", 12, 4096)
    if fmt < 0:
        return None
    (bytes_per_second,) = unpack_from("<I", data, fmt + 16)
    return max(0, len(data) - 44) / bytes_per_second if bytes_per_second else None


def _read_flac(data: bytes) -> float | None:
    """Twenty bits of samples a second and 36 of samples, side by side in the first block."""
    (bits,) = unpack_from(">Q", data, 18)
    rate, samples = bits >> 44, bits & (1 << 36) - 1
    return samples / rate if rate and samples else None


def _read_mp4(data: bytes) -> float | None:
    place = data.find(b"mvhd")
    if place < 0:
        return None
    wide = unpack_from("B", data, place + 4)[0] == 1
    scale, duration = unpack_from(">IQ" if wide else ">II", data, place + (24 if wide else 16))
    return duration / scale if scale else None


# Kilobits a second by index, of layer III: version 1, and versions 2 and 2.5.
_MP3_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
)


def _read_mp3(data: bytes) -> float | None:
    """By the bit rate of the first frame, which in most files is that of all."""
    start = 0
    if data.startswith(b"ID3"):
        start = 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=False)
        )
    head = data[start : start + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    rates = _MP3_RATES[0 if head[1] & 0x18 == 0x18 else 1]
    kilobits = rates[head[2] >> 4]
    return (len(data) - start) / (kilobits * 125) if kilobits else None


_PAGE = re.compile(rb"/Type\s*/Page\b")
_COUNT = re.compile(rb"/Count\s+(\d{1,5})\b")
_FEW_PAGES = 100
_LEAST_PAGE = 10  # bytes of each beyond, compressed: a file that says it has more pages is wrong
_MOST_PAGES = 10_000  # ten times what any provider takes: a file of nothing but pages is none


def count_pages(data: bytes) -> int | None:
    """
    Count the pages of a PDF; None for what is none, or keeps its pages compressed.

    Example:
        >>> count_pages(b"%PDF-1.4 << /Type /Pages /Count 3 >>")
        3
    """
    if b"%PDF-" not in data[:1024]:
        return None
    pages = sum(1 for _ in islice(_PAGE.finditer(data), _MOST_PAGES))
    said = (int(found[1]) for found in islice(_COUNT.finditer(data), _MOST_PAGES))
    believed = (count for count in said if count <= _FEW_PAGES + len(data) // _LEAST_PAGE)
    return pages or max(believed, default=None) or None
