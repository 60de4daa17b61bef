"""How much is measured: a little by default, and on request as much as a large library holds."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import gettempdir

import attrs

FOLDER_VARIABLE = "TERTULIA_BENCHMARK_DATA"
"""The environment variable that names where large libraries are kept, to be made once."""


@attrs.frozen
class Sizes:
    """
    So much.

    Attributes:
        few: Conversations of the smaller library whose lists are compared.

        many: Conversations of the larger one.

        messages: Of the library that is searched, counted and opened.

        deep: The depth of the deepest conversation; the others are of 100 and a tenth of it.

        imported: Conversations that are imported at a time, of 20 messages each.

        queries: Searches of each kind.

        is_kept: Whether libraries are kept for the next time.
    """

    few: int
    many: int
    messages: int
    deep: int
    imported: int
    queries: int
    is_kept: bool = False


SHORT = Sizes(few=1_000, many=10_000, messages=20_000, deep=10_000, imported=50, queries=50)
FULL = Sizes(
    few=10_000,
    many=1_000_000,
    messages=1_000_000,
    deep=100_000,
    imported=250,
    queries=200,
    is_kept=True,
)

_chosen = SHORT


def choose(sizes: Sizes) -> None:
    """Measure so much from now on."""
    global _chosen  # noqa: PLW0603  # one table is of one size
    _chosen = sizes


def chosen() -> Sizes:
    """How much is measured."""
    return _chosen


def find_folder() -> Path:
    """Where large libraries are kept."""
    folder = Path(os.environ.get(FOLDER_VARIABLE) or Path(gettempdir()) / "tertulia-benchmark-data")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
