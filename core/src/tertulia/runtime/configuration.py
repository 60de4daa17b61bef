"""Configuration from arguments and the environment; a later source wins, and nothing is guessed."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.config import Config, ProviderConfig, Secret
from tertulia.domain.exchange import Timeouts
from tertulia.errors import ConfigurationError, DriverNotInstalledError, PluginRejectedError, TertuliaError
from tertulia.runtime.plugins import installed_drivers, load_driver, unknown_provider

_COMMON_KEYS = frozenset({"driver", "api_key", "base_url", "model", "fallback", "timeouts"})
_URL_FORM = "write it as https://HOST/PATH"


class Environment(Mapping[str, str]):
    """Environment variables that do not show: a traceback with local variables would print every key."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)

    def __repr__(self) -> str:
        return "<Environment>"


def make_config(
    *,
    providers: Mapping[str, Mapping[str, Any]] | None,
    default_provider: str | None,
    fallback: str | Sequence[str] | None,
    owner: str,
    store: str | None,
    max_context_tokens: int | None,
    context_window: int | None,
    environ: Mapping[str, str],
    registered: Collection[str] = (),
) -> Config:
    """
    Put a configuration together.

    Args:
        providers: A table for each name, as in a configuration file; None to configure every installed
            driver under its own name.
        environ: ``TERTULIA_STORE``, ``TERTULIA_PROVIDER``, ``TERTULIA_FALLBACK`` (comma-separated), and for
            each provider ``AI_<NAME>_API_KEY``, ``AI_<NAME>_BASE_URL``, ``AI_<NAME>_MODEL``. Arguments win.
        registered: Names of providers there are besides, which the default and the fallbacks may be.

    Raises:
        ConfigurationError: A value cannot be used; the error names it.
    """
    if providers is None:
        providers = {point.name: {"driver": point.name} for point in installed_drivers()}
    if fallback is None:
        fallback = [name.strip() for name in environ.get("TERTULIA_FALLBACK", "").split(",") if name.strip()]
    config = Config(
        providers={name: _provider_config(name, table, environ) for name, table in _tables(providers)},
        default_provider=_optional_text(
            "default_provider", default_provider or environ.get("TERTULIA_PROVIDER")
        ),
        fallback=_names(fallback),
        owner=owner,
        store=_optional_text("store", store or environ.get("TERTULIA_STORE")),
        max_context_tokens=_positive("max_context_tokens", max_context_tokens),
        context_window=_positive("context_window", context_window),
    )
    _check_names(config, {*config.providers, *registered})
    return config


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
    driver = _load(settings)
    if settings.api_key is None:
        settings = attrs.evolve(settings, api_key=_key_from_environment(settings, driver, environ))
    try:
        return driver(settings)
    except TertuliaError:
        raise
    except Exception as error:
        raise PluginRejectedError(
            f"provider {name!r}: driver {settings.driver!r} failed to start: {type(error).__name__}: {error}",
            plugin=settings.driver,
            provider=name,
            next_step="see the cause below, and tell the author of the driver",
        ) from error


def variable(name: str, suffix: str) -> str:
    """
    The environment variable for a provider's setting.

    Example:
        >>> variable("my-local", "BASE_URL")
        'AI_MY_LOCAL_BASE_URL'
    """
    return f"AI_{re.sub('[^A-Z0-9]', '_', name.upper())}_{suffix}"


def _tables(providers: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The tables by name. What is in one is in no error: it may be a key in the wrong place."""
    if not isinstance(providers, Mapping):
        raise _error(
            "providers must be a table that has a table for each name",
            next_step='write {"NAME": {"model": …}}',
        )
    for name, table in cast("Mapping[object, object]", providers).items():
        if not isinstance(name, str):
            raise _error(f"the name of a provider must be a text, not {name!r}", value=name)
        if not isinstance(table, Mapping):
            raise _error("its settings must be a table", provider=name, next_step='write {"api_key": …}')
        for key in cast("Mapping[object, object]", table):
            if not isinstance(key, str):
                raise _error(f"the name of a setting must be a text, not {key!r}", provider=name, value=key)
        yield name, cast("Mapping[str, Any]", table)


def _provider_config(name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> ProviderConfig:
    fallback = table.get("fallback")
    return ProviderConfig(
        name=name,
        driver=_text("driver", table.get("driver", name), provider=name),
        api_key=_key(name, table, environ),
        base_url=_base_url(name, table, environ),
        model=_setting(name, "model", table, environ),
        fallback=None if fallback is None else _names(fallback, provider=name),
        timeouts=_timeouts(name, table.get("timeouts")),
        settings={key: value for key, value in table.items() if key not in _COMMON_KEYS},
    )


def _key(name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> Secret | None:
    if isinstance(table.get("api_key"), Secret):
        return cast("Secret", table["api_key"])
    key = _setting(name, "api_key", table, environ)
    return None if key is None else Secret(key)


def _base_url(name: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    url = _setting(name, "base_url", table, environ)
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port  # is read, and refused, on demand
    except ValueError:
        # Without the cause, which may repeat a password.
        raise _error("base_url is no URL", provider=name, next_step=_URL_FORM) from None
    if "@" in parts.netloc:
        raise _error(
            "base_url has a user or a password in it", provider=name, next_step="put the key in api_key"
        )
    if not parts.hostname:
        raise _error("base_url has no host", provider=name, next_step=_URL_FORM)
    return url


def _setting(name: str, key: str, table: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    """A text from the table, else from the environment; an empty one is as good as none."""
    given = table.get(key)
    if given is None or given == "":
        given = environ.get(variable(name, key.upper()), "").strip() or None
    return None if given is None else _text(key, given, provider=name).strip()


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
) -> Secret | None:
    """A vendor's own variable goes to the vendor's own origin, wherever else the provider may point."""
    own = getattr(driver, "BASE_URL", None)
    if settings.base_url is not None and not _same_origin(settings.base_url, own):
        return None
    found = (environ.get(name, "").strip() for name in driver.KEY_VARIABLES)
    return next((Secret(key) for key in found if key), None)


def _same_origin(url: str, own: str | None) -> bool:
    if own is None:
        return False
    theirs, ours = urlsplit(url), urlsplit(own)
    host, own_host = theirs.hostname or "", ours.hostname or ""
    return theirs.scheme == ours.scheme and (host == own_host or host.endswith(f".{own_host}"))


def _check_names(config: Config, known: Collection[str]) -> None:
    if config.default_provider is not None and config.default_provider not in known:
        raise unknown_provider(config.default_provider, known)
    chains = [config.fallback, *(provider.fallback or () for provider in config.providers.values())]
    for target in (target for chain in chains for target in chain):
        name = target.partition("/")[0]
        if name not in known:
            raise unknown_provider(name, known)


def _timeouts(name: str, table: object) -> Timeouts:
    if table is None:
        return Timeouts()
    given = attrs.asdict(table) if isinstance(table, Timeouts) else table
    if not isinstance(given, Mapping):
        raise _error("timeouts must be a table of seconds", provider=name, value=table)
    defaults = attrs.asdict(Timeouts())
    for key, value in cast("Mapping[str, object]", given).items():
        if key not in defaults:
            raise _error(
                f"there is no timeout {key!r}",
                provider=name,
                value=key,
                next_step=_suggest(str(key), defaults),
            )
        if value is not None or defaults[key] is not None:
            _check_seconds(name, key, value)
    return Timeouts(**cast("Mapping[str, Any]", given))


def _check_seconds(name: str, key: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _error(f"timeout {key!r} must be a number of seconds", provider=name, value=value)
    if not value > 0:  # nor is NaN
        raise _error(f"timeout {key!r} must be more than 0 seconds", provider=name, value=value)


def _suggest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are: {', '.join(names)}"


def _names(value: object, *, provider: str | None = None) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(
        isinstance(name, str) for name in cast("Sequence[object]", names)
    ):
        raise _error("fallback must be a text or a list of texts", provider=provider, value=value)
    return tuple(cast("Sequence[str]", names))


def _text(key: str, value: object, *, provider: str | None = None) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _error(f"{key} must be a text", provider=provider, next_step=f"set {key}")
    return value


def _optional_text(key: str, value: object) -> str | None:
    return None if value is None else _text(key, value)


def _positive(name: str, value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise _error(f"{name} must be a whole number", value=value)
    if value < 1:
        raise _error(f"{name} must be at least 1", value=value)
    return value


def _error(what: str, *, provider: str | None = None, **common: Any) -> ConfigurationError:
    said = what if provider is None else f"provider {provider!r}: {what}"
    return ConfigurationError(said, provider=provider, **common)
