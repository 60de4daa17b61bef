"""Reading our own format, line by line; what one line spoils is its conversation and no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import attrs

from tertulia.domain.conversation import Attempt, Branch, ConversationRecord
from tertulia.domain.message import Message
from tertulia.domain.transfer import ConversationTree, ImportProblem
from tertulia.errors import TransferError
from tertulia.services.transfer.fields import FormatError
from tertulia.services.transfer.files import Found, Reader, examine, read_json, read_lines, sort_parents_first
from tertulia.services.transfer.jsonl import (
    FORMAT,
    VERSION,
    Writer,
    parse_attempt,
    parse_blob,
    parse_branch,
    parse_conversation,
    parse_message,
    parse_version,
)
from tertulia.wire.protocol import Json

_CUT_OFF = "the file ends in the middle: it was cut off"


def read_jsonl(path: Path, owner: str) -> Reader:
    """
    Read the conversations of a file.

    Raises:
        TransferError: It is no export of ours, or one of a newer version.
        OSError: It cannot be read.
    """
    with path.open("rb") as file, path.open("rb") as library:
        yield from _Reading(owner, library, str(path)).read(file)


@attrs.define
class _Draft:
    """
    A conversation whose lines are being read.

    Attributes:
        line: The number of its first one.
    """

    record: ConversationRecord
    line: int
    branches: list[Branch] = attrs.field(factory=list[Branch])
    messages: list[Message] = attrs.field(factory=list[Message])
    attempts: list[Attempt] = attrs.field(factory=list[Attempt])

    def finish(self) -> ConversationTree | ImportProblem:
        names = {branch.name: branch for branch in self.branches}
        active = names.get(self.record.branch.name, self.record.branch)
        # A branch that was removed or renamed while the file was written may be named still.
        attempts = (
            each if each.branch in names else attrs.evolve(each, branch=None) for each in self.attempts
        )
        tree = ConversationTree(
            attrs.evolve(self.record, branch=active),
            tuple(self.branches),
            sort_parents_first(self.messages),
            tuple(attempts),
        )
        return examine(tree, f"line {self.line}")


@attrs.define
class _Reading:
    """
    How far a file was read.

    Attributes:
        library: The same file once more, for the bytes that stood in it earlier.

        counts: The lines since the format was named, by type; None where it ended in order.
    """

    owner: str
    library: BinaryIO
    location: str
    draft: _Draft | None = None
    counts: dict[str, int] | None = None
    has_problems: bool = False
    has_begun: bool = False
    blobs: dict[str, int] = attrs.field(factory=dict[str, int])

    def read(self, file: BinaryIO) -> Reader:
        position = 0
        for number, place, line in read_lines(file):
            position = place + len(line or b"")
            for item in self._read_line(number, place, line):
                yield Found(item, position)
        if self.counts is not None:
            yield Found(ImportProblem("end of file", _CUT_OFF, self._get_id()), position)

    def _read_line(
        self, number: int, place: int, line: bytes | None
    ) -> Iterator[ConversationTree | ImportProblem]:
        if line is not None and not line.strip():
            return
        try:
            if line is None:
                raise FormatError("it is too long")
            row = read_json(line.removeprefix(b"\xef\xbb\xbf"))
            if not self.has_begun or row.get("type") == FORMAT:
                self._begin(row)
            elif self.counts is None:
                raise FormatError("it stands behind the end")
            else:
                yield from self._take(row, number, place)
        except FormatError as error:
            if not self.has_begun:
                raise self._explain_foreign() from error
            yield ImportProblem(f"line {number}", str(error), self._get_id())
            self.draft, self.has_problems = None, True

    def _begin(self, row: Json) -> None:
        version = parse_version(row)
        if version is None:
            raise self._explain_foreign()
        if version > VERSION:
            raise TransferError(
                f"{self.location} is of version {version} of the format, and this program reads {VERSION}",
                location=self.location,
                kept="nothing of it was imported",
                next_step="install a newer version of tertulia",
            )
        self.draft, self.has_problems, self.has_begun, self.counts = None, False, True, dict(Writer().counts)

    def _take(self, row: Json, number: int, place: int) -> Iterator[ConversationTree | ImportProblem]:
        kind = row.get("type")
        if isinstance(kind, str) and self.counts is not None and kind in self.counts:
            self.counts[kind] += 1
        match kind:
            case "conversation":
                yield from self._finish()
                self.draft = _Draft(parse_conversation(row, self.owner), number)
            case "branch" | "message" | "attempt":
                self._add(kind, row)
            case "blob":
                self.blobs[parse_blob(row)[0]] = place
            case "end":
                yield from self._finish()
                yield from self._check_counts(row, number)
                self.counts = None
            case _:
                raise FormatError("nobody knows what it is")

    def _add(self, kind: str, row: Json) -> None:
        """Add to the conversation that is read; what belongs to one that was given up is passed over."""
        if self.draft is None:
            if not self.has_problems:
                raise FormatError("it belongs to no conversation")
        elif kind == "branch":
            self.draft.branches.append(parse_branch(row))
        elif kind == "message":
            self.draft.messages.append(parse_message(row, self._find))
        else:
            self.draft.attempts.append(parse_attempt(row))

    def _finish(self) -> Iterator[ConversationTree | ImportProblem]:
        draft, self.draft = self.draft, None
        if draft is not None:
            item = draft.finish()
            self.has_problems |= isinstance(item, ImportProblem)
            yield item

    def _check_counts(self, row: Json, number: int) -> Iterator[ImportProblem]:
        for kind, count in (self.counts or {}).items():
            if row.get(kind) != count and not self.has_problems:
                said = f"it counts {row.get(kind)!r:.20} lines of the type {kind!r}, and there are {count}"
                yield ImportProblem(f"line {number}", f"{said}: some are lost")

    def _find(self, name: str) -> bytes:
        place = self.blobs.get(name)
        if place is None:
            raise FormatError(f"the bytes {name[:64]} are not in the file before it")
        self.library.seek(place)
        return parse_blob(read_json(self.library.readline()))[1]

    def _get_id(self) -> UUID | None:
        return None if self.draft is None else self.draft.record.id

    def _explain_foreign(self) -> TransferError:
        return TransferError(
            f"{self.location} is no export of tertulia: its first line does not say so",
            location=self.location,
            kept="nothing of it was imported",
            next_step="name a file that `tertulia export` wrote",
        )
