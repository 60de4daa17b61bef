"""Reading a TOML file: what is in it with its lines, or what is wrong with it and where."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import attrs

from tertulia.runtime.configuration.tables import Given, KeyPath, Table, make_table, write_key
from tertulia.runtime.configuration.toml_lines import find_lines, has_long_key

_POSITION = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)")
_DEEPEST = 20
_LARGEST = 2**20


@attrs.frozen
class Document:
    """A file that was read."""

    path: Path
    content: Mapping[str, Any] = attrs.field(repr=False)
    lines: Mapping[KeyPath, int]

    def get(self, *prefix: str) -> Given | Table[Given] | None:
        """Return what is below a key path of the document; None when it is not there."""
        below: object = self.content
        for key in prefix:
            below = cast("Mapping[str, object]", below).get(key) if isinstance(below, Mapping) else None
        if isinstance(below, Mapping):
            return make_table(cast("Mapping[str, Any]", below), origin=self._origin, prefix=prefix)
        return None if below is None else Given((), write_key(prefix), self._origin(prefix), below)

    def _origin(self, path: KeyPath) -> str:
        line = self.lines.get(path)
        return f"{self.path}" if line is None else f"{self.path} line {line}"


@attrs.frozen
class Problem:
    """Why a file was not read, as a sentence."""

    what: str


# Problems are values: an exception would carry frames that hold the text of the file, and so its keys.
def load(path: Path, *, mentioning: bytes = b"") -> Document | Problem | None:
    """Read a file; None when it is not there, or does not mention what it should be about."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        return Problem(f"{path} cannot be read: {why}")
    if mentioning not in content:
        return None
    if len(content) > _LARGEST:
        return Problem(f"{path} cannot be read: it is larger than {_LARGEST:,} bytes")
    return _parse(path, content)


def _parse(path: Path, content: bytes) -> Document | Problem:
    try:
        # Windows editors begin a file with a mark that TOML 1.0 does not know.
        text = content.decode("utf-8-sig")
        if has_long_key(text):
            raise RecursionError
        document = tomllib.loads(text)
        if _is_too_deep(document):
            raise RecursionError
        return Document(path, document, find_lines(text))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Problem(f"{path} line {line}: the file is not UTF-8 (byte 0x{content[error.start]:02x})")
    except RecursionError:
        return Problem(f"{path}: the file is nested too deeply")
    except ValueError as error:
        return _explain(path, str(error))


def _is_too_deep(document: object) -> bool:
    """A dotted key can be deeper than any program can walk, and still be TOML."""
    level = [document]
    for _ in range(_DEEPEST):
        tables = [cast("Mapping[str, object]", value) for value in level if isinstance(value, Mapping)]
        level = [value for table in tables for value in table.values()]
    return bool(level)


def _explain(path: Path, said: str) -> Problem:
    found = _POSITION.fullmatch(said)
    if found is None:
        # What else Python refuses is a whole number of thousands of digits, and its words are about itself.
        return Problem(f"{path}: the file is no valid TOML: a number is too long")
    line, what = found["line"], found["what"]
    place = "at its end" if line is None else f"line {line}, column {found['column']}"
    return Problem(f"{path} {place}: the file is no valid TOML: {what[:1].lower()}{what[1:]}")
