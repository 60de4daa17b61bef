"""The way in: an open client."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID

import attrs

from tertulia.contracts.provider import Provider
from tertulia.domain.config import Config
from tertulia.domain.context import NO_CONTEXT_OPTIONS, ContextOptions
from tertulia.domain.conversation import Branch, ConversationRecord
from tertulia.domain.estimate import CostEstimate, sort_estimates
from tertulia.domain.exchange import Reply, Target
from tertulia.domain.message import Message, Role, Text
from tertulia.domain.options import Options, Timeouts
from tertulia.domain.routing import Routing
from tertulia.domain.tokens import TokenCount
from tertulia.domain.usage import CostTotal
from tertulia.errors import (
    ConfigurationError,
    DriverNotInstalledError,
    PluginRejectedError,
    TertuliaError,
)
from tertulia.runtime.attachments import Attachable
from tertulia.runtime.clock import Clock
from tertulia.runtime.configuration.drivers import make_provider
from tertulia.runtime.configuration.files import own_database
from tertulia.runtime.fetching import Fetcher
from tertulia.runtime.plugins import PluginReport, Plugins
from tertulia.services.arguments import (
    Amount,
    check_context_options,
    check_target,
    check_text,
    check_title,
    read_id,
    title_of,
)
from tertulia.services.conversations import Conversation
from tertulia.services.core import Core
from tertulia.services.counting import count_tokens, to_request
from tertulia.services.defaults import Defaults
from tertulia.services.estimating import TYPICAL_ANSWER, estimate_first, find_priced
from tertulia.services.models import Models
from tertulia.services.routing.health import Health
from tertulia.services.routing.targets import parse_target
from tertulia.services.steps import MAX_STEPS
from tertulia.services.stream import refuse_from_within
from tertulia.services.structured import Schema
from tertulia.services.supervision import Supervision
from tertulia.services.tooling import AnyTool
from tertulia.services.tree import Tree

if TYPE_CHECKING:
    from tertulia.runtime.http import HTTPClient

FIRST_BRANCH = "main"


class Client(Supervision):
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
        self._models: Models | None = None
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
        fetcher = Fetcher() if self._config.fetch_urls else None
        health = Health(self._clock, lambda name: self._plugins.get_provider(name).config)
        self._core = Core(self._config, self._plugins, store, self._clock, health, fetcher)
        self._models = Models(self._core)
        try:
            await self._models.load()
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """
        Settle every open answer, then close connections and store. Safe to call twice.

        Raises:
            TertuliaError: A function calls it that one of the answers waits for.
        """
        if self._core is not None:
            refuse_from_within(self._core)
            if self._core.is_forked:
                self._core = self._models = None  # the process that opened it closes it
                return
            if not self._core.is_stranded:
                self._core.check_home()
        core, self._core, self._models = self._core, None, None
        if core is None:
            return
        async with AsyncExitStack() as stack:  # each step is taken, whatever the others raise
            stack.push_async_callback(core.close_store)
            if self._http is not None:
                stack.push_async_callback(self._http.aclose)
            for provider in self._plugins.providers.values():
                stack.push_async_callback(provider.aclose)
            if core.is_stranded:
                return  # whatever went on has ended with its loop
            stack.push_async_callback(core.save_calibration)
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
            self._prepare(plugin)
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
        context: ContextOptions | None = None,
    ) -> Conversation:
        """
        Begin a conversation.

        Args:
            title: At most 200 characters; None for none.
            provider: Who answers; None for the default.
            model: None for the provider's default.
            system: Instructions for whoever answers; they are the first message.
            context: How its contexts are chosen, on all its branches; None for what is configured.

        Raises:
            UnknownProviderError: No provider of that name is configured.
            DriverNotInstalledError: Its driver is not installed.
            StoreError: It could not be stored.
        """
        check_target(provider, model)
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
            context=NO_CONTEXT_OPTIONS if context is None else check_context_options(context, self._plugins),
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
        store, owner, identifier = self._open.store, self._config.owner, read_id(conversation_id)
        record = await store.get_conversation(owner, identifier)
        if branch is not None and branch != record.branch.name:
            record = attrs.evolve(record, branch=await store.get_branch(owner, identifier, branch))
        return self._conversation(record)

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
        tools: Sequence[AnyTool] = (),
        max_steps: int = MAX_STEPS,
        schema: Schema | None = None,
        options: Options = Options(),
        fallback: Sequence[str] | None = None,
        timeouts: Timeouts | None = None,
        routing: Routing | None = None,
        budget: Amount | None = None,
        context: ContextOptions | None = None,
    ) -> Reply:
        """
        Begin a conversation with one question, titled with its first words, and return the answer.

        Arguments and errors are those of :meth:`start` and of :meth:`tertulia.Conversation.send`.
        """
        check_text(text, attach)
        conversation = await self.start(title_of(text), provider=provider, model=model, system=system)
        return await conversation.send(
            text,
            attach=attach,
            tools=tools,
            max_steps=max_steps,
            schema=schema,
            options=options,
            fallback=fallback,
            timeouts=timeouts,
            routing=routing,
            budget=budget,
            context=context,
        )

    async def count_tokens(
        self,
        said: str | Message | Iterable[Message],
        *,
        provider: str | None = None,
        model: str | None = None,
        exact: bool = False,
    ) -> TokenCount:
        """
        Count the tokens of a prompt, which is not sent.

        Args:
            said: What a user says, or the messages.
            provider: Who would be asked; None for the default.
            model: None for the provider's default.
            exact: Ask the service. Where it cannot be asked the count is an estimate, and says so; without
                it nothing goes over the network.

        Raises:
            UnknownProviderError: No provider of that name is configured.
            ProviderError: The service was asked, and could not say.
        """
        core = self._open
        request = to_request(core, said, provider=provider or self._default_provider(), model=model)
        return await count_tokens(core, request, exact=exact)

    async def estimate_cost(
        self,
        text: str,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        provider: str | None = None,
        model: str | None = None,
        system: str | None = None,
        options: Options = Options(),
    ) -> CostEstimate:
        """
        Estimate between what and what :meth:`ask` would cost; nothing is stored or sent.

        Raises:
            UnknownProviderError: No provider of that name is configured.
            AttachmentError: A file cannot be attached.
        """
        chosen = self._plugins.get_provider(provider or self._default_provider())
        target = Target(chosen.name, model or chosen.default_model)
        (found,) = await estimate_first(
            self._open, [target], text, system=system, attached=attach, options=options
        )
        return found

    async def compare_prices(
        self,
        text: str,
        targets: Sequence[str] | None = None,
        *,
        attach: Attachable | Sequence[Attachable] = (),
        system: str | None = None,
        options: Options = Options(),
    ) -> Sequence[CostEstimate]:
        """
        Estimate what the same question would cost elsewhere, the cheapest first, unknown ones last.

        Args:
            text: What would be asked.
            targets: ``provider`` or ``provider/model``; None for every model a price is known for.
            attach: What would be attached to it.
            system: The instructions before it.
            options: ``max_output_tokens`` is the length of the answer to compare by, else 1,000 tokens.

        Raises:
            UnknownProviderError: No provider of that name is configured.
        """
        core = self._open
        among = (
            find_priced(core, self.providers)
            if targets is None
            else [parse_target(each, self._plugins) for each in targets]
        )
        found = await estimate_first(
            core,
            among,
            text,
            system=system,
            attached=attach,
            options=options,
            answer_tokens=TYPICAL_ANSWER,
        )
        return sort_estimates(found)

    @property
    def _open(self) -> Core:
        if self._core is None:
            raise TertuliaError(
                "the client is not open", next_step="use it inside `async with tertulia.open()`"
            )
        self._core.check_home()
        return self._core

    @property
    def _catalogue(self) -> Models:
        core = self._open
        return self._models or Models(core)

    def _conversation(self, record: ConversationRecord) -> Conversation:
        """What is known of a conversation is shared, so that a switch is seen wherever it is held."""
        tree = self._trees.get(record.id)
        if tree is None:
            tree = self._trees[record.id] = Tree(record.id, record.title)
        tree.title, tree.context = record.title, record.context
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
            variables += getattr(provider, "key_variables", provider.KEY_VARIABLES)
        if failures:
            raise failures[0]
        raise ConfigurationError("no provider has a key", next_step=f"set one of {', '.join(variables)}")

    def _make_provider(self, name: str) -> Provider:
        provider = make_provider(name, self._config, self._environ)
        self._prepare(provider)
        return provider

    def _prepare(self, provider: Provider) -> None:
        self._share_http(provider)
        if self._models is not None:
            self._models.teach(provider)

    def _share_http(self, provider: Provider) -> None:
        """Give a provider that speaks HTTP the client's own connections."""
        from tertulia.runtime.http import HTTPClient
        from tertulia.runtime.http_provider import HTTPProvider

        if isinstance(provider, HTTPProvider):
            self._http = self._http or HTTPClient()
            provider.use(self._http)

    def __repr__(self) -> str:
        return f"<Client of {self._config.owner!r} with {', '.join(self.providers)}>"
