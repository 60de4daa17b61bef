"""How the URL of a PostgreSQL database is read, and what is said when nobody answers there."""

from __future__ import annotations

import asyncio
import struct
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from tertulia import ConfigurationError, StoreError
from tertulia.builtin.sql.postgres.address import PostgresAddress
from tertulia.builtin.sql.store import SQLStore
from tertulia.testing import StandingClock

SECRET = "s3cret"


@pytest.mark.parametrize(
    ("url", "name", "dsn"),
    [
        (
            f"postgresql://ann:{SECRET}@db.example:5433/talks",
            "postgresql://db.example:5433/talks",
            f"postgresql://ann:{SECRET}@db.example:5433/talks",
        ),
        (
            "postgresql+asyncpg://ann@[::1]/talks?sslmode=require&pool_size=3",
            "postgresql://[::1]/talks",
            "postgresql://ann@[::1]/talks?sslmode=require",
        ),
        (
            f"postgres:///talks?host=/run/pg&user=ann&password={SECRET}",
            "postgresql:///talks?host=/run/pg",
            f"postgresql:///talks?host=%2Frun%2Fpg&user=ann&password={SECRET}",
        ),
        ("postgresql://a:1,b:2/x", "postgresql://a:1,b:2/x", "postgresql://a:1,b:2/x"),
    ],
)
def test_a_url_is_for_the_driver_and_a_name_for_people(url, name, dsn):
    """The driver gets everything but our settings; people are shown no credentials."""
    address = PostgresAddress.parse(url)

    assert (name, dsn) == (str(address), address.dsn)
    assert SECRET not in repr(address)
    assert name == SQLStore(url, StandingClock()).location


def test_our_settings_are_read():
    """How long to wait, how many connections, and whether to write."""
    address = PostgresAddress.parse("postgresql://h/x?mode=ro&busy_timeout=0.5&pool_size=3")

    assert (True, 0.5, 3) == (address.read_only, address.busy_seconds, address.pool_size)
    plain = PostgresAddress.parse("postgresql://h/x")
    assert (False, 5.0, 10) == (plain.read_only, plain.busy_seconds, plain.pool_size)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"postgresql://ann:{SECRET}/x@h/db", "the store's URL names no port"),
        (f"postgresql://ann:{SECRET}#x@h/db", "the store's URL holds a '#', which must be written %23"),
        (f"postgresql://ann:{SECRET}@h:70000/db", "the store's URL names no port"),
        (f"postgresql://ann:{SECRET}@[h/db", "the store's URL cannot be read"),
        (f"postgresql://ann:{SECRET}@h/db?x", "the store's URL cannot be read"),
        (f"postgresql:{SECRET}", "the store's URL is no PostgreSQL address"),
        ("postgresql://h/x?mode=rwc", "store URL: there is no mode 'rwc'"),
        ("postgresql://h/x?busy_timeout=soon", "store URL: busy_timeout must be a number of seconds"),
        (
            "postgresql://h/x?pool_size=0",
            "store URL: pool_size must be a number of connections from 1 to 1000",
        ),
        ("postgresql://h/x?pool_size=many", "store URL: pool_size must be a number of connections"),
    ],
)
def test_a_wrong_url_is_refused_without_repeating_it(url, message):
    """What cannot be read may hold the password anywhere, so none of it is quoted."""
    with pytest.raises(ConfigurationError) as caught:
        SQLStore(url, StandingClock())

    assert str(caught.value).startswith(message)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.__cause__)


@pytest.fixture
async def refusing() -> AsyncIterator[str]:
    """A server that lets nobody in: its URL."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while struct.unpack("!II", (await reader.readexactly(8)))[1] != 196608:
            writer.write(b"N")  # no encryption here
        text = 'password authentication failed for user "ann"'
        fields = f"SFATAL\0VFATAL\0C28P01\0M{text}\0\0".encode()
        writer.write(b"E" + struct.pack("!I", len(fields) + 4) + fields)
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield f"postgresql://ann:{SECRET}@127.0.0.1:{server.sockets[0].getsockname()[1]}/talks"


async def test_a_wrong_password_is_not_repeated(refusing):
    """Who is not let in is told to check user and password, and neither is shown."""
    store = SQLStore(refusing, StandingClock())
    with pytest.raises(StoreError) as caught:
        await store.open()

    assert (
        f"the database {store.location} refuses the user or the password; check both in the store's URL"
        == str(caught.value)
    )
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r} {store!r} {store.location}"


async def test_a_server_that_is_not_there_is_named():
    """Where nobody listens the error says so, and what to check."""
    with pytest.raises(
        StoreError, match=r"database postgresql://127.0.0.1:1/x cannot be reached: .*; check the host"
    ):
        await SQLStore(f"postgresql://ann:{SECRET}@127.0.0.1:1/x", StandingClock()).open()


async def test_an_unknown_host_is_named():
    """A name that leads nowhere is an error of ours, too."""
    with pytest.raises(StoreError, match=r"database postgresql://nowhere.invalid/x cannot be reached: "):
        await SQLStore("postgresql://ann@nowhere.invalid/x", StandingClock()).open()


async def test_a_database_that_is_not_there_is_named(postgres_server):
    """The error says how one is made."""
    url = urlunsplit(urlsplit(postgres_server.url)._replace(path="/not_there"))
    with pytest.raises(StoreError, match=r'not_there.* does not exist; make it with "createdb"'):
        await SQLStore(url, StandingClock()).open()


@pytest.mark.parametrize("missing", ["asyncpg", "greenlet"])
def test_a_missing_driver_is_named(monkeypatch, missing):
    """Without the extra the error says how to install it."""
    for name in [name for name in sys.modules if name.startswith("tertulia.builtin.sql.postgres.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)

    with pytest.raises(StoreError) as caught:
        SQLStore("postgresql://h/x", StandingClock())

    assert (
        f"PostgreSQL needs a package that is not installed: {missing};"
        ' install it with: pip install "tertulia[postgres]"'
    ) == str(caught.value)
