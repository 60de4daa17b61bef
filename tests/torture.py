"""How much of a thing the suite does, and how much ``make torture`` does."""

from __future__ import annotations

import os

TORTURED = "TERTULIA_TORTURE" in os.environ
"""Whether what the suite leaves out altogether is done as well."""


def scale(number: int) -> int:
    """So many in the suite; times ``TERTULIA_TORTURE`` where that is set."""
    return number * int(os.environ.get("TERTULIA_TORTURE", "1"))
