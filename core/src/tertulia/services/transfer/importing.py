"""Taking over conversations from a file, whatever wrote it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeAlias, get_args
from uuid import UUID

import attrs

from tertulia.domain.transfer import ConversationTree, ImportProblem, ImportReport
from tertulia.errors import ConfigurationError, StoreError, TransferError
from tertulia.services.core import Core
from tertulia.services.transfer.files import Found, Progress, Reader, in_thread
from tertulia.services.transfer.reading_chatgpt import read_chatgpt
from tertulia.services.transfer.reading_jsonl import read_jsonl
from tertulia.services.transfer.reading_llm import read_llm

Format: TypeAlias = Literal["jsonl", "chatgpt", "llm"]

MESSAGES_AT_ONCE = 2000
BYTES_AT_ONCE = 16 * 2**20
_HEAD = 4096

_READERS: Mapping[Format, Callable[[Path, str], Reader]] = MappingProxyType(
    {"jsonl": read_jsonl, "chatgpt": read_chatgpt, "llm": read_llm}
)


async def import_conversations(
    core: Core,
    source: Path,
    *,
    format: Format | Literal["auto"] = "auto",  # noqa: A002  # the field's word
    on_error: Literal["skip", "refuse"] = "skip",
    progress: Progress | None = None,
) -> ImportReport:
    """
    Take over the conversations of a file. What is there already is left as it is.

    Args:
        on_error: Whether to ``skip`` what cannot be read, and report it, or to ``refuse`` the whole file.
        progress: Is told how many bytes are read, and how many there are.

    Raises:
        TransferError: The file cannot be read or is none of these; or something in it is wrong and
            ``on_error`` is ``refuse``. Nothing was imported.
    """
    _check_choices(format, on_error)
    try:
        size = await in_thread(core, _measure, source)
        read = _READERS[format if format != "auto" else await in_thread(core, _detect, source)]
        if on_error == "refuse":
            await in_thread(core, _refuse_problems, read(source, core.owner), source)
        return await _import(core, read(source, core.owner), size, progress)
    except OSError as error:
        raise TransferError(
            f"{source} cannot be read: {error.strerror or error}",
            location=str(source),
            kept="what was imported before is stored",
            next_step="name a file that can be read",
        ) from error


@attrs.define
class _Tally:
    """What came of an import so far."""

    imported: list[UUID] = attrs.field(factory=list[UUID])
    skipped: list[UUID] = attrs.field(factory=list[UUID])
    problems: list[ImportProblem] = attrs.field(factory=list[ImportProblem])
    message_count: int = 0
    seen: set[UUID] = attrs.field(factory=set[UUID])

    def sift(self, batch: list[Found]) -> list[ConversationTree]:
        """The conversations of a batch, each once; the rest are problems."""
        trees: list[ConversationTree] = []
        for found in batch:
            match found.item:
                case ImportProblem() as problem:
                    self.problems.append(problem)
                case tree if tree.record.id in self.seen:
                    self.problems.append(_explain_twin(tree))
                case tree:
                    self.seen.add(tree.record.id)
                    trees.append(tree)
        return trees

    def add(self, trees: list[ConversationTree], stored: list[UUID]) -> None:
        """Count what was stored of some trees."""
        new = set(stored)
        for tree in trees:
            if tree.record.id in new:
                self.imported.append(tree.record.id)
                self.message_count += len(tree.messages)
            else:
                self.skipped.append(tree.record.id)

    def report(self) -> ImportReport:
        return ImportReport(
            tuple(self.imported), tuple(self.skipped), tuple(self.problems), self.message_count
        )


async def _import(core: Core, reader: Reader, size: int, progress: Progress | None) -> ImportReport:
    tally, position = _Tally(), -1
    while batch := await in_thread(core, _read_batch, reader):
        await _store(core, tally, tally.sift(batch))
        position = min(batch[-1].position, size)
        if progress is not None:
            progress(position, size)
    if progress is not None and position != size:
        progress(size, size)
    return tally.report()


async def _store(core: Core, tally: _Tally, trees: list[ConversationTree]) -> None:
    """Store many at once; where one is refused, each by itself, so that the others are stored."""
    if not trees:
        return
    try:
        tally.add(trees, await core.store.add_trees(core.owner, trees))
    except StoreError as error:
        if type(error) is not StoreError:
            raise  # it is the store that is in trouble, and not what is to be stored
        if len(trees) == 1:
            problem = ImportProblem(f"conversation {trees[0].record.id}", error.message, trees[0].record.id)
            tally.problems.append(problem)
        else:
            for tree in trees:
                await _store(core, tally, [tree])


def _read_batch(reader: Reader) -> list[Found]:
    """Read on until there is enough for a transaction; nothing at the end."""
    batch: list[Found] = []
    messages = 0
    for found in reader:
        batch.append(found)
        messages += len(found.item.messages) if isinstance(found.item, ConversationTree) else 1
        if messages >= MESSAGES_AT_ONCE or found.position - batch[0].position >= BYTES_AT_ONCE:
            break
    return batch


def _refuse_problems(reader: Reader, source: Path) -> None:
    tally = _Tally()
    for found in reader:
        tally.sift([found])
    if tally.problems:
        raise TransferError(
            f"{source} was not imported: {len(tally.problems)} of what it holds cannot be, "
            f"first {tally.problems[0]}",
            problems=tally.problems,
            location=str(source),
            kept="nothing of it was imported",
            next_step="import it with on_error='skip' to have the rest",
        )


def _measure(source: Path) -> int:
    """
    How many bytes a file has.

    Raises:
        OSError: It is not there, or no file: a pipe can be read only once, and may keep its reader waiting.
    """
    found = source.stat()
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no file")
    return found.st_size


def _detect(source: Path) -> Format:
    """What a file is, by how it begins."""
    with source.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"SQLite format 3\0"):
        return "llm"
    if head.startswith(b"PK\x03\x04") or head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        return "chatgpt"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        return "jsonl"
    raise TransferError(
        f"{source} is none of what can be imported",
        location=str(source),
        kept="nothing of it was imported",
        next_step="name an export of tertulia, the conversations.json or the zip file of ChatGPT, "
        "or the logs.db of llm",
    )


def _explain_twin(tree: ConversationTree) -> ImportProblem:
    identifier = tree.record.id
    return ImportProblem(f"conversation {identifier}", "the file has another one of its id", identifier)


def _check_choices(format: str, on_error: str) -> None:  # noqa: A002  # the field's word
    for name, value, choices in (
        ("format", format, ("auto", *get_args(Format))),
        ("on_error", on_error, ("skip", "refuse")),
    ):
        if value not in choices:
            raise ConfigurationError(
                f"{name} is no {value!r}", value=value, next_step=f"choose one of: {', '.join(choices)}"
            )
