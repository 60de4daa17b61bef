"""What is attached to a message besides words: pictures, documents, sound and film."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import attrs


@attrs.frozen
class OpaqueState:
    """
    What a provider wants back unchanged, and nobody else may see.

    Examples: an encrypted reasoning item, a thought signature.

    Attributes:
        provider: The configured name of the provider that wrote it, and gets it back.

        value: The provider's own JSON, unchanged.
    """

    provider: str
    value: Any


@attrs.frozen
class ProviderFile:
    """
    A file that was uploaded to one provider, and that no other can read.

    Attributes:
        provider: The configured name of the provider that has it.

        id: What the provider calls it: ``file-…``, or an address of its own.
    """

    provider: str
    id: str

    def __str__(self) -> str:
        return f"file {self.id} at {self.provider}"


def _size(data: bytes | None) -> str:
    return "None" if data is None else f"{len(data):,} bytes"


@attrs.frozen
class Image:
    """
    A picture.

    Like everything that is attached it is its bytes, or the address where a provider finds it, or a file
    that was uploaded to one provider before: exactly one of ``data``, ``url`` and ``file`` is set.
    :func:`tertulia.load_attachment` makes one of a path.

    Attributes:
        data: The file as it is; None where it is elsewhere.

        media_type: What it is, such as ``image/png``; None where nobody knows.

        url: ``https://…``; the core does not fetch it on its own. None where it is not at an address.

        file: A provider's own copy; None where there is none.

        detail: How closely the model is to look, and so how many tokens it takes; None to leave it to the
            provider.

        opaque: As with every part.
    """

    data: bytes | None = attrs.field(default=None, repr=_size)
    media_type: str | None = None
    url: str | None = None
    file: ProviderFile | None = None
    detail: Literal["low", "high", "original", "auto"] | None = None
    opaque: OpaqueState | None = None

    def __attrs_post_init__(self) -> None:
        _check_source(self)

    def __str__(self) -> str:
        return _describe(self, "image")


@attrs.frozen
class Document:
    """
    A document: a PDF, or a text in any format; see :class:`Image` for where it may be.

    Attributes:
        name: What the file is called; None when nobody says. Models are told it, and so are people.
    """

    data: bytes | None = attrs.field(default=None, repr=_size)
    media_type: str | None = None
    url: str | None = None
    file: ProviderFile | None = None
    name: str | None = None
    opaque: OpaqueState | None = None

    def __attrs_post_init__(self) -> None:
        _check_source(self)

    def __str__(self) -> str:
        return _describe(self, "document")


@attrs.frozen
class Audio:
    """Something to listen to; see :class:`Image` for where it may be."""

    data: bytes | None = attrs.field(default=None, repr=_size)
    media_type: str | None = None
    url: str | None = None
    file: ProviderFile | None = None
    opaque: OpaqueState | None = None

    def __attrs_post_init__(self) -> None:
        _check_source(self)

    def __str__(self) -> str:
        return _describe(self, "audio")


@attrs.frozen
class Video:
    """A film; see :class:`Image` for where it may be."""

    data: bytes | None = attrs.field(default=None, repr=_size)
    media_type: str | None = None
    url: str | None = None
    file: ProviderFile | None = None
    opaque: OpaqueState | None = None

    def __attrs_post_init__(self) -> None:
        _check_source(self)

    def __str__(self) -> str:
        return _describe(self, "video")


Media: TypeAlias = Image | Document | Audio | Video
"""Anything that can be attached to a message."""


def _check_source(part: Media) -> None:
    if sum(source is not None for source in (part.data, part.url, part.file)) != 1:
        raise ValueError(f"{type(part).__name__} has exactly one of data, url and file")


def _describe(part: Media, kind: str) -> str:
    name = part.name if isinstance(part, Document) else None
    what = " ".join(filter(None, (part.media_type or kind, name)))
    if part.data is not None:
        return f"[{what}, {_size(part.data)}]"
    return f"[{what} at {part.url}]" if part.file is None else f"[{what}, {part.file}]"


_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
)
_HEIF_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis"), "image/heic"),
    **dict.fromkeys((b"mif1", b"msf1", b"heif"), "image/heif"),
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
}


def detect_image_type(data: bytes) -> str | None:
    """
    Tell an image's type from its first bytes, whatever its file is called; None when it is none we know.

    Example:
        >>> detect_image_type(b"GIF89a...")
        'image/gif'
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp":
        return _HEIF_BRANDS.get(data[8:12])
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)
