"""What is configured, and where each value was set."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import attrs

from tertulia.domain.config import Config, ProviderConfig, Secret, Setting, hide_password
from tertulia.domain.context import STRATEGIES, ContextOptions
from tertulia.domain.limits import Limits
from tertulia.domain.options import Timeouts
from tertulia.domain.price import Price
from tertulia.domain.routing import USUAL_ROUTING
from tertulia.errors import DriverNotInstalledError, PluginRejectedError
from tertulia.runtime.configuration.budgets import show_budgets
from tertulia.runtime.configuration.contexts import OLDER_NAMES
from tertulia.runtime.configuration.drivers import find_driver, find_key
from tertulia.runtime.configuration.environment import Environment
from tertulia.runtime.configuration.files import ConfigFile, own_database
from tertulia.runtime.configuration.sources import Arguments, make_provider_config, read_sources
from tertulia.runtime.configuration.tables import DEFAULT, KeyPath, Table, flatten, get_table, write_key

_USUAL_CONTEXT = ContextOptions(strategy=STRATEGIES[0], recall="auto", optimise="lossless")
_SECRET = re.compile("key|token|secret|password|credential|auth|cookie", re.IGNORECASE)


def read_settings(*, config: ConfigFile = None, environ: Mapping[str, str] | None = None) -> list[Setting]:
    """
    List every setting with where it was set, as :func:`tertulia.open` would find it.

    Drivers are loaded, for their defaults; those of one that cannot be loaded are left out.

    Args:
        config: As for :func:`tertulia.open`.
        environ: As for :func:`tertulia.open`.

    Returns:
        What concerns everything, then provider by provider in their order. A value of None is not set.

    Raises:
        ConfigurationError: A value cannot be used; the error says where it was set.
    """
    is_own = environ is None
    environ = Environment(os.environ if environ is None else environ)
    sources = read_sources(Arguments(config=config), environ, is_own=is_own)
    settings = list(_list_common(sources.settings))
    for name in sources.names:
        table = get_table(sources.settings, "providers", name)
        settings += _list_provider(make_provider_config(name, table), table, environ)
    return settings


def _list_common(table: Table[Setting]) -> Iterator[Setting]:
    default = Config(providers={})
    values: dict[KeyPath, Any] = {
        ("default_provider",): default.default_provider,
        ("fallback",): default.fallback,
        ("owner",): default.owner,
        ("store",): own_database(),
        ("plugins",): default.plugins,
        ("fetch_urls",): default.fetch_urls,
        ("prices",): default.prices,
        ("budgets",): default.budgets,
        ("conversation", "context_window"): default.context_window,
        ("conversation", "max_context_tokens"): default.max_context_tokens,
        ("conversation", "auto_title"): default.auto_title,
        **{("context", name): value for name, value in _usual_context()},
        **{("routing", name): value for name, value in attrs.asdict(USUAL_ROUTING).items()},
    }
    said = {path: setting for path, setting in flatten(table) if path[0] != "providers"}
    for path, setting in {**_defaults(values), **said}.items():
        show = _SHOWN.get(path, _as_it_is)
        yield attrs.evolve(setting, value=show(setting.value))


def _list_provider(
    config: ProviderConfig, table: Table[Setting], environ: Mapping[str, str]
) -> Iterator[Setting]:
    values: dict[KeyPath, Any] = {
        ("driver",): config.driver,
        ("api_key",): None,
        ("base_url",): None,
        ("model",): None,
        ("fallback",): None,
        ("price_factor",): None,
        **{("timeouts", name): seconds for name, seconds in attrs.asdict(Timeouts()).items()},
        **{("limits", name): value for name, value in attrs.asdict(Limits()).items()},
    }
    key: Setting | None = None
    try:
        driver = find_driver(config)
    except (DriverNotInstalledError, PluginRejectedError):
        pass
    else:
        values["base_url",] = getattr(driver, "BASE_URL", None)
        values["model",] = getattr(driver, "DEFAULT_MODEL", None)
        key = find_key(config, driver, environ)
    defaults = _defaults(values, prefix=("providers", config.name))
    if key is not None:
        defaults["api_key",] = key
    for path, setting in {**defaults, **dict(flatten(table))}.items():
        shown = attrs.evolve(setting, value=_SHOWN.get(path, _as_it_is)(setting.value))
        yield _hide_secret(shown, path) if path[0] in config.settings else shown


def _usual_context() -> Iterator[tuple[str, Any]]:
    for name, value in attrs.asdict(_USUAL_CONTEXT).items():
        if name not in OLDER_NAMES:
            yield name, value


def _as_it_is(value: Any) -> Any:
    return value


def _name_models(prices: tuple[Price, ...]) -> tuple[str, ...]:
    return tuple(price.model for price in prices)


def _write_factor(factor: Decimal | None) -> str | None:
    return None if factor is None else f"{factor:f}"


_SHOWN: Mapping[KeyPath, Callable[[Any], Any]] = {
    ("store",): hide_password,
    ("prices",): _name_models,
    ("budgets",): show_budgets,
    ("price_factor",): _write_factor,
}


def _hide_secret(setting: Setting, path: KeyPath) -> Setting:
    """What only a driver understands may be a secret: by its name, or that of a table it is in."""
    value = setting.value
    if isinstance(value, Secret) or not any(map(_SECRET.search, path)):
        return attrs.evolve(setting, value=hide_password(value)) if isinstance(value, str) else setting
    return attrs.evolve(
        setting, value=Secret(value if isinstance(value, str) else json.dumps(value, default=str))
    )


def _defaults(values: Mapping[KeyPath, Any], prefix: KeyPath = ()) -> dict[KeyPath, Setting]:
    return {path: Setting(write_key((*prefix, *path)), value, DEFAULT) for path, value in values.items()}
