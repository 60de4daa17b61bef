"""
The recorded requests, as our own domain would make them.

A service's body is parsed by a reader of the tests into a ``Request``, that is rendered by the wire under
test, and both bodies are compared, each in a normal form. What remains of differences is in a table of the
test that has them, with reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from recorded_extraction import find_surface

from tertulia import Request

Json = dict[str, Any]


class NotExpressibleError(Exception):
    """The request uses something that our domain has no words for; the message says what."""


@dataclass(frozen=True)
class RecordedRequest:
    """
    One recorded request.

    ``surface`` is ``responses``, ``chat``, ``generateContent`` or ``streamGenerateContent``.
    """

    name: str
    provider: str
    surface: str
    path: str
    body: Json


@dataclass
class Comparison:
    """
    What became of some recorded requests.

    ``equal`` counts those that are the same, ``differences`` holds both normal forms of the others, and
    ``not_expressible`` counts the rest by reason.
    """

    equal: int = 0
    differences: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    not_expressible: Counter[str] = field(default_factory=Counter)

    @property
    def expressible(self) -> int:
        """How many requests our domain can make at all."""
        return self.equal + len(self.differences)

    @property
    def total(self) -> int:
        """How many were looked at."""
        return self.expressible + self.not_expressible.total()

    def __str__(self) -> str:
        return f"{self.equal} equal of {self.expressible} expressible of {self.total}"


def list_requests(exchanges: Iterable[Json], provider: str, *surfaces: str) -> list[RecordedRequest]:
    """Choose the requests to one service on some of its surfaces, refused ones included."""
    return [
        RecordedRequest(
            f"{exchange['source']}/{exchange['file']}#{exchange['index']}",
            exchange["provider"],
            find_surface(exchange) or "",
            exchange["path"],
            exchange["request"],
        )
        for exchange in exchanges
        if exchange["provider"] == provider and find_surface(exchange) in surfaces
    ]


def compare(
    requests: Iterable[RecordedRequest],
    parse: Callable[[RecordedRequest], Request],
    render: Callable[[Request], Json],
    normalise: Callable[[Json], Any],
) -> Comparison:
    """Parse, render and compare; a part that could not be rendered makes a difference by itself."""
    comparison = Comparison()
    for recorded in requests:
        try:
            request = parse(recorded)
        except NotExpressibleError as reason:
            comparison.not_expressible[str(reason)] += 1
            continue
        theirs, ours = normalise(recorded.body), normalise(render(request))
        if theirs == ours:
            comparison.equal += 1
        else:
            comparison.differences[recorded.name] = (theirs, ours)
    return comparison
