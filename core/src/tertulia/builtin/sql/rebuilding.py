"""What is derived, made anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from tertulia.builtin.sql import recount, search
from tertulia.builtin.sql.database import Database, Row, Values
from tertulia.builtin.sql.engine import Engine
from tertulia.builtin.sql.findings import is_fault_of_a_row
from tertulia.builtin.sql.tree import make_keys
from tertulia.builtin.sql.verify import find_conversations
from tertulia.errors import StoreError


async def rebuild_statistics(engine: Engine, owner: str | None) -> int:
    """
    Count again what can be counted, conversation by conversation, and say how many were wrong.

    Each is a transaction of its own: others can write meanwhile, and what is interrupted can be done again.

    Raises:
        StoreError: A conversation is too broken to be counted; all others were.
    """
    wrong, broken = 0, None
    async for keys in _find_all(engine, owner):
        try:
            wrong += await engine.write(_make_job(keys), keys)
        except StoreError as error:
            if not _is_fault_of_a_row(error):
                raise
            broken = broken or error
    if broken is not None:
        raise broken
    return wrong


def _is_fault_of_a_row(error: StoreError) -> bool:
    return isinstance(error.__cause__, Exception) and is_fault_of_a_row(error.__cause__)


def _make_job(keys: Values) -> Callable[[Database], bool]:
    return lambda database: recount.rebuild(database, keys)


async def _find_all(engine: Engine, owner: str | None) -> AsyncIterator[Values]:
    rows: list[Row] = [{}]
    while rows:
        rows = await engine.read(_make_search(owner, rows[-1]))
        for row in rows:
            yield make_keys(row["owner_id"], row["id"])


def _make_search(owner: str | None, place: Row) -> Callable[[Database], list[Row]]:
    return lambda database: find_conversations(database, owner, place)


async def rebuild_search(engine: Engine, owner: str | None) -> int:
    """
    Index titles and messages anew, conversation by conversation, and say how many are in the index.

    Everybody's index is emptied first, so that nothing is left in it of what is there no more; until all is
    done, not everything is found.
    """
    if owner is None:
        await engine.write(search.clear)
    indexed = 0
    async for keys in _find_all(engine, owner):
        indexed += await engine.write(_make_index(keys), keys)
    return indexed


def _make_index(keys: Values) -> Callable[[Database], int]:
    return lambda database: search.reindex(database, keys)
