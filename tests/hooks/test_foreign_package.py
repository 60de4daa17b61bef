"""Packages from outside the workspace: built, installed in a fresh environment, and used."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SOBREMESA = "tests/foreign/tertulia-sobremesa"
RECENCY = "tests/foreign/tertulia-recency"

COUNTING = """
import asyncio, json, sys, tertulia

async def main():
    providers = json.loads(sys.argv[1])
    async with tertulia.open(store="memory:", providers=providers) as client:
        conversation = await client.start(provider="openai")
        for text in ("My name is John.", "Count to 3."):
            await conversation.send(text)
        words = []
        async with conversation.stream("What is my name?") as stream:
            async for event in stream:
                if isinstance(event, tertulia.TextDelta):
                    words.append(event.text)
        first, *_ = await conversation.history()
        await conversation.pin(first)
        pinned = await conversation.send("So what is my name?")
        reports = [report for report in client.plugins() if report.kind == "plugin"]
        plugins = [[report.name, report.distribution, report.status] for report in reports]
        print(json.dumps({
            "home": tertulia.__file__, "words": "".join(words), "plugins": plugins,
            "pinned": pinned.text, "strategy": pinned.context.strategy,
        }))

asyncio.run(main())
"""

TALKING = """
import asyncio, json, sys, tertulia

async def main():
    providers = json.loads(sys.argv[1])
    async with tertulia.open(store="memory:", providers=providers) as client:
        conversation = await client.start()
        whole = await conversation.send("My name is John.")
        async with conversation.stream("What is my name?") as stream:
            words = [event.text async for event in stream if isinstance(event, tertulia.TextDelta)]
        models = [model.id for model in await client.list_models("sobremesa")]
        drivers = {report.name: report.distribution for report in client.plugins() if report.kind == "driver"}
        print(json.dumps({
            "home": tertulia.__file__, "model": conversation.model, "whole": whole.text, "words": words,
            "models": models, "driver": drivers["sobremesa"],
        }))

asyncio.run(main())
"""


def test_a_foreign_provider_of_forty_lines_holds_a_conversation(install, tmp_path, simulator):
    """Installed beside the core alone, it is found, listed and talked to, and knows what was said before."""
    python = install("core", SOBREMESA)
    table = {"api_key": "any", "base_url": f"{simulator.url}/local/v1", "model": "llama-sim"}

    found = run(python, TALKING, {"sobremesa": table})

    assert found["home"].startswith(str(tmp_path))
    assert "tertulia-sobremesa 1.0" == found["driver"]
    assert ("llama-sim", ["llama-sim"]) == (found["model"], found["models"])
    assert "Hello John." == found["whole"]
    assert ("Your name is John.", True) == ("".join(found["words"]), len(found["words"]) > 1)
    assert ["My name is John.", "Hello John.", "What is my name?"] == simulator.sent_to("local").texts
    assert "Bearer any" == simulator.requests[-1].headers["authorization"]


def test_a_foreign_provider_has_at_most_forty_lines():
    """A whole package, its metadata included, is a screenful."""
    files = [path for path in (ROOT / SOBREMESA).rglob("*") if path.suffix in {".py", ".toml"}]

    assert 2 == len(files)
    assert sum(len(path.read_text("utf-8").splitlines()) for path in files) <= 40


def test_a_foreign_package_overrides_the_context_and_wraps_the_answer(install, tmp_path, simulator):
    """Installed beside the core, it decides what is sent, and its wrapper stands around the provider."""
    found = run(install("core", "plugins/openai", RECENCY), COUNTING, simulator.providers())

    assert found["home"].startswith(str(tmp_path))
    assert [["recency", "tertulia-recency 1.0", "loaded"]] == found["plugins"]
    assert "You have not told me your name. (seen by recency)" == found["words"]
    first, *last = simulator.sent_to("openai").texts
    assert ("My name is John.", "Your name is John.") == (first, found["pinned"])
    assert ["What is my name?", "You have not told me your name.", "So what is my name?"] == last
    assert "format_context" == found["strategy"]


@pytest.mark.parametrize("page", ["docs/how-to/decide-what-is-sent.md", "docs/reference/hooks.md"])
def test_the_ten_lines_of_the_pages_are_those_of_the_package(page):
    """What a reader copies is what was built and installed here."""
    source = (ROOT / RECENCY / "src/tertulia_recency.py").read_text("utf-8")
    begin = source.index("class Recency:")
    lines = source[begin : source.index("    @tertulia.hookimpl(wrapper=True)")].rstrip()

    assert len(lines.splitlines()) <= 10
    assert lines in (ROOT / page).read_text("utf-8")


def test_without_the_package_nothing_is_overridden(install, simulator):
    """The same program without it sends the whole conversation and leaves the answer as it is."""
    found = run(install("core", "plugins/openai"), COUNTING, simulator.providers())

    assert 7 == len(simulator.sent_to("openai").texts)
    assert ("Your name is John.", "recall") == (found["words"], found["strategy"])


@pytest.fixture(scope="module")
def build(tmp_path_factory) -> Callable[[str], Path]:
    """Builds the wheel of a distribution, once."""

    @cache
    def build(distribution: str) -> Path:
        folder = tmp_path_factory.mktemp("wheel")
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
        subprocess.run([*command, str(ROOT / distribution)], check=True, capture_output=True)
        (wheel,) = folder.glob("*.whl")
        return wheel

    return build


@pytest.fixture
def install(build, tmp_path) -> Callable[..., Path]:
    """Makes a fresh environment with wheels of some distributions; other people's packages come from ours."""

    def install(*distributions: str) -> Path:
        home = tmp_path / "environment"
        venv.create(home)
        site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
        wheels = [str(build(distribution)) for distribution in distributions]
        subprocess.run([*command, *wheels], check=True, capture_output=True)
        # A plain path entry: the editable installs of our own environment are not followed from here.
        (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
        return home / "bin" / "python"

    return install


def run(python: Path, program: str, providers: dict[str, dict[str, str]]) -> Any:
    """Run a program in an environment: what it prints."""
    command = [python, "-c", program, json.dumps(providers)]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=python.parents[2])
    assert "" == finished.stderr
    return json.loads(finished.stdout)
