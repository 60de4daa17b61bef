"""How the tables come to be in PostgreSQL, and which databases are left alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.schema import CreateIndex, CreateTable

from tertulia.builtin.sql.postgres.address import PostgresAddress
from tertulia.builtin.sql.postgres.connections import Link, transaction
from tertulia.builtin.sql.postgres.database import POSTGRES, PostgresDialect
from tertulia.builtin.sql.revisions import check_revision, refuse_read_only, upgrade
from tertulia.builtin.sql.schema import REVISION, VERSION_TABLE, metadata, version
from tertulia.builtin.sql.search_schema import postgres_metadata

# What an extension brought belongs to it, and is nobody's table.
_FIND_TABLES = """
SELECT c.relname::text FROM pg_catalog.pg_class c
WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = current_schema())
AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""
_GET_VERSION = f"SELECT version_num::text FROM {VERSION_TABLE}"  # noqa: S608  # a constant


async def migrate(link: Link, address: PostgresAddress) -> None:
    """
    Bring the tables to this version.

    The first table that is made is the one that says which version it is: of several first runs at once one
    makes it, and the others wait for that and fail, which is a collision like others: they start over.

    Raises:
        StoreVersionError: The database is newer, or meddled with.
        StoreReadOnlyError: It would have to be changed, and cannot be.
        StoreError: The tables in it are another program's.
    """
    if await _find_revision(link, address) == REVISION:
        return
    if address.read_only:
        raise refuse_read_only(address)
    async with transaction(link, "BEGIN"):
        if not await _find_tables(link):
            await link.command(";".join(_create()))
            return
        await link.command(f"LOCK TABLE {VERSION_TABLE} IN ACCESS EXCLUSIVE MODE")
        if await _find_revision(link, address) != REVISION:
            await upgrade_tables(link)


async def upgrade_tables(link: Link) -> None:
    """Have Alembic bring the tables to this version, inside the transaction that is open."""
    from sqlalchemy.dialects import registry
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import StaticPool

    async def lend(*_: Any, **__: Any) -> Any:
        return link.driver_connection

    registry.register("postgresql.tertulia", PostgresDialect.__module__, PostgresDialect.__name__)
    engine = create_async_engine(
        "postgresql+tertulia://", async_creator=lend, poolclass=StaticPool, isolation_level="AUTOCOMMIT"
    )
    async with engine.connect() as connection:
        await connection.run_sync(upgrade)


async def _find_revision(link: Link, address: PostgresAddress) -> str | None:
    tables = await _find_tables(link)
    rows = (await link.run(_GET_VERSION, ()))[0] if VERSION_TABLE in tables else ()
    found = rows[0][0] if rows else None
    check_revision(tables - {VERSION_TABLE}, found, address)
    return found


async def _find_tables(link: Link) -> set[str]:
    return {name for (name,) in (await link.run(_FIND_TABLES, ()))[0]}


def _create() -> Iterator[str]:
    """Make all tables at once."""
    yield str(CreateTable(version).compile(dialect=POSTGRES))
    yield f"INSERT INTO {VERSION_TABLE} VALUES ('{REVISION}')"  # noqa: S608  # constants
    for table in (*metadata.sorted_tables, *postgres_metadata.sorted_tables):
        yield str(CreateTable(table).compile(dialect=POSTGRES))
        for index in sorted(table.indexes, key=lambda index: index.name or ""):
            yield str(CreateIndex(index).compile(dialect=POSTGRES))
