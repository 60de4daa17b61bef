"""From a configured provider to a provider that answers: its driver, and its key."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.config import Config, ProviderConfig, Secret, Setting, is_same_origin
from tertulia.errors import ConfigurationError, DriverNotInstalledError, PluginRejectedError, TertuliaError
from tertulia.runtime.configuration.schema import PROVIDER_KEYS, TOP_KEYS
from tertulia.runtime.configuration.tables import KeyPath, locate, write_key
from tertulia.runtime.drivers import installed_drivers, load_driver
from tertulia.runtime.plugin_answers import unknown_provider


def driver_names() -> list[str]:
    """The names of the installed drivers; none is loaded."""
    return [point.name for point in installed_drivers()]


def make_provider(name: str, config: Config, environ: Mapping[str, str]) -> Provider:
    """
    Build a configured provider: load its driver, find its key.

    Raises:
        UnknownProviderError: None is configured under the name.
        DriverNotInstalledError: No installed package brings its driver.
        PluginRejectedError: The driver cannot be loaded, or fails with these settings.
        ConfigurationError: A setting is unknown to the driver.
    """
    settings = config.providers.get(name)
    if settings is None:
        raise unknown_provider(name, config.providers)
    driver = find_driver(settings)
    if settings.api_key is None and (key := find_key(settings, driver, environ)) is not None:
        settings = attrs.evolve(settings, api_key=key.value)
    try:
        return driver(settings)
    except ConfigurationError as error:
        _explain(error, settings, driver)
        raise
    except TertuliaError:
        raise
    except Exception as error:
        raise PluginRejectedError(
            f"provider {name!r}: driver {settings.driver!r} failed to start: {type(error).__name__}: {error}",
            plugin=settings.driver,
            provider=name,
            next_step="see the cause below, and tell the author of the driver",
        ) from error


def find_driver(settings: ProviderConfig) -> type[Provider]:
    """
    Load a provider's driver.

    Raises:
        DriverNotInstalledError: No installed package brings it.
        PluginRejectedError: It cannot be loaded.
    """
    points = {point.name: point for point in installed_drivers()}
    if settings.driver in points:
        return load_driver(points[settings.driver])
    close = difflib.get_close_matches(settings.driver, points, n=1)
    origin = settings.origins.get(("driver",), settings.origins.get((), ""))
    raise DriverNotInstalledError(
        f"{locate(origin)}provider {settings.name!r}: no driver named {settings.driver!r} is installed",
        provider=settings.name,
        value=settings.driver,
        next_step=f"did you mean {close[0]!r}?" if close else f'try "pip install tertulia-{settings.driver}"',
    )


def find_key(settings: ProviderConfig, driver: type[Provider], environ: Mapping[str, str]) -> Setting | None:
    """
    Find a key in the driver's own variables; None when there is none.

    A vendor's own variable goes to the vendor's own origin, wherever else the provider may point.
    """
    own = getattr(driver, "BASE_URL", None)
    if settings.base_url is not None and not is_same_origin(settings.base_url, own):
        return None
    for name in driver.KEY_VARIABLES:
        if key := environ.get(name, "").strip():
            path = ("providers", settings.name, "api_key")
            return Setting(write_key(path), Secret(key), f"environment variable {name}")
    return None


def _explain(error: ConfigurationError, settings: ProviderConfig, driver: type[Provider]) -> None:
    """Add to a driver's own error where the setting was set, and what else it may have been meant to be."""
    origin = next(
        (settings.origins[path] for path in _named(error, settings) if path in settings.origins), ""
    )
    error.message = f"{locate(origin)}{error.message}"
    key = error.value
    if not isinstance(key, str) or key not in settings.settings or key in driver.SETTINGS:
        return
    if key in TOP_KEYS:
        error.next_step = f"{key!r} is not a provider's: it stands above the first [table] of a file"
    elif close := difflib.get_close_matches(key, {*driver.SETTINGS, *PROVIDER_KEYS}, n=1):
        error.next_step = f"did you mean {close[0]!r}?"


def _named(error: ConfigurationError, settings: ProviderConfig) -> Iterator[KeyPath]:
    """The settings an error is about: the offending one, one it begins with, one it quotes."""
    if isinstance(error.value, str) and error.value in settings.settings:
        yield (error.value,)
    for path in settings.origins:
        if path and error.message.startswith(f"provider {settings.name!r}: {path[0]} "):
            yield path
    for path in settings.origins:
        if len(path) > 1 and _is_quoted(path, settings.settings, error.message):
            yield path


def _is_quoted(path: KeyPath, values: Mapping[str, Any], message: str) -> bool:
    for key in path[:-1]:
        values = values.get(key, {})
    value = values.get(path[-1])
    return repr(path[-1]) in message or (isinstance(value, str) and repr(value) in message)
