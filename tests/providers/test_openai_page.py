"""The reference page of OpenAI says what the driver knows."""

from __future__ import annotations

import re
from pathlib import Path

from tertulia import Capability
from tertulia_openai import OpenAIProvider

PAGE = (Path(__file__).parents[2] / "docs/reference/openai.md").read_text("utf-8")


def test_the_models_are_those_of_the_table():
    """
    Each model of which the window is known has its limits, efforts and last day on the page.
    """
    documented = {
        name: tuple(cells)
        for names, *cells in (
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in PAGE.split("## Models\n")[1].split("\n## ")[0].splitlines()
            if line.startswith("| `")
        )
        for name in re.findall(r"`([\w.-]+)`", names)
    }

    assert {info.id: describe(info) for info in OpenAIProvider.MODELS if info.context_window} == documented


def describe(info) -> tuple[str, ...]:
    efforts = info.reasoning_efforts
    samples, thinks = Capability.SAMPLING in info.capabilities, Capability.REASONING in info.capabilities
    temperature = ("without effort" if thinks else "yes") if samples else "no"
    return (
        f"{info.context_window:,}",
        f"{info.max_output_tokens:,}",
        "any word: nobody says" if efforts is None else ", ".join(efforts) or "not at all",
        temperature,
        "" if info.shutdown_on is None else info.shutdown_on.isoformat(),
    )
