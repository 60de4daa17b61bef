"""A plugin from outside the workspace: built, installed in a fresh environment, and called."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
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
        reports = [report for report in client.plugins() if report.kind == "plugin"]
        plugins = [[report.name, report.distribution, report.status] for report in reports]
        print(json.dumps({"home": tertulia.__file__, "words": "".join(words), "plugins": plugins}))

asyncio.run(main())
"""


def test_a_foreign_package_overrides_the_context_and_wraps_the_answer(tmp_path, simulator):
    """Installed beside the core, it decides what is sent, and its wrapper stands around the provider."""
    python = environment(tmp_path, "core", "plugins/openai", "tests/foreign/tertulia-recency")
    command = [python, "-c", PROGRAM, json.dumps(simulator.providers())]

    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    assert "" == run.stderr
    found = json.loads(run.stdout)
    assert found["home"].startswith(str(tmp_path))
    assert [["recency", "tertulia-recency 1.0", "loaded"]] == found["plugins"]
    assert ["Count to 3.", "1, 2, 3.", "What is my name?"] == simulator.sent_to("openai").texts
    assert "You have not told me your name. (seen by recency)" == found["words"]


def test_without_the_package_nothing_is_overridden(tmp_path, simulator):
    """The same program without it sends the whole conversation and leaves the answer as it is."""
    python = environment(tmp_path, "core", "plugins/openai")
    command = [python, "-c", PROGRAM, json.dumps(simulator.providers())]

    found = json.loads(subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout)

    assert 5 == len(simulator.sent_to("openai").texts)
    assert "Your name is John." == found["words"]


def environment(folder: Path, *distributions: str) -> Path:
    """A fresh environment with wheels of these distributions; other people's packages come from ours."""
    wheels, home = folder / "wheels", folder / "environment"
    for distribution in distributions:
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels)]
        subprocess.run([*command, str(ROOT / distribution)], check=True, capture_output=True)
    venv.create(home)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    subprocess.run([*install, *map(str, wheels.glob("*.whl"))], check=True, capture_output=True)
    # A plain path entry: the editable installs of our own environment are not followed from here.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return home / "bin" / "python"
