"""Who is asked for an answer, and how often: what a caller decides about it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import Any, cast

import attrs

from tertulia.domain.limits import check_count
from tertulia.domain.words import check_word, read_word
from tertulia.errors import ConfigurationError, ErrorKind


class Strategy(StrEnum):
    """
    Which target is asked first.

    ``configured``: in the order they are named. ``cheapest``: by what the request is estimated to cost, those
    without a price last. ``fastest``: by how long this client waited for their first content, each being
    asked once before that is known. ``capable``: those first that can take what the history and the request
    hold, images, tools, their length; among them in the order they are named.
    """

    CONFIGURED = "configured"
    CHEAPEST = "cheapest"
    FASTEST = "fastest"
    CAPABLE = "capable"


class OnInterrupt(StrEnum):
    """
    What becomes of an answer that breaks off after its first content.

    ``keep``: what was shown is stored, and :class:`tertulia.StreamInterruptedError` raised. ``restart``: it
    is stored, and the next target answers from the first word, on a branch of its own. ``continue``: the
    next target is sent what was shown and asked for the rest; the answer holds both.
    """

    KEEP = "keep"
    RESTART = "restart"
    CONTINUE = "continue"


FALL_BACK_ON_DEMAND = (ErrorKind.CONTENT_FILTER, ErrorKind.INVALID_REQUEST, ErrorKind.TOO_LARGE)
"""The kinds that fall back only where somebody asked for it: they would fail, and cost, everywhere."""


def _to_strategy(value: Any) -> Any:
    return read_word(Strategy, value)


def _to_on_interrupt(value: Any) -> Any:
    return read_word(OnInterrupt, value)


def _to_kinds(value: Any) -> Any:
    if value is None:
        return None
    kinds: Iterable[Any] = [value] if isinstance(value, str) or not isinstance(value, Iterable) else value  # pyright: ignore[reportUnknownVariableType]
    return tuple(read_word(ErrorKind, kind) for kind in kinds)


@attrs.frozen
class Routing:
    """
    How a send finds its answer. What is None is as the configuration says, else as is said here.

    Attributes:
        strategy: Which target is asked first; the configured order unless something else is said.

        sticky: Whether a branch goes on with the target that stood in for its own, as long as that can be
            asked and nobody has switched since; no unless something else is said.

        on_interrupt: What becomes of an answer that breaks off; it is kept unless something else is said.

        max_retries: How often one target is asked again after a failure that may pass; twice unless something
            else is said, 0 for never.

        max_attempts: How many calls one answer may take, over all targets; six unless something else is said.

        fall_back_on: Kinds that fall back besides those that always do: ``content_filter``,
            ``invalid_request``, ``too_large``; none unless something else is said.

    Raises:
        ConfigurationError: A value is of another type, or none of the words there are.
    """

    strategy: Strategy | None = attrs.field(default=None, converter=_to_strategy)
    sticky: bool | None = None
    on_interrupt: OnInterrupt | None = attrs.field(default=None, converter=_to_on_interrupt)
    max_retries: int | None = None
    max_attempts: int | None = None
    fall_back_on: tuple[ErrorKind, ...] | None = attrs.field(default=None, converter=_to_kinds)

    def __attrs_post_init__(self) -> None:
        if self.strategy is not None:
            check_word("strategy", Strategy, self.strategy)
        if self.on_interrupt is not None:
            check_word("on_interrupt", OnInterrupt, self.on_interrupt)
        if not isinstance(cast("object", self.sticky), bool | None):
            raise ConfigurationError(f"sticky is True or False, and not {self.sticky!r}", value=self.sticky)
        check_count("max_retries", self.max_retries, least=0)
        check_count("max_attempts", self.max_attempts, least=1)
        for kind in self.fall_back_on or ():
            check_word("fall_back_on", ErrorKind, kind)
            if kind not in FALL_BACK_ON_DEMAND:
                raise ConfigurationError(
                    f"fall_back_on holds {kind.value!r}, which is decided already",
                    value=kind,
                    next_step=f"it may hold {', '.join(FALL_BACK_ON_DEMAND)}",
                )

    def over(self, other: Routing) -> Routing:
        """
        Put what is said here over what another one says.

        Example:
            >>> Routing(sticky=True).over(Routing(max_retries=0, sticky=False)).max_retries
            0
        """
        said = {name: value for name, value in attrs.asdict(self, recurse=False).items() if value is not None}
        return attrs.evolve(other, **said)


USUAL_ROUTING = Routing(
    strategy=Strategy.CONFIGURED,
    sticky=False,
    on_interrupt=OnInterrupt.KEEP,
    max_retries=2,
    max_attempts=6,
    fall_back_on=(),
)
"""What holds where nobody says anything."""


@lru_cache
def make_routing(said: Routing | None, configured: Routing) -> Routing:
    """Put what a caller says over what is configured, and that over what is usual."""
    routing = configured.over(USUAL_ROUTING)
    return routing if said is None else said.over(routing)
