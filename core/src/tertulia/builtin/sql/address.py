"""Where a database is."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote

import attrs

from tertulia.errors import ConfigurationError

_BUSY_SECONDS = 5.0
_PREFIX = "sqlite:///"
_SETTINGS = {"mode", "busy_timeout"}
_LONGEST_BUSY_SECONDS = 86_400


@attrs.frozen
class Address:
    """
    Where a SQLite database is.

    Attributes:
        path: The file; None for a database in memory, which ends with the store.

        read_only: Whether it is opened with ``mode=ro``.

        busy_seconds: How long to wait for another process's write lock.
    """

    path: Path | None
    read_only: bool = False
    busy_seconds: float = _BUSY_SECONDS

    @classmethod
    def parse(cls, url: str) -> Address:
        """
        Read ``memory:`` or ``sqlite:///PATH``, the latter with ``?mode=ro`` and ``busy_timeout=SECONDS``.

        PATH is percent-encoded: a question mark in a file's name is ``%3F``. ``mode=rw`` is the default.

        Raises:
            ConfigurationError: It is neither.
        """
        if url in ("memory:", "sqlite://", "sqlite:///:memory:"):
            return cls(None)
        if not url.startswith(_PREFIX):
            shown = _hide_credentials(url)
            raise ConfigurationError(
                f"{shown!r} is no store's URL", value=shown, next_step="write sqlite:///PATH or memory:"
            )
        place, _, query = url.removeprefix(_PREFIX).partition("?")
        settings = _parse_settings(query)
        return cls(
            _parse_path(place),
            read_only=parse_mode(settings.get("mode", "rw")),
            busy_seconds=parse_seconds(settings.get("busy_timeout", str(_BUSY_SECONDS))),
        )

    def __str__(self) -> str:
        return "memory:" if self.path is None else str(self.path)


def _hide_credentials(url: str) -> str:
    """What may be a server's address, with a word that is misspelt, without what may be its password."""
    scheme, colon, _ = url.partition(":")
    return f"{scheme}{colon}…" if "@" in url or "password" in url else url


def _parse_settings(query: str) -> dict[str, str]:
    settings = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(settings) - _SETTINGS)
    if unknown:
        raise ConfigurationError(
            f"store URL: there is no setting {unknown[0]!r}",
            value=unknown[0],
            next_step="use mode or busy_timeout, and write a question mark in a file's name as %3F",
        )
    return settings


def _parse_path(place: str) -> Path:
    # A file's name need not be UTF-8: what is not survives as it does everywhere in Python.
    path = unquote(place, errors="surrogateescape")
    if "\0" in path:
        raise ConfigurationError("store URL: no file's name holds a null character", value=place)
    try:
        return Path(path).expanduser().absolute()
    except (RuntimeError, OSError) as error:
        raise ConfigurationError(f"store URL: {path!r} leads nowhere: {error}", value=place) from error


def parse_mode(mode: str) -> bool:
    """Whether a database is only read."""
    if mode not in ("ro", "rw"):
        raise ConfigurationError(
            f"store URL: there is no mode {mode!r}", value=mode, next_step="write mode=ro or mode=rw"
        )
    return mode == "ro"


def parse_seconds(text: str) -> float:
    """How long to wait for who else writes."""
    wrong = ConfigurationError(
        f"store URL: busy_timeout must be a number of seconds up to {_LONGEST_BUSY_SECONDS}", value=text
    )
    try:
        seconds = float(text)
    except ValueError:
        raise wrong from None
    if not 0 <= seconds <= _LONGEST_BUSY_SECONDS:  # so written, it refuses NaN too
        raise wrong
    return seconds
