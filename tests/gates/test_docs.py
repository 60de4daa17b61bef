"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tertulia import errors
from tertulia.contracts.hookspecs import HookSpecifications
from tertulia.errors import ErrorKind
from tertulia.services.routing.policy import FALL_BACK, FallBack

ROOT = Path(__file__).parents[2]
HOOKS = (ROOT / "docs/reference/hooks.md").read_text("utf-8")
ERRORS = (ROOT / "docs/reference/errors.md").read_text("utf-8")
NAMES = [name for name in vars(HookSpecifications) if not name.startswith("_")]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("name", NAMES)
def test_each_hook_has_a_heading_with_its_arguments(name):
    """The page of the hooks shows each one with exactly the arguments of its specification."""
    specification = getattr(HookSpecifications, name)
    arguments = specification.__code__.co_varnames[1 : specification.__code__.co_argcount]

    assert f"## `{name}({', '.join(arguments)})`\n" in HOOKS


def test_no_other_hook_is_documented():
    """The page of the hooks shows no hook that does not exist."""
    assert NAMES == re.findall(r"^## `(\w+)\(", HOOKS, re.MULTILINE)


def test_the_table_of_kinds_is_the_table_of_the_code():
    """The page of the errors lists every kind, with the same decision about another target."""
    words = {
        FallBack.YES: "yes",
        FallBack.NO: "no",
        FallBack.LARGER_WINDOW: "with a larger window only",
    }
    listed = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]+\|$", ERRORS, re.MULTILINE))
    expected = {kind.value: words[FALL_BACK[kind]] for kind in ErrorKind}

    assert {**expected, "too_large": "for a response only"} == listed


def test_the_classes_in_the_table_have_their_kind():
    """Each class stands in the row of its own kind."""
    for kind, names in re.findall(r"^\| `(\w+)` \| [^|]+ \| (`[^|]+) \|$", ERRORS, re.MULTILINE):
        assert {kind} == {str(getattr(errors, name).kind) for name in re.findall(r"`(\w+)`", names)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    """Every relative link names a file that is there."""
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8"))

    assert [] == [link for link in links if "://" not in link and not (page.parent / link).exists()]
