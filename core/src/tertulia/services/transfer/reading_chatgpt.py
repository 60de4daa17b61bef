"""Reading what ChatGPT exports: ``conversations.json``, by itself or in its zip file."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile, ZipInfo, is_zipfile

from tertulia.domain.transfer import ConversationTree, ImportProblem
from tertulia.errors import TransferError
from tertulia.services.transfer.arrays import Splitter
from tertulia.services.transfer.chatgpt import parse_conversation
from tertulia.services.transfer.fields import FormatError
from tertulia.services.transfer.files import Found, Reader, examine, read_json

_MEMBER = re.compile(r"(?:.*/)?conversations[^/]*\.json")
_MOST_UNPACKED = 4 * 2**30
_MOST_RATIO = 200
"""Text is packed to a fifth, and hardly ever to a fiftieth: what is packed closer is made to burst."""
_CHUNK = 2**20


def read_chatgpt(path: Path, owner: str) -> Reader:
    """
    Read the conversations of a file.

    Raises:
        TransferError: It is no such export.
        OSError: It cannot be read.
    """
    if not is_zipfile(path):
        with path.open("rb") as file:
            yield from _read_array(file, owner, str(path), 1)
        return
    try:
        with ZipFile(path) as archive:
            number = 1
            for member in _find_members(archive, path):
                with archive.open(member) as file:
                    for found in _read_array(file, owner, f"{path}: {member.filename}", number):
                        number += 1
                        yield Found(found.item, found.position * member.compress_size // member.file_size)
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise TransferError(
            f"{path} cannot be unpacked: {error}",
            location=str(path),
            kept="what was imported before is stored",
            next_step="unpack it yourself, and import its conversations.json",
        ) from error


def _find_members(archive: ZipFile, path: Path) -> list[ZipInfo]:
    members = [each for each in archive.infolist() if _MEMBER.fullmatch(each.filename) and each.file_size]
    size, packed = (sum(getattr(each, name) for each in members) for name in ("file_size", "compress_size"))
    if not members:
        raise _explain(path, "has no conversations.json in it", "name the zip file of a ChatGPT export")
    if size > _MOST_UNPACKED or size > _CHUNK + _MOST_RATIO * packed:
        raise _explain(path, f"would be {size:,} bytes when unpacked", "unpack it yourself, if you trust it")
    return sorted(members, key=lambda each: each.filename)


def _read_array(file: IO[bytes], owner: str, location: str, first: int) -> Reader:
    splitter = Splitter()
    for number, element in enumerate(splitter.split(_read_chunks(file, location)), first):
        yield Found(_parse(element, owner, f"conversation {number}"), splitter.position)
    if not splitter.is_whole:
        yield Found(
            ImportProblem("end of file", "the file ends in the middle: it was cut off"), splitter.position
        )


def _read_chunks(file: IO[bytes], location: str) -> Iterator[bytes]:
    chunk = file.read(_CHUNK)
    if not chunk.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        raise _explain(location, "is no list of conversations", "name the conversations.json of ChatGPT")
    while chunk:
        yield chunk
        chunk = file.read(_CHUNK)


def _parse(element: bytes | None, owner: str, place: str) -> ConversationTree | ImportProblem:
    try:
        if element is None:
            raise FormatError("it is too long")
        return examine(parse_conversation(read_json(element), owner), place)
    except FormatError as error:
        return ImportProblem(place, str(error))


def _explain(location: Path | str, what: str, next_step: str) -> TransferError:
    return TransferError(
        f"{location} {what}", location=str(location), kept="nothing of it was imported", next_step=next_step
    )
