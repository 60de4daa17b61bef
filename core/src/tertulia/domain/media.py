"""What is attached to a message besides words: pictures, documents, sound and film."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Literal, TypeAlias

import attrs

from tertulia.errors import AttachmentError


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
        raise AttachmentError(
            f"{type(part).__name__} has exactly one of data, url and file",
            next_step="give its bytes, its address or an uploaded file; load_attachment() takes a path",
        )


def _describe(part: Media, kind: str) -> str:
    name = part.name if isinstance(part, Document) else None
    what = " ".join(filter(None, (part.media_type or kind, name)))
    if part.url is not None:
        return f"[{what} at {hide_query(part.url)}]"
    return f"[{what}, {_size(part.data) if part.file is None else part.file}]"


def hide_query(url: str) -> str:
    """An address as people and models may see it: what follows its ``?`` is often a signature, and secret."""
    shown = re.sub(r"(?<=//)[^/?#]*@", "", re.split("[?#]", url, maxsplit=1)[0])
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"


def clean_name(name: str) -> str | None:
    """
    Make a file's name one that is safe to show, to send and to save under; None when nothing is left of it.

    Folders are cut off, and so is whatever cannot be seen: control characters, and marks that turn the
    direction of the text, behind which ``exe.txt`` may be a ``txt.exe``.

    Example:
        >>> clean_name("../../etc/passwd")
        'passwd'
    """
    last = re.split(r"[/\\]", name)[-1]
    seen = "".join(
        letter for letter in last if letter.isspace() or unicodedata.category(letter) not in _UNSEEN
    )
    plain = " ".join(seen.split()).strip(". ")
    if len(plain) > _LONGEST_NAME:
        stem, dot, extension = plain.rpartition(".")
        end = f"{dot}{extension}" if stem and len(extension) <= _LONGEST_EXTENSION else ""
        plain = plain[: _LONGEST_NAME - len(end)].rstrip(". ") + end
    return plain or None


_LONGEST_SHOWN = 200
_LONGEST_NAME = 100
_LONGEST_EXTENSION = 10
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
