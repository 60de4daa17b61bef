"""The sources of a configuration together: files, environment and arguments, each over the one before."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from tertulia.domain.budget import Budget
from tertulia.domain.config import Config, ProviderConfig, Setting, find_cycle
from tertulia.domain.limits import Limits
from tertulia.domain.options import Timeouts
from tertulia.domain.price import Price
from tertulia.domain.routing import Routing
from tertulia.errors import ConfigurationError
from tertulia.runtime.configuration.contexts import (
    ContextTable,
    make_contexts,
    name_providers,
    provider_of,
    refuse_twice,
    restrict_context,
    split_argument,
)
from tertulia.runtime.configuration.drivers import driver_names
from tertulia.runtime.configuration.environment import read_environment
from tertulia.runtime.configuration.files import ConfigFile, read_files
from tertulia.runtime.configuration.schema import PROVIDER_KEYS, check
from tertulia.runtime.configuration.tables import (
    ARGUMENT,
    Given,
    Table,
    flatten,
    get_table,
    get_values,
    locate,
    make_table,
    merge,
    refuse,
    suggest,
)
from tertulia.runtime.plugin_answers import unknown_provider


@attrs.frozen
class Arguments:
    """
    What a caller says, which is over everything else. None is not said.

    Attributes:
        providers: A table for each name, as in a file; these names and no others are configured.

        config: The user's file; None to look for it, False to read no file at all.
    """

    providers: Mapping[str, Mapping[str, Any]] | None = attrs.field(default=None, repr=False)
    default_provider: str | None = None
    fallback: str | Sequence[str] | None = None
    owner: str | None = None
    store: str | None = attrs.field(default=None, repr=False)
    max_context_tokens: int | None = None
    context_window: int | None = None
    fetch_urls: bool | None = None
    auto_title: bool | None = None
    prices: Sequence[Price | Mapping[str, Any]] | None = None
    routing: Routing | Mapping[str, Any] | None = None
    context: ContextTable | None = None
    budgets: Sequence[Budget | Mapping[str, Any]] | None = None
    config: ConfigFile = None


@attrs.frozen
class Sources:
    """
    All sources, merged.

    Attributes:
        names: The configured providers, in order.

        settings: Everything that is set.
    """

    names: Sequence[str]
    settings: Table[Setting]


def read_sources(
    arguments: Arguments, environ: Mapping[str, str], *, is_own: bool, registered: Iterable[str] = ()
) -> Sources:
    """
    Read everything that says something about the configuration.

    Args:
        arguments: What the caller says.
        environ: The environment variables.
        is_own: Whether they are those of this process; only then are files looked for.
        registered: Names of providers there are besides, which the default and the fallbacks may be.

    Raises:
        ConfigurationError: A value cannot be used; the error says where it was set.
    """
    said = check(_read_arguments(arguments))
    files = read_files(arguments.config, environ, is_own=is_own)
    user, project = check(files.user), check(files.project)
    chosen = list(get_table(said, "providers").entries) if "providers" in said.entries else None
    found = [*get_table(user, "providers").entries]
    if chosen is None or user.entries:
        found = list(dict.fromkeys((*found, *driver_names())))
    names = found if chosen is None else chosen
    known = {*names, *registered}
    environment = check(read_environment(environ, names))
    for table, allowed in ((user, {*found, *known}), (environment, known), (said, known)):
        _check_names(table, allowed)
    _check_project(project, {*found, *known})
    over = merge(environment, said)
    user = _keep_keys_at_home(_restrict(user, names, known), over)
    settings = merge(user, restrict_context(project, known), over)
    _check_cycles(get_table(settings, "providers"))
    return Sources(names, settings)


def make_config(sources: Sources) -> Config:
    """Make the configuration of what the sources say."""
    values = get_values(sources.settings)
    conversation = values.pop("conversation", {})
    routing = Routing(**values.pop("routing", {}))
    context, context_of = make_contexts(values.pop("context", {}), conversation)
    values.pop("providers", None)
    tables = get_table(sources.settings, "providers")
    return Config(
        providers={name: make_provider_config(name, get_table(tables, name)) for name in sources.names},
        routing=routing,
        context=context,
        context_of=context_of,
        **values,
        **conversation,
    )


def make_provider_config(name: str, table: Table[Setting]) -> ProviderConfig:
    """Make the configuration of one provider."""
    values = get_values(table)
    common = {key: values.pop(key) for key in PROVIDER_KEYS & values.keys()}
    timeouts = Timeouts(**common.pop("timeouts", {}))
    limits = Limits(**common.pop("limits", {}))
    driver = common.pop("driver", name)
    origins = {path: setting.origin for path, setting in flatten(table)}
    return ProviderConfig(
        name,
        driver,
        timeouts=timeouts,
        limits=limits,
        settings=values,
        origins={(): table.origin, **origins},
        **common,
    )


def _read_arguments(arguments: Arguments) -> Table[Given]:
    said = {key: value for key, value in attrs.asdict(arguments, recurse=False).items() if value is not None}
    said.pop("config", None)
    older: dict[str, Given] = {}
    if "context" in said:
        said["context"], older = split_argument(said["context"])
        refuse_twice(said, older)
    conversation: dict[str, Given | Table[Given]] = {
        key: Given(("conversation", key), key, ARGUMENT, said.pop(key))
        for key in ("context_window", "max_context_tokens", "auto_title")
        if key in said
    }
    conversation.update(older)
    table = make_table(said, origin=lambda _: ARGUMENT)
    below = Table(("conversation",), "conversation", ARGUMENT, conversation)
    return attrs.evolve(table, entries={**table.entries, "conversation": below})


def _check_names(table: Table[Setting], known: Collection[str]) -> None:
    for origin, name in _named(table):
        if name not in known:
            error = unknown_provider(name, known)
            error.message = f"{locate(origin)}{error.message}"
            raise error


def _named(table: Table[Setting]) -> Iterator[tuple[str, str]]:
    """Yield where each provider is named, and its name."""
    default = table.entries.get("default_provider")
    if isinstance(default, Setting):
        yield default.origin, default.value
    for below in (table, *_provider_tables(table).values()):
        fallback = below.entries.get("fallback")
        if isinstance(fallback, Setting):
            yield from ((fallback.origin, provider_of(target)) for target in fallback.value)
    prices = table.entries.get("prices")
    if isinstance(prices, Setting):
        yield from ((prices.origin, provider_of(price.model)) for price in prices.value)
    budgets = table.entries.get("budgets")
    if isinstance(budgets, Setting):
        named = (budget.provider for budget in budgets.value)
        yield from ((budgets.origin, name) for name in named if name is not None)
    yield from name_providers(table)


def _provider_tables(table: Table[Setting]) -> dict[str, Table[Setting]]:
    providers = get_table(table, "providers")
    return {name: get_table(providers, name) for name in providers.entries}


def _check_project(project: Table[Setting], known: Collection[str]) -> None:
    """A provider that is not configured here is nothing to a project's file, unless it is misspelt."""
    for name, table in _provider_tables(project).items():
        if name not in known and difflib.get_close_matches(name, known, n=1):
            raise refuse(table, "is no configured provider", value=name, next_step=suggest(name, known))
    for target, options in get_table(project, "context", "models").entries.items():
        name = provider_of(target)
        if name not in known and difflib.get_close_matches(name, known, n=1):
            raise refuse(
                options, "is of no configured provider", value=target, next_step=suggest(name, known)
            )


def _restrict(table: Table[Setting], names: Collection[str], known: Collection[str]) -> Table[Setting]:
    """Leave out the providers that are not configured, and whatever leads to one that is not there."""
    table = restrict_context(_restrict_fallback(table, known), known)
    entries = dict(table.entries)
    default = entries.get("default_provider")
    if isinstance(default, Setting) and default.value not in known:
        del entries["default_provider"]
    prices = entries.get("prices")
    if isinstance(prices, Setting):
        left_prices = tuple(price for price in prices.value if provider_of(price.model) in known)
        entries["prices"] = attrs.evolve(prices, value=left_prices)
    budgets = entries.get("budgets")
    if isinstance(budgets, Setting):
        left_budgets = tuple(budget for budget in budgets.value if budget.provider in (None, *known))
        entries["budgets"] = attrs.evolve(budgets, value=left_budgets)
    tables = _provider_tables(table)
    left = {name: _restrict_fallback(below, known) for name, below in tables.items() if name in names}
    entries["providers"] = attrs.evolve(get_table(table, "providers"), entries=left)
    return attrs.evolve(table, entries=entries)


def _restrict_fallback(table: Table[Setting], known: Collection[str]) -> Table[Setting]:
    fallback = table.entries.get("fallback")
    if not isinstance(fallback, Setting):
        return table
    left = tuple(target for target in fallback.value if provider_of(target) in known)
    return attrs.evolve(table, entries={**table.entries, "fallback": attrs.evolve(fallback, value=left)})


def _keep_keys_at_home(user: Table[Setting], over: Table[Setting]) -> Table[Setting]:
    """A key in the file goes where the file says: not to wherever else somebody later points the provider."""
    tables = _provider_tables(user)
    for name, later in _provider_tables(over).items():
        if name in tables and _is_elsewhere(later, tables[name]):
            left = {key: entry for key, entry in tables[name].entries.items() if key != "api_key"}
            tables[name] = attrs.evolve(tables[name], entries=left)
    providers = attrs.evolve(get_table(user, "providers"), entries=tables)
    return attrs.evolve(user, entries={**user.entries, "providers": providers})


def _is_elsewhere(later: Table[Setting], before: Table[Setting]) -> bool:
    places = {"driver": before.path[-1], "base_url": None, **get_values(before)}
    return any(
        places[key] != value for key, value in get_values(later).items() if key in ("driver", "base_url")
    )


def _check_cycles(providers: Table[Setting]) -> None:
    fallbacks = {
        name: setting
        for name in providers.entries
        if isinstance(setting := get_table(providers, name).entries.get("fallback"), Setting)
    }
    cycle = find_cycle({name: setting.value for name, setting in fallbacks.items()})
    if cycle is not None:
        *_, last, first = cycle
        raise ConfigurationError(
            f"{locate(fallbacks[last].origin)}fallback cycle: {' → '.join(cycle)}",
            provider=last,
            value=first,
            next_step=f"take {first!r} out of {fallbacks[last].key}, or name a model, which ends a chain: "
            f"'{first}/MODEL'",
        )
