"""The way in: an open client."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.config import Config
from tertulia.domain.conversation import Branch, ConversationRecord
from tertulia.domain.exchange import Reply
from tertulia.domain.message import Message, Role, Text
from tertulia.domain.model import ModelInfo
from tertulia.domain.options import Options, Timeouts
from tertulia.domain.usage import CostTotal
from tertulia.errors import (
    ConfigurationError,
    ConversationNotFoundError,
    DriverNotInstalledError,
    PluginRejectedError,
    TertuliaError,
)
from tertulia.runtime.attachments import Attachable
from tertulia.runtime.clock import Clock, SystemClock
from tertulia.runtime.configuration.drivers import make_provider
from tertulia.runtime.configuration.environment import Environment
from tertulia.runtime.configuration.files import ConfigFile, own_database
from tertulia.runtime.configuration.sources import Arguments, make_config, read_sources
from tertulia.runtime.plugins import PluginReport, Plugins
from tertulia.services.conversations import Conversation, check_title
from tertulia.services.core import Core
from tertulia.services.defaults import Defaults
from tertulia.services.tree import Tree

if TYPE_CHECKING:
    from tertulia.runtime.http import HTTPClient

FIRST_BRANCH = "main"


def open(  # noqa: A001  # as in `async with tertulia.open() as client`
    *,
    store: str | None = None,
    providers: Mapping[str, Mapping[str, Any]] | None = None,
    default_provider: str | None = None,
    fallback: str | Sequence[str] | None = None,
    owner: str | None = None,
    max_context_tokens: int | None = None,
    context_window: int | None = None,
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
            ``fallback``, ``timeouts`` and the driver's own settings; no other provider is configured then.
            None for those of the files, and every installed driver under its own name.
        default_provider: Who answers when nobody is named; None for the first that has a key.
        fallback: ``provider`` or ``provider/model``, asked in order when a send fails.
        owner: Whose conversations these are; None for ``local``.
        max_context_tokens: Tokens a request may hold; None for the model's own window.
        context_window: Recent messages a request may hold; None for no limit.
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
        config=config,
    )
    registered = [plugin.name for plugin in plugins if isinstance(plugin, Provider)]
    sources = read_sources(arguments, environ, is_own=is_own, registered=registered)
    return Client(make_config(sources), plugins=plugins, environ=environ, clock=clock or SystemClock())


class Client:
    """
    Conversations, and the providers that answer in them.

    Example::

        async with tertulia.open() as client:
            trip = await client.start("Trip to Lisbon", provider="openai")
            reply = await trip.send("Three days in Lisbon, please.")
            print(reply.text, reply.cost, reply.provider)
    """

    def __init__(
        self, config: Config, *, plugins: Iterable[object], environ: Mapping[str, str], clock: Clock
    ) -> None:
        self._config = config
        self._environ = environ
        self._clock = clock
        self._plugins = Plugins(Defaults(clock), self._make_provider)
        self._http: HTTPClient | None = None
        self._core: Core | None = None
        self._trees: weakref.WeakValueDictionary[UUID, Tree] = weakref.WeakValueDictionary()
        self._has_loaded = False
        for plugin in plugins:
            self.register(plugin)

    async def __aenter__(self) -> Self:
        if not self._has_loaded:  # an opening that failed can be tried again
            chosen = self._config.plugins
            self._plugins.load_installed(None if chosen is None else frozenset(chosen))
            self._has_loaded = True
        store = self._plugins.open_store(self._config.store or own_database())
        await store.open()
        self._core = Core(self._config, self._plugins, store, self._clock)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Settle every open answer, then close connections and store. Safe to call twice."""
        core, self._core = self._core, None
        if core is None:
            return
        async with AsyncExitStack() as stack:  # each step is taken, whatever the others raise
            stack.push_async_callback(core.store.aclose)
            if self._http is not None:
                stack.push_async_callback(self._http.aclose)
            for provider in self._plugins.providers.values():
                stack.push_async_callback(provider.aclose)
            stack.push_async_callback(core.finish)
            for stream in list(core.streams):
                stack.push_async_callback(stream.aclose)

    def register(self, plugin: object, name: str | None = None) -> str:
        """
        Add a plugin or a provider to this client.

        Returns:
            The name it has from now on: a provider's own, else the given one or the class's.

        Raises:
            PluginRejectedError: It cannot be a plugin as it is.
        """
        if isinstance(plugin, Provider):
            self._share_http(plugin)
        return self._plugins.register(plugin, name)

    def plugins(self) -> list[PluginReport]:
        """List drivers, plugins and providers, with the reason where one was refused; loads nothing."""
        return self._plugins.report()

    @property
    def providers(self) -> list[str]:
        """The names of all configured providers, in order."""
        return list(dict.fromkeys((*self._config.providers, *self._plugins.providers)))

    async def start(
        self,
        title: str | None = None,
        *,
        provider: str | None = None,
        model: str | None = None,
        system: str | None = None,
    ) -> Conversation:
        """
        Begin a conversation.

        Args:
            title: At most 200 characters; None for none.
            provider: Who answers; None for the default.
            model: None for the provider's default.
            system: Instructions for whoever answers; they are the first message.

        Raises:
            UnknownProviderError: No provider of that name is configured.
            DriverNotInstalledError: Its driver is not installed.
            StoreError: It could not be stored.
        """
        chosen = self._plugins.get_provider(provider or self._default_provider())
        now = self._clock.now()
        messages = [] if system is None else [self._system_message(system)]
        head = messages[-1].id if messages else None
        record = ConversationRecord(
            id=self._clock.new_id(),
            owner=self._config.owner,
            title=check_title(title),
            branch=Branch(
                name=FIRST_BRANCH,
                provider=chosen.name,
                model=model or chosen.default_model,
                segment=self._clock.new_id(),
                head_id=head,
                head_depth=len(messages) - 1,
                created_at=now,
            ),
            message_count=len(messages),
            cost=CostTotal(),
            created_at=now,
            updated_at=now,
        )
        await self._open.store.add_conversation(record, messages)
        return self._conversation(record)

    async def get(self, conversation_id: UUID | str, *, branch: str | None = None) -> Conversation:
        """
        Return a stored conversation.

        Args:
            conversation_id: Its id, also as text.
            branch: None for the active one, on which it was last gone on with.

        Raises:
            ConversationNotFoundError: There is none of that id, or it is somebody else's.
            BranchNotFoundError: It has no branch of that name.
        """
        store, owner, identifier = self._open.store, self._config.owner, _read_id(conversation_id)
        record = await store.get_conversation(owner, identifier)
        if branch is not None and branch != record.branch.name:
            record = attrs.evolve(record, branch=await store.get_branch(owner, identifier, branch))
        return self._conversation(record)

    async def list(
        self, *, limit: int = 50, after: ConversationRecord | None = None
    ) -> list[ConversationRecord]:
        """
        List conversations, the most recently used first.

        Args:
            limit: At most so many.
            after: The last one of the page before; None for the first page.
        """
        return await self._open.store.find_conversations(self._config.owner, limit=limit, after=after)

    async def rename(self, conversation_id: UUID | str, title: str | None) -> None:
        """Change a conversation's title; ConversationNotFoundError when there is none of that id."""
        await (await self.get(conversation_id)).rename(title)

    async def ask(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        provider: str | None = None,
        model: str | None = None,
        system: str | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
    ) -> Reply:
        """
        Begin a conversation with one question, titled with its first words, and return the answer.

        Arguments and errors are those of :meth:`start` and of :meth:`tertulia.Conversation.send`.
        """
        conversation = await self.start(_title_of(text), provider=provider, model=model, system=system)
        return await conversation.send(
            text, attach=attach, options=options, fallback=fallback, timeouts=timeouts
        )

    async def list_models(self, provider: str) -> Sequence[ModelInfo]:
        """
        Ask a provider which models it offers now.

        Raises:
            ProviderError: The list could not be had.
        """
        return await self._plugins.list_models(provider)

    @property
    def _open(self) -> Core:
        if self._core is None:
            raise TertuliaError(
                "the client is not open", next_step="use it inside `async with tertulia.open()`"
            )
        return self._core

    def _conversation(self, record: ConversationRecord) -> Conversation:
        """What is known of a conversation is shared, so that a switch is seen wherever it is held."""
        tree = self._trees.get(record.id)
        if tree is None:
            tree = self._trees[record.id] = Tree(record.id, record.title)
        tree.title = record.title
        return Conversation(self._open, tree, tree.line(record.branch))

    def _system_message(self, text: str) -> Message:
        return Message(
            Role.SYSTEM, (Text(text),), id=self._clock.new_id(), depth=0, created_at=self._clock.now()
        )

    def _default_provider(self) -> str:
        if self._config.default_provider is not None:
            return self._config.default_provider
        if not self.providers:
            raise ConfigurationError(
                "no provider is installed", next_step='try "pip install tertulia-openai"'
            )
        variables: list[str] = []
        failures: list[TertuliaError] = []
        for name in self.providers:
            try:
                provider = self._plugins.get_provider(name)
            except (DriverNotInstalledError, PluginRejectedError) as error:
                failures.append(error)
                continue
            if provider.config.api_key is not None or not getattr(provider, "needs_key", False):
                return name
            variables += provider.KEY_VARIABLES
        if failures:
            raise failures[0]
        raise ConfigurationError("no provider has a key", next_step=f"set one of {', '.join(variables)}")

    def _make_provider(self, name: str) -> Provider:
        provider = make_provider(name, self._config, self._environ)
        self._share_http(provider)
        return provider

    def _share_http(self, provider: Provider) -> None:
        """Give a provider that speaks HTTP the client's own connections."""
        from tertulia.runtime.http import HTTPClient
        from tertulia.runtime.http_provider import HTTPProvider

        if isinstance(provider, HTTPProvider):
            self._http = self._http or HTTPClient()
            provider.use(self._http)

    def __repr__(self) -> str:
        return f"<Client of {self._config.owner!r} with {', '.join(self.providers)}>"


def _read_id(conversation_id: UUID | str) -> UUID:
    if isinstance(conversation_id, UUID):
        return conversation_id
    try:
        return UUID(str(conversation_id))  # whatever is no id is not found, of whatever type it is
    except ValueError:
        raise ConversationNotFoundError(
            f"{conversation_id!r} is no conversation's id",
            conversation_id=conversation_id,
            next_step="an id looks like 0199a3c4-…; list the conversations there are",
        ) from None


def _title_of(text: str) -> str:
    first = " ".join(text.split())
    return first if len(first) <= 60 else f"{first[:59]}…"
