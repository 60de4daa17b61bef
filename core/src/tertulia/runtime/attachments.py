"""What is attached to a message: files, bytes and addresses become parts."""

from __future__ import annotations

import binascii
import os
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

import attrs

from tertulia.domain.media import Image, detect_image_type
from tertulia.errors import AttachmentError

Attachable: TypeAlias = Image | bytes | str | os.PathLike[str]
"""An image, its bytes, its path, or its address (``https://…``, ``data:…``)."""

LARGEST = 100 * 2**20
"""Bytes of one file: no service takes more in a request."""

_KNOWN = "PNG, JPEG, GIF, WebP, HEIC and HEIF are"


def load_images(attached: Attachable | Sequence[Attachable]) -> tuple[Image, ...]:
    """Load one attachment or several, in order; see :func:`load_image`."""
    if isinstance(attached, Sequence) and not isinstance(attached, bytes | bytearray | str):
        return tuple(load_image(each) for each in attached)
    return (load_image(attached),)


def load_image(source: Attachable) -> Image:
    """
    Make an image of a file, of bytes or of an address.

    A file is read here and now, and what it is is told from its content, whatever its name says. An address
    is not fetched: it goes as it is to providers that fetch it themselves.

    Args:
        source: A path, bytes, ``https://…`` or ``data:…``. An image is returned as it is.

    Raises:
        AttachmentError: It cannot be read, is empty, is larger than 100 MiB, or is no image.

    Example::

        await trip.send("What is this?", attach=[tertulia.load_image("photo.jpg")])
    """
    match source:
        case Image():
            return _check(source)
        case bytes():
            return _identify(source, "bytes")
        case str() if source.startswith(("https://", "http://")):
            return _check(Image(url=source))
        case str() if source.startswith("data:"):
            return _identify(_decode_data_url(source), "data URL")
        case str() | os.PathLike():
            path = Path(os.fsdecode(source))
            return _identify(_read(path), str(path))
        case _:
            raise AttachmentError(
                f"a {type(source).__name__} cannot be attached", next_step="give a path, bytes or an address"
            )


def _check(image: Image) -> Image:
    if image.data is not None:
        _check_size(image.data, "image")
        return image if image.media_type else attrs.evolve(image, media_type=_detect(image.data, "image"))
    if not _has_host(image.url or ""):
        raise AttachmentError(f"{image.url!r} is no address", source=image.url, next_step="check the address")
    return image


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _identify(data: bytes, source: str) -> Image:
    _check_size(data, source)
    return Image(data, _detect(data, source))


def _check_size(data: bytes, source: str) -> None:
    if not data:
        raise AttachmentError(
            f"{source} is empty, so there is nothing to attach",
            source=source,
            next_step="check where it is from",
        )
    if len(data) > LARGEST:
        raise _too_large(source, len(data))


def _detect(data: bytes, source: str) -> str:
    media_type = detect_image_type(data)
    if media_type is None:
        raise AttachmentError(
            f"{source} is not an image of a known type", source=source, next_step=f"{_KNOWN} understood"
        )
    return media_type


def _read(path: Path) -> bytes:
    try:
        status = path.stat()  # before it is opened: a pipe would wait for somebody to write
        if not S_ISREG(status.st_mode) and not S_ISDIR(status.st_mode):  # a folder cannot be opened anyway
            raise AttachmentError(f"{path} is not a file", source=str(path), next_step="check the path")
        if status.st_size > LARGEST:
            raise _too_large(str(path), status.st_size)
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AttachmentError(
            f"{path} cannot be read: {reason}", source=str(path), next_step="check the path"
        ) from error


def _too_large(source: str, size: int) -> AttachmentError:
    return AttachmentError(
        f"{source} has {size:,} bytes, and no service takes more than {LARGEST:,}",
        source=source,
        next_step="attach a smaller version of it",
    )


def _decode_data_url(url: str) -> bytes:
    head, comma, payload = url.partition(",")
    try:
        if not comma:
            raise ValueError("it has no comma")
        return b64decode(payload, validate=True) if head.endswith(";base64") else unquote_to_bytes(payload)
    except (binascii.Error, ValueError) as error:
        raise AttachmentError(f"a data URL cannot be read: {error}", source="data URL") from error
