"""What is refused of a driver and its configuration, before anything is sent."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from tertulia.contracts.provider import Provider
from tertulia.domain.config import ProviderConfig, Secret
from tertulia.errors import ConfigurationError, PluginRejectedError

_HOST = re.compile(r"[\w-]{1,63}([.][\w-]{1,63})*[.]?|[0-9a-f.]*:[0-9a-f:.]*(%[\w.-]+)?")


def check_class(driver: type[Provider], config: ProviderConfig, *, base_url: str) -> None:
    """Refuse a class that says where its keys are as no class can, or not where its service is."""
    variables: object = driver.KEY_VARIABLES
    if isinstance(variables, str):
        raise PluginRejectedError(
            f"provider {config.name!r}: KEY_VARIABLES of {driver.__name__} is a text, not a tuple of texts",
            plugin=config.driver,
            provider=config.name,
            next_step=f"write KEY_VARIABLES = ({variables!r},)",
        )
    if not (config.base_url or base_url):
        raise ConfigurationError(
            f"provider {config.name!r}: nobody says where it is: {driver.__name__} has no BASE_URL",
            provider=config.name,
            next_step="set base_url, or write BASE_URL in the class",
        )


def check_key(config: ProviderConfig) -> None:
    """Refuse a key that cannot be sent."""
    if config.api_key is not None and not _fits_a_header(config.api_key):
        raise ConfigurationError(
            f"provider {config.name!r}: the key holds a character that no HTTP header can",
            provider=config.name,
            next_step="copy the key again, without line breaks or quotes",
        )


def _fits_a_header(secret: Secret) -> bool:
    key = secret.reveal()
    return bool(key) and key.isascii() and key.isprintable() and " " not in key


def check_url(url: str, name: str) -> str:
    """Return an address without a slash at its end; refuse what is no base for calls."""
    problem = _find_problem(url)
    if problem is not None:
        raise ConfigurationError(
            f"provider {name!r}: base_url {problem}", provider=name, next_step="write it as https://HOST/PATH"
        )
    return url.rstrip("/")


def _find_problem(url: str) -> str | None:
    """What is wrong with an address, in words that do not repeat it: it may hold a password."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "is no URL"
    if parts.scheme not in ("https", "http"):
        return "must begin with https:// or http://"
    if "@" in parts.netloc:
        return "has a user or a password in it"
    if parts.query or parts.fragment:
        return "has something behind its path, and calls are made below it"
    if not _HOST.fullmatch(parts.hostname or ""):
        return "names no host"
    return None
