"""The lines of keys in TOML, which the errors of the configuration name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tertulia.runtime.configuration.toml_lines import find_lines

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")))
VALUES = [
    "1",
    "-1.5e3",
    "true",
    "1979-05-27 07:32:00",
    "1979-05-27T07:32:00.999-07:00",
    '"text"',
    '"a \\" b # c = [d]"',
    "'c:\\path'",
    '""',
    '"""two\nlines = 1\n[no.table]"""',
    '"""five quotes: """""',
    "'''\nraw \\ ''\n'''",
    "[]",
    "[1, 2, # three\n 'a]b', [{ x = 1 }]\n]",
    "{}",
    "{ x = 1, 'y z'.q = { v = [] } }",
]
NAMES = ["a", "b-c", '"d e"', "'f.g'", '"\\u0068"', "3"]


def paths(document, above=()):
    """Every key path of a document, as tomllib reads it."""
    for key, value in document.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from paths(value, (*above, key))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_key_of_a_real_file_is_found_in_its_line(path):
    """Each key path has a line, and the key stands in it."""
    text = path.read_text("utf-8")
    lines = find_lines(text)

    wrong = [
        found for found in paths(tomllib.loads(text)) if found[-1] not in text.splitlines()[lines[found] - 1]
    ]

    assert [] == wrong


@pytest.mark.parametrize("value", VALUES)
def test_no_value_confuses_the_count(value):
    """Whatever a value looks like, the key after it has its own line, and those inside have theirs."""
    text = f"first = {value} # = [comment]\n\nsecond = 2\n[table]\nthird = 3\n"
    line = 1 + value.count("\n")

    lines = find_lines(text)

    assert set(paths(tomllib.loads(text))) == set(lines)
    assert (1, line + 2, line + 3, line + 4) == (
        lines["first",],
        lines["second",],
        lines["table",],
        lines["table", "third"],
    )


def test_each_way_to_write_a_key_has_its_line():
    """Dotted, quoted and escaped keys, inline tables and tables above others are found."""
    text = (
        "a.b = 1\n"
        'providers = { "my gpt".model = 2, x = {\n}}\n'
        "[ c . 'd.e' ]\n"
        "f = { g = { h = 3 } }\n"
        '"\\u0069" . j = 4\n'
        "[c]\n"
        "k = 5\n"
        "[[c.list]]\n"
        "l = 6\n"
    )

    assert {
        ("a",): 1,
        ("a", "b"): 1,
        ("providers",): 2,
        ("providers", "my gpt"): 2,
        ("providers", "my gpt", "model"): 2,
        ("providers", "x"): 2,
        ("c",): 7,
        ("c", "d.e"): 4,
        ("c", "d.e", "f"): 5,
        ("c", "d.e", "f", "g"): 5,
        ("c", "d.e", "f", "g", "h"): 5,
        ("c", "d.e", "i"): 6,
        ("c", "d.e", "i", "j"): 6,
        ("c", "k"): 8,
        ("c", "list"): 9,
        ("c", "list", "l"): 10,
    } == find_lines(text)


STATEMENTS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4)


@given(st.dictionaries(st.lists(st.sampled_from(NAMES), max_size=3).map(tuple), STATEMENTS, max_size=4))
def test_the_keys_of_any_document_are_found(tables):
    """In whatever tomllib reads, each key path is known, and nothing else is."""
    lines = []
    for path, statements in sorted(tables.items(), key=lambda item: bool(item[0])):
        lines += [f"[{'.'.join(path)}]"] if path else []
        lines += [f"{name} = {value}" for name, value in statements]
    text = "\n".join(lines)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return

    assert set(paths(document)) == set(find_lines(text))


@given(st.text(alphabet="a.=[]{}\"'#\n ,\\1"))
@example("a = ")
@example('"\\x"=')
@example("[" * 5000)
@example("a = " + "[" * 5000)
def test_no_text_breaks_the_reader(text):
    """What is no TOML has no lines, or some; it is no error."""
    assert all(line >= 1 for line in find_lines(text).values())
