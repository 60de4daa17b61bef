"""Going on without what a model refuses: which members of a request are meant, and the rest of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import cast

import attrs

from tertulia.wire.protocol import Json, Rendered, read_object

_LONGEST = 200
_INDEX = re.compile(r"\[\w*\]")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def find_refused(rendered: Rendered, parameter: str) -> tuple[str, ...]:
    """
    Find the members of a request that an error means, among those that can be left out.

    Services name them by their place (``reasoning.effort``, ``include[0]``), by the object around them
    (``reasoning``), or in another spelling (``reasoningEffort``).
    """
    named = _normalise(parameter)
    options = {path: rendered.asked.get(path, path) for path in (*rendered.added, *rendered.asked)}
    return tuple(sorted(path for path, option in options.items() if _is_meant(path, option, named)))


def is_sent(rendered: Rendered, parameter: str) -> bool:
    """
    Whether what an error refuses is in a request at all: as a member, whatever its spelling, or as a word.

    Who refuses what nobody sent refuses the request.
    """
    places = _normalise(parameter).split(".")
    sought = {parameter, places[0], places[-1]}
    return bool(find_refused(rendered, parameter)) or any(
        found in sought or _normalise(found) in sought
        for found in _words_of(rendered.body)
        if len(found) <= _LONGEST
    )


def _words_of(value: object) -> Iterator[str]:
    """All names and texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            yield from _words_of(item)
    elif isinstance(value, dict):
        for name, item in cast("Json", value).items():
            yield name
            yield from _words_of(item)


def _normalise(name: str) -> str:
    """``generationConfig.topP`` and ``generation_config.top_p`` are one name."""
    return _HUMP.sub("_", _INDEX.sub("", name)).lower().removeprefix("body.")


def _is_meant(path: str, option: str, named: str) -> bool:
    own = _normalise(path)
    is_around = f".{named}." in f".{own}."  # itself, what it is in, or its last name
    return is_around or named in (own.replace(".", "_"), option) or named.startswith(f"{own}.")


def leave_out(rendered: Rendered, paths: Iterable[str]) -> Rendered:
    """Render a request without some of its members; what is left empty goes with them."""
    body = rendered.body
    for path in paths:
        body = _without(body, path.split("."))
    return attrs.evolve(rendered, body=body)


def read_member(body: Json, path: str) -> object:
    """Follow a path of names to a value; None where there is none."""
    *parents, last = path.split(".")
    return read_object(body, *parents).get(last)


def _without(owner: Json, path: list[str]) -> Json:
    name, *rest = path
    if rest and not isinstance(owner.get(name), dict):
        return owner
    left = _without(read_object(owner, name), rest) if rest else Json()
    return {key: left if key == name else value for key, value in owner.items() if key != name or left}
