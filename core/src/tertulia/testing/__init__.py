"""
A kit for tests: a scripted provider, a clock that stands still, a store to read, and the contract suites of
every seam.

The suites are in ``tertulia.testing.contracts``, which needs pytest and pytest-asyncio.
"""

from tertulia.testing.clock import StandingClock
from tertulia.testing.memory import MemoryStore
from tertulia.testing.scripted import ScriptedProvider

__all__ = ["MemoryStore", "ScriptedProvider", "StandingClock"]
