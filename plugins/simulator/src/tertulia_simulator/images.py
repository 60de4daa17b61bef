"""Images as a service sees them: told apart by their content, measured by their headers."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from struct import error, unpack_from


@dataclass(frozen=True)
class SentImage:
    """
    An image that was sent.

    Two are equal that have the same type, size and address, whatever they measure.

    Attributes:
        media_type: What its content is, whatever was claimed; None for an unknown one, or an address alone.
        size: Its bytes; None where only an address came.
        url: Its address, where that is all that came.
        pixels: Its width and height, where the header tells them.
    """

    media_type: str | None = None
    size: int | None = None
    url: str | None = None
    pixels: tuple[int, int] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        if self.size is None:
            return f"an image at {self.url}" if self.url else "an image"
        kind = f"a {NAMES[self.media_type]} image" if self.media_type else "an image"
        size = f"{self.size:,} byte" if self.size == 1 else f"{self.size:,} bytes"
        times = " \N{MULTIPLICATION SIGN} "
        measures = f", {times.join(format(side, ',') for side in self.pixels)} pixels" if self.pixels else ""
        return f"{kind} of {size}{measures}"


def identify(content: bytes) -> SentImage:
    """Tell what an image is, and its measures where they are cheap to read."""
    for media_type, pattern in SIGNATURES.items():
        if pattern.match(content):
            return SentImage(media_type, len(content), pixels=measure(content, media_type))
    return SentImage(None, len(content))


def read_address(address: object) -> SentImage:
    """Read where an image is: what a data URL holds, or the URL it would be fetched from."""
    url = address if isinstance(address, str) else ""
    if not url.startswith("data:"):
        return SentImage(url=url or None)
    return identify(decode(url.partition(",")[2]) or b"")


def decode(text: str) -> bytes | None:
    """Decode base64 as strictly as the services do; None where it is none."""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def measure(content: bytes, media_type: str) -> tuple[int, int] | None:
    """Read the width and the height; None where the header does not tell, or is cut."""
    try:
        return MEASURES[media_type](content) if media_type in MEASURES else None
    except (error, IndexError):
        return None


def _measure_png(content: bytes) -> tuple[int, int]:
    return unpack_from(">II", content, 16)


def _measure_gif(content: bytes) -> tuple[int, int]:
    return unpack_from("<HH", content, 6)


def _measure_jpeg(content: bytes) -> tuple[int, int] | None:
    place = 2
    while content[place] == 0xFF:
        marker, length = content[place + 1], unpack_from(">H", content, place + 2)[0]
        # A frame starts with C0 to CF, of which three are tables.
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = unpack_from(">HH", content, place + 5)
            return width, height
        place += 2 + length
    return None


def _measure_webp(content: bytes) -> tuple[int, int] | None:
    match content[12:16]:
        case b"VP8 ":
            width, height = unpack_from("<HH", content, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = unpack_from("<I", content, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            low_width, high_width, low_height, high_height = unpack_from("<HBHB", content, 24)
            return (high_width << 16 | low_width) + 1, (high_height << 16 | low_height) + 1
        case _:
            return None


NAMES = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WebP",
    "image/heic": "HEIC",
    "image/heif": "HEIF",
}
SIGNATURES = {
    "image/png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "image/jpeg": re.compile(rb"\xff\xd8\xff"),
    "image/gif": re.compile(rb"GIF8[79]a"),
    "image/webp": re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
    "image/heic": re.compile(rb".{4}ftyphe[iv][cx]", re.DOTALL),
    "image/heif": re.compile(rb".{4}ftypm(?:if|sf)1", re.DOTALL),
}
MEASURES: dict[str, Callable[[bytes], tuple[int, int] | None]] = {
    "image/png": _measure_png,
    "image/jpeg": _measure_jpeg,
    "image/gif": _measure_gif,
    "image/webp": _measure_webp,
}
