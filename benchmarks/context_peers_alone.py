"""
What other packages keep of a conversation, measured in an environment of their own.

``python benchmarks/context_peers_alone.py NAME`` reads JSON objects, one a line: ``messages``, each with
``role``, ``text`` and ``tokens``, ``questions``, each with ``text`` and ``tokens``, and ``budget``. It prints
for each a list with an object for each question: ``kept``, the places of the messages that are kept,
``has_newest`` and ``seconds``; null where the package is not installed. It imports nothing of ours, and we
nothing of theirs.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

Json = dict[str, Any]
_WARM_UP: list[Json] = [{"number": number, "role": "user", "text": "Hi!", "tokens": 5} for number in range(2)]
Cut = Callable[[list[Json], int], list[int]]
"""Takes messages, each with its number, the question last; returns the numbers of what is kept."""


def main(name: str) -> None:
    cut = None
    with suppress(ImportError):
        cut = {"langchain": _make_langchain, "litellm": _make_litellm}[name]()
        cut(_WARM_UP, 1)  # what is imported late is imported now
    for line in sys.stdin:
        task = json.loads(line)
        answers = None if cut is None else [_cut(cut, task, question) for question in task["questions"]]
        print(json.dumps(answers), flush=True)


def _cut(cut: Cut, task: Json, question: Json) -> Json:
    said = [{**message, "number": number} for number, message in enumerate(task["messages"])]
    newest = len(said)
    said.append({**question, "role": "user", "number": newest})
    began = time.perf_counter()
    kept = cut(said, task["budget"])
    seconds = time.perf_counter() - began
    return {
        "kept": [number for number in kept if number != newest],
        "has_newest": newest in kept,
        "seconds": seconds,
    }


def _make_langchain() -> Cut:
    messages = import_module("langchain_core.messages")
    classes = {"user": messages.HumanMessage, "assistant": messages.AIMessage}

    def cut(said: list[Json], budget: int) -> list[int]:
        tokens = {str(each["number"]): each["tokens"] for each in said}
        history = [classes[each["role"]](each["text"], id=str(each["number"])) for each in said]
        kept = messages.trim_messages(
            history,
            max_tokens=budget,
            strategy="last",
            token_counter=lambda some: sum(tokens[each.id] for each in some),
        )
        return [int(each.id) for each in kept]

    return cut


def _make_litellm() -> Cut:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network for prices
    utils = import_module("litellm.utils")
    tokens: dict[str, int] = {}

    def count(messages: Sequence[Json] = (), **_: object) -> int:
        return sum(tokens.get(each["content"], _guess(each["content"])) for each in messages)

    utils.token_counter = count

    def cut(said: list[Json], budget: int) -> list[int]:
        tokens.update((each["text"], each["tokens"]) for each in said)
        history = [{"role": each["role"], "content": each["text"], "number": each["number"]} for each in said]
        kept = utils.trim_messages(history, model="gpt-4o", max_tokens=budget)
        # It also shortens messages: what has not its own words any more is not kept whole.
        return [each["number"] for each in kept if each["content"] == history[each["number"]]["content"]]

    return cut


def _guess(text: str) -> int:
    """Count what is left of a shortened message."""
    return 4 + len(text) // 4


if __name__ == "__main__":
    main(sys.argv[1])
