"""A SQLite database: one thread that writes, a few that read."""

from __future__ import annotations

from sqlalchemy import Connection

from tertulia.builtin.sql.address import Address
from tertulia.builtin.sql.database import Values
from tertulia.builtin.sql.engine import Engine, Job, T
from tertulia.builtin.sql.errors import opening
from tertulia.builtin.sql.lane import Lane
from tertulia.builtin.sql.sqlite import make_engine
from tertulia.builtin.sql.transactions import prepare, read_each, write_together

LARGEST_GROUP = 128
"""Jobs that are written in one transaction at most."""

READERS = 4
"""Threads that read at most."""


class SQLiteEngine(Engine):
    """
    One thread writes, taking what waits for it as one transaction; a few read, each with its own connection.

    Args:
        url: ``sqlite:///PATH`` or ``memory:``.
    """

    def __init__(self, url: str) -> None:
        self._address = Address.parse(url)
        self._writer = Lane(
            "tertulia-writer", self._connect_writer, write_together(self._address), group=LARGEST_GROUP
        )
        self._reader = self._writer  # a database in memory is the connection: there is only one
        if self._address.path is not None:
            self._reader = Lane(
                "tertulia-reader", self._connect_reader, read_each(self._address), threads=READERS
            )

    @property
    def location(self) -> str:
        """The file's path, or ``memory:``."""
        return str(self._address)

    async def open(self) -> None:
        """Open the database, creating or migrating it where needed."""
        try:
            await self._writer.open()
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """Finish what was accepted and close every connection."""
        await self._writer.aclose()
        await self._reader.aclose()

    async def read(self, job: Job[T]) -> T:
        """Read in one transaction, beside whoever writes."""
        return await self._reader.run(job)

    async def write(self, job: Job[T], keys: Values | None = None) -> T:  # the writer is alone
        """Write, together with whatever else waits."""
        return await self._writer.run(job)

    def _connect_writer(self) -> Connection:
        with opening(self._address):
            connection = make_engine(self._address, writes=True).connect()
        try:
            prepare(connection, self._address)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_reader(self) -> Connection:
        with opening(self._address):
            return make_engine(self._address, writes=False).connect()
