"""Where a PostgreSQL database is."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import attrs

from tertulia.builtin.sql.address import parse_mode, parse_seconds
from tertulia.errors import ConfigurationError

SCHEMES = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
"""How the URL of a PostgreSQL database may begin."""

_BUSY_SECONDS = "5"
_POOL_SIZE = "10"
_LARGEST_POOL = 1000
_NEXT_STEP = (
    "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and % in front of what means something else"
)


@attrs.frozen
class PostgresAddress:
    """
    Where a PostgreSQL database is.

    Attributes:
        name: The address without credentials, for people.

        dsn: The same with everything, for the driver.

        read_only: Whether it is opened with ``mode=ro``.

        busy_seconds: How long to wait for a conversation that somebody else is writing.

        pool_size: Connections at most.
    """

    name: str
    dsn: str = attrs.field(repr=False)
    read_only: bool = False
    busy_seconds: float = 5.0
    pool_size: int = 10

    @classmethod
    def parse(cls, url: str) -> PostgresAddress:
        """
        Read ``postgresql://USER:PASSWORD@HOST:PORT/DATABASE``, with the settings the driver knows and ours.

        Ours are ``mode=ro``, ``busy_timeout=SECONDS`` and ``pool_size=CONNECTIONS``.

        Raises:
            ConfigurationError: It cannot be read. No part of it is repeated, for it may be the password.
        """
        try:
            scheme, place, path, query, fragment = urlsplit(url)
            settings = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
        except ValueError:
            raise _refuse("cannot be read") from None
        if scheme not in SCHEMES or not url.startswith(f"{scheme}://"):
            raise _refuse("is no PostgreSQL address")
        if fragment:
            raise _refuse("holds a '#', which must be written %23")
        credentials, _, hosts = place.rpartition("@")
        _check_ports(hosts)
        ours = {
            name: settings.pop(name) for name in ("mode", "busy_timeout", "pool_size") if name in settings
        }
        rest = f"?{urlencode(settings)}" if settings else ""
        at = f"{credentials}@" if credentials else ""
        return cls(
            name=_describe(hosts, path, settings),
            dsn=f"postgresql://{at}{hosts}{path}{rest}",
            read_only=parse_mode(ours.get("mode", "rw")),
            busy_seconds=parse_seconds(ours.get("busy_timeout", _BUSY_SECONDS)),
            pool_size=_parse_pool_size(ours.get("pool_size", _POOL_SIZE)),
        )

    def __str__(self) -> str:
        return self.name


def _refuse(what: str) -> ConfigurationError:
    return ConfigurationError(f"the store's URL {what}", next_step=_NEXT_STEP)


def _check_ports(hosts: str) -> None:
    for host in hosts.split(","):
        _, colon, port = host.rpartition("]")[2].rpartition(":")
        if colon and port and not (port.isdecimal() and 0 < int(port) < 65536):
            raise _refuse("names no port")


def _describe(hosts: str, path: str, settings: dict[str, str]) -> str:
    place = hosts or settings.get("host", "")
    database = unquote(path.lstrip("/")) or settings.get("database") or settings.get("dbname", "")
    where = "" if place.startswith("/") else unquote(place)
    return f"postgresql://{where}/{database}" + (f"?host={place}" if place.startswith("/") else "")


def _parse_pool_size(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _LARGEST_POOL:
        raise ConfigurationError(
            f"store URL: pool_size must be a number of connections from 1 to {_LARGEST_POOL}", value=text
        )
    return int(text)
