"""The way in: what a client is told, from wherever it is said."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tertulia.client import Client
from tertulia.contracts.provider import Provider
from tertulia.domain.budget import Budget
from tertulia.domain.context import ContextOptions
from tertulia.domain.price import Price
from tertulia.domain.routing import Routing
from tertulia.runtime.clock import Clock, SystemClock
from tertulia.runtime.configuration.environment import Environment
from tertulia.runtime.configuration.files import ConfigFile
from tertulia.runtime.configuration.sources import Arguments, make_config, read_sources


def open(  # noqa: A001  # as in `async with tertulia.open() as client`
    *,
    store: str | None = None,
    providers: Mapping[str, Mapping[str, Any]] | None = None,
    default_provider: str | None = None,
    fallback: str | Sequence[str] | None = None,
    owner: str | None = None,
    max_context_tokens: int | None = None,
    context_window: int | None = None,
    fetch_urls: bool | None = None,
    auto_title: bool | None = None,
    prices: Sequence[Price | Mapping[str, Any]] | None = None,
    routing: Routing | Mapping[str, Any] | None = None,
    budgets: Sequence[Budget | Mapping[str, Any]] | None = None,
    context: ContextOptions | Mapping[str, Any] | None = None,
    plugins: Iterable[object] = (),
    config: ConfigFile = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> Client:
    """
    Configure a client; ``async with`` opens it. Nothing goes over the network.

    What is not said here is looked for in the environment, then in the nearest ``pyproject.toml``, then in
    the user's own configuration file: see :func:`tertulia.read_settings`.

    Args:
        store: The store's URL: ``sqlite:///PATH``, or ``memory:`` to leave no trace. None for the database
            in the user's data folder.
        providers: A table for each configured name: ``driver``, ``api_key``, ``base_url``, ``model``,
            ``fallback``, ``timeouts``, ``limits`` and the driver's own settings; no other provider is
            configured then. None for those of the files, and every installed driver under its own name.
        default_provider: Who answers when nobody is named; None for the first that has a key.
        fallback: ``provider`` or ``provider/model``, asked in order when a send fails.
        owner: Whose conversations these are; None for ``local``.
        max_context_tokens: Tokens a request may hold; None for the model's own window.
        context_window: Recent messages a request may hold; None for no limit.
        fetch_urls: Whether the address of an attachment is fetched here, from public hosts only, for a
            provider that does not fetch it itself; None for no.
        auto_title: Whether an untitled conversation gets a title from the model that gave its first answer:
            one call more, with its cost in the ledger; None for no.
        prices: What models cost you, before every table: rows whose ``model`` is ``provider/model``, or
            tables as in a file. None for those of the file.
        routing: Who is asked first, how often, and what becomes of an answer that breaks off; a table as in a
            file, too. What it does not say is as the files say, else as :class:`tertulia.Routing` says.
        budgets: What may be spent; tables as in a file, too. None for those of the file.
        context: How contexts are chosen, where neither a call nor its conversation says; a table as in a
            file, too. What it does not say is as the files say.
        plugins: Objects with hooks, and providers, beyond the installed ones.
        config: The user's configuration file, which must be there; None to look for it, False to read no
            file at all.
        environ: Where keys and ``TERTULIA_…`` are read; None for the environment of the process. With
            another one no file is looked for: only one that is named is read.
        clock: Where the time comes from; None for the machine's.

    Raises:
        ConfigurationError: A value cannot be used; the error says where it was set.
    """
    is_own = environ is None
    # At once: from here on no local variable shows a key when a traceback prints them.
    environ = Environment(os.environ if environ is None else environ)
    plugins = tuple(plugins)
    arguments = Arguments(
        providers=providers,
        default_provider=default_provider,
        fallback=fallback,
        owner=owner,
        store=store,
        max_context_tokens=max_context_tokens,
        context_window=context_window,
        fetch_urls=fetch_urls,
        auto_title=auto_title,
        prices=prices,
        routing=routing,
        budgets=budgets,
        context=context,
        config=config,
    )
    registered = [plugin.name for plugin in plugins if isinstance(plugin, Provider)]
    sources = read_sources(arguments, environ, is_own=is_own, registered=registered)
    return Client(make_config(sources), plugins=plugins, environ=environ, clock=clock or SystemClock())
