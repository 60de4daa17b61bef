"""
Our own format: JSON lines, one for each conversation, branch, message and attempt.

The first line names the format and its version, the last one counts: a file that was cut off has none.
Bytes stand in a line of their own before the first message that holds them, once in a file, under their
SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt, Branch, ConversationRecord
from tertulia.domain.message import Message, Text
from tertulia.domain.usage import CostTotal
from tertulia.runtime.serialization import Find, encode_json, encode_parts, structure_parts
from tertulia.services.transfer.fields import (
    ATTEMPT,
    BRANCH,
    CONVERSATION,
    MESSAGE,
    FormatError,
    make,
    parse_object,
    parse_text,
    render_fields,
)
from tertulia.wire.protocol import Json

FORMAT = "tertulia"
VERSION = 1
_NOWHERE = UUID(int=0)
"""A segment, which only a store can give."""


@attrs.define
class Writer:
    """
    Renders conversations as lines.

    Attributes:
        counts: What was written so far, by the type of its line.
    """

    counts: dict[str, int] = attrs.field(
        factory=lambda: {"conversation": 0, "branch": 0, "message": 0, "attempt": 0}
    )
    _kept: set[str] = attrs.field(factory=set[str], repr=False)

    def begin(self) -> bytes:
        """The first line."""
        return _line({"type": FORMAT, "version": VERSION})

    def render_conversation(self, record: ConversationRecord, branches: Sequence[Branch]) -> bytes:
        """A conversation and its branches."""
        names = [branch.name for branch in branches]
        # Somebody may have renamed it between the one reading and the other.
        active = record.branch.name if record.branch.name in names else names[0]
        head = {**render_fields(record, CONVERSATION), "branch": active}
        if head.get("context") is None:
            del head["context"]
        rows = [self._count("conversation", head)]
        rows += [self._count("branch", render_fields(branch, BRANCH)) for branch in branches]
        return b"".join(map(_line, rows))

    def render_message(self, message: Message) -> bytes:
        """A message, and before it the bytes it holds that are not in the file yet."""
        blobs: list[bytes] = []

        def keep(data: bytes, _: str | None) -> str:
            name = hashlib.sha256(data).hexdigest()
            if name not in self._kept:
                self._kept.add(name)
                content = base64.b64encode(data).decode()
                blobs.append(_line({"type": "blob", "sha256": name, "data": content}))
            return name

        row = self._count("message", render_fields(message, MESSAGE))
        if row.get("mark") is None:
            del row["mark"]
        match message.parts:
            case (Text(text, opaque=None),):
                return _line({**row, "text": text})
            case parts:
                line = _line(row)[:-2] + b',"parts":' + encode_parts(parts, keep) + b"}\n"
                return b"".join((*blobs, line))

    def render_attempts(self, attempts: Sequence[Attempt]) -> bytes:
        """The attempts of a conversation."""
        return b"".join(_line(self._count("attempt", render_fields(each, ATTEMPT))) for each in attempts)

    def end(self) -> bytes:
        """The last line."""
        return _line({"type": "end", **self.counts})

    def _count(self, kind: str, row: Json) -> Json:
        self.counts[kind] += 1
        return {"type": kind, **row}


def parse_version(row: Json) -> int | None:
    """The version that a first line names; None where it is none of ours."""
    version = row.get("version")
    return version if row.get("type") == FORMAT and type(version) is int else None


def parse_conversation(row: Json, owner: str) -> ConversationRecord:
    """The conversation of a line, on a branch of which only the name is known."""
    branch = Branch(parse_text(row.get("branch")), "", "", segment=_NOWHERE)
    title = None if row.get("title") is None else parse_text(row["title"])  # the untitled have no member
    counted_later = {"message_count": 0, "cost": CostTotal()}
    return make(
        ConversationRecord, row, CONVERSATION, owner=owner, branch=branch, title=title, **counted_later
    )


def parse_branch(row: Json) -> Branch:
    """The branch of a line."""
    return make(Branch, row, BRANCH, segment=_NOWHERE)


def parse_message(row: Json, find: Find) -> Message:
    """
    The message of a line.

    Args:
        find: Finds the bytes that stand in lines of their own.
    """
    if (text := row.get("text")) is not None:
        return make(Message, row, MESSAGE, parts=(Text(parse_text(text)),))
    return make(Message, row, MESSAGE, parts=_parse_parts(row.get("parts"), find))


def parse_attempt(row: Json) -> Attempt:
    """The attempt of a line."""
    return make(Attempt, row, ATTEMPT)


def parse_blob(row: Json) -> tuple[str, bytes]:
    """The name and the bytes of a line, which are what the name says."""
    name = parse_text(row.get("sha256"))
    try:
        data = base64.b64decode(parse_text(row.get("data")), validate=True)
    except ValueError as error:
        raise FormatError("its bytes are not Base64") from error
    if hashlib.sha256(data).hexdigest() != name:
        raise FormatError("its bytes are not those that its name stands for")
    return name, data


def _parse_parts(plain: Any, find: Find) -> tuple[Any, ...]:
    if not isinstance(plain, list):
        raise FormatError("it has neither text nor parts")
    for part in cast("list[object]", plain):
        parse_object(part)
    try:
        parts = structure_parts(plain, find)
        encode_parts(parts, _keep_nowhere)  # what cannot be written again cannot be stored
    except FormatError:
        raise
    except Exception as error:  # cattrs' own, and what the values raise
        raise FormatError("its parts are none") from error
    return parts


def _keep_nowhere(data: bytes, media_type: str | None) -> str:  # noqa: ARG001  # as every Keep
    return ""


def _line(row: Json) -> bytes:
    return encode_json(row) + b"\n"
