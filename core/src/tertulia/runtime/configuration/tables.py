"""What is configured, as a tree that knows where each value was set; a later source wins, key by key."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar, cast

import attrs

from tertulia.domain.config import Setting
from tertulia.errors import ConfigurationError

ARGUMENT = "argument"
DEFAULT = "default"

KeyPath: TypeAlias = tuple[str, ...]
T = TypeVar("T")

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@attrs.frozen
class Given:
    """
    A value as its source says it, unchecked. It may be a key in the wrong place, so it never shows.

    Attributes:
        path: Where it stands in the configuration.

        key: What its source calls it.

        origin: The source, in words.
    """

    path: KeyPath
    key: str
    origin: str
    value: Any = attrs.field(repr=False)


@attrs.frozen
class Table(Generic[T]):
    """A table of values and tables; see :class:`Given` for the rest."""

    path: KeyPath
    key: str
    origin: str
    entries: Mapping[str, T | Table[T]] = attrs.field(repr=False)


def write_key(path: Iterable[str]) -> str:
    """
    Write a key path as TOML does.

    Example:
        >>> write_key(["providers", "my gpt", "model"])
        'providers."my gpt".model'
    """
    return ".".join(key if _BARE_KEY.fullmatch(key) else json.dumps(key) for key in path)


def make_table(
    document: Mapping[str, Any], *, origin: Callable[[KeyPath], str], prefix: KeyPath = (), path: KeyPath = ()
) -> Table[Given]:
    """
    Make a tree of a nested mapping.

    Args:
        document: What a source says. A mapping with a name that is no text stays a value.
        origin: Says where a key path, prefix included, was set.
        prefix: What the source writes before each key path.
        path: The key path of the document itself.
    """
    entries: dict[str, Given | Table[Given]] = {}
    for key, value in document.items():
        below = (*path, key)
        if _is_table(value):
            entries[key] = make_table(value, origin=origin, prefix=prefix, path=below)
        else:
            full = (*prefix, *below)
            entries[key] = Given(below, write_key(full), origin(full), value)
    full = (*prefix, *path)
    return Table(path, write_key(full), origin(full), entries)


def plant(given: Iterable[Given], origin: str) -> Table[Given]:
    """Make a tree of single values, each at its path."""
    tree: dict[str, Any] = {}
    for value in given:
        branch = tree
        for key in value.path[:-1]:
            branch = branch.setdefault(key, {})
        branch[value.path[-1]] = value
    return _root(tree, origin, ())


def merge(first: Table[T], *others: Table[T]) -> Table[T]:
    """Merge tables, each over those before it; what is no table in both is replaced whole."""
    entries = dict(first.entries)
    for table in others:
        for key, entry in table.entries.items():
            before = entries.get(key)
            if isinstance(before, Table) and isinstance(entry, Table):
                entries[key] = merge(cast("Table[T]", before), cast("Table[T]", entry))
            else:
                entries[key] = entry
    return attrs.evolve(first, entries=entries)


def get_table(table: Table[T], *path: str) -> Table[T]:
    """Return a table further down; an empty one where there is none."""
    for key in path:
        entry = table.entries.get(key)
        below = (*table.path, key)
        table = (
            cast("Table[T]", entry)
            if isinstance(entry, Table)
            else Table(below, write_key(below), DEFAULT, {})
        )
    return table


def flatten(table: Table[T], path: KeyPath = ()) -> Iterator[tuple[KeyPath, T]]:
    """Yield every value with its path below the table, in order."""
    for key, entry in table.entries.items():
        if isinstance(entry, Table):
            yield from flatten(cast("Table[T]", entry), (*path, key))
        else:
            yield (*path, key), entry


def get_values(table: Table[Setting]) -> dict[str, Any]:
    """Return the bare values, in nested dictionaries."""
    return {
        key: get_values(entry) if isinstance(entry, Table) else entry.value
        for key, entry in table.entries.items()
    }


def refuse(
    node: Given | Setting | Table[Any], what: str, *, provider: str | None = None, **common: Any
) -> ConfigurationError:
    """Make the error that says where a value was set, and what is wrong with it; not what it is."""
    if provider is None and not isinstance(node, Setting) and node.path[:1] == ("providers",):
        provider = next(iter(node.path[1:2]), None)
    return ConfigurationError(f"{locate(node.origin)}{node.key} {what}", provider=provider, **common)


def locate(origin: str) -> str:
    """The beginning of an error's message: where a value was set, unless the caller has just said it."""
    return "" if origin in ("", ARGUMENT, DEFAULT) else f"{origin}: "


def suggest(name: str, known: Iterable[str]) -> str:
    """Say which of the known names was meant, or else what they are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(names)}"


def _root(tree: Mapping[str, Any], origin: str, path: KeyPath) -> Table[Given]:
    entries: dict[str, Given | Table[Given]] = {
        key: value if isinstance(value, Given) else _root(value, origin, (*path, key))
        for key, value in tree.items()
    }
    return Table(path, write_key(path), origin, entries)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) for key in cast("Mapping[object, object]", value)
    )
