"""Every Python block of a page runs, in order, as one program with `await` at its top level."""

from __future__ import annotations

import ast
import asyncio
import inspect
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sybil import Example, Sybil
from sybil.evaluators.python import pad
from sybil.parsers.markdown import CodeBlockParser

import tertulia


def pytest_configure(config: pytest.Config) -> None:
    """Leave the configuration file of whoever runs the tests out of them, and out of the pages."""
    folder = tempfile.TemporaryDirectory()
    environment = pytest.MonkeyPatch()
    environment.setenv("XDG_CONFIG_HOME", folder.name)
    environment.delenv("TERTULIA_CONFIG", raising=False)
    config.add_cleanup(folder.cleanup)
    config.add_cleanup(environment.undo)


def evaluate(example: Example) -> None:
    """Run one block; what it awaits runs on the page's own loop."""
    source = pad(example.parsed, example.line + example.parsed.line_offset)
    code = compile(source, example.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    result = eval(code, example.namespace)  # noqa: S307  # our own documentation
    if inspect.isawaitable(result):
        example.namespace["runner"].run(_wait(result))


async def _wait(awaitable: Any) -> None:
    await awaitable


def set_up(namespace: dict[str, Any]) -> None:
    """Give a page the simulated services, as a reader's environment would give it the real ones."""
    from tertulia_simulator import Simulator

    stack = ExitStack()
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    simulator = stack.enter_context(Simulator.in_thread())
    runner = stack.enter_context(asyncio.Runner())
    environment = stack.enter_context(pytest.MonkeyPatch.context())
    database = f"sqlite:///{Path(folder) / 'conversations.db'}"
    environment.setenv("TERTULIA_STORE", database)
    for name, table in simulator.providers().items():
        environment.setenv(f"AI_{name.upper()}_API_KEY", table["api_key"])
        environment.setenv(f"AI_{name.upper()}_BASE_URL", table["base_url"])
        environment.setenv(f"AI_{name.upper()}_API", table.get("api", ""))
    namespace.update(
        tertulia=tertulia,
        database=database,
        folder=Path(folder),
        simulator=simulator,
        runner=runner,
        _page=stack,
    )


def tear_down(namespace: dict[str, Any]) -> None:
    """Take it all away again."""
    namespace["_page"].close()


pytest_collect_file = Sybil(
    parsers=[CodeBlockParser(language="python", evaluator=evaluate)],
    patterns=["*.md"],
    setup=set_up,
    teardown=tear_down,
).pytest()
