"""How a store's URL is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tertulia import ConfigurationError
from tertulia.builtin.sql.address import Address
from tertulia.builtin.sql.store import SQLStore
from tertulia.domain.config import default_database
from tertulia.runtime.clock import SystemClock

NAMES = ["plain.db", "why? not.db", "#1.db", "100%.db", "100%20.db", "é.db", "\udcff.db"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_every_folder_can_hold_the_users_own_database(name):
    """The default URL leads back to its file, whatever the folder is called."""
    assert Address(Path("/home") / name / "conversations.db") == Address.parse(
        default_database(Path("/home") / name)
    )


def test_the_default_url_is_percent_encoded():
    """What means something in a URL is written as a number."""
    assert "sqlite:////home/why%3F%20%23%25/conversations.db" == default_database(Path("/home/why? #%"))


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("memory:", Address(None)),
        ("sqlite:////var/a.db", Address(Path("/var/a.db"))),
        ("sqlite:////var/a b.db", Address(Path("/var/a b.db"))),
        ("sqlite:////var/a%20b%3F%23%25.db", Address(Path("/var/a b?#%.db"))),
        ("sqlite:///a.db", Address(Path.cwd() / "a.db")),
        ("sqlite:///~/a.db", Address(Path.home() / "a.db")),
        (
            "sqlite:////a.db?mode=ro&busy_timeout=0.5",
            Address(Path("/a.db"), read_only=True, busy_seconds=0.5),
        ),
        ("sqlite:////a.db?mode=rw", Address(Path("/a.db"))),
    ],
)
def test_a_url_is_a_path_and_settings(url, address):
    """The path is percent-encoded; relative ones begin where the process is."""
    assert address == Address.parse(url)


_SETTINGS = "use mode or busy_timeout, and write a question mark in a file's name as %3F"
_SECONDS = "store URL: busy_timeout must be a number of seconds up to 86400"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:x.db", "'sqlite:x.db' is no store's URL; write sqlite:///PATH or memory:"),
        ("sqlite:///x.db?cache=shared", f"store URL: there is no setting 'cache'; {_SETTINGS}"),
        ("sqlite:///why?.db", f"store URL: there is no setting '.db'; {_SETTINGS}"),
        ("sqlite:///x.db?mode=rwc", "store URL: there is no mode 'rwc'; write mode=ro or mode=rw"),
        ("sqlite:///x.db?mode=", "store URL: there is no mode ''; write mode=ro or mode=rw"),
        ("sqlite:///x.db?busy_timeout=soon", _SECONDS),
        ("sqlite:///x.db?busy_timeout=nan", _SECONDS),
        ("sqlite:///x.db?busy_timeout=-1", _SECONDS),
        ("sqlite:///x%00.db", "store URL: no file's name holds a null character"),
    ],
)
def test_a_wrong_url_is_refused(url, message):
    """A URL that is not read as it stands is a configuration error that says what to write."""
    with pytest.raises(ConfigurationError) as caught:
        Address.parse(url)

    assert message == str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://ann:hunter2@host/db",
        "POSTGRESQL://ann:hunter2@host/db",
        "mysql://host/db?user=ann&password=hunter2",
        "postgres//ann:hunter2@host/db",
        "ann:hunter2@host",
    ],
)
def test_the_password_of_a_misspelt_address_is_not_repeated(url):
    """What is no URL of ours may be that of a server, with a password in it."""
    with pytest.raises(ConfigurationError, match="is no store's URL") as caught:
        SQLStore(url, SystemClock())

    assert "hunter2" not in f"{caught.value!s} {caught.value!r} {vars(caught.value)}"


def test_an_unknown_home_is_refused():
    """The home of somebody who does not exist is a configuration error."""
    with pytest.raises(ConfigurationError, match=r"'~nobody-at-all/x[.]db' leads nowhere"):
        Address.parse("sqlite:///~nobody-at-all/x.db")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
async def test_a_file_may_have_any_name(tmp_path, name):
    """The database is the very file that was named, and nothing else is made."""
    store = SQLStore(default_database(tmp_path / name), SystemClock())
    await store.open()
    await store.find_conversations("local")
    await store.aclose()

    assert [tmp_path / name / "conversations.db"] == list((tmp_path / name).iterdir())
    assert [tmp_path / name] == list(tmp_path.iterdir())
