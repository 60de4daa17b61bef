"""The reference page of the providers says what the drivers know."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest
from driver_cases import DRIVERS

from tertulia import MediaLimits, Options

PAGE = (Path(__file__).parents[2] / "docs/reference/providers.md").read_text("utf-8")
NAMES = ("openai", "gemini", "xai")
MEDIA = {name: f"image/{name.lower()}" for name in ("PNG", "JPEG", "WebP", "GIF", "HEIC", "HEIF")}
COLUMNS = {"openai": 0, "openai-chat": 1, "xai": 2, "xai-chat": 3, "gemini": 4}
PARTS = {"tools", "hosted_tools", "response_schema"}


def rows(heading: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    table = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names_in(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


@pytest.mark.parametrize("name", NAMES)
def test_the_settings_are_those_of_the_driver(name):
    """
    Each setting has a row, and no other is documented.
    """
    documented = {
        setting for row in rows("Settings") if names_in(row[0]) == [name] for setting in names_in(row[1])
    }

    assert DRIVERS[name].cls.SETTINGS == documented


@pytest.mark.parametrize("name", NAMES)
def test_the_variables_are_those_of_the_driver(name):
    """
    They are listed in the order in which they are looked at.
    """
    (variables,) = (names_in(row[1]) for row in rows("Keys") if names_in(row[0]) == [name])

    assert list(DRIVERS[name].cls.KEY_VARIABLES) == variables


@pytest.mark.parametrize("name", DRIVERS)
def test_the_options_are_those_of_the_format(name):
    """
    Every option has an answer for every format.
    """
    answers = {option: row[1 + COLUMNS[name]] for row in rows("Options") for option in names_in(row[0])}

    assert {field.name for field in attrs.fields(Options)} - {"unsupported", "extra"} | PARTS == set(answers)
    assert DRIVERS[name].make("http://localhost").OPTIONS == {
        option for option, answer in answers.items() if answer == "yes"
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_images_are_those_of_the_driver(name):
    """
    Types and limits are the ones that are checked before sending.
    """
    (row,) = (row for row in rows("Images") if names_in(row[0]) == [name])
    size, which = re.fullmatch(r"(\d+) MiB (each|together)", row[2]).groups()
    limit = {"each": "max_bytes", "together": "max_total_bytes"}[which]
    types = frozenset(MEDIA[kind] for kind in row[1].split(", "))

    taken = attrs.evolve(DRIVERS[name].cls.IMAGES, files=False)  # uploaded files are not in the table

    assert MediaLimits(types, urls=row[3] == "yes", **{limit: int(size) * 2**20}) == taken
