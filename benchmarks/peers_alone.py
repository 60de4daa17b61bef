"""
What other packages take to store and read a conversation, measured in an environment of their own.

``python benchmarks/peers_alone.py LENGTH LENGTH`` prints one JSON object: by package, by what it does, in
microseconds of CPU. It imports nothing of ours, and the project imports nothing of theirs.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

TEXT = "word " * 60
TIMES = 15

Took = dict[str, float]


def main(lengths: list[int]) -> None:
    found: dict[str, Took] = {}
    for name, measure in (
        ("llm", _measure_llm),
        ("openai-agents SQLiteSession", _measure_agents),
        ("langgraph SqliteSaver", _measure_langgraph),
    ):
        with suppress(ImportError), tempfile.TemporaryDirectory() as folder:
            os.environ["LLM_USER_PATH"] = folder
            os.environ["LLM_LOAD_PLUGINS"] = ""
            found[name] = asyncio.run(measure(Path(folder) / "peer.db", lengths))
    print(json.dumps(found))


async def _measure_llm(path: Path, lengths: list[int]) -> Took:
    llm, sqlite_utils = import_module("llm"), import_module("sqlite_utils")
    database = sqlite_utils.Database(path)
    import_module("llm.migrations").migrate(database)

    class Echo(llm.Model):
        model_id = "echo"

        def execute(self, *_: object, **__: object) -> Iterator[str]:
            yield TEXT

    class Plugin:
        @llm.hookimpl
        def register_models(self, register: Callable[[Any], None]) -> None:
            register(Echo())

    import_module("llm.plugins").pm.register(Plugin())
    took: Took = {}
    for length in lengths:
        conversation = llm.Conversation(model=Echo(), name=str(length))
        spent: list[float] = []
        for number in range(length // 2 + TIMES):
            response = conversation.prompt(f"{TEXT} {number}")
            response.text()
            before = time.process_time()
            response.log_to_db(database)
            spent.append((time.process_time() - before) * 1e6)
        took[f"append {length}"] = statistics.median(spent[-TIMES:]) / 2  # a question and its answer

        async def read(conversation: Any = conversation, length: int = length) -> None:
            found = import_module("llm.cli").load_conversation(conversation.id, database=str(path))
            assert length <= len(found.loaded_messages)

        took[f"read {length}"] = await _clock(read)
    return took


async def _measure_agents(path: Path, lengths: list[int]) -> Took:
    agents = import_module("agents")
    took: Took = {}
    for length in lengths:
        session = agents.SQLiteSession(str(length), path)

        async def append(session: Any = session) -> None:
            await session.add_items([{"role": "user", "content": TEXT}])

        for _ in range(length):
            await append()
        took[f"append {length}"] = await _clock(append)
        took[f"read {length}"] = await _clock(session.get_items)
        session.close()
    return took


async def _measure_langgraph(path: Path, lengths: list[int]) -> Took:
    graphs = import_module("langgraph.graph")
    messages = import_module("langchain_core.messages")
    savers = import_module("langgraph.checkpoint.sqlite")
    builder = graphs.StateGraph(graphs.MessagesState)
    builder.add_node("wait", lambda _: {"messages": []})
    builder.add_edge(graphs.START, "wait")
    took: Took = {}
    with savers.SqliteSaver.from_conn_string(str(path)) as saver:
        graph = builder.compile(checkpointer=saver)
        for length in lengths:
            place = {"configurable": {"thread_id": str(length)}}

            async def append(place: Any = place) -> None:
                said = {"messages": [messages.HumanMessage(TEXT)]}
                graph.update_state(place, said, as_node="wait")

            async def read(place: Any = place) -> None:
                graph.get_state(place)

            async def fork(place: Any = place) -> None:
                graph.update_state(graph.get_state(place).config, None)

            said = {"messages": [messages.HumanMessage(TEXT) for _ in range(length)]}
            graph.update_state(place, said, as_node="wait")
            took[f"append {length}"] = await _clock(append)
            took[f"read {length}"] = await _clock(read)
            took[f"fork {length}"] = await _clock(fork)
            before = _measure_files(path)
            for _ in range(TIMES):
                await append()
            after = _measure_files(path)
            took[f"bytes {length}"] = (after - before) / TIMES
    return took


def _measure_files(path: Path) -> int:
    """Pages by their number: the file itself grows when the log is copied into it."""
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("PRAGMA page_count").fetchone()[0]) * 4096


async def _clock(work: Callable[[], Awaitable[object]]) -> float:
    spent: list[float] = []
    for _ in range(TIMES):
        before = time.process_time()
        await work()
        spent.append((time.process_time() - before) * 1e6)
    return statistics.median(spent)


if __name__ == "__main__":
    main([int(argument) for argument in sys.argv[1:]])
