"""
The conversation store on SQL: a tree of immutable messages and the ledger of attempts.

The operations are in ``stores``, by what they are about, and know nothing of the database they run on; how
jobs become transactions is the engine's part.
"""

from __future__ import annotations

from tertulia.builtin.sql.engine import Engine
from tertulia.builtin.sql.postgres.address import SCHEMES
from tertulia.builtin.sql.sqlite_engine import SQLiteEngine
from tertulia.builtin.sql.stores.branches import Branches
from tertulia.builtin.sql.stores.budgets import Budgets
from tertulia.builtin.sql.stores.catalogue import Catalogue
from tertulia.builtin.sql.stores.context import Contexts
from tertulia.builtin.sql.stores.conversations import Conversations
from tertulia.builtin.sql.stores.ledger import Ledger
from tertulia.builtin.sql.stores.messages import Messages
from tertulia.builtin.sql.stores.search import Search
from tertulia.builtin.sql.stores.transfer import Transfer
from tertulia.builtin.sql.stores.upkeep import Upkeep
from tertulia.contracts.store import Store
from tertulia.errors import StoreError
from tertulia.runtime.clock import Clock


class SQLStore(
    Conversations, Search, Messages, Contexts, Branches, Ledger, Budgets, Transfer, Catalogue, Upkeep, Store
):
    """
    Conversations in a SQL database.

    Args:
        url: ``sqlite:///PATH``, ``memory:`` or ``postgresql://USER:PASSWORD@HOST/DATABASE``.
        clock: For deciding whether a lease has run out.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        super().__init__(_make_engine(url), clock)

    @property
    def location(self) -> str:
        """The file's path, ``memory:``, or the address of the server's database without credentials."""
        return self._engine.location

    async def open(self) -> None:
        """Open the database, creating or migrating it where needed."""
        await self._engine.open()

    async def aclose(self) -> None:
        """Finish what was accepted and close every connection."""
        await self._engine.aclose()


def _make_engine(url: str) -> Engine:
    if url.partition(":")[0] not in SCHEMES:
        return SQLiteEngine(url)
    try:
        from tertulia.builtin.sql.postgres.engine import PostgresEngine
    except ImportError as error:
        raise StoreError(
            f"PostgreSQL needs a package that is not installed: {error.name}",
            next_step='install it with: pip install "tertulia[postgres]"',
        ) from error
    return PostgresEngine(url)
