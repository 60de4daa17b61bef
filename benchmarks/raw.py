"""The yardstick: aiohttp and json, as someone writes them who needs nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence

import aiohttp

MODEL = "gpt-6.1-sol"
QUESTION = "What should we see in Lisbon in three days?"
HEADERS = {"Authorization": "Bearer sk-benchmark", "Content-Type": "application/json"}

Turn = tuple[str, str]
"""A role and what it says."""


def render_body(turns: Sequence[Turn]) -> dict[str, object]:
    """A Responses request."""
    kinds = {"user": "input_text", "assistant": "output_text"}
    items = [{"role": role, "content": [{"type": kinds[role], "text": text}]} for role, text in turns]
    return {"model": MODEL, "store": False, "input": items}


async def call(session: aiohttp.ClientSession, url: str, body: dict[str, object]) -> str | None:
    """Ask for a whole answer and return its text; None when the provider says no."""
    async with session.post(f"{url}/responses", data=json.dumps(body).encode(), headers=HEADERS) as response:
        answer = json.loads(await response.read())
    return None if answer.get("error") else answer["output"][0]["content"][0]["text"]


async def read_stream(session: aiohttp.ClientSession, url: str, body: dict[str, object]) -> int:
    """Ask for a streamed answer, and return how many deltas it had."""
    content = json.dumps({**body, "stream": True}).encode()
    pieces: list[str] = []
    async with session.post(f"{url}/responses", data=content, headers=HEADERS) as response:
        async for line in response.content:
            if line.startswith(b"data: "):
                event = json.loads(line[6:])
                if event["type"] == "response.output_text.delta":
                    pieces.append(event["delta"])
    return len(pieces)
