"""What the parts of the store have in common."""

from __future__ import annotations

from tertulia.builtin.sql.engine import Engine
from tertulia.runtime.clock import Clock


class Part:
    """
    Some operations of a store.

    Args:
        engine: What they run on.
        clock: For deciding whether a lease has run out.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
