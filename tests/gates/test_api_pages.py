"""The reference of the Python API names everything that is public, with the signatures of the code."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from enum import EnumType
from pathlib import Path
from typing import Any

import attrs
import pytest

import tertulia
import tertulia.sync
from tertulia_gemini import GeminiProvider
from tertulia_openai import OpenAIProvider
from tertulia_xai import XAIProvider

REFERENCE = Path(__file__).parents[2] / "docs/reference"
PAGES = {name: (REFERENCE / f"{name}.md").read_text("utf-8") for name in ("api", "values", "errors")}
OBJECTS = {
    "call": tertulia.ToolCall,
    "client": tertulia.Client,
    "comparison": tertulia.ComparisonStream,
    "context_options": tertulia.ContextOptions,
    "conversation": tertulia.Conversation,
    "price": tertulia.Price,
    "routing": tertulia.Routing,
    "stream": tertulia.ReplyStream,
}
SIGNATURE = re.compile(r"(?P<await>await )?(?P<path>[\w.]+)\((?P<arguments>.*)\)(?: -> (?P<answer>.+))?")
DRIVERS: dict[str, type[tertulia.Provider]] = {
    "openai": OpenAIProvider,
    "openai chat": OpenAIProvider,
    "xai": XAIProvider,
    "xai chat": XAIProvider,
    "gemini": GeminiProvider,
}


def entries(page: str) -> Iterator[str]:
    """The code at the beginning of each heading, row and sentence."""
    for line in page.splitlines():
        if found := re.match(r"(?:(?:#{2,4}|\|) )?`([^`]+)`(?: (?:\||is |shows )|$)", line):
            yield found[1].replace(r"\|", "|")


def rows(page: str, heading: str, first: str) -> dict[str, list[str]]:
    """The table below a heading whose first column is called so: the cells of each row, by its name."""
    section = re.split(rf"^#+ {re.escape(heading)}$", page, maxsplit=1, flags=re.MULTILINE)[1]
    section = re.split(r"^#+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    found: dict[str, list[str]] = {}
    is_inside = False
    for line in section.splitlines():
        cells = [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        is_inside = cells[:1] == [first] or (is_inside and bool(cells))
        if is_inside and cells[0].startswith("`"):
            found[cells[0].strip("`")] = cells[1:]
    return found


def public(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def methods(cls: type) -> list[str]:
    return [name for name in sorted(public(cls)) if callable(inspect.getattr_static(cls, name))]


def find(path: str) -> Any:
    first, *rest = path.split(".")
    value: Any = tertulia if first == "tertulia" else OBJECTS.get(first) or getattr(tertulia, first)
    for name in rest:
        value = inspect.getattr_static(value, name) if isinstance(value, type) else getattr(value, name)
    return getattr(value, "__func__", value)


def describe(value: Callable[..., Any]) -> list[tuple[str, str, object]]:
    """The arguments that a caller may name: the name, the kind and the default of each."""
    bound = [name for name in inspect.signature(value).parameters if name not in ("self", "cls")]
    if isinstance(value, type) and attrs.has(value):
        hidden = {field.alias for field in attrs.fields(value) if field.name.startswith("_")}
        bound = [name for name in bound if name not in hidden]
    found = inspect.signature(value).parameters
    return [(name, found[name].kind.name, found[name].default) for name in bound]


def read_signature(arguments: str) -> list[tuple[str, str, object]]:
    """The same of a signature as it is written."""
    names = {name: getattr(tertulia, name) for name in tertulia.__all__ if name[0].isupper()}
    made: dict[str, Any] = {}
    exec(f"def made({arguments}): ...", names, made)  # noqa: S102  # our own documentation
    return describe(made["made"])


def make_provider(words: str) -> tertulia.Provider:
    """A provider as the columns name it: a driver, and the format it speaks."""
    driver, _, api = words.partition(" ")
    return DRIVERS[words](
        tertulia.ProviderConfig(
            driver, driver, api_key=tertulia.Secret("any"), settings={"api": api} if api else {}
        )
    )


def tidy(annotation: object) -> str:
    return ast.unparse(ast.parse(annotation if isinstance(annotation, str) else str(annotation)))


SIGNATURES = [
    (name, entry) for name, page in PAGES.items() for entry in entries(page) if SIGNATURE.fullmatch(entry)
]
FIELDS = [
    (name, heading)
    for name, page in PAGES.items()
    for heading in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    if rows(page, heading, "field")
]


def class_of(heading: str) -> Any:
    found = re.match(r"`?(\w+)", heading)
    assert found is not None
    return getattr(tertulia, found[1])


@pytest.mark.parametrize("name", tertulia.__all__)
def test_every_public_name_is_in_the_reference(name):
    """Each name has a heading or a row of its own; an error stands in the table of the kinds."""
    value = getattr(tertulia, name)
    is_error = isinstance(value, type) and issubclass(value, tertulia.TertuliaError)
    reference = PAGES["api"] + PAGES["values"]
    named = {word for entry in entries(reference) for word in re.findall(r"\w+", entry.split("(")[0])}
    told = re.findall(r"^(?:`(?:tertulia\.)?|#+ )(\w+)", reference, re.MULTILINE)

    assert name in named.union(told) or (is_error and re.search(rf"`(tertulia\.)?{name}`", PAGES["errors"]))


@pytest.mark.parametrize(
    "name", [name for name in tertulia.__all__ if attrs.has(getattr(tertulia, name)) and name != "Options"]
)
def test_every_value_has_its_fields_in_the_reference(name):
    """A public value has its signature, or a table of its fields, or both."""
    reference = PAGES["api"] + PAGES["values"]
    signatures = {found[1] for found in re.finditer(r"`(\w+)\([^`]*\)`", reference)}
    tables = {re.findall(r"\w+", heading)[0] for _, heading in FIELDS}

    assert name in signatures | tables
    assert name not in {"Reply", "Timeouts"} - tables


@pytest.mark.parametrize(
    "name", [name for name in tertulia.__all__ if isinstance(getattr(tertulia, name), EnumType)]
)
def test_every_word_of_an_enumeration_is_in_the_reference(name):
    """The line that explains an enumeration has all its values; the kinds have a page of their own."""
    if name == "ErrorKind":
        return
    lines = [line for line in PAGES["values"].splitlines() if re.search(rf"`{name}` (?:is|\|) `", line)]

    assert [line for line in lines if all(f"`{word.value}`" in line for word in getattr(tertulia, name))]


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path in ("client", "conversation", "stream") for name in methods(OBJECTS[path])],
)
def test_every_method_has_a_heading(path, name):
    """No public method of what people hold in their hands is left out."""
    headings = [entry.removeprefix("await ").split("(")[0] for entry in entries(PAGES["api"])]

    assert f"{path}.{name}" in headings


@pytest.mark.parametrize(("page", "entry"), SIGNATURES, ids=[entry.split("(")[0] for _, entry in SIGNATURES])
def test_a_signature_is_that_of_the_code(page, entry):
    """Names, order, kinds and defaults are those of the code, and so is what comes back."""
    written = SIGNATURE.fullmatch(entry)
    assert written is not None
    value = find(written["path"])

    assert describe(value) == read_signature(written["arguments"])
    assert inspect.iscoroutinefunction(value) == bool(written["await"])
    if not isinstance(value, type):
        answer = inspect.signature(value).return_annotation
        assert tidy(answer) == (written["answer"] or "None")


@pytest.mark.parametrize(("page", "heading"), FIELDS, ids=[heading for _, heading in FIELDS])
def test_a_table_has_every_field_with_its_type(page, heading):
    """The table of a value has its fields and properties, with the types of the code, and no others."""
    cls = class_of(heading)
    expected = {field.name: tidy(field.type) for field in attrs.fields(cls) if not field.name.startswith("_")}
    for name in public(cls):
        member = inspect.getattr_static(cls, name)
        if isinstance(member, property):
            expected[name] = tidy(inspect.get_annotations(member.fget)["return"])

    table = rows(PAGES[page], heading, "field")

    assert expected == {name: cells[0].strip("`") for name, cells in table.items()}


@pytest.mark.parametrize(
    ("heading", "path"),
    [
        ("Attributes of a client", "client"),
        ("Attributes of a conversation", "conversation"),
        ("Attributes of a stream", "stream"),
    ],
)
def test_every_attribute_has_its_row(heading, path):
    """What is no method of an object stands in the table of its attributes."""
    attributes = public(OBJECTS[path]) - set(methods(OBJECTS[path]))

    assert attributes == set(rows(PAGES["api"], heading, "attribute")) - {"id"}


@pytest.mark.parametrize(
    ("start", "path"),
    [
        ("`tertulia.open(", "tertulia.open"),
        ("Arguments of a send", "conversation.send"),
        ("`tertulia.function_tool(", "tertulia.function_tool"),
    ],
)
def test_a_table_has_every_argument_with_its_type(start, path):
    """The table below a signature has each argument with the type of the code."""
    headings = re.findall(r"^#+ (.+)$", PAGES["api"], re.MULTILINE)
    (heading,) = [each for each in headings if each.startswith(start)]
    parameters = inspect.signature(find(path)).parameters
    expected = {name: tidy(each.annotation) for name, each in parameters.items() if name != "self"}

    table = rows(PAGES["api"], heading, "argument")

    assert expected == {name: cells[0].strip("`") for name, cells in table.items()}


def test_the_table_of_options_says_who_is_sent_them():
    """Every option has its row, its type, and the drivers that send it."""
    table = rows(PAGES["api"], "Options", "option")

    assert {field.name: tidy(field.type) for field in attrs.fields(tertulia.Options)} == {
        name: cells[0].strip("`") for name, cells in table.items()
    }
    for option, cells in table.items():
        who = [words for words in DRIVERS if option in make_provider(words).OPTIONS]
        if who:
            assert cells[2] == ("all" if len(who) == len(DRIVERS) else ", ".join(who)), option


def test_the_words_of_the_timers_are_those_of_the_error():
    """Each timer has its row, with what the error says when it is over."""
    from tertulia.runtime.http import _timed_out

    (heading,) = re.findall(r"^### (`Timeouts\(.+)$", PAGES["api"], re.MULTILINE)
    table = rows(PAGES["api"], heading, "field")

    assert {name: _timed_out(name).message for name in table} == {
        name: cells[-1] for name, cells in table.items()
    }


@pytest.mark.parametrize("name", ["Client", "Conversation", "ReplyStream"])
def test_the_blocking_twin_differs_in_what_the_page_says_only(name):
    """The twin has the same names, but for how it is closed and what only the core asks."""
    here, there = public(getattr(tertulia, name)), public(getattr(tertulia.sync, name))

    assert {each.replace("aclose", "close") for each in here} - {"stop", "was_left_by"} == there - {"id"}
