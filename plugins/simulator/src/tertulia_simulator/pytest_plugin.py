"""The ``simulator`` fixture; pytest loads this module, so it imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tertulia_simulator import Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """OpenAI, Gemini and xAI on loopback for one test, served from a thread of their own."""
    from tertulia_simulator import Simulator

    with Simulator.in_thread() as simulator:
        yield simulator
