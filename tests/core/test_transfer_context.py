"""How a conversation's contexts are chosen goes with it into a file, and comes back from it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import tertulia
from tertulia import ContextOptions
from tertulia.testing import ScriptedProvider

OPTIONS = ContextOptions(
    strategy="summary",
    max_tokens=8000,
    max_messages=40,
    reserve_tokens=0,
    recall="never",
    max_recall_tokens=0,
    optimise="off",
    summary_model="one/m",
)


@pytest.fixture
async def client() -> AsyncIterator[tertulia.Client]:
    plugins = [ScriptedProvider("one")]
    async with tertulia.open(store="memory:", providers={}, plugins=plugins, environ={}) as client:
        yield client


@pytest.fixture
async def elsewhere() -> AsyncIterator[tertulia.Client]:
    """Somebody with another store."""
    async with tertulia.open(store="memory:", environ={}) as client:
        yield client


@pytest.fixture
async def rows(client: tertulia.Client, tmp_path: Path) -> list[dict[str, Any]]:
    """The lines of an export of two conversations, of one of which nothing was said."""
    await client.start(provider="one", context=OPTIONS)
    await client.start(provider="one")
    await client.export(tmp_path / "good.jsonl")
    return [json.loads(line) for line in (tmp_path / "good.jsonl").read_text().splitlines()]


@pytest.fixture
def write(rows: list[dict[str, Any]], tmp_path: Path) -> Callable[[object], Path]:
    """Write the export with other options for the first conversation."""

    def write(context: object) -> Path:
        path = tmp_path / "in.jsonl"
        head = next(row for row in rows if "context" in row)
        head["context"] = context
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


async def read(client: tertulia.Client, report: tertulia.ImportReport) -> list[ContextOptions]:
    """What came of each conversation, by its id."""
    found = [await (await client.get(identifier)).record() for identifier in report.imported]
    return [record.context for record in sorted(found, key=lambda record: record.id)]


async def test_what_was_said_comes_back(elsewhere, rows, tmp_path):
    """Every option, also one that is nothing; of a conversation nothing was said of the file says nothing."""
    said = [row.get("context") for row in rows if row["type"] == "conversation"]
    report = await elsewhere.import_conversations(tmp_path / "good.jsonl")

    assert {
        "strategy": "summary",
        "max_tokens": 8000,
        "max_messages": 40,
        "reserve_tokens": 0,
        "recall": "never",
        "max_recall_tokens": 0,
        "optimise": "off",
        "summary_model": "one/m",
    } in said
    assert None in said
    assert {OPTIONS, ContextOptions()} == set(await read(elsewhere, report))


@pytest.mark.parametrize(
    ("context", "options"),
    [
        (None, ContextOptions()),
        ({}, ContextOptions()),
        ({"recall": "auto", "of a later version": [1]}, ContextOptions(recall="auto")),
        ({"max_tokens": None, "max_messages": 3}, ContextOptions(max_messages=3)),
    ],
)
async def test_what_is_not_said_is_left_open(elsewhere, write, context, options):
    """So is what a later version may say."""
    report = await elsewhere.import_conversations(write(context))

    assert () == report.problems
    assert {options, ContextOptions()} == set(await read(elsewhere, report))


@pytest.mark.parametrize(
    ("context", "reason"),
    [
        ([], "context: [] is no object"),
        ("recall", "context: 'recall' is no object"),
        ({"strategy": 1}, "context: strategy: 1 is no text"),
        ({"strategy": " "}, "context: strategy is not a text that is not empty"),
        ({"max_tokens": 0}, "context: max_tokens: 0 is no whole number from 1 to "),
        ({"max_tokens": 10**30}, "context: max_tokens: 1000000000000000000000000000000 is no whole"),
        ({"max_messages": True}, "context: max_messages: True is no whole number from 1 to "),
        ({"reserve_tokens": 1.5}, "context: reserve_tokens: 1.5 is no whole number from 0 to "),
        ({"recall": "sometimes"}, "context: recall: 'sometimes' is none of auto, always, never"),
        ({"optimise": []}, "context: optimise: [] is none of "),
        ({"summary_model": ""}, "context: summary_model is not a text that is not empty"),
    ],
)
async def test_what_cannot_be_used_is_said_and_spoils_one_conversation(elsewhere, write, context, reason):
    """The other one is taken."""
    report = await elsewhere.import_conversations(write(context))

    (problem,) = report.problems
    assert reason in problem.reason
    assert [ContextOptions()] == await read(elsewhere, report)
