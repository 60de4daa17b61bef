"""Configuration from environment variables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from tertulia.runtime.configuration.contexts import OLDER_NAMES, SUMMARY_MODEL
from tertulia.runtime.configuration.tables import Given, KeyPath, Table, plant, write_key

_TOP = {"TERTULIA_STORE": "store", "TERTULIA_PROVIDER": "default_provider"}
_CONTEXT = {
    f"TERTULIA_CONTEXT_{key.upper()}": ("context", key)
    for key in ("strategy", "recall", "max_recall_tokens", "reserve_tokens", "optimise", SUMMARY_MODEL)
} | {f"TERTULIA_CONTEXT_{key.upper()}": ("conversation", older) for key, older in OLDER_NAMES.items()}
_PROVIDER_KEYS = ("api_key", "base_url", "model", "api")


class Environment(Mapping[str, str]):
    """Environment variables that do not show: a traceback with local variables would print every key."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __repr__(self) -> str:
        return "<Environment>"


def variable(name: str, suffix: str) -> str:
    """
    The environment variable for a provider's setting.

    Example:
        >>> variable("my-local", "BASE_URL")
        'AI_MY_LOCAL_BASE_URL'
    """
    return f"AI_{re.sub('[^A-Z0-9]', '_', name.upper())}_{suffix}"


def find_variable(path: KeyPath) -> str | None:
    """The variable that sets what is at a key path; None when there is none."""
    match path:
        case ("providers", name, key) if key in _PROVIDER_KEYS:
            return variable(name, key.upper())
        case ("fallback",):
            return "TERTULIA_FALLBACK"
        case ("plugins",):
            return "TERTULIA_PLUGINS"
        case ("context" | "conversation", _):
            return next((name for name, sets in _CONTEXT.items() if sets == path), None)
        case (key,):
            return next((name for name, sets in _TOP.items() if sets == key), None)
        case _:
            return None


def read_environment(environ: Mapping[str, str], names: Iterable[str]) -> Table[Given]:
    """
    Read the variables of the configuration; one that is blank is not set.

    Args:
        environ: The variables.
        names: The configured providers, whose own variables are read.
    """
    return plant(_variables(environ, names), "environment")


def _variables(environ: Mapping[str, str], names: Iterable[str]) -> Iterator[Given]:
    paths: dict[KeyPath, str] = {(key,): name for name, key in _TOP.items()}
    for name in names:
        paths.update({("providers", name, key): variable(name, key.upper()) for key in _PROVIDER_KEYS})
    for path, name in paths.items():
        if value := environ.get(name, "").strip():
            yield _given(path, name, value)
    for name, path in _CONTEXT.items():
        if value := environ.get(name, "").strip():
            is_count = name.endswith(("_TOKENS", "_MESSAGES"))
            yield _given(path, name, _read_count(value) if is_count else value)
    fallback = [name.strip() for name in environ.get("TERTULIA_FALLBACK", "").split(",") if name.strip()]
    if fallback:
        yield _given(("fallback",), "TERTULIA_FALLBACK", fallback)
    plugins = _read_restriction(environ)
    if plugins is not None:  # an empty one too: it means none
        yield _given(("plugins",), "TERTULIA_PLUGINS", sorted(plugins))


def _read_count(value: str) -> object:
    """A variable is a text; what is no number is told so where the others are."""
    return int(value) if re.fullmatch("[+-]?[0-9]{1,18}", value) else value


def _given(path: KeyPath, name: str, value: object) -> Given:
    return Given(path, write_key(path), f"environment variable {name}", value)


def _read_restriction(environ: Mapping[str, str]) -> frozenset[str] | None:
    """Read ``TERTULIA_PLUGINS``: the only plugins to load; None for all, an empty value for none."""
    names = environ.get("TERTULIA_PLUGINS")
    return None if names is None else frozenset(name.strip() for name in names.split(",") if name.strip())
