"""The documentation says what the code does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tertulia import errors
from tertulia.contracts.hookspecs import HookSpecifications
from tertulia.errors import ErrorKind
from tertulia.services.routing.policy import POLICIES, Breaking, FallBack, Retry

ROOT = Path(__file__).parents[2]
HOOKS = (ROOT / "docs/reference/hooks.md").read_text("utf-8")
ERRORS = (ROOT / "docs/reference/errors.md").read_text("utf-8")
NAMES = [name for name in vars(HookSpecifications) if not name.startswith("_")]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
README = (ROOT / "README.md").read_text("utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "core/README.md",
    *sorted((ROOT / "plugins").glob("*/README.md")),
    *DOCS,
]


@pytest.mark.parametrize("name", NAMES)
def test_each_hook_has_a_heading_with_its_arguments(name):
    """The page of the hooks shows each one with exactly the arguments of its specification."""
    specification = getattr(HookSpecifications, name)
    arguments = specification.__code__.co_varnames[1 : specification.__code__.co_argcount]

    assert f"## `{name}({', '.join(arguments)})`\n" in HOOKS


RETRY = {Retry.YES: "up to twice", Retry.ONCE: "once", Retry.NO: "no"}
FALL_BACK = {
    FallBack.YES: "yes",
    FallBack.NO: "no",
    FallBack.LARGER_WINDOW: "with a larger window only",
    FallBack.ON_DEMAND: "if asked for",
}
BREAKING = {
    Breaking.NO: "nothing",
    Breaking.FAILURE: "it counts",
    Breaking.AT_ONCE: "passed over",
    Breaking.UNTIL_RESET: "passed over until the reset",
    Breaking.COOLDOWN: "left alone as long as it says",
}


def test_no_other_hook_is_documented():
    """The page of the hooks shows no hook that does not exist."""
    assert NAMES == re.findall(r"^## `(\w+)\(", HOOKS, re.MULTILINE)


def test_the_table_of_kinds_is_the_table_of_the_code():
    """The page of the errors lists every kind, with the same decision about another target."""
    expected = {
        kind.value: (RETRY[policy.retry], FALL_BACK[policy.fall_back], BREAKING[policy.breaker])
        for kind, policy in POLICIES.items()
    }
    found = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \| [^|]+\|$", ERRORS, re.MULTILINE)

    assert expected == {kind: tuple(words) for kind, *words in found}
    assert {kind.value for kind in ErrorKind} == expected.keys()


def test_the_classes_in_the_table_have_their_kind():
    """Each class stands in the row of its own kind."""
    for kind, names in re.findall(r"^\| `(\w+)` \|(?: [^|]+ \|){3} (`[^|]+) \|$", ERRORS, re.MULTILINE):
        assert {kind} == {str(getattr(errors, name).kind) for name in re.findall(r"`(\w+)`", names)}


def show_path(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", DOCS, ids=show_path)
def test_every_page_is_linked_from_the_readme(page):
    """Whoever begins at the README finds every page."""
    assert f"]({show_path(page)})" in README


def test_every_package_is_in_the_readme():
    """The table has the folder and the name of each package, and no others."""
    folders = [ROOT / "core", *(manifest.parent for manifest in (ROOT / "plugins").glob("*/pyproject.toml"))]
    manifests = {folder: tomllib.loads((folder / "pyproject.toml").read_text("utf-8")) for folder in folders}
    named = {f"{show_path(folder)}/": each["project"]["name"] for folder, each in manifests.items()}

    assert named == dict(re.findall(r"^\| `([\w/-]+)` \| `([\w-]+)` \|", README, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=show_path)
def test_nobody_is_sent_to_an_index(page):
    """The packages are not published: under their names an index could answer with somebody else's."""
    told = re.findall(r"pip install [^\n`]*", page.read_text("utf-8"))

    assert [] == [line for line in told if re.search(r"(?<![\w/.-])tertulia\b(?!-sobremesa)(?!_)", line)]


@pytest.mark.parametrize("page", PAGES, ids=show_path)
def test_links_to_headings_lead_somewhere(page):
    """Every link to a heading names one that the page has."""
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text("utf-8")):
        text = (page.parent / target if target else page).read_text("utf-8")
        prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)

        assert anchor in {make_anchor(heading) for heading in re.findall(r"^#+ (.+)$", prose, re.MULTILINE)}


def make_anchor(heading: str) -> str:
    """The name that a heading has on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=show_path)
def test_links_between_pages_lead_somewhere(page):
    """Every relative link names a file that is there."""
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8"))

    assert [] == [link for link in links if "://" not in link and not (page.parent / link).exists()]
