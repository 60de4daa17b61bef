"""What an examination of a store finds."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

import attrs


@attrs.frozen
class StoreProblem:
    """
    Something in a store that is not as it should be.

    Attributes:
        kind: ``damaged``: it cannot be read. ``tree``: messages, runs of them and branches do not fit
            together. ``counters``: a sum is not the sum. ``attachments``: bytes are missing, are others than
            they were, or belong to nothing. ``search``: something is not found, or found without being
            there. ``references``: it names something that is not there.

        description: What is wrong, and with what.

        repair: What to do about it.

        owner: Whose it is; None where it is nobody's.

        conversation_id: Which conversation it concerns; None for none.
    """

    kind: str
    description: str
    repair: str
    owner: str | None = None
    conversation_id: UUID | None = None

    def __str__(self) -> str:
        return f"{self.description}: {self.repair}"


@attrs.frozen
class StoreReport:
    """
    What an examination found.

    Attributes:
        location: The store's address, without credentials.

        engine: What keeps it, with its version: ``SQLite 3.40.1``.

        version: Of its tables.

        size_bytes: On disk; None where that cannot be told.

        counts: How many there are of each: ``conversations``, ``messages``, ``attempts``, ``attachments``.

        problems: What is wrong; empty when all is well.
    """

    location: str
    engine: str
    version: str
    size_bytes: int | None = None
    counts: Mapping[str, int] = MappingProxyType({})
    problems: tuple[StoreProblem, ...] = ()
