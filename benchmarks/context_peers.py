"""What other packages keep of a conversation: in an environment of their own, by the same count of tokens."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.context_scores import Select, Selection, count_question, count_turn
from benchmarks.context_talks import Talk

VARIABLE = "TERTULIA_BENCHMARK_CONTEXT_PEERS"
"""The environment variable that names a Python in whose environment the others are installed."""

PEERS = {"LangChain trim_messages": "langchain", "litellm trim_messages": "litellm"}
_SCRIPT = Path(__file__).with_name("context_peers_alone.py")
_LONGEST = 2**26


@asynccontextmanager
async def open_peers() -> AsyncIterator[dict[str, Select]]:
    """Start those who are installed where the environment variable points to, each by its name."""
    python = os.environ.get(VARIABLE)
    async with AsyncExitStack() as stack:
        found: dict[str, Select] = {}
        for title, name in PEERS.items() if python else ():
            process = await stack.enter_async_context(_run(python or "", name))
            if await _ask(process, {"messages": [], "questions": [], "budget": 1}) is not None:
                found[title] = _make_select(process)
        yield found


@asynccontextmanager
async def _run(python: str, name: str) -> AsyncIterator[Process]:
    """Run one of them in a process of its own, which ends when nothing more is asked."""
    process = await asyncio.create_subprocess_exec(
        python, _SCRIPT, name, stdin=PIPE, stdout=PIPE, limit=_LONGEST
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def _make_select(process: Process) -> Select:
    async def select(talk: Talk, budget: int) -> Sequence[Selection]:
        task = {
            "messages": [
                {"role": turn.role, "text": turn.text, "tokens": count_turn(turn)} for turn in talk.turns
            ],
            "questions": [{"text": each.text, "tokens": count_question(each)} for each in talk.questions],
            "budget": budget,
        }
        return [
            Selection(
                frozenset(talk.turns[number].id for number in each["kept"]),
                each["has_newest"],
                each["seconds"],
            )
            for each in await _ask(process, task) or ()
        ]

    return select


async def _ask(process: Process, task: dict[str, Any]) -> list[dict[str, Any]] | None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(task).encode() + b"\n")
    await process.stdin.drain()
    answers: list[dict[str, Any]] | None = json.loads(await process.stdout.readline())
    return answers
