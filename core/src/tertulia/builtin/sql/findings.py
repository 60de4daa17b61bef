"""What an examination has found so far, kept within bounds."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from uuid import UUID

import attrs

from tertulia.domain.upkeep import StoreProblem
from tertulia.errors import StoreCorruptError

MOST_OF_A_KIND = 10
"""Problems of one kind that are named of one conversation: a broken one may have as many as messages."""

MOST = 1000
"""Problems that are named in all."""

RESTORE = "restore a copy of the database; what can be read of the conversation can be exported"
RECOUNT = "rebuild the statistics"
REINDEX = "rebuild the search index"


@attrs.define
class Findings:
    """
    The problems of one conversation, or of what belongs to none.

    Attributes:
        problems: What was found.

        counts: How many there are of each thing, as far as it could be counted.
    """

    owner: str | None = None
    conversation_id: UUID | None = None
    problems: list[StoreProblem] = attrs.field(factory=list[StoreProblem])
    counts: Counter[str] = attrs.field(factory=Counter[str])
    _seen: Counter[str] = attrs.field(factory=Counter[str], init=False)

    def add(self, kind: str, description: str, repair: str) -> None:
        """Name a problem, unless there are very many like it."""
        self._seen[kind] += 1
        if self._seen[kind] == MOST_OF_A_KIND + 1:
            description = f"more than {MOST_OF_A_KIND} such problems ({description})"
        if self._seen[kind] <= MOST_OF_A_KIND + 1:
            problem = StoreProblem(kind, description, repair, self.owner, self.conversation_id)
            self.problems.append(problem)

    def add_unreadable(self, what: str, error: Exception) -> None:
        """Name something that could not be read, and why."""
        reason = str(error).partition("\n")[0]
        self.add("damaged", f"{what} cannot be read: {type(error).__name__}: {reason}", RESTORE)

    @contextmanager
    def reading(self, what: str, which: object = "") -> Generator[None]:
        """
        Let a row that makes no value be a problem, and not the end of the examination.

        Args:
            which: Its name, which is not written out for every row that is fine.
        """
        try:
            yield
        except Exception as error:
            if not is_fault_of_a_row(error):
                raise
            self.add_unreadable(f"{what} {which}".rstrip(), error)


def is_fault_of_a_row(error: Exception) -> bool:
    """Whether what was read is to blame, and not the disk, the connection or who else is at work."""
    if isinstance(error, sqlite3.OperationalError):
        return "UTF-8" in str(error)
    return isinstance(error, _NO_VALUE)


_NO_VALUE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
    ExceptionGroup,  # what the converter of parts raises
    sqlite3.DatabaseError,
    StoreCorruptError,
)
"""What comes of a row that no value can be made of."""


def limit(problems: Iterable[StoreProblem]) -> tuple[StoreProblem, ...]:
    """The first of very many problems, and that there are more."""
    named = tuple(problems)
    if len(named) <= MOST:
        return named
    rest = StoreProblem(
        "damaged", f"{len(named) - MOST} problems more were found", "solve these, and examine it again"
    )
    return (*named[:MOST], rest)
