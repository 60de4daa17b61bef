"""Configuration from arguments and the environment; a later source wins, and nothing is guessed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.config import Config, ProviderConfig, Secret
from tertulia.domain.exchange import Timeouts
from tertulia.errors import ConfigurationError, DriverNotInstalledError
from tertulia.runtime.plugins import installed_drivers, load_driver, unknown_provider

_COMMON_KEYS = frozenset({"driver", "api_key", "base_url", "model", "fallback", "timeouts"})


def make_config(
    *,
    providers: Mapping[str, Mapping[str, Any]] | None,
    default_provider: str | None,
    fallback: Sequence[str] | None,
    owner: str,
    store: str | None,
    max_context_tokens: int | None,
    context_window: int | None,
    environ: Mapping[str, str],
) -> Config:
    """
    Put a configuration together.

    Args:
        providers: A table for each name, as in a configuration file; None to configure every installed
            driver under its own name.
        environ: ``TERTULIA_STORE``, ``TERTULIA_PROVIDER``, ``TERTULIA_FALLBACK`` (comma-separated), and for
            each provider ``AI_<NAME>_API_KEY``, ``AI_<NAME>_BASE_URL``, ``AI_<NAME>_MODEL``. Arguments win.

    Raises:
        ConfigurationError: A value cannot be used; the error names it.
    """
    if providers is None:
        providers = {point.name: {"driver": point.name} for point in installed_drivers()}
    configured = {name: _provider_config(name, table, environ) for name, table in providers.items()}
    if fallback is None:
        fallback = [name.strip() for name in environ.get("TERTULIA_FALLBACK", "").split(",") if name.strip()]
    config = Config(
        providers=configured,
        default_provider=default_provider or environ.get("TERTULIA_PROVIDER"),
        fallback=tuple(fallback),
        owner=owner,
        store=store or environ.get("TERTULIA_STORE"),
        max_context_tokens=_positive("max_context_tokens", max_context_tokens),
        context_window=_positive("context_window", context_window),
    )
    _check_names(config)
    return config


def make_provider(name: str, config: Config, environ: Mapping[str, str]) -> Provider:
    """
    Build a configured provider: load its driver, find its key.

    Raises:
        UnknownProviderError: None is configured under the name.
        DriverNotInstalledError: No installed package brings its driver.
        PluginRejectedError: The driver cannot be loaded.
        ConfigurationError: A setting is unknown to the driver.
    """
    settings = config.providers.get(name)
    if settings is None:
        raise unknown_provider(name, config.providers)
    driver = _load(settings)
    if settings.api_key is None:
        key = _key_from_environment(settings, driver, environ)
        settings = attrs.evolve(settings, api_key=None if key is None else Secret(key))
    return driver(settings)


def variable(name: str, suffix: str) -> str:
    """
    The environment variable for a provider's setting.

    Example:
        >>> variable("my-local", "BASE_URL")
        'AI_MY_LOCAL_BASE_URL'
    """
    return f"AI_{re.sub('[^A-Z0-9]', '_', name.upper())}_{suffix}"


def _provider_config(name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> ProviderConfig:
    driver = table.get("driver", name)
    key = table.get("api_key") or environ.get(variable(name, "API_KEY"))
    fallback = table.get("fallback")
    return ProviderConfig(
        name=name,
        driver=_text(name, "driver", driver),
        api_key=key
        if isinstance(key, Secret) or key is None
        else Secret(_text(name, "api_key", key).strip()),
        base_url=table.get("base_url") or environ.get(variable(name, "BASE_URL")),
        model=table.get("model") or environ.get(variable(name, "MODEL")),
        fallback=None if fallback is None else _names(fallback),
        timeouts=_timeouts(name, table.get("timeouts") or {}),
        settings={key: value for key, value in table.items() if key not in _COMMON_KEYS},
    )


def _load(settings: ProviderConfig) -> type[Provider]:
    for entry_point in installed_drivers():
        if entry_point.name == settings.driver:
            return load_driver(entry_point)
    raise DriverNotInstalledError(
        f"provider {settings.name!r}: no driver named {settings.driver!r} is installed",
        provider=settings.name,
        value=settings.driver,
        next_step=f'try "pip install tertulia-{settings.driver}"',
    )


def _key_from_environment(
    settings: ProviderConfig, driver: type[Provider], environ: Mapping[str, str]
) -> str | None:
    """A vendor's own variable goes to the vendor's own origin, wherever else the provider may point."""
    own = getattr(driver, "BASE_URL", None)
    if settings.base_url is not None and not _same_origin(settings.base_url, own):
        return None
    found = (environ.get(name, "").strip() for name in driver.KEY_VARIABLES)
    return next((key for key in found if key), None)


def _same_origin(url: str, own: str | None) -> bool:
    if own is None:
        return False
    theirs, ours = urlsplit(url), urlsplit(own)
    host, own_host = theirs.hostname or "", ours.hostname or ""
    return theirs.scheme == ours.scheme and (host == own_host or host.endswith(f".{own_host}"))


def _check_names(config: Config) -> None:
    if config.default_provider is not None and config.default_provider not in config.providers:
        raise unknown_provider(config.default_provider, config.providers)
    chains = [config.fallback, *(provider.fallback or () for provider in config.providers.values())]
    for target in (target for chain in chains for target in chain):
        name = target.partition("/")[0]
        if name not in config.providers:
            raise unknown_provider(name, config.providers)


def _timeouts(name: str, table: Mapping[str, float] | Timeouts) -> Timeouts:
    if isinstance(table, Timeouts):
        return table
    known = [field.name for field in attrs.fields(Timeouts)]
    for key, value in table.items():
        if key not in known:
            raise ConfigurationError(
                f"provider {name!r}: there is no timeout {key!r}",
                provider=name,
                value=key,
                next_step=_suggest(key, known),
            )
        if not value > 0:
            raise ConfigurationError(
                f"provider {name!r}: timeout {key!r} must be more than 0 seconds", provider=name, value=value
            )
    return Timeouts(**table)


def _suggest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(names)}"


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _text(name: str, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(
            f"provider {name!r}: {key} must be a text", provider=name, next_step=f"set {key}"
        )
    return value


def _positive(name: str, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise ConfigurationError(f"{name} must be at least 1", value=value)
    return value
