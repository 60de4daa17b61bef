"""Conversations leave a store as a file, and come back as they were."""

from __future__ import annotations

import asyncio
import json
import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tertulia
from tertulia import (
    Audio,
    Document,
    Image,
    Mark,
    Message,
    OpaqueState,
    ProviderFile,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from tertulia.builtin.sql.trees import lay_out
from tertulia.domain.conversation import ConversationState
from tertulia.domain.message import Foreign, Reasoning, Refusal
from tertulia.domain.transfer import ConversationTree
from tertulia.services.transfer.files import sort_parents_first
from tertulia.testing import ScriptedProvider, StandingClock
from tertulia.testing.contracts.transfer import make_tree

EVERY_PART = (
    Text("words", OpaqueState("openai", {"big": 2**70, "deep": [None, 1.5, "é\n"]})),
    Image(data=b"\x89PNG", media_type="image/png", detail="low"),
    Image(url="https://example.org/a.png"),
    Document(file=ProviderFile("openai", "file-1"), name="a.pdf"),
    Audio(data=b"\x89PNG", media_type="audio/wav"),
    Video(data=b"", media_type="video/mp4"),
    Reasoning("hm", OpaqueState("gemini", "signature")),
    ToolCall("1", "find", {"q": ["x", 1, None]}),
    ToolCall("2", "find", None, "{broken"),
    ToolResult("1", "find", "found", is_error=True),
    Refusal("no"),
    Foreign("web_search_call", OpaqueState("openai", [1])),
)


@pytest.fixture
async def client() -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(
        store="memory:", plugins=[ScriptedProvider("one").says("one").says("two").says("three")]
    ) as client:
        yield client


@pytest.fixture
async def other() -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(
        store="memory:", plugins=[ScriptedProvider("one").says("one").says("two").says("three")]
    ) as client:
        yield client


def rich_tree(number: int = 0) -> ConversationTree:
    """A conversation with something in every field."""
    clock = StandingClock()
    tree = make_tree(clock, number)
    question, answer, again, last = tree.messages
    mark = Mark(pinned=True, importance=0.25, expires_at=clock.now() + timedelta(days=1))
    messages = (question, answer, attrs.evolve(again, parts=EVERY_PART, mark=mark), last)
    return attrs.evolve(tree, messages=messages)


async def fill(client: tertulia.Client, *trees: ConversationTree) -> None:
    await client._open.store.add_trees("local", trees)


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


async def test_what_was_exported_can_be_imported_whole(client, other, tmp_path):
    """Export, import into an empty store, export: the two files are the same, byte for byte."""
    archived = rich_tree(1)
    archived = attrs.evolve(archived, record=attrs.evolve(archived.record, state=ConversationState.ARCHIVED))
    await fill(client, rich_tree(), archived)
    assert 2 == await client.export(tmp_path / "first.jsonl")

    report = await other.import_conversations(tmp_path / "first.jsonl")
    await other.export(tmp_path / "second.jsonl")

    assert (8, ()) == (report.message_count, report.problems)
    assert (tmp_path / "first.jsonl").read_bytes() == (tmp_path / "second.jsonl").read_bytes()
    messages = await other._open.store.get_messages("local", archived.record.id, "main")
    attempts = await other._open.store.get_attempts("local", archived.record.id)
    assert EVERY_PART == messages[-1].parts
    assert ("its name", 0.75) == (messages[0].client_id, attempts[0].queued_seconds)
    assert () == (await other.check_store()).problems


async def test_what_was_said_and_branched_comes_back(client, other, tmp_path):
    """A conversation that was really had goes on in another store where it was left in this one."""
    conversation = await client.start("Trip", provider="one", system="Be brief.")
    await conversation.send("Hello")
    fork = await conversation.fork("other")
    await fork.send("there")
    await conversation.send("here")
    await conversation.tag("travel")
    await client.export(tmp_path / "trip.jsonl")

    await other.import_conversations(tmp_path / "trip.jsonl")
    again = await other.get(conversation.id)
    await other.export(tmp_path / "again.jsonl")

    assert await conversation.history() == await again.history()
    assert await conversation.attempts() == await again.attempts()
    assert (await client.record(conversation.id)).cost == (await other.record(conversation.id)).cost
    assert (tmp_path / "trip.jsonl").read_bytes() == (tmp_path / "again.jsonl").read_bytes()
    assert (await again.send("And on")).text
    assert ["main", "other"] == [branch.name for branch in await again.branches()]


async def test_the_file_says_what_it_is_and_where_it_ends(client, tmp_path):
    """The first line names the format, the last one counts; between them is a line for everything."""
    tree = rich_tree()
    await fill(client, tree)
    await client.export(tmp_path / "a.jsonl")
    rows = read(tmp_path / "a.jsonl")

    assert {"type": "tertulia", "version": 1} == rows[0]
    assert {"type": "end", "conversation": 1, "branch": 2, "message": 4, "attempt": 3} == rows[-1]
    kinds = [row["type"] for row in rows]
    assert ["tertulia", "conversation", "branch", "branch", "message"] == kinds[:5]
    # Equal bytes stand in the file once; the empty ones are others.
    assert 2 == kinds.count("blob")
    assert {"usd": "0.01", "source": "computed", "price_row": "row"} == rows[5]["cost"]


async def test_deleted_conversations_are_exported_when_named(client, tmp_path):
    """All are all but the deleted ones; who names one gets it, in the order named."""
    first, second = rich_tree(), rich_tree(1)
    await fill(client, first, second)
    await client.delete(first.record.id)

    assert 1 == await client.export(tmp_path / "a.jsonl")
    named = [second.record.id, first.record.id, second.record.id]
    assert 2 == await client.export(tmp_path / "b.jsonl", conversations=named)
    rows = [row for row in read(tmp_path / "b.jsonl") if row["type"] == "conversation"]
    assert [(str(second.record.id), "active"), (str(first.record.id), "deleted")] == [
        (row["id"], row["state"]) for row in rows
    ]


async def test_many_messages_are_written_page_by_page(client, tmp_path, monkeypatch):
    """However small the pages, the file is the same, and progress is told."""
    await fill(client, *(rich_tree(number) for number in range(3)))
    await client.export(tmp_path / "a.jsonl")
    monkeypatch.setattr("tertulia.services.transfer.exporting.MESSAGES_AT_ONCE", 1)
    monkeypatch.setattr("tertulia.services.transfer.exporting.CONVERSATIONS_AT_ONCE", 1)
    told: list[tuple[int, int | None]] = []
    await client.export(tmp_path / "b.jsonl", progress=lambda *so_far: told.append(so_far))

    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert [(1, None), (2, None), (3, None)] == told


async def test_an_empty_store_makes_an_empty_export(client, other, tmp_path):
    """Which is whole, and imports to nothing."""
    assert 0 == await client.export(tmp_path / "a.jsonl")
    assert tertulia.ImportReport() == await other.import_conversations(tmp_path / "a.jsonl")


@pytest.mark.parametrize("error", [ZeroDivisionError, asyncio.CancelledError])
async def test_an_export_that_breaks_off_leaves_no_file(client, tmp_path, error):
    """What was there before is there still, and nothing beside it."""
    await fill(client, rich_tree(), rich_tree(1))
    (tmp_path / "a.jsonl").write_text("before")

    def stop(done: int, total: int | None) -> None:
        raise error

    with pytest.raises(error):
        await client.export(tmp_path / "a.jsonl", progress=stop)

    assert ["a.jsonl"] == [path.name for path in tmp_path.iterdir()]
    assert "before" == (tmp_path / "a.jsonl").read_text()


@pytest.mark.parametrize("name", ["missing/a.jsonl", "."])
async def test_a_file_that_cannot_be_written_is_said(client, tmp_path, name):
    """The error names it, and says that nothing was left behind."""
    with pytest.raises(tertulia.TransferError, match="cannot be written") as caught:
        await client.export(tmp_path / name)

    assert "was left behind" in str(caught.value)
    assert [] == list(tmp_path.iterdir())


@contextmanager
def full_after(room: int) -> Iterator[None]:
    """As on a disk that is full, files of this process take so many bytes."""
    _, most = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 300])
async def test_a_full_disk_is_said_and_leaves_nothing(client, tmp_path, room):
    """Neither where a write fails nor where the rest of it fails once more at the end."""
    await client.start("Trip", provider="one")
    (tmp_path / "a.jsonl").write_text("before")

    with full_after(room), pytest.raises(tertulia.TransferError, match="cannot be written") as caught:
        await client.export(tmp_path / "a.jsonl")

    assert "was left behind" in str(caught.value)
    assert ["a.jsonl"] == [path.name for path in tmp_path.iterdir()]
    assert "before" == (tmp_path / "a.jsonl").read_text()


async def test_a_link_goes_on_leading_to_the_export(client, tmp_path):
    """The file it leads to is replaced, and not the link."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link.jsonl").symlink_to("elsewhere/a.jsonl")

    for _ in range(2):
        await client.export(tmp_path / "link.jsonl")

    assert (tmp_path / "link.jsonl").is_symlink()
    assert b'{"type":"tertulia"' == (tmp_path / "elsewhere/a.jsonl").read_bytes()[:18]
    assert ["a.jsonl"] == [path.name for path in (tmp_path / "elsewhere").iterdir()]


async def test_what_is_no_file_is_not_replaced(client, tmp_path):
    """A device or a pipe stays what it is."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(tertulia.TransferError, match="it is no file"):
        await client.export(tmp_path / "pipe")

    assert ["pipe"] == [path.name for path in tmp_path.iterdir()]
    assert (tmp_path / "pipe").is_fifo()


async def test_a_name_may_be_as_long_as_the_disk_allows(client, tmp_path):
    """Nothing is added to it on the way."""
    await client.export(tmp_path / f"{'a' * 249}.jsonl")

    assert [f"{'a' * 249}.jsonl"] == [path.name for path in tmp_path.iterdir()]


async def test_one_that_is_not_there_is_not_exported(client, tmp_path):
    """Nothing is written then."""
    with pytest.raises(tertulia.ConversationNotFoundError):
        await client.export(tmp_path / "a.jsonl", conversations=[UUID(int=7)])

    assert [] == list(tmp_path.iterdir())


async def test_what_people_said_is_nobody_elses_to_read(client, tmp_path):
    """The file is its owner's."""
    await client.export(tmp_path / "a.jsonl")
    assert 0o600 == (tmp_path / "a.jsonl").stat().st_mode & 0o777


trees = st.lists(st.integers(min_value=-1, max_value=30), max_size=30)


def grow(parents: list[int]) -> list[Message]:
    """Messages whose parents come before them."""
    return [
        Message(
            Role.USER,
            (),
            id=UUID(int=number + 1),
            parent_id=None if (parent := min(above, number - 1)) < 0 else UUID(int=parent + 1),
        )
        for number, above in enumerate(parents)
    ]


@settings(max_examples=50)
@given(parents=trees)
def test_every_message_has_a_place_of_its_own(parents):
    """One deeper than its parent: on the same segment for the first child, else where a new one leaves it."""
    messages = grow(parents)
    layout = lay_out(messages)
    runs = {run.id: run for run in layout.runs}

    assert len(messages) == len(set(layout.places.values()))
    continued = set()
    for message in messages:
        segment, depth = layout.places[message.id]
        above = layout.places.get(message.parent_id)
        if above is None:
            assert (0, None, None) == (depth, runs[segment].parent_segment, runs[segment].fork_depth)
        elif segment == above[0]:
            assert depth == above[1] + 1
            continued.add(message.parent_id)
        else:
            assert (depth - 1, above) == (above[1], (runs[segment].parent_segment, runs[segment].fork_depth))
            assert message.parent_id in continued
    assert sorted(runs) == list(runs)


@settings(max_examples=50)
@given(parents=trees, data=st.data())
def test_messages_are_sorted_behind_what_they_follow(parents, data):
    """Any order becomes one of parents first; one that is so already stays as it is."""
    messages = grow(parents)
    shuffled = data.draw(st.permutations(messages))
    ordered = sort_parents_first(shuffled)
    seen = {None}
    for message in ordered:
        assert message.parent_id in seen
        seen.add(message.id)

    assert tuple(messages) == sort_parents_first(messages)
    assert set(shuffled) == set(ordered)
    assert len(shuffled) == len(ordered)
