"""What the store runs its jobs on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias, TypeVar

from tertulia.builtin.sql.database import Database, Values

T = TypeVar("T")
Job: TypeAlias = Callable[[Database], T]


class Engine(ABC):
    """
    A database, and how jobs become transactions in it.

    A job that was accepted is done even when the task that waits for it is cancelled: what is to be
    written is written. What goes wrong is an error of ours.
    """

    @property
    @abstractmethod
    def location(self) -> str:
        """The address, without credentials, for people."""

    @abstractmethod
    async def open(self) -> None:
        """Connect, and bring the tables to this version."""

    @abstractmethod
    async def aclose(self) -> None:
        """Finish every accepted job and close every connection. Safe to call twice."""

    @abstractmethod
    async def read(self, job: Job[T]) -> T:
        """Have a job read; all it reads is of one moment."""

    @abstractmethod
    async def write(self, job: Job[T], keys: Values | None = None) -> T:
        """
        Have a job read and write in one transaction.

        Args:
            keys: The ``owner_id`` and ``conversation_id`` of what it reads and then changes: nobody else
                changes anything of that conversation meanwhile. None where there is none.
        """
