"""Installed drivers: the classes that entry points bring."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint, entry_points

from tertulia.contracts.provider import Provider
from tertulia.errors import PluginRejectedError

PROVIDER_GROUP = "tertulia.providers"


def installed_drivers() -> list[EntryPoint]:
    """The entry points that bring providers; nothing is loaded."""
    return sorted(entry_points(group=PROVIDER_GROUP), key=lambda point: point.name)


def load_driver(entry_point: EntryPoint) -> type[Provider]:
    """
    Load a driver's class.

    Raises:
        PluginRejectedError: It cannot be imported, or is no provider.
    """
    try:
        driver = entry_point.load()
    except (Exception, SystemExit) as error:
        raise rejected(
            entry_point.name,
            f"its driver cannot be loaded: {type(error).__name__}: {error}",
            "reinstall its package",
        ) from error
    if not (isinstance(driver, type) and issubclass(driver, Provider)):
        raise rejected(
            entry_point.name,
            f"its entry point {entry_point.value!r} is no subclass of tertulia.Provider",
            "let the entry point name the provider's class",
        )
    if inspect.isabstract(driver):
        missing = ", ".join(sorted(driver.__abstractmethods__))
        raise rejected(entry_point.name, f"its class {driver.__name__} is abstract", f"write {missing}")
    return driver


def rejected(name: str, what: str, next_step: str) -> PluginRejectedError:
    """Say that a plugin or a driver cannot be used as it is."""
    return PluginRejectedError(f"plugin {name!r} was refused: {what}", plugin=name, next_step=next_step)
