"""
Nothing acknowledged is lost when the power fails, whenever that is.

A process has all recorded that it writes into its files, and when it has them synchronised. From that is made
what a disk would have held at hundreds of moments: all that was synchronised, and of the rest what chance
leaves, sector by sector. It takes a compiler and a while, so it is a part of the torture only.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import struct
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from tertulia.builtin.sql.store import SQLStore
from tertulia.errors import StoreError
from tertulia.testing import StandingClock
from tertulia.testing.contracts.talk import MAIN, OWNER
from torture import TORTURED, scale

pytestmark = pytest.mark.skipif(
    not TORTURED or shutil.which("gcc") is None or sys.platform != "linux",
    reason="takes TERTULIA_TORTURE, gcc and Linux",
)
APPENDS, MOMENTS = 400, scale(8)
HEAD = struct.Struct("=I64sQQ")
SECTOR = 512


@attrs.frozen
class Record:
    """Something that was done to a file."""

    kind: str
    name: str
    offset: int
    length: int
    content: bytes


@attrs.define
class File:
    """A file as the disk has it, and what was written and not synchronised since."""

    content: bytearray = attrs.field(factory=bytearray)
    exists: bool = False
    waiting: list[Record] = attrs.field(factory=list[Record])

    def synchronise(self) -> None:
        for record in self.waiting:
            apply(self.content, record)
        self.waiting.clear()
        self.exists = True


def apply(content: bytearray, record: Record) -> None:
    if record.kind == "T":
        del content[record.length :]
        content.extend(bytes(max(0, record.length - len(content))))
        return
    end = record.offset + len(record.content)
    content.extend(bytes(max(0, end - len(content))))
    content[record.offset : end] = record.content


@pytest.fixture(scope="module")
def recorder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that records."""
    library = tmp_path_factory.mktemp("recorder") / "recorder.so"
    source = Path(__file__).with_name("recorder.c")
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)  # noqa: S607
    return library


def record(recorder: Path, folder: Path, synchronous: str) -> list[Record]:
    """Let a process append, and return all that it did to its files."""
    log = folder.with_suffix(".log")
    folder.mkdir()
    subprocess.run(
        [sys.executable, Path(__file__).with_name("writer.py"), folder, str(APPENDS), synchronous],
        env={
            **os.environ,
            "LD_PRELOAD": str(recorder),
            "TERTULIA_RECORD_FOLDER": str(folder),
            "TERTULIA_RECORD_LOG": str(log),
        },
        check=True,
    )
    data, place = log.read_bytes(), 0
    records: list[Record] = []
    while place < len(data):
        kind, name, offset, length = HEAD.unpack_from(data, place)
        place += HEAD.size
        content = data[place : place + length] if kind == ord("W") else b""
        place += len(content)
        records.append(Record(chr(kind), name.rstrip(b"\0").decode(), offset, length, content))
    return records


def lose_power(records: Sequence[Record], chance: random.Random) -> tuple[dict[str, bytes], int]:
    """What is on the disk after that much was done, and how many messages were acknowledged by then."""
    files: defaultdict[str, File] = defaultdict(File)
    acknowledged = 0
    for each in records:
        file = files[each.name]
        if each.name == "acknowledged":
            acknowledged += each.kind == "W"
        elif each.kind == "S":
            file.synchronise()
        elif each.kind == "U":
            files[each.name] = File()
        else:
            file.waiting.append(each)
    share = chance.choice((0.0, 0.5, 1.0))
    for file in files.values():
        for each in file.waiting:
            for sector in split(each):
                if chance.random() < share:
                    apply(file.content, sector)
                    file.exists = True
    return {name: bytes(file.content) for name, file in files.items() if file.exists}, acknowledged


def split(written: Record) -> list[Record]:
    """The sectors of what was written: each reaches the disk or does not."""
    if written.kind == "T":
        return [written]
    return [
        attrs.evolve(written, offset=written.offset + start, content=written.content[start : start + SECTOR])
        for start in range(0, len(written.content), SECTOR)
    ]


async def count_messages(folder: Path) -> int:
    """How many messages of the conversation are there, without a gap, in a store that is well."""
    clock = StandingClock()
    clock.advance(86_400)
    store = SQLStore(f"sqlite:///{folder / 'conversations.db'}", clock)
    await store.open()
    try:
        assert () == (await store.verify()).problems
        found = [
            [message.text.split()[0] for message in await store.get_messages(OWNER, talk.id, MAIN)]
            for talk in await store.find_conversations(OWNER)
        ]
    finally:
        await store.aclose()
    texts = found[0] if found else []
    assert sorted(texts, key=int) == [str(number) for number in range(len(texts))]
    return len(texts)


def find_lost(records: list[Record], folder: Path, chance: random.Random) -> int:
    """Let the power fail at many moments, and say at how many something acknowledged was lost or broken."""
    first = next(number for number, each in enumerate(records) if each.name == "acknowledged")
    lost = 0
    for moment in range(MOMENTS):
        files, acknowledged = lose_power(records[: chance.randrange(first, len(records))], chance)
        place = folder / str(moment)
        place.mkdir(parents=True)
        for name, content in files.items():
            (place / name).write_bytes(content)
        try:
            lost += asyncio.run(count_messages(place)) < acknowledged
        except (StoreError, AssertionError):
            lost += 1
        shutil.rmtree(place)
    return lost


def test_a_power_cut_loses_nothing_that_was_acknowledged(recorder, tmp_path):
    """With full synchronisation, as the store has it, every message that was acknowledged is there."""
    records = record(recorder, tmp_path / "full", "FULL")

    assert {"W", "S"} <= {each.kind for each in records}
    assert 0 == find_lost(records, tmp_path / "disk", random.Random(1))  # noqa: S311  # no secret


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_less_than_full_synchronisation_would_lose_some(recorder, tmp_path, synchronous):
    """The test sees what is lost: with anything less it loses messages."""
    records = record(recorder, tmp_path / "less", synchronous)

    assert 0 < find_lost(records, tmp_path / "disk", random.Random(1))  # noqa: S311  # no secret
