"""Our own files are read with suspicion: what is wrong in one is said, and harms nothing else."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest

import tertulia
from tertulia.errors import StoreBusyError, StoreError
from tertulia.services.transfer import files
from tertulia.testing import StandingClock
from tertulia.testing.contracts.transfer import make_tree

Rows = list[dict[str, Any]]


@pytest.fixture
async def client() -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(store="memory:") as client:
        yield client


@pytest.fixture
async def rows(client: tertulia.Client, tmp_path: Path) -> Rows:
    """The lines of a good export of three conversations, which are deleted from the store again."""
    clock = StandingClock()
    trees = [make_tree(clock, number) for number in range(3)]
    picture = (tertulia.Text("Look"), tertulia.Image(data=b"picture"))
    message = attrs.evolve(trees[0].messages[0], parts=picture)
    trees[0] = attrs.evolve(trees[0], messages=(message, *trees[0].messages[1:]))
    await client._open.store.add_trees("local", trees)
    await client.export(tmp_path / "good.jsonl")
    for tree in trees:
        await client.delete(tree.record.id)
        await client.purge(tree.record.id)
    return [json.loads(line) for line in (tmp_path / "good.jsonl").read_text().splitlines()]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Rows], Path]:
    def write(rows: Rows) -> Path:
        path = tmp_path / "in.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


def place(rows: Rows, kind: str, number: int = 0) -> int:
    return [index for index, row in enumerate(rows) if row["type"] == kind][number]


async def test_a_second_import_changes_nothing(client, rows, write):
    """What is there is skipped, and counted as that."""
    first = await client.import_conversations(write(rows))
    second = await client.import_conversations(write(rows))

    assert (3, (), (), 12) == (len(first.imported), first.skipped, first.problems, first.message_count)
    assert ((), first.imported, (), 0) == (
        second.imported, second.skipped, second.problems, second.message_count,
    )  # fmt: skip


async def test_progress_is_told_in_bytes(client, rows, write, monkeypatch):
    """It grows to the size of the file."""
    monkeypatch.setattr("tertulia.services.transfer.importing.MESSAGES_AT_ONCE", 1)
    path, told = write(rows), []
    await client.import_conversations(path, progress=lambda *so_far: told.append(so_far))

    assert sorted(told) == told
    assert (path.stat().st_size, path.stat().st_size) == told[-1]
    assert len(told) >= 3


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("conversation", {"id": "nonsense"}, "id: badly formed"),
    ("conversation", {"id": 7}, "id: 7 is no text"),
    ("conversation", {"created_at": "2026-11-22T12:00:00"}, "has no time zone"),
    ("conversation", {"created_at": None}, "created_at is missing"),
    ("conversation", {"created_at": "0001-01-01T00:00:00+14:00"}, "created_at"),
    ("conversation", {"state": "purged"}, "state"),
    ("conversation", {"tags": "travel"}, "tags: 'travel' is no list"),
    ("conversation", {"tags": [1]}, "tags: 1 is no text"),
    ("conversation", {"metadata": []}, "is no object"),
    ("conversation", {"branch": None}, "None is no text"),
    ("conversation", {"title": "t" * 201}, "more than 200 characters"),
    ("branch", {"name": None}, "name is missing"),
    ("branch", {"version": True}, "version: True is no whole number"),
    ("branch", {"version": 2**31}, "version"),
    ("branch", {"head_id": str(UUID(int=9))}, "which is not there"),
    ("message", {"role": "nobody"}, "role"),
    ("message", {"id": None}, "has no id"),
    ("message", {"parent_id": str(UUID(int=9))}, "which is not there"),
    ("message", {"text": 7, "parts": []}, "7 is no text"),
    ("message", {"text": None, "parts": None}, "neither text nor parts"),
    ("message", {"text": None, "parts": ["word"]}, "'word' is no object"),
    ("message", {"text": None, "parts": [{"type": "nonsense"}]}, "its parts are none"),
    ("message", {"text": None, "parts": [{"type": "image"}]}, "its parts are none"),
    ("message", {"text": None, "parts": [{"type": "image", "data": "!"}]}, "its parts are none"),
    ("message", {"text": None, "parts": [{"type": "image", "data": {"sha256": "ab"}}]}, "the bytes ab"),
    ("message", {"cost": {"usd": "1e999999", "source": "computed"}}, "no amount of dollars"),
    ("message", {"cost": {"usd": 1, "source": "computed"}}, "1 is no text"),
    ("message", {"cost": {"usd": "9999999", "source": "computed"}}, "no amount of dollars"),
    ("message", {"usage": {"input_tokens": -1}}, "input_tokens: -1"),
    ("message", {"usage": {"input_tokens": 2**63}}, "input_tokens"),
    ("message", {"latency_seconds": "1"}, "is no number"),
    ("message", {"latency_seconds": 10**400}, "latency_seconds"),
    ("message", {"client_id": 7}, "client_id: 7 is no text"),
    ("message", {"client_id": "c" * 201}, "more than 200 characters"),
    ("message", {"mark": {"importance": 2}}, "mark: importance: 2 is not from 0 to 1"),
    ("message", {"mark": {"pinned": 1}}, "neither true nor false"),
    ("attempt", {"message_id": str(UUID(int=9))}, "which is not there"),
    ("attempt", {"number": 0}, "number"),
    ("attempt", {"outcome": 5}, "outcome"),
    ("attempt", {"queued_seconds": -1}, "queued_seconds: -1 is not from 0"),
    ("attempt", {"provider": "p" * 201}, "more than 200 characters"),
]


@pytest.mark.parametrize(("kind", "change", "reason"), WRONG)
async def test_what_is_wrong_spoils_one_conversation(client, rows, write, kind, change, reason):
    """It is left out, and the problem says where and why; the others are imported."""
    rows[place(rows, kind, -1)].update(change)
    report = await client.import_conversations(write(rows))

    assert 2 == len(report.imported)
    (problem,) = report.problems
    assert reason in problem.reason
    assert problem.place.startswith("line ")
    assert () == (await client.check_store()).problems


@pytest.mark.parametrize(("kind", "change", "reason"), WRONG[::6])
async def test_who_refuses_gets_all_or_nothing(client, rows, write, kind, change, reason):
    """The whole file is examined first, and its problems are in the error."""
    rows[place(rows, kind, -1)].update(change)
    with pytest.raises(tertulia.TransferError, match="was not imported") as caught:
        await client.import_conversations(write(rows), on_error="refuse")

    assert reason in caught.value.problems[0].reason
    assert [] == await client.list()


async def test_a_good_file_passes_who_refuses(client, rows, write):
    """Being strict costs nothing but time."""
    assert 3 == len((await client.import_conversations(write(rows), on_error="refuse")).imported)


async def test_a_file_that_was_cut_off_is_noticed(client, rows, write):
    """What was whole before the cut is imported; wherever it is, nothing half is."""
    path = write(rows)
    whole = path.read_bytes()
    for end in range(40, len(whole) - 2, 397):
        path.write_bytes(whole[:end])
        report = await client.import_conversations(path)
        assert "cut off" in report.problems[-1].reason
    assert () == (await client.check_store()).problems
    assert 2 == len(await client.list())


async def test_lost_lines_are_noticed(client, rows, write):
    """The end counts what there was: a conversation that is lost between two others is missed."""
    start, end = place(rows, "conversation", 1), place(rows, "conversation", 2)
    report = await client.import_conversations(write(rows[:start] + rows[end:]))

    assert 2 == len(report.imported)
    assert "some are lost" in report.problems[0].reason


async def test_lines_may_stand_in_another_order(client, rows, write):
    """What a message follows may come after it."""
    first, last = place(rows, "message"), place(rows, "message", 3)
    rows[first : last + 1] = [*reversed(rows[first + 1 : last + 1]), rows[first]]
    report = await client.import_conversations(write(rows))

    assert (3, ()) == (len(report.imported), report.problems)


async def test_bytes_are_those_that_their_name_stands_for(client, rows, write):
    """Damaged ones spoil what holds them, and what only says so is not believed."""
    row = rows[place(rows, "blob")]
    assert hashlib.sha256(b"picture").hexdigest() == row["sha256"]
    for data in ("!", base64.b64encode(b"other").decode(), None):
        report = await client.import_conversations(
            write([*rows[: place(rows, "blob")], {**row, "data": data}])
        )
        assert () == report.imported
        assert 2 == len(report.problems)


async def test_two_of_one_id_are_a_problem(client, rows, write):
    """The first one is imported, and the file need not be whole in one piece: exports may follow another."""
    report = await client.import_conversations(write([*rows, *rows]))

    assert (3, 3) == (len(report.imported), len(report.problems))
    assert "another one of its id" in report.problems[0].reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "none of what can be imported"),
        (b"hello", "none of what can be imported"),
        (b"\xff\xfe\x00", "none of what can be imported"),
        (b"{}", "no export of tertulia"),
        (b"{broken", "no export of tertulia"),
        (b'{"type":"tertulia"}', "no export of tertulia"),
        (b'{"type":"tertulia","version":"1"}', "no export of tertulia"),
        (b'{"type":"tertulia","version":2}', "version 2 of the format, and this program reads 1"),
        (b"{" + b'"a":[' * 5000, "no export of tertulia"),
    ],
)
async def test_what_is_none_of_ours_is_refused(client, tmp_path, content, reason):
    """The error says what can be imported, or which version is needed."""
    (tmp_path / "in").write_bytes(content)
    with pytest.raises(tertulia.TransferError, match=reason) as caught:
        await client.import_conversations(tmp_path / "in")

    assert caught.value.next_step


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[1]", "is no object"),
        (b"7", "is no object"),
        (b"not JSON", "it is not JSON"),
        (b'{"type":"message"', "it is not JSON"),
        (b'{"type":NaN}', "it is not JSON"),
        (b'{"type":"message","id":"\xff"}', "it is not JSON"),
        (b'{"type":"spell"}', "nobody knows what it is"),
        (b'{"type":{}}', "nobody knows what it is"),
        (b'{"type":' + b"[" * 100_000, "nested too deeply"),
        (b'{"type":"message","parts":' + b"[" * 300 + b"]" * 300 + b"}", "nested too deeply"),
        (b'{"a":' + b"9" * 5000 + b"}", "it is not JSON"),
        (b'{"type":"branch","name":"x"}', "is missing"),
    ],
)
async def test_a_line_that_is_none_is_a_problem(client, rows, write, line, reason):
    """Of the conversation it stands in."""
    path, at = write(rows), place(rows, "message", 1)
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:at], line, *lines[at:]]))
    report = await client.import_conversations(path)

    assert (2, 1) == (len(report.imported), len(report.problems))
    assert reason in report.problems[0].reason
    assert f"line {at + 1}" == report.problems[0].place


async def test_a_line_without_a_conversation_is_a_problem(client, rows, write):
    """Before the first one, and behind the end."""
    message = rows[place(rows, "message")]
    report = await client.import_conversations(write([rows[0], message, *rows[1:], message]))

    assert 3 == len(report.imported)
    assert ["it belongs to no conversation", "it stands behind the end"] == [
        problem.reason for problem in report.problems
    ]


async def test_a_line_that_is_too_long_is_not_read_whole(client, rows, write, monkeypatch):
    """It is passed over piece by piece, and the next one is read."""
    monkeypatch.setattr(files, "LONGEST", 2000)
    rows[place(rows, "message", 4)]["text"] = "x" * 10_000
    report = await client.import_conversations(write(rows))

    assert (2, "it is too long") == (len(report.imported), report.problems[0].reason)


async def test_empty_lines_and_a_byte_order_mark_do_no_harm(client, rows, write):
    """As editors leave them."""
    path = write(rows)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n"))
    assert 3 == len((await client.import_conversations(path)).imported)


async def test_half_characters_become_whole_ones(client, rows, write):
    """No database can hold a lone surrogate."""
    rows[place(rows, "conversation")]["title"] = "half \ud800"
    report = await client.import_conversations(write(rows))

    assert "half \ufffd" == (await client.record(report.imported[0])).title


async def test_mutated_files_raise_nothing_foreign(client, rows, write):
    """Whatever is changed in a file, it is imported, reported or refused, and the store stays sound."""
    chance = random.Random(6)  # noqa: S311  # to be the same every time
    path = write(rows)
    whole = path.read_bytes()
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            start = chance.randrange(len(content))
            content[start : start + chance.randrange(4)] = chance.choice(
                [b"", b"\x00", b"null", b"[]", b'"', b"-1", b"{", b"\n", b"e9", b"\\ud800", b"0" * 30]
            )
        path.write_bytes(content)
        try:
            await client.import_conversations(path)
        except tertulia.TransferError:
            continue
    assert () == (await client.check_store()).problems


async def test_replaced_values_raise_nothing_foreign(client, rows, write):
    """The same with every member of every kind of line replaced by values of every type."""
    values = [-1, "\u0000", [[]], {"type": "text"}]
    for kind in ("conversation", "branch", "message", "attempt", "blob", "end", "tertulia"):
        at = place(rows, kind)
        for name in rows[at]:
            for value in values:
                changed = [*rows[:at], {**rows[at], name: value}, *rows[at + 1 :]]
                try:
                    await client.import_conversations(write(changed))
                except tertulia.TransferError:
                    continue
    assert () == (await client.check_store()).problems


async def test_what_the_store_refuses_is_reported(client, rows, write, monkeypatch):
    """Of many that go together each is tried by itself; a store in trouble is another matter."""
    store, add = client._open.store, client._open.store.add_trees
    second = UUID(rows[place(rows, "conversation", 1)]["id"])

    async def refuse(owner, trees):
        if any(tree.record.id == second for tree in trees):
            raise StoreError("it is not to the store's taste")
        return await add(owner, trees)

    monkeypatch.setattr(store, "add_trees", refuse)
    report = await client.import_conversations(write(rows))
    assert (2, second) == (len(report.imported), report.problems[0].conversation_id)

    async def fail(owner, trees):
        raise StoreBusyError("it is busy")

    monkeypatch.setattr(store, "add_trees", fail)
    with pytest.raises(StoreBusyError):
        await client.import_conversations(write(rows))


async def test_a_file_that_is_not_there_is_said(client, tmp_path):
    """By its name."""
    with pytest.raises(tertulia.TransferError, match=r"no\.jsonl cannot be read: No such file"):
        await client.import_conversations(tmp_path / "no.jsonl")
    with pytest.raises(tertulia.TransferError, match="cannot be read"):
        await client.import_conversations(tmp_path)


@pytest.mark.parametrize("choice", [{"format": "xml"}, {"on_error": "panic"}])
async def test_other_formats_and_ways_are_none(client, rows, write, choice):
    """The error names those there are."""
    with pytest.raises(tertulia.ConfigurationError, match="choose one of"):
        await client.import_conversations(write(rows), **choice)


async def test_a_pipe_is_not_waited_for(client, tmp_path):
    """What can be read only once, and perhaps never, is refused at once."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(tertulia.TransferError, match=r"pipe cannot be read: it is no file"):
        await asyncio.wait_for(client.import_conversations(tmp_path / "pipe"), 10)
