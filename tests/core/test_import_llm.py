"""
The logs of ``llm`` become conversations.

The tables are those that ``llm`` 0.36 makes, as far as they are read; a log it wrote was read once by hand.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import tertulia
from tertulia import Image, Role, Text, ToolCall, ToolResult, Usage
from tertulia.domain.message import Reasoning

OLD = """
CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT, prompt_json TEXT,
    options_json TEXT, response TEXT, response_json TEXT, conversation_id TEXT, duration_ms INTEGER,
    datetime_utc TEXT, input_tokens INTEGER, output_tokens INTEGER, token_details TEXT, schema_id TEXT,
    resolved_model TEXT, reasoning TEXT);
"""
MORE = """
CREATE TABLE attachments (id TEXT PRIMARY KEY, type TEXT, path TEXT, url TEXT, content BLOB);
CREATE TABLE prompt_attachments (response_id TEXT, attachment_id TEXT, "order" INTEGER);
CREATE TABLE fragments (id INTEGER PRIMARY KEY, hash TEXT, content TEXT, datetime_utc TEXT, source TEXT);
CREATE TABLE prompt_fragments (response_id TEXT, fragment_id INTEGER, "order" INTEGER);
CREATE TABLE tool_calls (id INTEGER PRIMARY KEY, response_id TEXT, tool_id INTEGER, name TEXT,
    arguments TEXT, tool_call_id TEXT);
CREATE TABLE tool_results (id INTEGER PRIMARY KEY, response_id TEXT, tool_id INTEGER, name TEXT,
    output TEXT, tool_call_id TEXT, instance_id INTEGER, exception TEXT);
"""
NEW = """
CREATE TABLE threads (id TEXT PRIMARY KEY, name TEXT, tip_message_hash TEXT, forked_from TEXT,
    datetime_utc TEXT);
CREATE TABLE turns (id TEXT PRIMARY KEY, thread_id TEXT, parent_message_hash TEXT, tip_message_hash TEXT,
    model TEXT, resolved_model TEXT, options_json TEXT, schema_id TEXT, input_tokens INTEGER,
    output_tokens INTEGER, token_details TEXT, duration_ms INTEGER, datetime_utc TEXT, response_json TEXT);
CREATE TABLE messages (hash TEXT PRIMARY KEY, parent_hash TEXT, role TEXT, provider_metadata TEXT);
CREATE TABLE parts (id INTEGER PRIMARY KEY, message_hash TEXT, position INTEGER, type TEXT, tool_name TEXT,
    text TEXT, payload TEXT);
"""


@pytest.fixture
async def client() -> AsyncIterator[tertulia.Client]:
    async with tertulia.open(store="memory:") as client:
        yield client


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """A log of some tables, with rows in them."""

    def make(tables: str, **rows: list[dict[str, Any]]) -> Path:
        path = tmp_path / "logs.db"
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as database, database:
            database.executescript(tables)
            for table, each in ((table, row) for table, many in rows.items() for row in many):
                names = ", ".join(f'"{name}"' for name in each)
                marks = ", ".join("?" * len(each))
                database.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(each.values()))  # noqa: S608  # names of ours
        return path

    return make


def response(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"r{number}", "model": "gpt-4o", "prompt": f"question {number}", "response": f"answer {number}",
        "conversation_id": "c1", "duration_ms": 1500, "datetime_utc": f"2025-05-0{number}T10:00:00",
        "input_tokens": 10, "output_tokens": 5, **more,
    }  # fmt: skip


def said(name: str, parent: str | None, role: str, text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    message = {"hash": name, "parent_hash": parent, "role": role}
    return message, {"message_hash": name, "position": 0, "type": "text", "text": text}


def turn(number: int, parent: str | None, tip: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"t{number}", "thread_id": "th", "parent_message_hash": parent, "tip_message_hash": tip,
        "model": "mock", "resolved_model": "mock-1", "input_tokens": 10, "output_tokens": 5,
        "duration_ms": 250, "datetime_utc": f"2026-05-0{number}T10:00:00+00:00", **more,
    }  # fmt: skip


BOOK = (Text("A book!"),)
THREAD = {"id": "th", "name": "Thread", "tip_message_hash": "a2", "datetime_utc": "2026-05-01 10:00:00+00:00"}


async def read(client: tertulia.Client, path: Path) -> tertulia.Conversation:
    report = await client.import_conversations(path)
    assert () == report.problems
    return await client.get(report.imported[0])


async def test_old_rows_are_a_conversation(client, make):
    """Each was a question and its answer; a system prompt is said where it changes."""
    rows = [response(1, system="Brief"), response(2, system="Brief", reasoning="hm", resolved_model="snap")]
    path = make(OLD, conversations=[{"id": "c1", "name": "Old", "model": "gpt-4o"}], responses=rows)
    conversation = await read(client, path)
    history = await conversation.history()

    assert "Old" == conversation.title
    assert ["Brief", "question 1", "answer 1", "question 2", "answer 2"] == [each.text for each in history]
    assert (Reasoning("hm"), Text("answer 2")) == history[-1].parts
    assert ("llm", "gpt-4o", "snap", 1.5) == (
        history[-1].provider, history[-1].model, history[-1].resolved_model, history[-1].latency_seconds,
    )  # fmt: skip
    assert Usage(input_tokens=10, output_tokens=5) == history[-1].usage
    assert ["2025-05-01", "2025-05-02"] == [f"{each.started_at:%F}" for each in await conversation.attempts()]
    assert (20, 10) == (
        (await conversation.record()).usage.input_tokens,
        (await conversation.record()).usage.output_tokens,
    )
    assert () == (await client.check_store()).problems


async def test_what_was_attached_comes_along(client, make):
    """With its bytes or its address; a path is somebody's file, and not read."""
    attachments = [
        {"id": "x", "type": "image/png", "content": b"PNG"},
        {"id": "y", "type": "image/png", "url": "https://example.org/a.png"},
        {"id": "z", "type": "text/plain", "path": "/etc/passwd"},
    ]
    path = make(
        OLD + MORE, responses=[response(1)], attachments=attachments,
        prompt_attachments=[{"response_id": "r1", "attachment_id": each["id"], "order": order}
                            for order, each in enumerate(attachments)],
        fragments=[{"id": 1, "content": "A book"}],
        prompt_fragments=[{"response_id": "r1", "fragment_id": 1, "order": 0}],
    )  # fmt: skip
    question = (await (await read(client, path)).history())[0]

    assert (
        Text("A book\nquestion 1"),
        Image(data=b"PNG", media_type="image/png"),
        Image(url="https://example.org/a.png", media_type="image/png"),
        Text("[text/plain that is not in the log: /etc/passwd]"),
    ) == question.parts


async def test_tools_of_old_rows_are_calls(client, make):
    """The results stand before the next question."""
    path = make(
        OLD + MORE, responses=[response(1, response=""), response(2, prompt="")],
        tool_calls=[
            {"response_id": "r1", "name": "up.per", "arguments": '{"a":1}', "tool_call_id": "k"},
            {"response_id": "r1", "name": "bad", "arguments": "{", "tool_call_id": None},
        ],
        tool_results=[{"response_id": "r2", "name": "up.per", "output": "A", "tool_call_id": "k"},
                      {"response_id": "r2", "name": "bad", "output": "", "exception": "no"}],
    )  # fmt: skip
    history = await (await read(client, path)).history()

    assert [
        (Role.USER, (Text("question 1"),)),
        (Role.ASSISTANT, (ToolCall("k", "up_per", {"a": 1}), ToolCall("bad", "bad", None, "{"))),
        (Role.TOOL, (ToolResult("k", "up_per", "A"), ToolResult("bad", "bad", "no", is_error=True))),
        (Role.ASSISTANT, (Text("answer 2"),)),
    ] == [(each.role, each.parts) for each in history]


def thread() -> dict[str, list[dict[str, Any]]]:
    pairs = [
        said("s", None, "system", "Brief"),
        said("q1", "s", "user", "One?"),
        said("a1", "q1", "assistant", "One."),
        said("q2", "a1", "user", "Two?"),
        said("a2", "q2", "assistant", "Two."),
        said("a3", "q1", "assistant", "Uno."),
    ]
    return {
        "threads": [dict(THREAD)],
        "turns": [turn(1, "q1", "a1"), turn(2, "q2", "a2"), turn(3, "q1", "a3")],
        "messages": [message for message, _ in pairs],
        "parts": [part for _, part in pairs],
    }


async def test_a_thread_is_a_tree(client, make):
    """It is opened at its tip; what else was answered is a branch."""
    conversation = await read(client, make(NEW + MORE, **thread()))
    history = await conversation.history()

    assert ["Brief", "One?", "One.", "Two?", "Two."] == [each.text for each in history]
    other = await client.get(conversation.id, branch="branch-2")
    assert ["Brief", "One?", "Uno."] == [each.text for each in await other.history()]
    assert ("mock", "mock-1", 0.25) == (
        history[-1].model,
        history[-1].resolved_model,
        history[-1].latency_seconds,
    )
    assert [("main", 1), ("main", 1), ("main", 2)] == [
        (each.branch, each.number) for each in await conversation.attempts()
    ]
    assert () == (await client.check_store()).problems


async def test_a_second_import_changes_nothing(client, make):
    """Ids are made of ids, so what is there is known again."""
    first = await client.import_conversations(make(NEW + MORE, **thread()))
    second = await client.import_conversations(make(NEW + MORE, **thread()))

    assert ((), first.imported) == (second.imported, second.skipped)


async def test_a_conversation_that_is_a_thread_now_comes_once(client, make):
    """It was gone on with, and is whole there."""
    path = make(OLD + MORE + NEW, responses=[response(1, conversation_id="th"), response(2)], **thread())
    report = await client.import_conversations(path)

    assert (2, 8) == (len(report.imported), report.message_count)


@pytest.mark.parametrize(
    ("kind", "text", "payload", "expected"),
    [
        ("text", None, {"text_ref": [{"fragment": 1}, {"literal": "!"}, {"fragment": 2}, 7]}, BOOK),
        ("text", None, {"text_ref": [{"fragment": 2**70}]}, (Text(""),)),
        ("reasoning", "hm", None, (Reasoning("hm"),)),
        ("reasoning", "", {"redacted": True}, ()),
        ("attachment", None, {"attachment": {"id": "x"}}, (Image(data=b"PNG", media_type="image/png"),)),
        ("attachment", None, {"attachment": {"id": "gone"}}, ()),
        ("tool_call", None, {"name": "f", "arguments": {"a": 1}}, (ToolCall("f", "f", {"a": 1}),)),
        ("tool_call", None, {"name": "f", "arguments": 7, "tool_call_id": "k"}, (ToolCall("k", "f", {}),)),
        ("tool_result", None, {"name": "f", "output": "A"}, (ToolResult("f", "f", "A"),)),
        ("tool_result", None, {"exception": "no"}, (ToolResult("tool", "tool", "no", is_error=True),)),
        ("hologram", None, None, (Text("[hologram: nobody knows what it is]"),)),
        (None, None, None, (Text("[something: nobody knows what it is]"),)),
    ],
)  # fmt: skip
async def test_every_kind_of_part_is_read(client, make, kind, text, payload, expected):
    """What is kept once for many is looked up."""
    rows = thread()
    rows["parts"][0] |= {
        "type": kind, "text": text, "payload": None if payload is None else json.dumps(payload),
    }  # fmt: skip
    rows |= {
        "attachments": [{"id": "x", "type": "image/png", "content": b"PNG"}],
        "fragments": [{"id": 1, "content": "A book"}],
    }
    conversation = await read(client, make(NEW + MORE, **rows))
    assert expected == (await conversation.history())[0].parts


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows: rows["messages"].pop(0), "message s is missing"),
        (lambda rows: rows["messages"][0].update(parent_hash="a2"), "go in a circle"),
        (lambda rows: rows["messages"][1].update(role="nobody"), "said by nobody known"),
        (lambda rows: rows["threads"][0].update(tip_message_hash="gone"), "message gone is missing"),
    ],
)
async def test_a_broken_thread_is_a_problem(client, make, change, reason):
    """It is left out, and what is beside it is not."""
    rows = thread()
    change(rows)
    report = await client.import_conversations(make(NEW + MORE + OLD, responses=[response(1)], **rows))

    assert 1 == len(report.imported)
    assert [("thread th", True)] == [(each.place, reason in each.reason) for each in report.problems]


async def test_columns_of_other_types_do_no_harm(client, make):
    """SQLite holds anything anywhere."""
    row = response(
        1, model=b"x", prompt=7, response=None, duration_ms="long", input_tokens=-1, datetime_utc="?"
    )
    rows = thread()
    rows["turns"][0] |= {"model": 7, "datetime_utc": b"", "duration_ms": 2**62, "output_tokens": 1.5}
    rows["parts"][0] |= {"payload": "{broken", "text": b"\xff"}
    rows["threads"][0] |= {"name": 7, "datetime_utc": "9999-99-99"}
    report = await client.import_conversations(make(NEW + MORE + OLD, responses=[row], **rows))

    assert (2, ()) == (len(report.imported), report.problems)
    assert () == (await client.check_store()).problems


@pytest.mark.parametrize(
    "tables",
    [
        "CREATE TABLE other (id TEXT)",
        "CREATE TABLE conversations (id TEXT); CREATE VIEW responses AS SELECT 1 AS id",
        "CREATE TABLE conversations (id TEXT); CREATE TABLE responses (id TEXT)",
        f"{OLD} CREATE VIEW tool_calls AS SELECT 'r1' AS response_id, 1 AS id",
    ],
)
async def test_another_database_is_refused(client, make, tables):
    """By its tables, and what only looks like one is not asked."""
    with pytest.raises(tertulia.TransferError, match=r"has not the tables|cannot be read"):
        await client.import_conversations(make(tables))


async def test_a_damaged_database_is_refused(client, make):
    """Nothing in it can be trusted to be read."""
    path = make(NEW + MORE, **thread())
    path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4000)
    with pytest.raises(tertulia.TransferError, match="cannot be read"):
        await client.import_conversations(path)


async def test_the_log_is_not_changed(client, make):
    """It is opened to be read, and nothing else."""
    path = make(NEW + MORE, **thread())
    before = path.read_bytes()
    await client.import_conversations(path, on_error="refuse")

    assert before == path.read_bytes()
    assert ["logs.db"] == [each.name for each in path.parent.iterdir()]
