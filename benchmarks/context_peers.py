"""What other packages keep of a conversation: in an environment of their own, by the same count of tokens."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.context_scores import Select, Selection, count_question, count_turn
from benchmarks.context_talks import Talk

VARIABLE = "TERTULIA_BENCHMARK_CONTEXT_PEERS"
"""The environment variable that names a Python in whose environment the others are installed."""

PEERS = {"LangChain trim_messages": "langchain", "litellm trim_messages": "litellm"}
_SCRIPT = Path(__file__).with_name("context_peers_alone.py")


async def find_peers() -> dict[str, Select]:
    """Say who is installed where the environment variable points to, each by its name."""
    python = os.environ.get(VARIABLE)
    if python is None:
        return {}
    return {title: make_peer(python, name) for title, name in PEERS.items() if await _has(python, name)}


def make_peer(python: str, name: str) -> Select:
    """Let one of the others cut conversations, in the environment of another Python."""

    async def select(talk: Talk, budget: int) -> Sequence[Selection]:
        task = {
            "messages": [
                {"role": turn.role, "text": turn.text, "tokens": count_turn(turn)} for turn in talk.turns
            ],
            "questions": [{"text": each.text, "tokens": count_question(each)} for each in talk.questions],
            "budget": budget,
        }
        answers = await _ask(python, name, task)
        assert answers is not None, f"{name} is not installed in the environment of {python}"
        return [
            Selection(
                frozenset(talk.turns[number].id for number in each["kept"]),
                each["has_newest"],
                each["seconds"],
            )
            for each in answers
        ]

    return select


async def _has(python: str, name: str) -> bool:
    return await _ask(python, name, {"messages": [], "questions": [], "budget": 1}) is not None


async def _ask(python: str, name: str, task: dict[str, object]) -> list[dict[str, object]] | None:
    process = await asyncio.create_subprocess_exec(
        python, _SCRIPT, name, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate(json.dumps(task).encode())
    assert process.returncode == 0
    return json.loads(output)
