"""What is attached to a message: files, bytes and addresses become parts."""

from __future__ import annotations

import binascii
import os
import re
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TypeAlias
from urllib.parse import unquote, unquote_to_bytes, urlsplit

import attrs

from tertulia.domain.media import (
    Audio,
    Document,
    Image,
    Media,
    ProviderFile,
    Video,
    clean_name,
    hide_query,
)
from tertulia.domain.media_type import detect_media_type, guess_media_type, is_text_type, normalise_media_type
from tertulia.domain.words import name_type
from tertulia.errors import AttachmentError

Attachable: TypeAlias = Media | ProviderFile | bytes | str | os.PathLike[str]
"""An attachment, or its path, its bytes, its address (``https://…``, ``data:…``), or an uploaded file."""

LARGEST = 100 * 2**20
"""Bytes of one file: no service takes more in a request."""

_KINDS: dict[str, type[Image | Audio | Video]] = {"image": Image, "audio": Audio, "video": Video}
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BY_KIND = "say what it is: tertulia.Image, Document, Audio or Video, with its media_type"


def load_attachments(attached: Attachable | Sequence[Attachable]) -> tuple[Media, ...]:
    """Load one attachment or several, in order; see :func:`load_attachment`."""
    if isinstance(attached, Sequence) and not isinstance(attached, bytes | bytearray | str):
        return tuple(load_attachment(each) for each in attached)
    return (load_attachment(attached),)


def load_attachment(source: Attachable) -> Media:
    """
    Make an image, a document, sound or a film of a file, of bytes or of an address.

    A file is read here and now, and what it is is told from its content, whatever its name says. An address
    is not fetched, so its extension tells the kind, and without one it is an image; say otherwise with
    ``tertulia.Document(url=…)``, ``Audio`` or ``Video``. An uploaded file is a document unless you say
    otherwise in the same way.

    Args:
        source: A path, bytes, ``https://…``, ``data:…`` or a :class:`tertulia.ProviderFile`. What is an
            attachment already is returned with the type of its bytes, and with a name without folders.

    Raises:
        AttachmentError: It cannot be read, is empty, is larger than 100 MiB, or is of no known type.

    Example::

        await trip.send("What does it say?", attach=[tertulia.load_attachment("menu.pdf")])
    """
    match source:
        case Image() | Document() | Audio() | Video():
            return _check(source)
        case ProviderFile():
            return Document(file=source)
        case bytes():
            return _identify(source, "bytes")
        case str() if _ADDRESS.match(source):
            return _check(_place(source))
        case str() if source.startswith("data:"):
            return _decode_data_url(source)
        case str() | os.PathLike():
            path = Path(os.fsdecode(source))
            return _identify(_read(path), str(path), name=path.name)
        case _:
            raise AttachmentError(
                f"{name_type(type(source))} cannot be attached", next_step="give a path, bytes or an address"
            )


def load_image(source: Attachable) -> Image:
    """
    Make an image as :func:`load_attachment` does, and nothing but an image.

    Raises:
        AttachmentError: It cannot be attached, or is something else.
    """
    loaded = load_attachment(Image(file=source) if isinstance(source, ProviderFile) else source)
    if not isinstance(loaded, Image):
        raise AttachmentError(
            f"{loaded} is not an image", source=str(loaded), next_step="load_attachment() takes it as it is"
        )
    return loaded


def identify(part: Media, data: bytes, source: str) -> Media:
    """
    Give a part the bytes it stands for.

    Args:
        part: With an address; what else it says is kept.
        data: What was found there.
        source: How the error calls it.

    Raises:
        AttachmentError: They are empty, too large, or not of the part's kind.
    """
    return _check_kind(attrs.evolve(part, data=data, url=None, media_type=None), source)


def _place(url: str) -> Media:
    """What an address seems to lead to."""
    try:
        name = unquote(urlsplit(url).path).rpartition("/")[2]
    except ValueError:
        return Image(url=url)  # which says in a moment what is wrong with it
    media_type = guess_media_type(name)
    if media_type is None:
        return Image(url=url)
    kind = _KINDS.get(media_type.partition("/")[0])
    return Document(url=url, name=clean_name(name)) if kind is None else kind(url=url)


def _check(part: Media) -> Media:
    if isinstance(part, Document) and part.name is not None:
        part = attrs.evolve(part, name=clean_name(part.name))
    if part.data is not None:
        return _check_kind(part, _name_of(part))
    if part.url is not None and (problem := _find_problem(part.url)) is not None:
        raise AttachmentError(
            f"{hide_query(part.url)!r} {problem}",
            source=hide_query(part.url),
            next_step="give a path, or an address that begins with https://",
        )
    return part


def _check_kind(part: Media, source: str) -> Media:
    """Tell the type of a part that does not say its own, and refuse bytes of another kind."""
    data = part.data or b""
    _check_size(data, source)
    if part.media_type is not None:
        return part
    media_type = _detect(data, source, name=part.name if isinstance(part, Document) else None)
    kind = _KINDS.get(media_type.partition("/")[0], Document)
    if not isinstance(part, kind):
        raise AttachmentError(
            f"{source} is {media_type}, so it is no {_name_of(part)}",
            source=source,
            next_step=f"attach it as tertulia.{kind.__name__}",
        )
    return attrs.evolve(part, media_type=media_type)


def _name_of(part: Media) -> str:
    return type(part).__name__.lower()


def _find_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "is no address"
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return "is no address that can be attached"
    return "has a user or a password in it" if "@" in parts.netloc else None


def _identify(data: bytes, source: str, *, name: str | None = None) -> Media:
    _check_size(data, source)
    return _make(data, _detect(data, source, name=name), name)


def _make(data: bytes, media_type: str, name: str | None = None) -> Media:
    kind = _KINDS.get(media_type.partition("/")[0])
    if kind is None:
        return Document(data, media_type, name=None if name is None else clean_name(name))
    return kind(data, media_type)


def _check_size(data: bytes, source: str) -> None:
    if not data:
        raise AttachmentError(
            f"{source} is empty, so there is nothing to attach",
            source=source,
            next_step="check where it is from",
        )
    if len(data) > LARGEST:
        raise _too_large(source, len(data))


def _detect(data: bytes, source: str, *, name: str | None = None) -> str:
    media_type = detect_media_type(data, name)
    if media_type is None:
        raise AttachmentError(
            f"{source} is of no known type, and no UTF-8 text",
            source=source,
            next_step="save it as UTF-8" if is_text_type(guess_media_type(name or "") or "") else _BY_KIND,
        )
    return media_type


def _read(path: Path) -> bytes:
    try:
        _check_file(path, path.stat())  # before it is opened: that alone makes some devices act
        with open(path, "rb", opener=_open) as file:  # a Path takes no opener
            _check_file(path, os.fstat(file.fileno()))  # what was opened, whatever had this name before
            return file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AttachmentError(
            f"{path} cannot be read: {reason}", source=str(path), next_step="check the path"
        ) from error


def _check_file(path: Path, status: os.stat_result) -> None:
    if not S_ISREG(status.st_mode) and not S_ISDIR(status.st_mode):  # a folder cannot be opened anyway
        raise AttachmentError(f"{path} is not a file", source=str(path), next_step="check the path")
    if status.st_size > LARGEST:
        raise _too_large(str(path), status.st_size)


def _open(path: str, flags: int) -> int:
    """Open a pipe too, without waiting for somebody to write to it, so that it can be refused."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _too_large(source: str, size: int) -> AttachmentError:
    return AttachmentError(
        f"{source} has {size:,} bytes, and no service takes more than {LARGEST:,}",
        source=source,
        next_step="attach a smaller version of it",
    )


def _decode_data_url(url: str) -> Media:
    head, comma, payload = url.partition(",")
    try:
        if not comma:
            raise ValueError("it has no comma")
        is_base64 = head.endswith(";base64")
        data = b64decode(payload, validate=True) if is_base64 else unquote_to_bytes(payload)
    except (binascii.Error, ValueError) as error:
        raise AttachmentError(f"a data URL cannot be read: {error}", source="data URL") from error
    _check_size(data, "data URL")
    media_type, said = _detect(data, "data URL"), normalise_media_type(head.removeprefix("data:"))
    # Which kind of text it is, no content tells.
    return _make(data, said if media_type == "text/plain" and is_text_type(said) else media_type)
